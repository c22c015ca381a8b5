"""E-mail (电子邮件) from a hosted mailbox by IMAP: fetched, stored, and only then moved, marked as seen or deleted.

Sources: RFC 3501 (IMAP4rev1), RFC 2177 (IDLE). docs/channels/email_imap.md says what is known of a mail that comes again.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.api import hookimpl
from gateway_plugins.mailbox.box import Box
from gateway_plugins.mailbox.channel import MailboxChannel
from gateway_plugins.mailbox.settings import ImapSettings


class EmailImap(MailboxChannel):
    """One mailbox, one folder of it; the session lasts, so that the server can tell of new mail."""

    kind: ClassVar[str] = "email_imap"
    Settings = ImapSettings
    settings: ImapSettings
    lasting = True

    def box(self) -> Box:
        """The folder, by IMAP."""
        from gateway_plugins.mailbox.imap import ImapBox  # its library is loaded only where a mailbox is looked at

        assert self.services is not None
        return ImapBox(self.settings, self.secret, self.services.max_bytes)


@hookimpl
def channels() -> list[type[EmailImap]]:
    """The channel of this plugin."""
    return [EmailImap]

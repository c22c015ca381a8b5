"""E-mail (电子邮件) from a hosted mailbox by POP3: fetched, stored, and only then deleted.

Sources: RFC 1939 (POP3). docs/channels/email_pop3.md says what is known of a mail that comes again.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.api import hookimpl
from gateway_plugins.mailbox.box import Box
from gateway_plugins.mailbox.channel import MailboxChannel
from gateway_plugins.mailbox.settings import Pop3Settings


class EmailPop3(MailboxChannel):
    """One mailbox; a session ends with each look, for only then the server deletes."""

    kind: ClassVar[str] = "email_pop3"
    Settings = Pop3Settings
    settings: Pop3Settings
    lasting = False

    def box(self) -> Box:
        """The mailbox, by POP3."""
        from gateway_plugins.mailbox.pop3 import Pop3Box  # its library is loaded only where a mailbox is looked at

        assert self.services is not None
        return Pop3Box(self.settings, self.secret, self.services.max_bytes)


@hookimpl
def channels() -> list[type[EmailPop3]]:
    """The channel of this plugin."""
    return [EmailPop3]

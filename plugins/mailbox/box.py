"""What a mailbox is to the fetcher, whatever its protocol."""

from __future__ import annotations

import ssl
from typing import ClassVar, Protocol

from msgspec import Struct

from gateway_plugins.mailbox.settings import BoxSettings


class BoxError(Exception):
    """The mailbox cannot be used now. The text is for the operator: never a word of the server's, who may quote a mail.

    ``what`` is the trouble, ``fault`` how it showed this time: a server that is down resets one attempt and refuses the next.
    """

    def __init__(self, what: str, fault: str = "") -> None:
        super().__init__(f"{what} ({fault})" if fault else what)
        self.what = what
        self.fault = fault


class LoginRefused(BoxError):
    """The server does not take our account; to try at once again would lock it."""


class MailError(BoxError):
    """This one mail cannot be had; the others may."""


class Item(Struct, frozen=True):
    """One mail in the box. ``key`` is good for this session alone, ``size`` is the server's word (0: it gave none)."""

    key: int
    size: int = 0
    uidl: str = ""


class Fetched(Struct, frozen=True):
    """The octets of a mail; ``carrier_id`` is by what the same mail is known when it is fetched again."""

    body: bytes
    carrier_id: str | None


class Box(Protocol):
    """Every method blocks and is called in one thread. All raise ``BoxError``; after one the box is closed."""

    protocol: ClassVar[str]

    def open(self) -> str | None:
        """Connect, log in, select; returns a remark for the operator, if there is one."""

    def new(self, most: int) -> list[Item]:
        """The mails to be taken, oldest first, ``most`` at most."""

    def get(self, item: Item, limit: int) -> Fetched | None:
        """A mail, without marking it; None where it is there no more."""

    def done(self, item: Item) -> None:
        """Mark a mail as taken. Called only after it is on stable storage."""

    def settle(self) -> None:
        """Make the marks of this round last."""

    def wait(self) -> bool:
        """Wait for new mail where the server tells of it; False at once where it does not."""

    def cut(self) -> None:
        """Break the connection, from any thread: what waits for it ends."""

    def close(self) -> None:
        """Leave in order; never raises."""


def tls_context(settings: BoxSettings) -> ssl.SSLContext:
    """Our side of TLS. Raises ``OSError`` where the authority's file cannot be read."""
    context = ssl.create_default_context(cafile=settings.ca_file or None)
    if settings.ca_file:
        context.load_default_certs()
    if not settings.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context

"""One SMTP or LMTP session: aiosmtpd's, with its limits named, its lines widened and one LMTP reply per recipient.

Sources: RFC 5321 (SMTP), RFC 2033 (LMTP), RFC 1870 (SIZE), RFC 3463 (enhanced status codes).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP

if TYPE_CHECKING:
    from gateway_plugins.smtpin.listener import Door

LINE_BYTES = 1 << 20
COMMANDS = 1000
"""Each command may come this often in one session before it is cut off."""


class Guests:
    """Who is connected: at most ``most`` sessions in all and ``most_each`` from one address."""

    def __init__(self, most: int, most_each: int) -> None:
        self.most = most
        self.most_each = most_each
        self.by_address: Counter[str] = Counter()
        self.sessions: set[Any] = set()
        self.left = asyncio.Event()
        """Set whenever one leaves."""

    def admit(self, address: str, session: Any) -> bool:
        """Count a session in; False when there is no room for it."""
        if len(self.sessions) >= self.most or self.by_address[address] >= self.most_each:
            return False
        self.sessions.add(session)
        self.by_address[address] += 1
        return True

    def leave(self, address: str, session: Any) -> None:
        """Count a session out; harmless for one that was never in."""
        if session in self.sessions:
            self.sessions.discard(session)
            self.left.set()
            self.by_address[address] -= 1
            if self.by_address[address] <= 0:
                del self.by_address[address]


class _Bounded:
    """What both protocols share. Mixed in before aiosmtpd's class."""

    line_length_limit = LINE_BYTES
    door: Door
    turned_away = False
    handing_over = False
    """A whole mail is with intake, and its answer has not been written yet."""
    peer_address = ""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        starting_tls = getattr(self, "_original_transport", None) is not None
        if not starting_tls:
            self.peer_address = str((transport.get_extra_info("peername") or ("?",))[0])
            if not self.door.guests.admit(self.peer_address, self):
                self.turned_away = True
                assert isinstance(transport, asyncio.WriteTransport)
                transport.write(b"421 4.3.2 too many connections, try again later\r\n")
                transport.close()
                return
        super().connection_made(transport)  # type: ignore[misc]

    def connection_lost(self, error: Exception | None) -> None:
        if self.turned_away:
            return
        self.door.guests.leave(self.peer_address, self)
        super().connection_lost(error)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        if not self.turned_away:
            super().data_received(data)  # type: ignore[misc]

    def eof_received(self) -> bool | None:
        if self.turned_away:
            return False
        return super().eof_received()  # type: ignore[misc,no-any-return]

    async def push(self, status: str | bytes) -> None:
        """Name the limit in refusals of aiosmtpd's own, which do not."""
        if isinstance(status, str):
            if status.startswith("552 "):
                status = self.for_each(f"552 5.3.4 message is over the limit of {self.door.max_bytes} bytes")
            elif status.startswith("500 Line too long"):
                status = self.for_each(f"554 5.6.0 a line is over the limit of {LINE_BYTES} bytes")
        await super().push(status)  # type: ignore[misc]
        if self.handing_over:
            self.handing_over = False
            if self.door.closing:
                self.dismiss()

    def dismiss(self) -> None:
        """The channel stops: say so, and end. What was not answered comes again."""
        transport: asyncio.WriteTransport | None = getattr(self, "transport", None)
        if transport is not None and not transport.is_closing():
            transport.write(b"421 4.3.2 going down, try again later\r\n")
            transport.close()

    def for_each(self, status: str) -> str:
        """``status`` as it is (SMTP), or once for each recipient (LMTP)."""
        return status


class SmtpSession(_Bounded, SMTP):
    """A session of SMTP."""

    protocol_name = "SMTP"


class LmtpSession(_Bounded, LMTP):
    """A session of LMTP: every accepted recipient gets a reply of its own after DATA (RFC 2033 section 4.2)."""

    protocol_name = "LMTP"

    def for_each(self, status: str) -> str:
        envelope = self.envelope
        count = len(envelope.rcpt_tos) if envelope is not None else 0
        return "\r\n".join([status] * max(1, count))

"""One SMTP or LMTP session: aiosmtpd's, with its limits named, a DATA of our own and one LMTP reply per recipient.

Sources: RFC 5321 (SMTP), RFC 2033 (LMTP), RFC 1870 (SIZE), RFC 3463 (enhanced status codes).
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from typing import TYPE_CHECKING, Any

from aiosmtpd.lmtp import LMTP
from aiosmtpd.smtp import SMTP, syntax

from gateway_plugins.smtpin.data import Collector
from gateway_plugins.smtpin.quick import Quick
from gateway_plugins.smtpin.room import FULL, YIELDED, yields

if TYPE_CHECKING:
    from gateway_plugins.smtpin.listener import Door
    from gateway_plugins.smtpin.plain import PlainSession

LOGINS = 3
"""A session may try to log in so often; one who guesses has to connect again, and connections are counted."""
WIDER = 26 + 10
"""So many octets more aiosmtpd allows a MAIL command after each EHLO that offers SIZE and SMTPUTF8."""
_AUTH_PARAMETER = re.compile(r"\s+AUTH=\S*", re.I)


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
        """Count a session in; False when there is no room for it, and nobody who has to make some."""
        if self.by_address[address] >= self.most_each:
            return False
        if len(self.sessions) >= self.most:
            if (one := yields(self.sessions, self.by_address, address)) is None:
                return False
            self.leave(one.peer_address, one)
            one.dismiss(YIELDED)
        self.sessions.add(session)
        self.by_address[address] += 1
        return True

    def replace(self, session: Any, by: Any) -> None:
        """The same connection goes on as another session."""
        self.sessions.discard(session)
        self.sessions.add(by)

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

    door: Door
    turned_away = False
    greeted = False
    """Somebody else has said 220."""
    handing_over = False
    """A whole mail is with intake, and its answer has not been written yet."""
    peer_address = ""
    session_seconds = 3600.0
    _until: asyncio.TimerHandle | None = None
    _collector: Collector | None = None
    _ended: asyncio.Future[None]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        starting_tls = getattr(self, "_original_transport", None) is not None
        if not starting_tls:
            self._until = asyncio.get_running_loop().call_later(self.session_seconds, self._over)
            self.peer_address = str((transport.get_extra_info("peername") or ("?",))[0])
            if not self.door.guests.admit(self.peer_address, self):
                self.turned_away = True
                assert isinstance(transport, asyncio.WriteTransport)
                transport.write(b"421 4.3.2 too many connections, try again later\r\n")
                transport.close()
                return
        super().connection_made(transport)  # type: ignore[misc]

    def adopt(self, plain: PlainSession) -> None:
        """Go on where a plain session came upon something unusual: what it was told counts, and what it took of its time."""
        loop = asyncio.get_running_loop()
        self._until = loop.call_later(max(0.0, plain.until - loop.time()), self._over)
        self.peer_address, self.greeted = plain.peer_address, True
        self.door.guests.replace(plain, self)
        super().connection_made(plain.transport)  # type: ignore[misc]
        session: Any = self
        session.session, session.envelope = plain.session, plain.envelope
        left = {name.upper(): session._call_limit_default - times for name, times in plain.said.items()}
        session._call_limit_base = {**session._call_limit_base, **left}
        for _each in range(plain.said["ehlo"]):
            session.command_size_limits["MAIL"] += WIDER
        if plain.paused:
            session.pause_writing()

    def connection_lost(self, error: Exception | None) -> None:
        if self._until is not None:
            self._until.cancel()
        if self.turned_away:
            return
        self.door.guests.leave(self.peer_address, self)
        self.door.room.give_back(self)
        super().connection_lost(error)  # type: ignore[misc]

    def data_received(self, data: bytes) -> None:
        if not self.turned_away:
            # aiosmtpd's clock starts anew with each command alone: a large mail over a slow line would be cut off for ever.
            self._reset_timeout()  # type: ignore[attr-defined]
            self._receive(data)

    def _receive(self, data: bytes) -> None:
        """Octets of a mail go to it, all others to the reader of commands."""
        if self._collector is not None:
            rest = self._collector.feed(data)
            if rest is None:
                return
            data, self._collector = rest, None
            if not self._ended.done():
                self._ended.set_result(None)
        if data:
            super().data_received(data)  # type: ignore[misc]

    def eof_received(self) -> bool | None:
        if self.turned_away:
            return False
        return super().eof_received()  # type: ignore[misc,no-any-return]

    async def push(self, status: str | bytes) -> None:
        """Name the limit in refusals of aiosmtpd's own, which do not."""
        if self.greeted:
            self.greeted = False
            return
        if isinstance(status, str) and status.startswith("552 Error"):
            status = self.for_each(self.too_large)
        await super().push(status)  # type: ignore[misc]
        if self.handing_over:
            self.handing_over = False
            if self.door.closing:
                self.dismiss()

    @syntax("MAIL FROM: <address>", extended=" [SP <mail-parameters>]")
    async def smtp_MAIL(self, arg: str | None) -> None:
        """As aiosmtpd's, which refuses the AUTH parameter that RFC 4954 section 5 lets every sender add."""
        address, close, parameters = (arg or "").partition(">")
        await super().smtp_MAIL(address + close + _AUTH_PARAMETER.sub("", parameters) if arg else arg)  # type: ignore[misc]

    @syntax("DATA")
    async def smtp_DATA(self, arg: str | None) -> None:
        """As aiosmtpd's, which works line by line and would hold up the loop for seconds over a large mail of short lines."""
        session: Any = self
        if await session.check_helo_needed() or await session.check_auth_needed("DATA"):
            return
        if not session.envelope.rcpt_tos:
            await self.push("503 Error: need RCPT command")
            return
        if arg:
            await self.push("501 Syntax: DATA")
            return
        collector = Collector(self.door.max_bytes, lambda size: self.door.room.take(self, size))
        self._collector, self._ended = collector, asyncio.get_running_loop().create_future()
        # What came before we asked for it lies with the reader of commands; nothing may come in between.
        if early := await session._reader.read(len(session._reader._buffer)):
            self._receive(early)
        await self.push("354 End data with <CR><LF>.<CR><LF>")
        await self._ended
        if collector.too_much:
            status = self.for_each(self.too_large)
        elif collector.no_room:
            status = self.for_each(FULL)
        else:
            session.envelope.content = session.envelope.original_content = collector.mail()
            try:
                status = await self.door.handle_DATA(session, session.session, session.envelope)
            except Exception as error:
                status = self.for_each(await self.door.handle_exception(error))
        session._set_post_data_state()
        self.door.room.give_back(self)
        await self.push(status)

    def _over(self) -> None:
        """The session has had its time: one octet a minute must not hold a place for ever. A mail with intake has its answer."""
        if self.handing_over:
            self._until = asyncio.get_running_loop().call_later(1.0, self._over)
            return
        self.dismiss("421 4.4.2 the session has lasted too long, try again")

    def dismiss(self, why: str = "421 4.3.2 going down, try again later") -> None:
        """Say why, and end. What was not answered comes again."""
        transport: asyncio.WriteTransport | None = getattr(self, "transport", None)
        if transport is not None and not transport.is_closing():
            transport.write(why.encode() + b"\r\n")
            transport.close()

    @property
    def silence(self) -> float:
        """The seconds since its last octet."""
        session: Any = self
        return float(session.loop.time() - session._silent_until + session._timeout_duration)

    @property
    def too_large(self) -> str:
        """The refusal that names the limit."""
        return f"552 5.3.4 message is over the limit of {self.door.max_bytes} bytes"

    def for_each(self, status: str) -> str:
        """``status`` as it is (SMTP), or once for each recipient (LMTP)."""
        return status


class SmtpSession(_Bounded, Quick, SMTP):
    """A session of SMTP."""

    protocol_name = "SMTP"


class LmtpSession(_Bounded, Quick, LMTP):
    """A session of LMTP: every accepted recipient gets a reply of its own after DATA (RFC 2033 section 4.2)."""

    protocol_name = "LMTP"

    def for_each(self, status: str) -> str:
        envelope = self.envelope
        count = len(envelope.rcpt_tos) if envelope is not None else 0
        return "\r\n".join([status] * max(1, count))

"""The plain dialogue of SMTP: HELO or EHLO, MAIL, RCPT, DATA, RSET, NOOP and QUIT as every mail server says them, answered in the
call that brings their octets, without a reader, a task and a timer for each.

At the first line that is not one of these, or that would be refused by anybody but the door, the session goes over to aiosmtpd
for good, with all that was said before and what it may still say. So there is one place where anything unusual is decided, and
this is not it: ``tests/mail/test_smtp_plain.py`` holds the two beside one another.
"""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from aiosmtpd.smtp import Envelope, Session

from gateway_plugins.smtpin.data import Collector
from gateway_plugins.smtpin.quick import ADDRESS
from gateway_plugins.smtpin.room import FULL

if TYPE_CHECKING:
    from gateway_plugins.smtpin.listener import Door

LINE = 512
"""A command of more octets than this is unusual."""
AHEAD = 4096
"""So many octets may wait behind a mail that is being stored; then the sender is no longer listened to."""
_COMMAND = re.compile(
    rf"""(?: (?P<mail> MAIL\ FROM:\ ?<(?P<sender>{ADDRESS})>
            (?P<more> (?:\ SIZE=(?P<size>\d{{1,15}}))? (?:\ BODY=(?:7BIT|8BITMIME))? ) )
        | (?P<rcpt> RCPT\ TO:\ ?<(?P<to>{ADDRESS})> )
        | (?P<data> DATA ) | (?P<rset> RSET ) | (?P<noop> NOOP ) | (?P<quit> QUIT )
        | (?P<helo> HELO\ (?P<name>[!-~]+) ) | (?P<ehlo> EHLO\ (?P<name_too>[!-~]+) )
    )\r\n""".encode(),
    re.X | re.I,
)  # fmt: skip
_OK, _GO_ON, _BYE = b"250 OK\r\n", b"354 End data with <CR><LF>.<CR><LF>\r\n", b"221 Bye\r\n"


@dataclass(frozen=True, slots=True)
class Terms:
    """What all sessions of a listener have in common. ``upstream`` makes a session of aiosmtpd; ``commands`` is how often each
    command may come, the times are seconds."""

    door: Door
    loop: asyncio.AbstractEventLoop
    upstream: Callable[[], Any]
    commands: int
    seconds: float
    session_seconds: float
    tls: bool


class PlainSession(asyncio.Protocol):
    """One connection, until something unusual comes."""

    protocol_name = "SMTP"
    __slots__ = ("_ahead", "_at", "_collector", "_silent_until", "_task", "_timer", "_unread", "envelope", "handing_over",
                 "paused", "peer_address", "said", "session", "terms", "transport", "until")  # fmt: skip

    def __init__(self, terms: Terms) -> None:
        self.terms = terms
        self.transport: Any = None
        self.peer_address = ""
        self.session = Session(terms.loop)
        self.envelope = Envelope()
        self.said: Counter[str] = Counter()
        """How often each command came."""
        self.handing_over = False
        """A whole mail is with intake, and its answer has not been written yet."""
        self.paused = False
        """The sender does not take our answers."""
        self.until = 0.0
        """When the session has had its time, by the loop's clock."""
        self._silent_until = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._collector: Collector | None = None
        self._task: asyncio.Task[None] | None = None
        self._unread, self._at = b"", 0
        self._ahead = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        terms, self.transport = self.terms, transport
        self.session.peer = peer = transport.get_extra_info("peername")
        self.peer_address = str((peer or ("?",))[0])
        if not terms.door.guests.admit(self.peer_address, self):
            self.dismiss("421 4.3.2 too many connections, try again later")
            return
        now = terms.loop.time()
        self.until, self._silent_until = now + terms.session_seconds, now + terms.seconds
        self._timer = terms.loop.call_at(min(self.until, self._silent_until), self._look)
        self._tell(f"220 {terms.door.hostname} ready")

    def connection_lost(self, error: Exception | None) -> None:
        self.terms.door.guests.leave(self.peer_address, self)
        self.terms.door.room.give_back(self)
        self._end()

    def eof_received(self) -> None:
        """As aiosmtpd: whoever says no more is not answered any more."""
        self._end()

    def pause_writing(self) -> None:
        self.paused = True

    def resume_writing(self) -> None:
        self.paused = False
        self._go_on()

    def data_received(self, data: bytes) -> None:
        # The timer that runs is left to run, and looks again when it ends.
        self._silent_until = self.terms.loop.time() + self.terms.seconds
        if self._collector is not None:
            rest = self._collector.feed(data)
            if rest is None:
                return
            self._take(self._collector)
            data = rest
        self._unread += data
        if self._unread:
            self._go_on()

    def _go_on(self) -> None:
        """Answer the whole lines that have come, unless a mail is with intake or the sender takes no answers."""
        while self._at < len(self._unread) and self._task is None and not self.paused:
            if self.transport.is_closing():
                return
            found = _COMMAND.match(self._unread, self._at)
            if found is None and len(self._unread) - self._at <= LINE and self._unread.find(b"\n", self._at) < 0:
                break
            if found is None or found.end() - self._at > LINE or not self._answer(found):
                self._pass_on()
                return
        # Once, and not for each command: thousands may have come in one piece.
        self._unread, self._at = self._unread[self._at :], 0
        if self._ahead != (len(self._unread) > AHEAD):
            self._ahead = not self._ahead
            if not self.transport.is_closing():
                self.transport.pause_reading() if self._ahead else self.transport.resume_reading()

    def _answer(self, found: re.Match[bytes]) -> bool:
        """Do what a line says, and pass it; False, with nothing done, where that is not for us to say."""
        name = found.lastgroup or ""
        session, envelope = self.session, self.envelope
        if self.said[name] >= self.terms.commands or not getattr(self, f"_{name}")(found, session, envelope):
            return False
        self.said[name] += 1
        self._at = found.end()
        if name != "data":
            return True
        # What came with the command is the mail's first part.
        rest, self._unread, self._at = self._unread[self._at :], b"", 0
        room = self.terms.door.room
        collector = self._collector = Collector(self.terms.door.max_bytes, lambda size: room.take(self, size))
        after = collector.feed(rest) if rest else None
        if after is not None:
            self._take(collector)
            self._unread = after
        return True

    def _helo(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        self.envelope = Envelope()
        session.extended_smtp, session.host_name = False, found["name"].decode()
        self._tell(f"250 {self.terms.door.hostname}")
        return True

    def _ehlo(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        door = self.terms.door
        self.envelope = Envelope()
        session.extended_smtp, session.host_name = True, found["name_too"].decode()
        offered = [f"250-{door.hostname}", f"250-SIZE {door.max_bytes}", "250-8BITMIME", "250-SMTPUTF8"]
        offered += ["250-STARTTLS"] if self.terms.tls else []
        self._tell("\r\n".join(door.offered([*offered, "250 HELP"])))
        return True

    def _mail(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        more, size = found["more"], found["size"]
        if not session.host_name or envelope.mail_from or (more and not session.extended_smtp):
            return False
        if size and int(size) > self.terms.door.max_bytes:
            return False
        envelope.mail_from = found["sender"].decode()
        if more:
            envelope.mail_options.extend(more.decode().upper().split())
        self.transport.write(_OK)
        return True

    def _rcpt(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        if not envelope.mail_from:
            return False
        self._tell(self.terms.door.recipient(envelope, found["to"].decode()))
        return True

    def _data(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        if not envelope.rcpt_tos:
            return False
        self.transport.write(_GO_ON)
        return True

    def _rset(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        self.envelope = Envelope()
        self.transport.write(_OK)
        return True

    def _noop(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        self.transport.write(_OK)
        return True

    def _quit(self, found: re.Match[bytes], session: Any, envelope: Any) -> bool:
        self.transport.write(_BYE)
        self.transport.close()
        if not self.transport.get_write_buffer_size():
            # Whoever connects again at once must find the place free.
            self.terms.door.guests.leave(self.peer_address, self)
        return True

    def _take(self, collector: Collector) -> None:
        """A mail is whole."""
        self._collector = None
        if collector.too_much:
            self._answered(f"552 5.3.4 message is over the limit of {self.terms.door.max_bytes} bytes")
            return
        if collector.no_room:
            self._answered(FULL)
            return
        self.envelope.content = self.envelope.original_content = collector.mail()
        self.handing_over = True
        self._task = self.terms.loop.create_task(self._hand_in())

    async def _hand_in(self) -> None:
        door = self.terms.door
        try:
            status = await door.handle_DATA(self, self.session, self.envelope)
        except Exception as error:
            status = await door.handle_exception(error)
        self._task = None
        self._answered(status)
        self._go_on()

    def _answered(self, status: str) -> None:
        self.envelope = Envelope()
        self.terms.door.room.give_back(self)
        self._tell(status)
        self.handing_over = False
        if self.terms.door.closing:
            self.dismiss()

    def _tell(self, status: str) -> None:
        self.transport.write(f"{status}\r\n".encode())

    def _pass_on(self) -> None:
        """From here on the session is aiosmtpd's."""
        rest, self._unread = self._unread[self._at :], b""
        self._end()
        if self._ahead:
            self.transport.resume_reading()
        upstream = self.terms.upstream()
        upstream.adopt(self)
        self.transport.set_protocol(upstream)
        upstream.data_received(rest)

    def _look(self) -> None:
        """Whether the session has been silent, or has lasted, for too long."""
        loop = self.terms.loop
        now, again = loop.time(), min(self.until, self._silent_until)
        if now >= self._silent_until:
            self.transport.close()
        elif now >= self.until and not self.handing_over:
            self.dismiss("421 4.4.2 the session has lasted too long, try again")
        else:
            # A mail with intake has its answer first.
            self._timer = loop.call_at(again if now < again else now + 1.0, self._look)

    def dismiss(self, why: str = "421 4.3.2 going down, try again later") -> None:
        """Say why, and end. What was not answered comes again."""
        if not self.transport.is_closing():
            self._tell(why)
            self.transport.close()

    @property
    def silence(self) -> float:
        """The seconds since its last octet."""
        return self.terms.loop.time() - self._silent_until + self.terms.seconds

    def _end(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._task is not None:
            self._task.cancel()

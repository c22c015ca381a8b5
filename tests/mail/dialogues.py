"""Two sessions of SMTP side by side without a socket: the plain one, and aiosmtpd's alone, which are told the same octets in the
same pieces. ``python -m tests.mail.dialogues COUNT SEED`` tells them COUNT dialogues made by chance."""

from __future__ import annotations

import asyncio
import random
import sys
import time
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from gateway_plugins.smtpin.accounts import Accounts
from gateway_plugins.smtpin.listener import Door, Listeners, Owner, quiet_library
from gateway_plugins.smtpin.room import Room
from gateway_plugins.smtpin.session import Guests, SmtpSession
from tests.channel_fakes import NOW, FakeIntake

COMMANDS = 6
"""How often each command may come."""
USUAL = (
    b"EHLO a.cn", b"HELO a", b"MAIL FROM:<duty@gateway.test>", b"MAIL FROM:<duty@gateway.test> SIZE=10 BODY=8BITMIME", b"mail from: <d@e>",
    b"RCPT TO:<report@gateway.test>", b"RCPT TO:<REPORT@gateway.test>", b"rcpt to:<nobody@gateway.test>", b"DATA", b"RSET", b"NOOP", b"data",
    b"text\r\n..dots\r\n.x\r\n.", b".", b"DATA\r\ntext\r\n.\r\nRSET",
)  # fmt: skip
WHOLE = (USUAL[2], USUAL[5], b"DATA", b"Subject: a\r\n\r\n..text\r\n.")
ODD = (
    b"EHLO", b"EHLO a b", b"HELO \xff", b"MAIL FROM:<>", b"MAIL FROM:duty@gateway.test", b"MAIL FROM:<duty@gateway.test> SIZE=99999999999",
    b"MAIL FROM:<duty@gateway.test> BODY=8BITMIME SIZE=1", b"MAIL FROM:<duty@gateway.test>  SIZE=1", b"MAIL FROM:<a b@c>", b"MAIL FROM:<a@b> AUTH=<>",
    b"MAIL FROM:<=?utf-8?q?a?=@b.cn>", b"MAIL FROM:<" + b"a" * 490 + b"@b.cn>", b"MAIL FROM:<" + b"a" * 520 + b"@b.cn>", b"MAIL FROM:<a@b> SMTPUTF8",
    b"MAIL FROM:<\xe4\xb8\xad@b.cn> SMTPUTF8", b"MAIL FROM:<a@b>\r", b"RCPT TO:<report@gateway.test> NOTIFY=NEVER", b"RCPT", b"RCPT TO:<a@b", b"DATA x",
    b"RSET x", b"NOOP x", b"QUIT x", b"VRFY <a@b>", b"HELP", b"HELP MAIL", b"EXPN x", b"AUTH PLAIN", b"STARTTLS", b"XYZ", b"", b" ", b"\xff\xfe",
    b"MAIL " + b"x" * 600, b"x" * 1200, b"QUIT", b"NOOP\nNOOP", b"text\n.\n", b"text\r.\r", b"nul \x00\r\n.", b"LHLO a",
)  # fmt: skip


class Wire(asyncio.Transport):
    """A connection that keeps what is written."""

    def __init__(self) -> None:
        super().__init__({"peername": ("192.0.2.1", 25)})
        self.told = b""
        self.protocol: Any = None
        self.closing = False

    def write(self, data: Any) -> None:
        if not self.closing:
            self.told += data

    def close(self) -> None:
        if not self.closing:
            self.closing = True
            asyncio.get_running_loop().call_soon(lambda: self.protocol.connection_lost(None))

    def is_closing(self) -> bool:
        return self.closing

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_write_buffer_size(self) -> int:
        return 0

    def pause_reading(self) -> None:
        """What is told is told."""

    def resume_reading(self) -> None:
        """As above."""


@dataclass(frozen=True)
class Outcome:
    """What came of a dialogue: what was told after each piece, whether the end was made, and the mails that were taken."""

    told: tuple[bytes, ...]
    closed: bool
    mails: tuple[Any, ...]


async def outcome(pieces: list[bytes], *, plain: bool) -> Outcome:
    """What one session makes of ``pieces``."""
    intake, loop = FakeIntake(), asyncio.get_running_loop()
    guests = Guests(10, 10)
    door = Door(hostname="mx.test", max_bytes=2000, max_recipients=3, guests=guests, room=Room(1 << 20), now=lambda: NOW)
    door.register(["report@gateway.test"], Owner("email", "mail", intake))
    listeners = Listeners(
        door, seconds=60, session_seconds=600, commands=COMMANDS, tls=None, accounts=Accounts({}), login_required=False
    )  # fmt: skip
    wire = Wire()
    wire.protocol = (listeners.sessions if plain else listeners.upstream)(SmtpSession, loop)()
    wire.protocol.connection_made(wire)
    told = [await _quiet(wire)]
    for piece in pieces:
        if wire.closing:
            break
        wire.protocol.data_received(piece)
        told.append(await _quiet(wire))
    closed = wire.closing
    wire.close()
    await _quiet(wire)
    assert not guests.sessions
    return Outcome(tuple(told), closed, tuple(intake.messages))


async def _quiet(wire: Wire) -> bytes:
    """What was told by the time that nothing is told any more."""
    still = 0
    told, wire.told = wire.told, b""
    while still < 8:
        # A mail without a sender is looked at in a thread.
        await asyncio.sleep(0.001 if wire.protocol.handing_over else 0)
        still = 0 if wire.told or wire.protocol.handing_over else still + 1
        told, wire.told = told + wire.told, b""
    return told


def both(pieces: list[bytes]) -> tuple[Outcome, Outcome]:
    """The plain session's outcome, and aiosmtpd's."""

    async def run() -> tuple[Outcome, Outcome]:
        return await outcome(pieces, plain=True), await outcome(pieces, plain=False)

    return asyncio.run(run())


def by_chance(chance: random.Random) -> list[bytes]:
    """Octets of a dialogue, in pieces."""
    said = [b"EHLO a"] * chance.randrange(2)
    while len(said) < 24 and chance.random() < 0.9:
        which = chance.random()
        said += WHOLE if which < 0.3 else [chance.choice(USUAL if which < 0.92 else ODD)]
    return cut(b"\r\n".join([*said, b""]), [chance.random() for _each in range(chance.randrange(8))])


def cut(octets: bytes, places: list[float]) -> list[bytes]:
    """``octets`` in pieces, cut at these parts of their length."""
    at = sorted({0, len(octets), *(int(place * len(octets)) for place in places)})
    return [octets[first:last] for first, last in pairwise(at)]


def main(count: int, seed: int) -> int:
    chance, began, mails = random.Random(seed), time.monotonic(), 0
    quiet_library()
    for _each in range(count):
        pieces = by_chance(chance)
        ours, theirs = both(pieces)
        mails += len(ours.mails)
        if ours != theirs:
            print(f"{pieces!r}\nplain:    {ours}\naiosmtpd: {theirs}")
            return 1
    print(f"{count} dialogues, {mails} mails taken, all the same; {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))

"""The harness for plugin authors, ours and theirs: the same checks for every channel and every transport.

Besides the author's own cases it always adds the unasked ones: malformed and empty bodies, the same message twice, an
oversize one, storage trouble, a peer that is slow, refuses or talks rubbish, a call cancelled in mid-flight; and throughout
that no log line holds a secret or a word of a report.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

from gateway.api import (
    Delivered,
    Delivery,
    Malformed,
    Message,
    RawMessage,
    Receipt,
    Refused,
    StorageTrouble,
    TooLarge,
    TryLater,
)

__all__ = ["ChannelCase", "MemoryIntake", "MemoryServices", "check_channel", "check_transport", "sample_delivery"]

Answer = Literal["accepted", "temporary", "refused"]
PeerMode = Literal["ok", "later", "refuse", "hang", "down"]
CANARY = "金丝雀报文七三一九"
RUBBISH = (b"", b"\x00", b"\xff\xfe\xfd", b"{", b"[]", b"null", b"\x00" * 4096, b"A" * 100_000, "正文".encode("gb18030"))


@dataclass(frozen=True, slots=True)
class Kept:
    """What the memory intake answers."""

    id: str
    duplicate_of: str | None = None


@dataclass(slots=True)
class MemoryIntake:
    """An intake in memory. ``trouble`` makes it fail as a full disk would; ``max_bytes`` is its limit."""

    max_bytes: int = 1_000_000
    trouble: bool = False
    delay: float = 0.0
    accepted: list[RawMessage] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    async def accept(self, raw: RawMessage) -> Kept:
        """Keep ``raw``; the same body again is linked to the first."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.trouble:
            raise StorageTrouble("the test says so")
        if len(raw.body) > self.max_bytes:
            raise TooLarge(f"message has {len(raw.body)} bytes, the limit is {self.max_bytes}")
        first = next((n for n, kept in enumerate(self.accepted) if kept.body == raw.body), None)
        self.accepted.append(raw)
        return Kept(f"M{len(self.accepted):04d}", None if first is None else f"M{first + 1:04d}")

    async def receipt(self, receipt: Receipt) -> None:
        """Keep ``receipt``."""
        if self.trouble:
            raise StorageTrouble("the test says so")
        self.receipts.append(receipt)


@dataclass(slots=True)
class MemoryServices:
    """What the host lends, in memory."""

    secrets: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Any] = field(default_factory=dict)
    max_bytes: int = 1_000_000
    at: datetime = datetime(2026, 3, 6, 0, 0, tzinfo=UTC)
    alarms: list[str] = field(default_factory=list)

    @property
    def now(self) -> Callable[[], datetime]:
        """A clock that stands still."""
        return lambda: self.at

    def secret(self, name: str) -> str:
        """The secret the test gave, else one of its own name."""
        return self.secrets.get(name, f"secret-{name}")

    def channel(self, name: str) -> Any:
        """A channel the test gave, or None."""
        return self.channels.get(name)

    def alarm(self, why: str, **data: str) -> None:
        """Keep the alarm."""
        self.alarms.append(why)


@dataclass(frozen=True, slots=True)
class ChannelCase:
    """One message of the author: its raw form, and a piece of text that must come out of it."""

    raw: RawMessage
    contains: str


class _Lines(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


@contextlib.contextmanager
def silent_about(*words: str) -> Iterator[None]:
    """Within, no log line of any logger may hold one of ``words``."""
    lines, root = _Lines(), logging.getLogger()
    level = root.level
    root.addHandler(lines)
    root.setLevel(logging.DEBUG)
    try:
        yield
    finally:
        root.removeHandler(lines)
        root.setLevel(level)
    for line in lines.lines:
        for word in words:
            assert not word or word not in line, f"a log line holds what it must not: {line[:80]!r}"


async def check_channel(
    cls: type[Any],
    settings: Any,
    cases: Sequence[ChannelCase],
    *,
    services: MemoryServices | None = None,
    send: Callable[[bytes], Awaitable[Answer]] | None = None,
    bodies: Sequence[bytes] = (),
) -> None:
    """Check a channel class. ``send`` puts one of ``bodies`` on the wire and says what the carrier was told.

    Raises AssertionError with what failed.
    """
    lent = services or MemoryServices()
    channel = cls("under-test", settings, lent)
    words = [case.contains for case in cases] + list(lent.secrets.values()) + [CANARY]
    with silent_about(*words):
        for case in cases:
            _check_case(cls, settings, case)
        for rubbish in RUBBISH:
            _check_rubbish(cls, settings, cases, rubbish)
        intake = MemoryIntake(max_bytes=lent.max_bytes)
        await channel.start(intake)
        try:
            assert channel.health().state in ("up", "connecting", "down"), "health().state is none of up, connecting, down"
            if send is not None:
                await _check_wire(intake, send, bodies)
        finally:
            await asyncio.wait_for(channel.stop(), 10)
        await asyncio.wait_for(channel.stop(), 10)


def _check_case(cls: type[Any], settings: Any, case: ChannelCase) -> None:
    message = cls("under-test", settings, None).read(case.raw)
    assert isinstance(message, Message), f"read() returned {type(message).__name__}, not Message"
    assert case.contains in message.text, "the text does not hold what the case expects"
    assert cls("under-test", settings, None).read(case.raw) == message, "read() is not pure: a second call differs"


def _check_rubbish(cls: type[Any], settings: Any, cases: Sequence[ChannelCase], body: bytes) -> None:
    for raw in {case.raw.content_type: case.raw for case in cases}.values():
        broken = RawMessage(channel=raw.channel, via=raw.via, received_at=raw.received_at, sender=raw.sender, body=body,
                            content_type=raw.content_type)  # fmt: skip
        try:
            message = cls("under-test", settings, None).read(broken)
        except Malformed as fault:
            assert CANARY not in str(fault)
        else:
            assert isinstance(message, Message)


async def _check_wire(intake: MemoryIntake, send: Callable[[bytes], Awaitable[Answer]], bodies: Sequence[bytes]) -> None:
    for body in bodies:
        before = len(intake.accepted)
        assert await send(body) == "accepted", "a good message was not accepted"
        assert len(intake.accepted) == before + 1, "accepted, but intake has not got it: said yes too early or dropped it"
    if bodies:
        assert await send(bodies[0]) == "accepted", "a second copy must be accepted (and linked), not refused"
        intake.trouble = True
        assert await send(bodies[0]) == "temporary", "storage trouble must be a temporary error"
        intake.trouble = False
        assert await send(bodies[0]) == "accepted", "the channel did not recover from storage trouble"
        intake.max_bytes = 10
        assert await send(bodies[0]) == "refused", "an oversize message must be refused for good"
        intake.max_bytes = 1_000_000
    count = len(intake.accepted)
    sending = asyncio.ensure_future(send(bodies[0])) if bodies else None
    if sending is not None:
        intake.delay = 0.2
        await asyncio.sleep(0.05)
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        intake.delay = 0.0
        assert await send(bodies[0]) == "accepted", "the channel did not survive a sender that went away"
        assert len(intake.accepted) > count


def sample_delivery(**changes: Any) -> Delivery:
    """A delivery whose text holds a word that must not reach a log."""
    made: dict[str, Any] = {
        "id": "01TESTDELIVERY0000000000000",
        "incident": "2026-0123",
        "destination": "government_duty_room",
        "transport": "under-test",
        "address": "duty@gateway.test",
        "subject": "【紧急信息】〔2026〕0123",
        "text": CANARY,
        "short_text": f"{CANARY} 〔0123〕",
    }
    return Delivery(**{**made, **changes})


async def check_transport(
    cls: type[Any],
    settings: Any,
    *,
    peer: Callable[[PeerMode], Awaitable[None]],
    received: Callable[[], int],
    services: MemoryServices | None = None,
    address: str = "duty@gateway.test",
    modes: Sequence[PeerMode] = ("ok", "later", "refuse", "hang", "down"),
) -> None:
    """Check a transport class against its peer. ``peer(mode)`` sets how the peer behaves, ``received()`` counts what it has."""
    lent = services or MemoryServices()
    transport = cls("under-test", settings, lent)
    wanted: dict[PeerMode, tuple[type[Any], ...]] = {
        "ok": (Delivered,), "later": (TryLater,), "refuse": (Refused, TryLater), "hang": (TryLater,), "down": (TryLater,),
    }  # fmt: skip
    with silent_about(CANARY, *lent.secrets.values()):
        await transport.start()
        try:
            for mode in modes:
                await peer(mode)
                before = received()
                outcome = await asyncio.wait_for(transport.send(sample_delivery(address=address)), 30)
                assert isinstance(outcome, wanted[mode]), f"peer {mode}: answered {outcome!r}"
                assert CANARY not in repr(outcome), "the outcome repeats the report"
                if mode == "ok":
                    assert received() > before, "Delivered, but the peer has nothing"
            await peer("hang")
            sending = asyncio.ensure_future(transport.send(sample_delivery(address=address)))
            await asyncio.sleep(0.05)
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            await peer("ok")
            outcome = await asyncio.wait_for(transport.send(sample_delivery(address=address)), 30)
            assert isinstance(outcome, Delivered), "did not recover from a call cancelled in mid-flight"
        finally:
            await asyncio.wait_for(transport.stop(), 10)

"""What the host lends to a plugin, in memory: an intake that can be made to fail or wait, services with fixed answers, a clock
that moves only when told, and a carrier for short messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from gateway.api import Delivered, Delivery, Outcome, RawMessage, Receipt, StorageTrouble, TooLarge


@dataclass(frozen=True, slots=True)
class Kept:
    """What the memory intake answers."""

    id: str
    duplicate_of: str | None = None


@dataclass(slots=True)
class MemoryIntake:
    """An intake in memory. ``trouble`` makes it fail as a full disk would; ``max_bytes`` is its limit; ``hold``, where it is
    an event, keeps every call waiting until it is set, as a slow disk would. ``waiting`` counts the calls held up."""

    max_bytes: int = 1_000_000
    trouble: bool = False
    delay: float = 0.0
    hold: asyncio.Event | None = None
    waiting: int = 0
    accepted: list[RawMessage] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    async def accept(self, raw: RawMessage) -> Kept:
        """Keep ``raw``; the same body again is linked to the first."""
        await self._wait()
        if len(raw.body) > self.max_bytes:
            raise TooLarge(f"message has {len(raw.body)} bytes, the limit is {self.max_bytes}")
        first = next((n for n, kept in enumerate(self.accepted) if kept.body == raw.body), None)
        self.accepted.append(raw)
        return Kept(f"M{len(self.accepted):04d}", None if first is None else f"M{first + 1:04d}")

    async def receipt(self, receipt: Receipt) -> None:
        """Keep ``receipt``."""
        await self._wait()
        self.receipts.append(receipt)

    async def _wait(self) -> None:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.hold is not None:
            self.waiting += 1
            try:
                await self.hold.wait()
            finally:
                self.waiting -= 1
        if self.trouble:
            raise StorageTrouble("the test says so")


@dataclass(slots=True)
class MemoryClock:
    """A clock that stands still until it is told to go on. Calling it gives the present instant, aware."""

    at: datetime = datetime(2026, 3, 6, 0, 0, tzinfo=UTC)

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("an instant needs its offset")

    def __call__(self) -> datetime:
        return self.at

    def advance(self, seconds: float = 0, *, minutes: float = 0, hours: float = 0, days: float = 0) -> datetime:
        """Go on by so much; returns the new instant. ValueError for going back: no plugin has to bear that."""
        step = timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        if step < timedelta(0):
            raise ValueError("a clock does not go back")
        self.at += step
        return self.at


@dataclass(frozen=True, slots=True)
class Submitted:
    """One part that the memory carrier took."""

    to: str
    part: bytes
    encoding: str
    udh: bytes
    receipt: bool
    ref: str


@dataclass(slots=True)
class MemoryCarrier:
    """A carrier for short messages in memory (``SmsCarrier``). ``answers`` are given first, one a part; then each part is taken.

    Lend it with ``MemoryServices(channels={"sms": carrier})``. Its ids have leading zeros, as some carriers' have.
    """

    answers: list[Outcome] = field(default_factory=list)
    delay: float = 0.0
    parts: list[Submitted] = field(default_factory=list)

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        """Take one part, or answer what the test said."""
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.answers and not isinstance(answer := self.answers.pop(0), Delivered):
            return answer
        ref = f"{len(self.parts) + 1:010d}"
        self.parts.append(Submitted(to, part, encoding, udh, receipt, ref))
        return Delivered((ref,))

    def receipt_of(self, part: Submitted, via: str, *, delivered: bool = True) -> Receipt:
        """The carrier's later word on ``part``, to be handed to an intake."""
        return Receipt(via=via, ref=part.ref, state="delivered" if delivered else "failed")


@dataclass(slots=True)
class MemoryServices:
    """What the host lends, in memory. ``alarms`` holds the text of each alarm with what it names; ``clock`` is what ``now``
    reads, else it stands still at ``at``."""

    secrets: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Any] = field(default_factory=dict)
    max_bytes: int = 1_000_000
    at: datetime = datetime(2026, 3, 6, 0, 0, tzinfo=UTC)
    alarms: list[str] = field(default_factory=list)
    clock: MemoryClock | None = None
    papers: dict[str, bytes] = field(default_factory=dict)

    async def paper(self, delivery: Delivery, form: str) -> bytes | None:
        """The pages that the test gave for ``form``; None where it gave none, so that a plain page is sent."""
        return self.papers.get(form)

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock that was lent, else one that stands still."""
        return self.clock or (lambda: self.at)

    def secret(self, name: str) -> str:
        """The secret the test gave, else one of its own name."""
        return self.secrets.setdefault(name, f"secret-{name}")

    def channel(self, name: str) -> Any:
        """A channel the test gave, or None."""
        return self.channels.get(name)

    def alarm(self, why: str, **data: str) -> None:
        """Keep the alarm."""
        self.alarms.append(" ".join([why, *(f"{key}={value}" for key, value in data.items())]))

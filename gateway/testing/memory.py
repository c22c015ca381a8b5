"""What the host lends to a plugin, in memory: an intake that can be made to fail or wait, and services with fixed answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from gateway.api import RawMessage, Receipt, StorageTrouble, TooLarge


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
class MemoryServices:
    """What the host lends, in memory. ``alarms`` holds the text of each alarm with what it names."""

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
        return self.secrets.setdefault(name, f"secret-{name}")

    def channel(self, name: str) -> Any:
        """A channel the test gave, or None."""
        return self.channels.get(name)

    def alarm(self, why: str, **data: str) -> None:
        """Keep the alarm."""
        self.alarms.append(" ".join([why, *(f"{key}={value}" for key, value in data.items())]))

"""What the carriers know: every message they sent, and every answer they got. It lives outside the daemon and outlives its deaths."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

CHANNELS = ("mail", "smpp", "cloud", "phone")
AGAIN_WITHIN = 5.0
"""Seconds after a fault is gone within which every channel takes again; ``--again`` gives a busy machine longer."""


@dataclass(slots=True)
class Letter:
    """One message of a carrier. ``token`` stands in its text and in no other's; ``parts`` are what is still to be acknowledged."""

    channel: str
    token: str
    text: str
    parts: list[Any] = field(default_factory=list)
    tries: int = 0


@dataclass(frozen=True, slots=True)
class Taken:
    """The gateway's yes, with its id where the carrier's protocol has a place for one."""

    id: str | None = None


@dataclass(frozen=True, slots=True)
class Again:
    """No answer, or a temporary no."""

    why: str


@dataclass(frozen=True, slots=True)
class Never:
    """A permanent no: a carrier would drop the message."""

    why: str


Answer = Taken | Again | Never


class Ledger:
    """Acknowledgements by token, refusals, and when each channel last got a yes (monotonic seconds)."""

    def __init__(self) -> None:
        self.sent = 0
        self.acknowledged: dict[str, tuple[Letter, str | None]] = {}
        self.signed: list[tuple[str, str]] = []
        """Incident and office of what a person was told is acknowledged (签收)."""
        self.refused: list[str] = []
        self.temporary: Counter[str] = Counter()
        self.last: dict[str, float] = dict.fromkeys(CHANNELS, 0.0)
        self._changed = asyncio.Event()

    def note(self, letter: Letter, answer: Answer) -> None:
        """Keep one answer."""
        if isinstance(answer, Taken):
            self.acknowledged[letter.token] = (letter, answer.id)
            self.last[letter.channel] = time.monotonic()
            self._changed.set()
        elif isinstance(answer, Never):
            self.refused.append(f"{letter.channel} {letter.token}: {answer.why}")
        else:
            self.temporary[f"{letter.channel}: {answer.why}"] += 1

    async def each_after(self, since: float, seconds: float) -> float:
        """Wait until every channel got a yes after ``since``; the seconds that the slowest of them took. TimeoutError."""
        async with asyncio.timeout(seconds):
            while min(self.last.values()) < since:
                self._changed.clear()
                await self._changed.wait()
        return max(self.last.values()) - since if min(self.last.values()) >= since else 0.0

"""How late the one loop comes to its turns: everything that is answered waits for it.

A clock on the loop wants to be called every ``EVERY`` seconds and notes how late it was. What the host gave to others is told
apart: no more than the processor time that the whole process spent meanwhile can be the gateway's own doing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

EVERY = 0.025
"""Seconds between two looks; a stall shows shortened by at most so much."""


class LoopLag:
    """The clock. ``on_lag`` is given every lateness in seconds; ``longest`` and ``longest_own`` are the worst since the start."""

    def __init__(
        self,
        on_lag: Callable[[float], None] = lambda seconds: None,
        *,
        clock: Callable[[], float] = time.monotonic,
        spent: Callable[[], float] = time.process_time,
    ) -> None:
        self.on_lag = on_lag
        self.longest = 0.0
        self.longest_own = 0.0
        self._clock, self._spent = clock, spent
        self._since = 0.0
        self._due = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Look from now on."""
        self._wind()

    def stop(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Note how late it is."""
        late, spent = max(0.0, self._clock() - self._due), self._spent() - self._since
        self.longest = max(self.longest, late)
        self.longest_own = max(self.longest_own, min(late, spent))
        self.on_lag(late)

    def _wind(self) -> None:
        self._due, self._since = self._clock() + EVERY, self._spent()
        self._timer = asyncio.get_running_loop().call_later(EVERY, self._turn)

    def _turn(self) -> None:
        self.look()
        self._wind()

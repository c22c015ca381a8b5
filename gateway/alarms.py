"""Alarms: said at once to the log, kept as events as soon as the store takes them again."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from gateway.core import events
from gateway.core.errors import StorageTrouble
from gateway.core.model import Event
from gateway.store import Store, journal

log = logging.getLogger("gateway.alarm")

QUIET = timedelta(seconds=60)
"""The same alarm is said once in this time; the count of those held back is kept."""


class Alarms:
    """Collects alarms. The texts name ids and reasons, never content."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._said: dict[tuple[str, str], datetime] = {}
        self._waiting: deque[Event] = deque(maxlen=1000)
        self.count = 0

    def raise_(self, what: str, *, why: str, message: str | None = None, delivery: str | None = None, **data: Any) -> None:
        """Raise an alarm of kind ``what``."""
        now = self._clock()
        self.count += 1
        key = (what, f"{why}|{message}|{delivery}|{sorted(data.items())}")
        last = self._said.get(key)
        if last is not None and now - last < QUIET:
            return
        if len(self._said) > 10_000:
            self._said.clear()
        self._said[key] = now
        log.error("%s: %s %s", what, why, " ".join(f"{k}={v}" for k, v in data.items() if v))
        self._waiting.append(
            Event(
                at=now,
                event="alarm",
                message=message,
                delivery=delivery,
                data=events.known("alarm", {**data, "what": what, "why": why}),
            )
        )

    async def flush(self) -> None:
        """Write what is waiting; on storage trouble it goes on waiting."""
        while self._waiting:
            event = self._waiting[0]
            try:
                await self._store.write(lambda tx, event=event: journal.emit(tx, event))
            except StorageTrouble:
                return
            self._waiting.popleft()

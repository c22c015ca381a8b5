"""Alarms: said at once to the log, kept as events as soon as the store takes them again."""

from __future__ import annotations

import asyncio
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
"""The same alarm is said once in this time."""


class Alarms:
    """Collects alarms. The texts name ids and reasons, never content."""

    def __init__(self, store: Store, clock: Callable[[], datetime]) -> None:
        self._store = store
        self._clock = clock
        self._said: dict[str, datetime] = {}
        self._waiting: deque[Event] = deque(maxlen=1000)
        self._one_at_a_time = asyncio.Lock()
        self.count = 0

    def raise_(self, what: str, *, why: str, message: str | None = None, delivery: str | None = None, **data: Any) -> None:
        """Raise an alarm of kind ``what``. Data that the vocabulary does not know is left out: an alarm is never refused."""
        now = self._clock()
        self.count += 1
        event = _event(now, what, str(why), message, delivery, data)
        key = f"{event.data}|{message}|{delivery}"
        last = self._said.get(key)
        if last is not None and now - last < QUIET:
            return
        if len(self._said) > 10_000:
            self._said.clear()
        self._said[key] = now
        log.error(" ".join(f"{name}={value}" for name, value in event.data.items()))
        self._waiting.append(event)

    async def flush(self) -> None:
        """Write what is waiting; on storage trouble it goes on waiting."""
        async with self._one_at_a_time:
            while self._waiting:
                event = self._waiting[0]
                try:
                    await self._store.write(lambda tx, event=event: journal.emit(tx, event))  # type: ignore[misc]
                except StorageTrouble:
                    return
                except Exception as error:
                    log.error("an alarm could not be kept: %s", type(error).__name__)
                # While it was written the queue may have overflowed and let go of it.
                if self._waiting and self._waiting[0] is event:
                    self._waiting.popleft()


def _event(now: datetime, what: str, why: str, message: str | None, delivery: str | None, data: dict[str, Any]) -> Event:
    try:
        whole = events.known("alarm", {**data, "what": what, "why": why})
        return events.check(Event(at=now, event="alarm", message=message, delivery=delivery, data=whole))
    except events.NotInVocabulary:
        return Event(at=now, event="alarm", data={"what": str(what)[:64], "why": why[:300]})

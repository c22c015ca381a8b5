"""How often a robot may speak: messages wait their turn, in the order in which they first asked. Pure; ``now`` is an argument."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import datetime, timedelta

Limit = tuple[int, float]
"""So many messages in so many seconds."""
GRACE = timedelta(seconds=30)
"""Whoever is so much later than it was told to come holds up nobody: it may have been stopped."""
PATIENCE = timedelta(minutes=10)
"""After so long it has lost its place."""


class Pace:
    """The queue before one robot. ``ask`` again with the same id until it answers 0."""

    def __init__(self, limits: Sequence[Limit]) -> None:
        self._limits = limits
        self._sent: deque[datetime] = deque(maxlen=max(count for count, _seconds in limits))
        self._waiting: dict[str, datetime] = {}
        self._shut: datetime | None = None

    def ask(self, id: str, now: datetime) -> float:
        """0: speak now, and it is counted. Else the seconds after which ``id`` should ask again; its place is kept."""
        self._waiting = {one: due for one, due in self._waiting.items() if now - due <= PATIENCE}
        ahead = list(self._waiting)[: list(self._waiting).index(id)] if id in self._waiting else list(self._waiting)
        place = sum(now - self._waiting[one] <= GRACE for one in ahead)
        wait = max(self._wait(place, limit, now) for limit in self._limits)
        if self._shut is not None:
            wait = max(wait, (self._shut - now).total_seconds())
        if wait > 0:
            self._waiting[id] = now + timedelta(seconds=wait)
            return wait
        self._waiting.pop(id, None)
        self._sent.append(now)
        return 0.0

    def shut(self, id: str, until: datetime) -> None:
        """The service says that it was too much: nobody speaks before ``until``, and ``id`` is the first to speak then."""
        self._shut = until
        self._waiting = {id: until, **{one: due for one, due in self._waiting.items() if one != id}}

    def _wait(self, place: int, limit: Limit, now: datetime) -> float:
        """Seconds until there is room for whoever stands at ``place`` in the queue."""
        count, seconds = limit
        recent = [at for at in self._sent if now - at < timedelta(seconds=seconds)]
        behind = place - (count - len(recent))
        if behind < 0:
            return 0.0
        if behind < len(recent):
            return (recent[behind] - now).total_seconds() + seconds
        return seconds * (1 + (behind - len(recent)) // count)

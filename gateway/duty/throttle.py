"""How often somebody may call: so many times in a minute for each address. Pure but for its memory; instants are handed in."""

from __future__ import annotations

from collections import OrderedDict
from datetime import datetime, timedelta

MINUTE = timedelta(minutes=1)


class Throttle:
    """Counts calls by key. Of more than ``most_keys`` keys the one that has been quiet longest is forgotten."""

    def __init__(self, *, span: timedelta = MINUTE, most_keys: int = 10_000) -> None:
        self._span = span
        self._most_keys = most_keys
        self._calls: OrderedDict[str, list[datetime]] = OrderedDict()

    def allow(self, key: str, most: int, now: datetime) -> bool:
        """Whether ``key`` may call at ``now``; a call that may not is not counted."""
        calls = [at for at in self._calls.pop(key, []) if now - self._span < at <= now]
        allowed = len(calls) < most
        if allowed:
            calls.append(now)
        self._calls[key] = calls
        while len(self._calls) > self._most_keys:
            self._calls.popitem(last=False)
        return allowed

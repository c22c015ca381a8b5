"""Ids of 26 characters whose order is the order in which they were given (48 bits of time, 80 of chance)."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PAIRS = [first + second for first in ALPHABET for second in ALPHABET]
_MICRO = timedelta(microseconds=1)
_CHANCE = 80


def micros(at: datetime) -> int:
    """An aware instant as microseconds since 1970. Raises ValueError for a naive one."""
    if at.tzinfo is None:
        raise ValueError("an instant needs an offset")
    since = at - EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def instant(value: int) -> datetime:
    """Microseconds since 1970 as an aware instant in UTC."""
    return EPOCH + value * _MICRO


def instant_or_none(value: int | None) -> datetime | None:
    """As ``instant``; None stays None."""
    return None if value is None else instant(value)


def micros_or_none(at: datetime | None) -> int | None:
    """As ``micros``; None stays None."""
    return None if at is None else micros(at)


class Ids:
    """Gives ids. Each is greater than the one before, also when the clock stands still or steps back."""

    def __init__(self, clock: Callable[[], datetime], random: Callable[[int], bytes] = os.urandom) -> None:
        self._clock = clock
        self._random = random
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> str:
        """The next id."""
        millis = max(micros(self._clock()) // 1000, 0)
        value = millis << _CHANCE | int.from_bytes(self._random(_CHANCE // 8), "big")
        with self._lock:
            if value >> _CHANCE <= self._last >> _CHANCE:
                value = self._last + 1
            self._last = value
        return encode(value)


def floor(at: datetime) -> str:
    """The smallest id that may have been given at ``at``."""
    return encode(max(micros(at) // 1000, 0) << _CHANCE)


def encode(value: int) -> str:
    """128 bits as 26 characters, so that the order of the texts is the order of the numbers."""
    return "".join([_PAIRS[value >> shift & 1023] for shift in range(120, -10, -10)])

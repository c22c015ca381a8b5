"""What waits in a line: first come, first served, but that some may wait a little longer than others."""

from __future__ import annotations

import heapq
from typing import Generic, TypeVar

T = TypeVar("T")
OVERTAKEN = 64
"""So many that come after it may be served before one that can wait; then it is its turn, whatever else comes."""


class Line(Generic[T]):
    """For one thread."""

    def __init__(self) -> None:
        self._waiting: list[tuple[int, int, T]] = []
        self._put = 0

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    def put(self, one: T, *, later: bool = False) -> None:
        """Let ``one`` wait; with ``later`` behind those that come soon after it."""
        self._put += 1
        heapq.heappush(self._waiting, (self._put + OVERTAKEN * later, self._put, one))

    def get(self) -> T:
        """The next one. Raises ``IndexError`` where none waits."""
        return heapq.heappop(self._waiting)[2]

    def drain(self) -> list[T]:
        """All that wait, in their order; nobody waits any more."""
        return [self.get() for _ in range(len(self))]

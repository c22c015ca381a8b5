"""Turn and turn about on the daemon's one loop: whoever has worked lets those go first who stand waiting for a receipt.

A report that waits to be read or sent is on disk already; one that waits to be accepted is not.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

MOST_SECONDS = 0.1
"""The longest that anybody gives way at one time, so that reading and sending go on in any flood."""
SHARE = 2
"""Turns of the carriers to one of ours."""


class Turns:
    """``carriers``: how many stand waiting at this moment; ``rest``: sleeps so many seconds."""

    def __init__(
        self, carriers: Callable[[], int] = lambda: 0, rest: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self.carriers = carriers
        self.rest = rest

    async def give(self, worked: float) -> None:
        """Give way after ``worked`` seconds, if anybody waits."""
        if self.carriers():
            await self.rest(min(SHARE * worked, MOST_SECONDS))

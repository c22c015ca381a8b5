"""How much may be on its way in at one time, and who gives up a place where there is none left.

A place costs an attacker nothing. So whoever takes most gives way first: a connection too many ends the one that has been silent
longest at the address with the most of them, a mail too many the large one that has been coming longest. Both come again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Any

SMALL = 256 * 1024
"""Octets of each mail that are taken whatever comes in besides: reports are smaller."""
SLOW_SECONDS = 60.0
"""A large mail that takes longer gives way to another."""
SILENT_SECONDS = 5.0
"""Where every address has as many connections as the newcomer would have, only one that was silent for so long gives way."""
FULL = "452 4.3.1 too much mail is coming in, try again later"
YIELDED = "421 4.3.1 too much is coming in, try again later"


class Room:
    """Octets of large mails in all sessions together, at most ``most``."""

    def __init__(self, most: int, clock: Callable[[], float] = time.monotonic) -> None:
        self.most = most
        self._clock = clock
        self._held: dict[Any, int] = {}
        self._since: dict[Any, float] = {}
        self.total = 0

    def take(self, session: Any, size: int) -> bool:
        """Whether the mail of ``session``, of which ``size`` octets are there, may grow so large."""
        if size <= SMALL:
            return True
        self.total += size - SMALL - self._held.get(session, 0)
        self._held[session] = size - SMALL
        self._since.setdefault(session, self._clock())
        while self.total > self.most and (slow := self._slow(session)) is not None:
            self.give_back(slow)
            slow.dismiss(YIELDED)
        if self.total > self.most:
            self.give_back(session)
            return False
        return True

    def give_back(self, session: Any) -> None:
        """The mail is with intake, or gone."""
        self.total -= self._held.pop(session, 0)
        self._since.pop(session, None)

    def _slow(self, but: Any) -> Any:
        """Whose large mail has been coming longest, if that is too long."""
        others = {one: since for one, since in self._since.items() if one is not but and not one.handing_over}
        slow = min(others, key=others.__getitem__, default=None)
        return slow if slow is not None and self._clock() - others[slow] > SLOW_SECONDS else None


def yields(sessions: Iterable[Any], counts: dict[str, int], newcomer: str) -> Any:
    """The session that gives up its place to one from the address ``newcomer``; None where nobody has to.

    ``counts`` says how many sessions each address has.
    """
    most = max(counts.values(), default=0)
    here = counts.get(newcomer, 0)
    if most <= here:
        return None
    may = [one for one in sessions if counts.get(one.peer_address, 0) == most and not one.handing_over]
    if most <= here + 1:
        may = [one for one in may if one.silence >= SILENT_SECONDS]
    return max(may, key=lambda one: one.silence, default=None)

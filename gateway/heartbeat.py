"""What keeps systemd's watchdog quiet: every work loop says at each turn by when it will be back, and WATCHDOG=1 is sent from
such a turn alone, and only while no other loop has broken its promise.

There is no timer here. A call that hangs the loop, a lane that waits for ever or a writer that answers nobody all end in the same
silence, and systemd starts the gateway anew.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.i18n import _

log = logging.getLogger(__name__)

WORK = 30.0
"""Seconds within which a turn without a longer reason is over: the store's own patience (5 s) several times, and an idle wait."""
OFTEN = 1.0
"""Seconds between two feedings, at least: lanes turn a thousand times a second, and systemd need not hear each."""


class Here(Protocol):
    """How a work loop reports: ``loop`` is at a turn now and will be at the next within ``within`` seconds."""

    def __call__(self, loop: str, within: float = WORK) -> None: ...


def unwatched(loop: str, within: float = WORK) -> None:
    """Nobody watches: dry runs and tests of one room."""


@dataclass(frozen=True, slots=True)
class Turn:
    """All promises after a turn, each the instant (seconds) by which a loop will be back, and the loops that broke theirs."""

    promises: Mapping[str, float]
    broken: tuple[str, ...]


def turn(promises: Mapping[str, float], loop: str, now: float, within: float) -> Turn:
    """Pure: ``loop`` is here at ``now`` and promises anew. Coming late heals its own promise, nobody else's."""
    after = {**promises, loop: now + within}
    return Turn(after, tuple(sorted(name for name, until in after.items() if now > until)))


def asked_interval(environ: Mapping[str, str], pid: int) -> float | None:
    """The seconds within which systemd must hear from process ``pid``; None where it watches nobody, or another process.

    Source: sd_watchdog_enabled(3).
    """
    microseconds = environ.get("WATCHDOG_USEC", "")
    if not (microseconds.isascii() and microseconds.isdigit()) or int(microseconds) == 0:
        return None
    if environ.get("WATCHDOG_PID", str(pid)) != str(pid):
        return None
    return int(microseconds) / 1e6


class Heartbeat:
    """The loops of one daemon. ``notify`` speaks to systemd; ``clock`` is monotonic seconds."""

    def __init__(
        self,
        notify: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._notify = notify
        self._clock = clock
        self._promises: Mapping[str, float] = {}
        self._broken: tuple[str, ...] = ()
        self._fed = float("-inf")
        self.on_broken: Callable[[str], None] = log.error
        """Called once for each change of the loops that stand still, with a line that names them."""
        interval = asked_interval(environ, os.getpid())
        self._often = None if interval is None else min(OFTEN, interval / 5)

    def here(self, loop: str, within: float = WORK) -> None:
        """``loop`` is at a turn: take its promise and, while all others hold, feed the watchdog."""
        now = self._clock()
        after = turn(self._promises, loop, now, within)
        self._promises = after.promises
        if after.broken != self._broken:
            self._broken = after.broken
            self._say()
        if not after.broken and self._often is not None and now - self._fed >= self._often:
            self._fed = now
            self._notify("WATCHDOG=1")

    @property
    def broken(self) -> tuple[str, ...]:
        """The loops that had broken their promise when another last looked."""
        return self._broken

    def _say(self) -> None:
        if self._broken:
            text = _("these work loops stand still: {loops}").format(loops=", ".join(self._broken))
            self.on_broken(text)
        else:
            text = _("all work loops turn again")
            log.warning(text)
        self._notify(f"STATUS={text}")

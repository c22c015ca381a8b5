"""Disk space over time: when a folder's file system will be full at the present rate, and what of that is said. Pure.

A forecast is made of samples of free space. It asks three questions and believes the most careful answer, so that neither a burst
nor a deletion, nor a log that grows and is rotated again and again, passes for a trend; and it never looks further ahead than
``AHEAD`` times as far as it has looked back.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from datetime import timedelta
from itertools import combinations
from typing import Literal

from msgspec import Struct

Case = Literal["low", "filling"]
AHEAD = 2.0
"""Times as far as was looked back."""
BACK = (1.0, 1 / 4, 1 / 16)
"""Shares of the samples' time that are looked at, each by itself: what fills a disk today is not to be hidden by a calm week."""
POINTS = 48
"""Of more samples the medians of so many groups are taken: pairs are counted by their square."""
ENDS = 5
"""Of the medians of so many samples at both ends the change of all is taken."""
ROOM = 1.1
FAR = 1.25
CALM = 3
"""Looks in a row that must be free of a trouble, by ``ROOM`` times the floor or ``FAR`` times the horizon, before it is over."""


class Sample(Struct, frozen=True, array_like=True):
    """Free space at an instant: seconds since 1970, and bytes."""

    at: float
    free: int


class Limits(Struct, frozen=True, kw_only=True):
    """What is asked for: at least ``least_bytes`` and ``least_percent`` free, and no forecast of less than ``horizon``, made of
    ``least_samples`` or more."""

    least_bytes: int
    least_percent: float
    horizon: timedelta
    least_samples: int


class Space(Struct, frozen=True, kw_only=True):
    """One file system now: free and all bytes, and in how long it is full at the present rate (None: no such end is seen)."""

    free: int
    total: int
    full_in: timedelta | None = None


Standing = Mapping[Case, int]
"""Troubles that were said and are not over, and for how many looks each has been calm."""


def kept(samples: Sequence[Sample], new: Sample, window: timedelta) -> list[Sample]:
    """``samples`` and ``new`` within ``window`` before it, in order. What claims to be later than now is of another clock."""
    since = new.at - window.total_seconds()
    return [one for one in samples if since <= one.at < new.at] + [new]


def full_in(samples: Sequence[Sample], least: int) -> timedelta | None:
    """How long until nothing is free at the present rate; None where that cannot be said of ``samples`` (in order of time). What
    is looked at must hold ``least`` of them or more."""
    if len(samples) < least:
        return None
    last, span = samples[-1], samples[-1].at - samples[0].at
    found = []
    for share in BACK:
        part = [one for one in samples if last.at - one.at <= span * share]
        before = samples[: len(samples) - len(part)]
        # As low as it was before, and it came back: somebody rotates or deletes.
        if len(part) < least or last.free >= min((one.free for one in before), default=last.free + 1):
            continue
        fall, back = falling(part), last.at - part[0].at
        # By multiplication: a fall may be so small that the quotient is no number.
        if fall > 0 and last.free <= fall * back * AHEAD:
            found.append(last.free / fall)
    return timedelta(seconds=min(found)) if found else None


def falling(samples: Sequence[Sample]) -> float:
    """Bytes a second by which free space falls; 0 where it does not. The least of three: the median slope of all pairs
    (Theil–Sen), the change from end to end, and the middle one of the slopes of the thirds, of which a burst is in one only."""
    if len(samples) < 3:
        return 0.0
    third = -(-len(samples) // 3)
    parts = sorted(_slope(samples[begin : begin + third]) for begin in range(0, len(samples), third))
    few = min(ENDS, len(samples) // 2)
    ends = _slope([_middle(samples[:few]), _middle(samples[-few:])])
    return max(0.0, -max(_slope(samples), ends, parts[len(parts) // 2]))


def _slope(samples: Sequence[Sample]) -> float:
    """Theil–Sen: the median of the slopes of all pairs, in bytes a second."""
    group = -(-len(samples) // POINTS)
    points = [_middle(samples[begin : begin + group]) for begin in range(0, len(samples), group)]
    slopes = [(b.free - a.free) / (b.at - a.at) for a, b in combinations(points, 2) if b.at > a.at]
    return statistics.median(slopes) if slopes else 0.0


def _middle(samples: Sequence[Sample]) -> Sample:
    return Sample(statistics.median(one.at for one in samples), round(statistics.median(one.free for one in samples)))


def floor(total: int, limits: Limits) -> int:
    """Bytes that are to be free of ``total``: the greater of both limits, and never more than half of a small disk."""
    return min(total // 2, max(limits.least_bytes, int(total * limits.least_percent / 100)))


def judge(space: Space, limits: Limits, before: Standing) -> tuple[list[Case], list[Case], dict[Case, int]]:
    """What is to be said now, what is over, and what stands after that. A trouble is said once, when it begins."""
    least, ahead = floor(space.total, limits), space.full_in
    troubles: dict[Case, tuple[bool, bool]] = {
        "low": (space.free < least, space.free >= least * ROOM),
        "filling": (ahead is not None and ahead <= limits.horizon, ahead is None or ahead > limits.horizon * FAR),
    }
    say: list[Case] = []
    over: list[Case] = []
    after: dict[Case, int] = {}
    for case, (is_so, is_calm) in troubles.items():
        if case not in before:
            if is_so:
                say.append(case)
                after[case] = 0
        elif (calm := before[case] + 1 if is_calm else 0) < CALM:
            after[case] = calm
        else:
            over.append(case)
    return say, over, after

"""Counts with what stands behind them, how long things took, and what became of a clock."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from gateway.core.duty.matter import Judged, Running
from gateway.core.figures.model import Case, Line, Spread, Tally, Told

UNKNOWN = "不详"


def tally(cases: Iterable[Case]) -> Tally:
    """How many, and which."""
    return of(case.number for case in cases)


def of(numbers: Iterable[str]) -> Tally:
    """Each number once, in order."""
    found = tuple(sorted(set(numbers)))
    return Tally(len(found), found)


def reports(told: Sequence[Told]) -> Tally:
    """How many reports, and which incidents they tell of."""
    return Tally(len(told), tuple(sorted({one.number for one in told})))


def lines(cases: Iterable[Case], by: Callable[[Case], str]) -> tuple[Line, ...]:
    """What falls under each name, the most first; what is not known stands last."""
    found: dict[str, list[str]] = defaultdict(list)
    for case in cases:
        found[by(case)].append(case.number)
    made = [Line(name, of(numbers)) for name, numbers in found.items()]
    return tuple(sorted(made, key=lambda line: (line.name == UNKNOWN, -line.tally.count, line.name)))


def spread(measured: Iterable[tuple[str, float]]) -> Spread:
    """Median, ninth decile (nearest rank) and longest of what was measured."""
    slowest = sorted(measured, key=lambda one: (-one[1], one[0]))
    if not slowest:
        return Spread()
    values = [minutes for _number, minutes in reversed(slowest)]
    size = len(values)
    middle = values[size // 2] if size % 2 else (values[size // 2 - 1] + values[size // 2]) / 2
    return Spread(
        count=size, median=round(middle, 1), ninth=round(values[math.ceil(size * 0.9) - 1], 1), longest=round(values[-1], 1),
        incidents=tuple(number for number, _took in slowest),
    )  # fmt: skip


def minutes(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds() / 60)


def fate(case: Case, one: Running) -> str:
    """What became of a clock: in_time, late, open, excused, running or waived."""
    if one.state == "passed":
        if case.matter is not None and excused(case.matter.judgements, one.clock):
            return "excused"
        return "late" if one.stopped_at is not None else "open"
    return {"stopped": "in_time", "running": "running", "waived": "waived"}[one.state]


def excused(judgements: Sequence[Judged], clock: str) -> bool:
    """A person lifted every judgement of that clock."""
    found = [one for one in judgements if one.clock == clock]
    return bool(found) and all(one.state == "lifted" for one in found)

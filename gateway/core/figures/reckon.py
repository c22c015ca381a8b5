"""Counting: cases, reports and accounts of a period become its figures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from gateway.core.clocks import Clock as Limit
from gateway.core.duty.matter import Running
from gateway.core.figures import units
from gateway.core.figures.counting import UNKNOWN, fate, lines, minutes, of, reports, spread, tally
from gateway.core.figures.model import Case, Clock, Figures, Judgements, Office, Told
from gateway.core.obligations import Account, Period

STATES = ("open", "followed_up", "closed")
"""Incidents that are reportable: what was below the threshold, a drill, or merged into another is counted apart or not at all."""


def reckon(
    whole: Period,
    cases: Iterable[Case],
    told: Sequence[Told],
    accounts: Sequence[Account],
    limits: Sequence[Limit],
    *,
    rate_clock: str,
    names: Mapping[str, str],
    now: datetime,
) -> Figures:
    """The figures of ``whole``. ``names`` are the registered units with their counties, in the order of the directory;
    ``rate_clock`` is the clock whose limit makes a first report late."""
    kept = [case for case in cases if case.state != "merged"]
    mine = [case for case in kept if whole.start <= case.first_at < whole.end]
    real = [case for case in mine if case.state in STATES]
    clocked = [(case, one) for case in kept if case.matter is not None and case.state in STATES for one in case.matter.clocks
               if whole.start <= one.due < whole.end]  # fmt: skip
    judged = _judged(kept, whole, limits, rate_clock)
    there = units.reckon(real, clocked, told, accounts, judged, rate_clock=rate_clock, names=names)
    due, done = sum(one.due for one in there), sum(one.done for one in there)
    sides = {limit.id: limit.responsible for limit in limits}
    return Figures(
        period=whole.name,
        start=whole.start,
        end=whole.end,
        made_at=now,
        reports=reports(told),
        unregistered=reports([one for one in told if not one.unit]),
        incidents=tally(real),
        below=tally(case for case in mine if case.state == "below_threshold"),
        drills=tally(case for case in mine if case.state == "drill"),
        closed=tally(case for case in real if case.state == "closed"),
        unacknowledged=tally(case for case in real if case.acknowledged_at is None and case.matter is not None),
        units=there,
        offices=tuple(
            Office(office=name, judged=found) for name, found in judged.items() if name not in {u.unit for u in there}
        ),
        clocks=tuple(_clock(limit, clocked) for limit in limits if limit.id in sides),
        kinds=lines(real, lambda case: case.items[0].partition("-")[0] if case.items else UNKNOWN),
        counties=lines(real, lambda case: case.county or UNKNOWN),
        levels=lines([case for case in real if case.level], lambda case: case.level),
        judged=units.all_of(judged.values()),
        to_report=spread((case.number, minutes(case.matter.start, case.first_at)) for case in real
                         if case.matter is not None and not case.matter.estimated),
        to_acknowledge=spread((case.number, minutes(case.first_at, case.acknowledged_at)) for case in real
                              if case.acknowledged_at is not None),
        due=due,
        done=done,
        rate=units.percent(done, due),
    )  # fmt: skip


def _clock(limit: Limit, clocked: Sequence[tuple[Case, Running]]) -> Clock:
    heaps: dict[str, list[str]] = defaultdict(list)
    for case, one in clocked:
        if one.clock == limit.id:
            heaps[fate(case, one)].append(case.number)
    return Clock(clock=limit.id, title=limit.title, responsible=limit.responsible, **{k: of(v) for k, v in heaps.items()})


def _judged(cases: Sequence[Case], whole: Period, limits: Sequence[Limit], rate_clock: str) -> dict[str, Judgements]:
    """What was judged, by the unit or office that answers for it. A judgement belongs to the period in which its clock's limit
    lay; one without a clock to that of the first report's limit, else of the first report."""
    sides = {limit.id: limit.responsible for limit in limits}
    heaps: dict[str, dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for case in cases:
        if case.matter is None or case.state not in STATES:
            continue
        dues = {one.clock: one.due for one in case.matter.clocks}
        for one in case.matter.judgements:
            at = dues.get(one.clock) or dues.get(rate_clock) or case.first_at
            if one.state == "lifted" or not whole.start <= at < whole.end:
                continue
            office = sides.get(one.clock) == "office"
            for name in case.matter.office_responsible if office else case.matter.responsible:
                heaps[name][units.FIELDS[one.kind, one.state]].add(case.number)
    return {name: units.judgements(found) for name, found in heaps.items()}

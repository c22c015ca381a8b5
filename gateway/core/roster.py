"""The duty roster (值班表): who is on duty in which office, in which order the clerks (值班员) are called, and who is the leader
on duty (带班领导). Spans are half open. How it is written down is in ``gateway.core.roster_table``.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from functools import cached_property
from typing import Literal, TypeVar

from msgspec import Struct, structs

from gateway.core.calendar import Calendar
from gateway.core.directory import Directory, Office

Role = Literal["clerk", "leader"]
Span = tuple[datetime, datetime]


class Duty(Struct, frozen=True, kw_only=True, order=True):
    """One turn: ``person`` is on duty in ``office`` in [start, end); lower ``order`` is called first. ``shift`` is a label for
    people (夜班) and decides nothing."""

    start: datetime
    order: int
    office: str
    person: str
    end: datetime
    role: Role = "clerk"
    shift: str = ""


class Hole(Struct, frozen=True, kw_only=True, order=True):
    """In [start, end) nobody is on duty as a clerk in ``office``, although it is staffed then."""

    start: datetime
    office: str
    end: datetime


class _Turns(Struct, frozen=True):
    """The turns of one office by their start. None lasts longer than ``longest``, so that a look-up need not go further back."""

    duties: tuple[Duty, ...] = ()
    starts: tuple[datetime, ...] = ()
    longest: timedelta = timedelta()

    def at(self, at: datetime) -> Iterator[Duty]:
        first = bisect_left(self.starts, at - self.longest)
        yield from (duty for duty in self.duties[first : bisect_right(self.starts, at)] if at < duty.end)


class Roster(Struct, frozen=True, dict=True):
    """All turns, in order of their start."""

    duties: tuple[Duty, ...] = ()

    @cached_property
    def _by_office(self) -> dict[str, _Turns]:
        found: dict[str, list[Duty]] = {}
        for duty in sorted(self.duties):
            found.setdefault(duty.office, []).append(duty)
        return {
            office: _Turns(tuple(turns), tuple(d.start for d in turns), max(d.end - d.start for d in turns))
            for office, turns in found.items()
        }

    @property
    def offices(self) -> tuple[str, ...]:
        """The ids of the offices that have turns."""
        return tuple(sorted(self._by_office))

    def on_duty(self, office: str, at: datetime) -> tuple[str, ...]:
        """The clerks on duty in ``office`` at the aware instant ``at``, in the order in which they are called."""
        return self._named(office, at, "clerk")

    def leaders(self, office: str, at: datetime) -> tuple[str, ...]:
        """The leaders on duty (带班领导) in ``office`` at the aware instant ``at``, in the order in which they are called."""
        return self._named(office, at, "leader")

    def _named(self, office: str, at: datetime, role: Role) -> tuple[str, ...]:
        turns = (duty for duty in self._by_office.get(office, _Turns()).at(at) if duty.role == role)
        return tuple(dict.fromkeys(duty.person for duty in sorted(turns, key=lambda d: (d.order, d.start))))

    def turns(self, office: str) -> tuple[Duty, ...]:
        """Every turn in ``office``, in order of its start."""
        return self._by_office.get(office, _Turns()).duties


def needing(roster: Roster, directory: Directory) -> tuple[Office, ...]:
    """The offices that need somebody on duty: those that receive and have persons, and any other that the roster names."""
    named = set(roster.offices)
    return tuple(o for o in directory.offices if o.id in named or (o.role == "office" and o.persons))


def holes(roster: Roster, offices: Iterable[Office], calendar: Calendar, start: datetime, end: datetime) -> tuple[Hole, ...]:
    """Where one of ``offices`` has no clerk on duty in [start, end), although its hours (working, out, always) ask for one."""
    found: list[Hole] = []
    for office in offices:
        taken = [(duty.start, duty.end) for duty in roster.turns(office.id) if duty.role == "clerk"]
        gaps = (gap for span in staffed(office, calendar, start, end) for gap in without(span, taken))
        found += (Hole(office=office.id, start=begun, end=ended) for begun, ended in _joined(gaps))
    return tuple(sorted(found))


def staffed(office: Office, calendar: Calendar, start: datetime, end: datetime) -> list[Span]:
    """The stretches of [start, end) in which ``office`` is staffed by its hours, in order."""
    if office.hours == "always":
        return [(start, end)] if start < end else []
    working = list(calendar.working(start, end))
    return working if office.hours == "working" else list(without((start, end), working))


def without(span: Span, taken: Iterable[Span]) -> Iterator[Span]:
    """What is left of ``span`` outside the spans ``taken``, which are in order of their start."""
    at, end = span
    for begun, ended in taken:
        if at < begun and at < end:
            yield at, min(begun, end)
        at = max(at, ended)
    if at < end:
        yield at, end


def _joined(spans: Iterable[Span]) -> Iterator[Span]:
    """Spans that follow each other without a gap are one."""
    held: Span | None = None
    for span in spans:
        if held is not None and held[1] >= span[0]:
            held = held[0], max(held[1], span[1])
            continue
        if held is not None:
            yield held
        held = span
    if held is not None:
        yield held


Kept = TypeVar("Kept")


def outside(old: Sequence[tuple[Duty, Kept]], new: Iterable[Duty]) -> list[tuple[Duty, Kept]]:
    """What stays of ``old`` when ``new`` comes in its place: for each office and role, all that lies outside the span from the
    first new turn to the last. A turn over an edge is cut there; what stands beside a turn stays beside its parts."""
    spans: dict[tuple[str, Role], Span] = {}
    for duty in new:
        before = spans.get((duty.office, duty.role), (duty.start, duty.end))
        spans[duty.office, duty.role] = min(before[0], duty.start), max(before[1], duty.end)
    stays: list[tuple[Duty, Kept]] = []
    for duty, beside in old:
        span = spans.get((duty.office, duty.role))
        parts = [(duty.start, duty.end)] if span is None else without((duty.start, duty.end), [span])
        stays += ((structs.replace(duty, start=start, end=end), beside) for start, end in parts)
    return stays

"""The duty roster (值班表): who is on duty in which office, and in which order they are called. Half-open intervals.

The file is CSV with the columns ``office,person,from,to,order``; times are local, ``2026-11-23 18:00``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from datetime import datetime, tzinfo

from msgspec import Struct

from gateway.core.directory import Directory

COLUMNS = ("office", "person", "from", "to", "order")


class Duty(Struct, frozen=True, kw_only=True, order=True):
    """One turn: ``person`` is on duty in ``office`` in [start, end); lower ``order`` is called first."""

    start: datetime
    order: int
    office: str
    person: str
    end: datetime


class RosterFault(Struct, frozen=True, kw_only=True):
    """A line of the roster that cannot be used. ``what`` is one of: columns, office, person, time, order."""

    line: int
    column: str
    what: str


class Roster(Struct, frozen=True):
    """All turns, in order of their start."""

    duties: tuple[Duty, ...] = ()

    def on_duty(self, office: str, at: datetime) -> tuple[str, ...]:
        """The persons on duty in ``office`` at the aware instant ``at``, in the order in which they are called."""
        turns = (d for d in self.duties if d.office == office and d.start <= at < d.end)
        return tuple(d.person for d in sorted(turns, key=lambda d: (d.order, d.start)))


def parse(text: str, directory: Directory, zone: tzinfo) -> tuple[Roster, list[RosterFault]]:
    """Read a roster; faulty lines are named, the others kept."""
    faults: list[RosterFault] = []
    duties: list[Duty] = []
    for line, row in _rows(text.removeprefix("\ufeff")):
        if line == 1 and tuple(cell.strip() for cell in row) != COLUMNS:
            return Roster(), [RosterFault(line=1, column="", what="columns")]
        if line == 1 or not row or row[0].lstrip().startswith("#"):
            continue
        found = list(_faults(row, line, directory))
        faults += found
        if not found:
            duties.append(_duty(row, directory, zone))
    return Roster(tuple(sorted(duties))), faults


def _rows(text: str) -> Iterator[tuple[int, list[str]]]:
    """The lines with their numbers; each stands alone, so that an open quote does not swallow what follows it."""
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        try:
            yield number, next(csv.reader([line]), [])
        except csv.Error:
            yield number, [line]


def _faults(row: list[str], line: int, directory: Directory) -> Iterator[RosterFault]:
    if len(row) != len(COLUMNS):
        yield RosterFault(line=line, column="", what="columns")
        return
    office = directory.office(row[0])
    if office is None:
        yield RosterFault(line=line, column="office", what="office")
    elif office.person(row[1].strip()) is None:
        yield RosterFault(line=line, column="person", what="person")
    start, end = _time(row[2]), _time(row[3])
    if start is None:
        yield RosterFault(line=line, column="from", what="time")
    if end is None or (start is not None and end <= start):
        yield RosterFault(line=line, column="to", what="time")
    if not (row[4].strip().isascii() and row[4].strip().isdigit()):
        yield RosterFault(line=line, column="order", what="order")


def _time(cell: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(cell.strip())
    except ValueError:
        return None
    return found if found.tzinfo is None else None


def _duty(row: list[str], directory: Directory, zone: tzinfo) -> Duty:
    office = directory.office(row[0])
    return Duty(
        office=office.id if office else row[0],
        person=row[1].strip(),
        start=datetime.fromisoformat(row[2].strip()).replace(tzinfo=zone),
        end=datetime.fromisoformat(row[3].strip()).replace(tzinfo=zone),
        order=int(row[4]),
    )

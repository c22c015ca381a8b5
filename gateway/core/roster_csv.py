"""The file roster.csv: a duty roster (值班表) as text and back, and the rows that cannot both be true."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo

from msgspec import structs

from gateway.core.directory import Directory
from gateway.core.roster import Duty, Roster
from gateway.core.roster_table import COLUMNS, Line, Place, RosterFault, Row, read


def lines(text: str, file: str = "") -> list[Line]:
    """The lines of a CSV text; each stands alone, so that an open quote does not swallow what follows it."""
    found = []
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text.removeprefix("\ufeff")), 1):
        try:
            cells = next(csv.reader([line]), [])
        except csv.Error:
            cells = [line]
        found.append(Line(Place(line=number, file=file), tuple(cells)))
    return found


def parse(text: str, directory: Directory, zone: tzinfo) -> tuple[Roster, list[RosterFault]]:
    """Read a roster; faulty lines are named, the others kept."""
    rows, faults = read(lines(text), directory, zone)
    against = clashes(rows, directory)
    bad = {fault.line for fault in against}
    return roster_of(row.duty for row in rows if row.place.line not in bad), [*faults, *against]


def roster_of(duties: Iterable[Duty]) -> Roster:
    """The roster of these turns."""
    return Roster(tuple(sorted(duties)))


def render(roster: Roster, remarks: Iterable[str] = ()) -> str:
    """The roster as the text of roster.csv, with ``remarks`` (lines that begin with #) below its header."""
    out = io.StringIO()
    out.writelines(f"{line}\n" for line in (",".join(COLUMNS), *remarks))
    writer = csv.writer(out, lineterminator="\n")
    for duty in sorted(roster.duties, key=lambda d: (d.start, d.office, d.role, d.order, d)):
        writer.writerow((duty.office, duty.person, *(_written(at) for at in (duty.start, duty.end)), *_rest(duty)))
    return out.getvalue()


def _written(at: datetime) -> str:
    local = at.replace(tzinfo=None)
    return local.isoformat(" ", "auto" if local.second or local.microsecond else "minutes")


def _rest(duty: Duty) -> tuple[object, str, str]:
    return duty.order, duty.role, duty.shift


def remarks(text: str) -> list[str]:
    """The remarks of a CSV text: its lines that begin with #."""
    return [",".join(line.cells) for line in lines(text) if line.remark and line.cells and any(line.cells)]


def clashes(rows: Iterable[Row], directory: Directory) -> list[RosterFault]:
    """Rows that cannot both be true, each named once with the row before it that it contradicts: two turns in one place of the
    order of an office at once, a person twice in one role of an office, a person in two offices. Two persons of one name are the
    same one unless the directory gives them different telephone numbers."""
    last: dict[tuple[str, ...], dict[str, tuple[int, Row]]] = {}
    found: dict[tuple[int, str], RosterFault] = {}
    for number, row in sorted(enumerate(rows), key=lambda one: (one[1].duty.start, one[0])):
        for what, key in _claims(row.duty, directory):
            held = last.setdefault(key, {})
            for where, (earlier, before) in held.items():
                if (where == row.duty.office) is (what != "offices") and before.duty.end > row.duty.start:
                    late, one, other = (number, row, before) if number > earlier else (earlier, before, row)
                    found.setdefault((late, what), _clash(what, one, other))
            if row.duty.office not in held or held[row.duty.office][1].duty.end < row.duty.end:
                held[row.duty.office] = number, row
    # A line that is there twice is one mistake, not two.
    return [found[number, what] for number, what in sorted(found) if what != "double" or (number, "place") not in found]


def _claims(duty: Duty, directory: Directory) -> Iterator[tuple[str, tuple[str, ...]]]:
    """What a turn claims for its span, and no other turn may claim at the same time."""
    office = directory.office(duty.office)
    person = office.person(duty.person) if office is not None else None
    yield "place", ("place", duty.office, duty.role, str(duty.order))
    yield "double", ("double", duty.office, duty.role, duty.person)
    yield "offices", ("offices", duty.person, person.phone if person is not None else "")


def _clash(what: str, row: Row, other: Row) -> RosterFault:
    column, found = ("order", str(row.duty.order)) if what == "place" else ("person", row.duty.person)
    fault = row.head.wrong(row.place, what, column, found=found)
    return structs.replace(fault, other=other.duty, where=other.head.place(other.place, column))

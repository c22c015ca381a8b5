"""The duty roster (值班表) as people write it down: a table with a header in English or Chinese, its columns in any order.

``read`` turns lines of cells, from a CSV file or a spreadsheet, into rows. Every fault is kept with its place; the rest is read
all the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime, tzinfo

from msgspec import Struct, structs

from gateway.core.directory import Directory, Office
from gateway.core.roster import Duty, Role
from gateway.core.roster_time import Wrong, moment

NEEDED = ("office", "person", "from", "to", "order")
COLUMNS = (*NEEDED, "role", "shift")
CHINESE = ("单位", "姓名", "起", "止", "顺序", "角色", "班次")
HEADS = {name: name for name in COLUMNS} | dict(zip(CHINESE, COLUMNS, strict=True))
ROLES: dict[str, Role] = {"": "clerk", "clerk": "clerk", "值班员": "clerk", "leader": "leader", "带班领导": "leader"}
HEAD_ROWS = 30
"""The header is looked for in so many lines; titles and remarks may stand above it."""
SHIFT = 40
"""Characters of a shift's label, at most."""
_ERROR = re.compile(r"#(REF!|N/A|VALUE!|NAME\?|DIV/0!|NULL!|NUM!)")
"""What a spreadsheet writes for a cell that it cannot work out; any other # at the beginning of a line is a remark."""


class Place(Struct, frozen=True, kw_only=True):
    """A line of a file, or a row of a sheet, counted from 1; ``index`` is a column counted from 0, None for the whole line."""

    line: int
    sheet: str = ""
    file: str = ""
    index: int | None = None


class Line(Struct, frozen=True):
    """The cells of one line, as they stand there."""

    place: Place
    cells: tuple[str, ...]

    @property
    def remark(self) -> bool:
        """Nothing but blanks, or a line that begins with #."""
        first = self.cells[0].strip() if self.cells else ""
        return not any(cell.strip() for cell in self.cells) or (first.startswith("#") and not _ERROR.match(first))


class RosterFault(Struct, frozen=True, kw_only=True):
    """What cannot be used. ``column`` is its name in English, ``head`` as the file writes it. ``what`` is a word of ``WHATS``,
    ``found`` and ``allowed`` say what it is about; ``other`` is a turn that this one contradicts, ``where`` the place of that."""

    place: Place
    what: str
    column: str = ""
    head: str = ""
    found: str = ""
    allowed: str = ""
    other: Duty | None = None
    where: Place | None = None

    @property
    def line(self) -> int:
        """The line or row."""
        return self.place.line


WHATS = (
    "header", "none", "missing", "unknown", "again", "surplus", "empty", "office", "person", "elsewhere", "form", "offset",
    "year", "month", "day", "midnight", "clock", "reversed", "order", "role", "shift", "place", "double", "offices",
)  # fmt: skip
"""Everything that may be wrong. The last three are rows that contradict each other: one place in the order of calling held by two
turns, one person twice in an office, one person in two offices."""


class Head(Struct, frozen=True):
    """The header: its line's number among the lines, and the index of each column."""

    at: int
    line: Line
    index: dict[str, int]

    def wrong(self, place: Place, what: str, column: str, *, found: str = "", allowed: str = "") -> RosterFault:
        head = self.line.cells[self.index[column]].strip()
        where = self.place(place, column)
        return RosterFault(place=where, what=what, column=column, head=head, found=found, allowed=allowed)

    def place(self, line: Place, column: str) -> Place:
        """The cell of ``column`` in a line."""
        return structs.replace(line, index=self.index[column])


class Row(Struct, frozen=True):
    """One turn and where it stands."""

    duty: Duty
    place: Place
    head: Head


def plain(cell: str) -> str:
    """A cell as names and headers are compared: no blanks, full-width letters as ordinary ones, case as it may be."""
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", cell)).casefold()


def header(lines: Sequence[Line]) -> Head | None:
    """The first line in which at least two columns are called by their names."""
    for number, line in enumerate(lines[:HEAD_ROWS]):
        if line.remark:
            continue
        index: dict[str, int] = {}
        for position, cell in enumerate(line.cells):
            if (name := HEADS.get(plain(cell))) is not None:
                index.setdefault(name, position)
        if len(index) >= 2:
            return Head(number, line, index)
    return None


def read(lines: Sequence[Line], directory: Directory, zone: tzinfo) -> tuple[list[Row], list[RosterFault]]:
    """The rows below the header, and every fault; a faulty row is left out. ``zone`` is the city's."""
    head = header(lines)
    if head is None:
        return [], [RosterFault(place=lines[0].place if lines else Place(line=1), what="header")]
    faults = list(_head_faults(head))
    if faults:
        return [], faults
    rows: list[Row] = []
    for line in lines[head.at + 1 :]:
        if not line.remark:
            reading = _Reading(line, head, directory)
            duty = reading.duty(zone)
            faults += reading.faults
            if duty is not None:
                rows.append(Row(duty, line.place, head))
    return rows, faults


def _head_faults(head: Head) -> Iterator[RosterFault]:
    place = head.line.place
    for name in NEEDED:
        if name not in head.index:
            yield RosterFault(place=place, what="missing", column=name, head=name)
    for position, cell in enumerate(head.line.cells):
        name = HEADS.get(plain(cell), "")
        if cell.strip() and head.index.get(name) != position:
            what = "again" if name else "unknown"
            where = structs.replace(place, index=position)
            yield RosterFault(place=where, what=what, column=name, head=cell.strip(), found=cell.strip())


class _Reading:
    """One line being read: what its cells say, and every fault in them."""

    def __init__(self, line: Line, head: Head, directory: Directory) -> None:
        self.line, self.head, self.directory = line, head, directory
        self.faults: list[RosterFault] = []

    def cell(self, column: str) -> str:
        position = self.head.index.get(column, len(self.line.cells))
        return self.line.cells[position].strip() if position < len(self.line.cells) else ""

    def note(self, what: str, column: str, allowed: str = "") -> None:
        found = self.cell(column)
        what = what if found else "empty"
        self.faults.append(self.head.wrong(self.line.place, what, column, found=found, allowed=allowed))

    def duty(self, zone: tzinfo) -> Duty | None:
        office = _office(self.directory, self.cell("office"))
        if office is None:
            self.note("office", "office")
        person = self.person(office)
        start, end = self.time("from"), self.time("to")
        if start is not None and end is not None and end <= start:
            self.note("reversed", "to", self.cell("from"))
        order, role, shift = self.order(), self.role(), self.shift()
        self.surplus()
        if self.faults or office is None or start is None or end is None or role is None:
            return None
        start, end = start.replace(tzinfo=zone), end.replace(tzinfo=zone)
        return Duty(office=office.id, person=person, start=start, end=end, order=order, role=role, shift=shift)

    def person(self, office: Office | None) -> str:
        name = self.cell("person")
        found = _person(office, name)
        if found is None and (office is not None or not name):
            others = "、".join(other.name for other in self.directory.offices if _person(other, name) is not None)
            names = "、".join(person.name for person in office.persons) if office is not None else ""
            self.note("elsewhere" if others else "person", "person", others or names or "–")
        return found or ""

    def time(self, column: str) -> datetime | None:
        found = moment(self.cell(column))
        if isinstance(found, Wrong):
            self.note(found.what, column, found.allowed)
            return None
        return found

    def order(self) -> int:
        if re.fullmatch(r"[0-9]{1,4}", self.cell("order")):
            return int(self.cell("order"))
        self.note("order", "order")
        return 0

    def role(self) -> Role | None:
        role = ROLES.get(plain(self.cell("role")))
        if role is None:
            self.note("role", "role")
        return role

    def shift(self) -> str:
        shift = self.cell("shift")
        if len(shift) > SHIFT or not shift.isprintable():
            self.note("shift", "shift", str(SHIFT))
        return shift

    def surplus(self) -> None:
        for position, text in enumerate(self.line.cells):
            if text.strip() and position not in self.head.index.values():
                where = structs.replace(self.line.place, index=position)
                self.faults.append(RosterFault(place=where, what="surplus", found=text.strip()))


def _office(directory: Directory, cell: str) -> Office | None:
    return directory.office(cell) or next((o for o in directory.offices if plain(cell) in (plain(o.id), plain(o.name))), None)


def _person(office: Office | None, cell: str) -> str | None:
    """The name as the directory writes it: a table may part the two characters of a short name (王　强)."""
    names = [person.name for person in office.persons] if office is not None else []
    return cell if cell in names else next((name for name in names if plain(name) == plain(cell)), None)

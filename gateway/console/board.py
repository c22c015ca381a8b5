"""The board: every open incident as one line, the most urgent first. Pure: made of the register, the matters and the rules."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gateway import wording
from gateway.core.duty.matter import Given, Matter, Running
from gateway.core.model import Incident

Needs = Literal["now", "soon", "held"]
ORDER: Mapping[Needs, int] = {"now": 0, "soon": 1, "held": 2}
PEOPLE = ("deaths", "missing", "trapped", "seriously_injured", "injured", "poisoned", "ill")
"""The figures of people, as a leader asks for them."""
OWED = ("needs a person", "name who was told", "waits for a signature", "instruction overdue", "a clock to be looked at")
"""What may wait for somebody besides being acknowledged, as msgids."""


class Clock(Struct, frozen=True, kw_only=True):
    """A clock that still says something: it runs, or it ran out and nobody did what it was for."""

    title: str
    due: str
    late: bool
    soon: bool
    minutes: int


class Line(Struct, frozen=True, kw_only=True):
    """One incident. ``unheld`` are the offices that have not acknowledged, ``held`` those that have with who and when;
    ``owed`` are the words for what else waits for somebody."""

    id: str
    number: str
    needs: Needs
    title: str
    place: str
    occurred: str
    received: str
    people: tuple[str, ...]
    items: tuple[str, ...]
    level: str
    clocks: tuple[Clock, ...]
    unheld: tuple[str, ...]
    held: tuple[tuple[str, str, str], ...]
    owed: tuple[str, ...]
    state: str
    sensitive: bool
    revision: int

    @property
    def overdue(self) -> bool:
        """Whether a clock ran out."""
        return any(one.late for one in self.clocks)

    def mine(self, offices: Collection[str]) -> bool:
        """Whether one of these offices, by name, has not acknowledged it."""
        return any(office in offices for office in self.unheld)


def lines(found: Iterable[tuple[Incident, Matter | None]], given: Given, soon: int, degrees: tuple[str, ...]) -> list[Line]:
    """The lines in the order in which they need somebody: what nobody has, then by degree, by the next clock, by age."""
    made = [(_line(incident, matter, given, timedelta(minutes=soon)), incident) for incident, matter in found]
    rank = {name: place for place, name in enumerate(degrees)}
    made.sort(key=lambda pair: _order(pair[0], pair[1], rank))
    return [line for line, _incident in made]


def _order(line: Line, incident: Incident, rank: Mapping[str, int]) -> tuple[Any, ...]:
    level = incident.severity.level if incident.severity else None
    due = min((one.due for one in line.clocks if not one.late), default="9999")
    return ORDER[line.needs], not line.unheld, rank.get(level or "", len(rank)), due, line.received


def _line(incident: Incident, matter: Matter | None, given: Given, soon: timedelta) -> Line:
    report = incident.report
    clocks = tuple(_clock(one, given, soon) for one in (matter.clocks if matter else ()) if _speaks(one, given))
    offers = [one for one in (matter.offers if matter else ()) if one.duty == "receive" and not one.handed_to]
    unheld = tuple(given.directory.name(one.office) for one in offers if one.waits)
    owed = tuple(_owed(incident, matter, given))
    needs: Needs = "held"
    if owed or any(one.soon for one in clocks):
        needs = "soon"
    if unheld or incident.needs_person or any(one.late for one in clocks):
        needs = "now"
    occurred = report.occurred
    return Line(
        id=incident.id,
        number=incident.number,
        needs=needs,
        title=incident.title,
        place=_place(incident),
        occurred=wording.occurred(occurred.value, occurred.qualifier) if occurred else "",
        received=_local(given, incident.first_received_at),
        people=tuple(people(incident)),
        items=incident.items,
        level=_level(incident),
        clocks=tuple(sorted(clocks, key=lambda one: one.due)),
        unheld=unheld,
        held=tuple(
            (given.directory.name(one.office), one.acknowledged_by, _local(given, one.acknowledged_at))
            for one in offers
            if one.acknowledged_at is not None
        ),
        owed=owed,
        state=incident.state,
        sensitive=incident.sensitive,
        revision=incident.revision,
    )


def people(incident: Incident) -> Iterable[str]:
    """The figures of people in words."""
    for name in PEOPLE:
        figure = getattr(incident.report, name)
        if figure is not None:
            bare = msgspec.structs.replace(figure, others=(), why="")
            yield wording.figure(name, msgspec.to_builtins(bare))


def _speaks(one: Running, given: Given) -> bool:
    """A clock that was met says nothing any more, and one that was missed and judged only while it is not done."""
    return one.state == "running" or (one.state == "passed" and one.stopped_at is None)


def _clock(one: Running, given: Given, soon: timedelta) -> Clock:
    found = given.clock(one.clock)
    left = one.due - given.now
    late = one.state == "passed" or left < timedelta(0)
    return Clock(
        title=found.title if found else one.clock,
        due=_local(given, one.due),
        late=late,
        soon=not late and left <= soon,
        minutes=int(abs(left) / timedelta(minutes=1)),
    )


def _owed(incident: Incident, matter: Matter | None, given: Given) -> Iterable[str]:
    person, told, signature, instruction, clock = OWED
    if incident.needs_person:
        yield person
    if matter is None:
        return
    if any(one.waits for one in matter.tellings):
        yield told
    if matter.signing is not None and matter.signing.waits:
        yield signature
    if any(one.done_at is None and one.due < given.now for one in matter.instructions):
        yield instruction
    if any(one.disputed for one in matter.clocks):
        yield clock


def _level(incident: Incident) -> str:
    """The degree, where there is one."""
    if incident.severity is None or incident.severity.level is None:
        return ""
    bare = msgspec.structs.replace(incident.severity, why=())
    return wording.severity(msgspec.to_builtins(bare)).removesuffix(wording.aside(""))


def _place(incident: Incident) -> str:
    place = incident.report.place
    return (place.text or place.county or place.city or "") if place else ""


def _local(given: Given, at: datetime | None) -> str:
    return given.calendar.moment(at).local.isoformat(timespec="seconds") if at is not None else ""

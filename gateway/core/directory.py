"""Who is who: the offices that receive, the departments that co-operate, the units and informants that report.

Numbers are compared as digits: settings puts every form in which a carrier may write one (E.164, with the area code's
0, as it stands) into the index, because the 0 and short numbers do not survive E.164.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from msgspec import Struct

from gateway.core.model import Address

Hours = Literal["working", "out", "always"]
OfficeRole = Literal["office", "leader", "department", "superior"]
UnitRole = Literal["unit", "superior", "leader", "media", "public"]


class Person(Struct, frozen=True, kw_only=True):
    """A named person: a duty officer of an office, or an informant (信息员) of a unit. ``phone`` is E.164; ``senders``
    are the forms in which the number and the mail address may come in, ``login`` the user of this host that is this person."""

    name: str
    phone: str = ""
    mail: str = ""
    role: str = ""
    senders: tuple[str, ...] = ()
    login: str = ""


class Office(Struct, frozen=True, kw_only=True):
    """A place that receives. ``ways`` are tried in order; ``cleared`` names the transports among them that may carry
    sensitive items.

    ``hours`` is when the office is staffed: in working hours, out of them, or always.
    """

    id: str
    name: str
    hours: Hours = "always"
    role: OfficeRole = "office"
    persons: tuple[Person, ...] = ()
    ways: tuple[Address, ...] = ()
    cleared: tuple[str, ...] = ()

    def person(self, name: str) -> Person | None:
        """The person of that name here, if the directory knows one."""
        return next((person for person in self.persons if person.name == name), None)


class Unit(Struct, frozen=True, kw_only=True):
    """A source of reports. ``role`` says what it means when this source speaks first; ``senders`` are the forms of its
    numbers and mail addresses by which it is recognised."""

    name: str
    county: str = ""
    role: UnitRole = "unit"
    informants: tuple[Person, ...] = ()
    phone: str = ""
    mail: str = ""
    fax: str = ""
    senders: tuple[str, ...] = ()


def sender_key(sender: str) -> str:
    """The form in which senders are compared: a mail address in lower case, a number as its digits alone."""
    text = sender.strip()
    if "@" in text:
        return text.casefold()
    return re.sub(r"\D", "", text)


SENDER = "sender:"
"""What the destination of an answer begins with; the id of the answered message follows."""
REPORTER = "报送人"


def sender_of(message: str) -> str:
    """The destination that is whoever sent ``message`` (its id)."""
    return SENDER + message


class Directory(Struct, frozen=True, kw_only=True):
    """All offices and units, with their look-ups. Make it with ``Directory.of``."""

    offices: tuple[Office, ...]
    units: tuple[Unit, ...]
    by_office: dict[str, Office]
    by_sender: dict[str, Unit]
    by_person: dict[str, tuple[tuple[str, str], ...]] = {}

    @classmethod
    def of(cls, offices: Iterable[Office], units: Iterable[Unit] = ()) -> Directory:
        """Index ``offices`` by id and display name, ``units`` by sender. The first of two equal keys wins."""
        kept, known = tuple(offices), tuple(units)
        by_office: dict[str, Office] = {}
        for office in kept:
            by_office.setdefault(office.id, office)
            by_office.setdefault(office.name, office)
        by_sender: dict[str, Unit] = {}
        for unit in known:
            for sender in unit.senders:
                by_sender.setdefault(sender_key(sender), unit)
        by_sender.pop("", None)
        by_person: dict[str, tuple[tuple[str, str], ...]] = {}
        for office in kept:
            for person in office.persons:
                for key in {sender_key(sender) for sender in person.senders} - {""}:
                    by_person[key] = (*by_person.get(key, ()), (office.id, person.name))
        return cls(offices=kept, units=known, by_office=by_office, by_sender=by_sender, by_person=by_person)

    def office(self, key: str) -> Office | None:
        """The office of that id or display name."""
        return self.by_office.get(key.strip())

    def name(self, key: str) -> str:
        """The display name of an office by id or name, or of whoever sent a message; ``key`` itself where it is not known."""
        office = self.office(key)
        if office is None and key.startswith(SENDER):
            return REPORTER
        return office.name if office else key

    def unit(self, sender: str) -> Unit | None:
        """The registered unit behind a sender's number or address; None means unverified, which stops nothing."""
        key = sender_key(sender)
        return self.by_sender.get(key) if key else None

    def informant(self, sender: str) -> Person | None:
        """The informant whose own number or address this is."""
        unit, key = self.unit(sender), sender_key(sender)
        if unit is None:
            return None
        return next((p for p in unit.informants if key in map(sender_key, p.senders)), None)

    def persons(self, sender: str) -> tuple[tuple[str, str], ...]:
        """The duty persons whose own number or address this is, as (office id, name); one person may serve several offices."""
        return self.by_person.get(sender_key(sender), ())

    def departments(self) -> tuple[Office, ...]:
        """The departments that co-operate (police, safety, transport …)."""
        return tuple(office for office in self.offices if office.role == "department")

"""The call list of an incident (电话通知单): whom to ring up, in which order, with numbers. Pure but for what it is given."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Literal

from msgspec import Struct

from gateway.core.directory import Office, Person
from gateway.core.duty.matter import Given, Matter
from gateway.core.model import Incident

Role = Literal["on duty", "next", "leader", "secretary-general", "signs", "reporter", "unit"]


class Call(Struct, frozen=True, kw_only=True):
    """One line of the list. ``since``: on duty only from then on. ``has_it``: that office has acknowledged, None: need not."""

    role: Role
    office: str
    person: str
    phone: str = ""
    mail: str = ""
    post: str = ""
    since: datetime | None = None
    has_it: bool | None = None


def calls(matter: Matter | None, incident: Incident, senders: Iterable[str], given: Given) -> tuple[Call, ...]:
    """Whom to ring up about ``incident``: those who do not have it yet come first. ``senders`` told of it, newest first."""
    found: list[Call] = []
    if matter is not None:
        receiving = [one for one in matter.offers if one.duty == "receive" and not one.handed_to]
        for one in sorted(receiving, key=lambda offer: not offer.waits):
            found += _office(one.office, given, has_it=not one.waits)
        for office in _leaders(matter, given):
            found += _people(office, given, "secretary-general")
        found += _signers(matter, given)
    found += _reporters(matter, incident, senders, given)
    return tuple(_once(found))


def _office(id_: str, given: Given, *, has_it: bool) -> Iterator[Call]:
    office = given.directory.office(id_)
    if office is None:
        return
    clerks = given.roster.on_duty(id_, given.now)
    for role, names in (("on duty", clerks[:1]), ("next", clerks[1:])):
        for name in names:
            yield _call(role, office, office.person(name), name, has_it=has_it)  # type: ignore[arg-type]
    if len(clerks) < 2:
        later = [duty for duty in given.roster.turns(id_) if duty.role == "clerk" and duty.start > given.now]
        for duty in later[:1]:
            yield _call("next", office, office.person(duty.person), duty.person, has_it=has_it, since=duty.start)
    for name in given.roster.leaders(id_, given.now):
        yield _call("leader", office, office.person(name), name, has_it=has_it)
    if not clerks:
        for person in office.persons:
            yield _call("next", office, person, person.name, has_it=has_it)


def _leaders(matter: Matter, given: Given) -> Iterator[str]:
    """The leaders' offices that are told of it: those it was sent to, and those that an escalation ends at."""
    seen = {one.office for one in matter.offers} | {one.whom for one in matter.tellings}
    seen |= {step.office for plan in given.rules.plans for step in plan.steps if step.office}
    for office in given.directory.offices:
        if office.role == "leader" and office.id in seen:
            yield office.id


def _people(id_: str, given: Given, role: Role) -> Iterator[Call]:
    office = given.directory.office(id_)
    if office is None:
        return
    there = (*given.roster.on_duty(id_, given.now), *given.roster.leaders(id_, given.now))
    for name in there or tuple(person.name for person in office.persons):
        yield _call(role, office, office.person(name), name)


def _signers(matter: Matter, given: Given) -> Iterator[Call]:
    if matter.signing is None or not matter.signing.waits:
        return
    signer = given.rules.signer(matter.signing.level)
    for office in signer.offices if signer else ():
        yield from _people(office, given, "signs")


def _reporters(matter: Matter | None, incident: Incident, senders: Iterable[str], given: Given) -> Iterator[Call]:
    """Whoever told of it, and the informants of the units that answer for it."""
    directory, named = given.directory, set(matter.responsible if matter else ())
    for sender in senders:
        unit, who = directory.unit(sender), directory.informant(sender)
        named |= {unit.name} if unit else set()
        mail = sender if "@" in sender else ""
        phone = who.phone if who and who.phone else "" if mail else sender
        yield Call(role="reporter", office=unit.name if unit else "", person=who.name if who else "", phone=phone, mail=mail)
    report = incident.report
    if report.reporter or report.phone:
        yield Call(role="reporter", office=report.unit or "", person=report.reporter or "", phone=report.phone or "")
    for unit in directory.units:
        if unit.name in named:
            for person in unit.informants:
                yield Call(role="unit", office=unit.name, person=person.name, phone=person.phone, mail=person.mail)
            if unit.phone or unit.mail:
                yield Call(role="unit", office=unit.name, person="", phone=unit.phone, mail=unit.mail)


def _call(
    role: Role, office: Office, person: Person | None, name: str, *, has_it: bool | None = None, since: datetime | None = None
) -> Call:
    phone, mail, post = (person.phone, person.mail, person.role) if person else ("", "", "")
    return Call(role=role, office=office.name, person=name, phone=phone, mail=mail, post=post, since=since, has_it=has_it)


def _once(found: Iterable[Call]) -> Iterator[Call]:
    """Each person of an office once, at its first place."""
    seen: set[tuple[str, str]] = set()
    for one in found:
        key = (one.office, one.person or one.phone or one.mail)
        if key not in seen:
            seen.add(key)
            yield one

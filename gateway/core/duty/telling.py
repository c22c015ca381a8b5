"""Whom they told: an office that received something for another one names the person there that it notified (被通知人).

The name is asked for, reminded of, and escalated for until it is on record.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import timedelta
from functools import partial

from msgspec.structs import replace

from gateway.core.duty import reach
from gateway.core.duty.matter import Due, Effect, Given, Matter, Note, Send, Telling, Turn, Warn, swap
from gateway.core.duty.rules import TellRule, at_hour


def owe(matter: Matter, given: Given, offices: Sequence[str]) -> Turn:
    """What ``offices``, which were just offered the incident, owe by the rules of this hour."""
    working = given.working(given.now)
    owed = list(matter.tellings)
    for office in offices:
        for rule in given.rules.tellings:
            if office in rule.of and at_hour(rule.hours, working) and rule.whom != office:
                known = any(one.of == office and one.whom == rule.whom for one in owed)
                if not known:
                    owed.append(Telling(of=office, whom=rule.whom, since=given.now))
    return replace(matter, tellings=tuple(owed)), ()


def notified(matter: Matter, given: Given, office: str, person: str, by: str, how: str, verified: bool) -> Turn:
    """``by`` of ``office`` says whom it told. A person whom the directory does not know counts for what is asked first."""
    note = Note(
        event="notified", by=by or None, data={"office": office, "person": person, "how": how, "verified": verified}
    )
    named = {"person": person, "by": by, "at": given.now}
    owed = [one for one in matter.tellings if one.of == office and one.waits]
    fits = [one for one in owed if _is_of(given, person, one.whom)]
    stranger = not any(there.person(person) for there in given.directory.offices)
    for one in fits or (owed[:1] if stranger else []):
        matter = replace(matter, tellings=swap(matter.tellings, one, **named))
    return matter, (note,)


def acknowledged(matter: Matter, given: Given, office: str, by: str) -> Turn:
    """``office`` says itself that it has the incident: nobody need name a person there any more."""
    tellings = tuple(
        replace(one, person=by, by=by, at=given.now) if one.whom == office and one.waits else one for one in matter.tellings
    )
    return replace(matter, tellings=tellings), ()


def handed(matter: Matter, given: Given, office: str, to: str) -> Turn:
    """The incident went from ``office`` to ``to``: nobody need be told of it at ``to`` any more, and whom both would tell is
    asked of ``to`` alone. Whoever was told by ``office`` is not told again."""
    both = {rule.whom for rule in given.rules.tellings if to in rule.of}
    passed_on = [one for one in matter.tellings if one.of == office and one.whom in both]
    tellings = tuple(
        replace(one, over="handed_over") if one.waits and one.of == office and one.whom in (to, *both) else one
        for one in matter.tellings
    )
    known = {one.whom for one in tellings if one.of == to}
    tellings += tuple(replace(one, of=to) for one in passed_on if one.person and one.whom not in known)
    return replace(matter, tellings=tellings), ()


def falls_due(matter: Matter, given: Given) -> Iterator[Due]:
    """Asking, reminding, escalating for a name."""
    for one in matter.tellings:
        if one.waits and (rule := _rule(given, one)) is not None:
            after = (rule.ask, rule.remind, rule.escalate)
            if one.step < len(after):
                yield one.since + timedelta(minutes=after[one.step]), partial(_ask, of=one.of, whom=one.whom)
            elif one.again_at is not None:
                yield one.again_at, partial(_ask, of=one.of, whom=one.whom)


def _rule(given: Given, one: Telling) -> TellRule | None:
    return next((r for r in given.rules.tellings if one.of in r.of and r.whom == one.whom), None)


def _is_of(given: Given, person: str, office: str) -> bool:
    there = given.directory.office(office)
    return there is not None and there.person(person) is not None


def _ask(matter: Matter, given: Given, *, of: str, whom: str) -> Turn:
    one = next(t for t in matter.tellings if t.of == of and t.whom == whom and t.waits)
    rule = _rule(given, one)
    assert rule is not None
    step = one.step + 1
    how = ("ask", "remind", "escalate")[min(step, 3) - 1]
    again = given.now + timedelta(minutes=rule.repeat) if step >= 3 else None
    matter = replace(matter, tellings=swap(matter.tellings, one, step=step, again_at=again))
    name = given.directory.name(whom)
    values = {"of_office": given.directory.name(of), "whom": name}
    if step <= 2 or step > 3:
        asked = Note(event="asked", data={"of": of, "what": [f"{name}被通知人"], "how": how if step <= 2 else "remind"})
        return matter, (asked, Send(to=of, form="telling", duty="remind", values=values))
    return matter, tuple(_escalate(given, of, rule, values))


def _escalate(given: Given, of: str, rule: TellRule, values: dict[str, str]) -> Iterator[Effect]:
    name = given.directory.name
    whom = given.directory.office(rule.whom)
    # A leader whom nobody is known to have told is what this is about; a section is told by the desk that must name somebody.
    about = rule.whom if whom is not None and whom.role == "leader" else of
    why = f"未登记{name(rule.whom)}被通知人"
    person = reach.leader(given, of) or next(iter(reach.on_duty(given, of)[1:]), None)
    if person is None or not (ways := given.person_ways(of, person)):
        yield Warn(what="roster", why=f"{name(of)}没有带班领导，{why}", data={"destination": of})
        yield Note(event="escalated", data={"destination": about, "to": rule.whom, "minutes": rule.escalate, "why": why})
        yield Send(to=rule.whom, form="escalated", duty="escalate", because="升级", values={"from_office": name(of)})
        return
    yield Note(event="escalated", data={"destination": about, "to": person, "minutes": rule.escalate, "why": why})
    yield Send(to=of, form="telling", duty="escalate", ways=ways, because="升级", values={**values, "person": person})

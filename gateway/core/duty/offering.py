"""Who has it: each office that was offered the incident must say so by a named person (签收), or is pressed step by step; at the
edge of working hours what nobody has yet goes to the office that is there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from gateway.core.duty import reach, telling
from gateway.core.duty.matter import Due, Effect, Given, Matter, Note, Offer, Send, Settle, Turn, Warn, joined, swap
from gateway.core.duty.rules import Plan, Reach, Step
from gateway.core.model import Address, Destination

HOLES: Mapping[Reach, str] = {
    "other_way": "没有值班人员",
    "next": "没有可替换的值班人员",
    "leader": "没有带班领导",
    "office": "升级所指单位不存在",
}
"""What is amiss where a step reaches nobody."""


def offer(matter: Matter, given: Given, destinations: Sequence[Destination], *, afresh: bool) -> Turn:
    """Offices were sent the incident. ``afresh``: what they acknowledged before covers this no longer."""
    offers = list(matter.offers)
    for destination in destinations:
        known = next((one for one in offers if one.office == destination.office), None)
        if known is None:
            offers.append(Offer(office=destination.office, duty=destination.duty, offered_at=given.now, sent_at=given.now))
        elif known.handed_to or (afresh and not known.waits and _staffed(given, known.office)):
            offers[offers.index(known)] = Offer(
                office=known.office, duty=known.duty, offered_at=given.now, sent_at=given.now, round=known.round + 1
            )
        else:
            offers[offers.index(known)] = replace(known, sent_at=given.now)
    return watch_boundary(replace(matter, offers=tuple(offers)), given), ()


def _staffed(given: Given, office: str) -> bool:
    """Whether somebody is there now to acknowledge anew; who is not is told all the same."""
    there = given.directory.office(office)
    return there is None or there.hours == "always" or (there.hours == "working") == given.working(given.now)


def acknowledge(matter: Matter, given: Given, office: str, by: str, how: str, verified: bool) -> Turn:
    """A named person of ``office`` has it; that holds too for those offices whose silence it was escalated for."""
    settled: list[Effect] = []
    offers = list(matter.offers)
    for position, one in enumerate(offers):
        if one.office == office or (one.waits and office in one.reached):
            if one.waits:
                offers[position] = replace(one, acknowledged_at=given.now, acknowledged_by=by, handed_to="")
            settled.append(Settle(office=one.office, by=by, how=how, verified=verified))
    return watch_boundary(replace(matter, offers=tuple(offers)), given), tuple(settled)


def falls_due(matter: Matter, given: Given) -> Iterator[Due]:
    """The next step of each office that has not acknowledged, and the edge of working hours."""
    for one in matter.offers:
        if one.waits and (at := _next_at(one, given)) is not None:
            yield at, partial(_press, office=one.office)
    if matter.boundary is not None:
        yield matter.boundary, hand_over


def _plan(one: Offer, given: Given) -> Plan | None:
    return given.rules.plan(one.office, one.duty, given.working(one.offered_at))


def _next_at(one: Offer, given: Given) -> datetime | None:
    plan = _plan(one, given)
    if plan is None:
        return None
    if one.step < len(plan.steps):
        return one.offered_at + timedelta(minutes=plan.steps[one.step].after)
    return one.again_at


def _press(matter: Matter, given: Given, *, office: str) -> Turn:
    one = matter.offer(office)
    assert one is not None
    plan = _plan(one, given)
    assert plan is not None
    if one.step >= len(plan.steps):
        return _nobody(matter, given, one, plan)
    # Nobody on duty for a step: the next one is taken at once, and the hole is an alarm.
    effects: list[Effect] = []
    while one.step < len(plan.steps):
        step = plan.steps[one.step]
        taken = _take(one, given, step)
        one = replace(one, step=one.step + 1)
        if taken is not None:
            one = replace(one, **taken[0])
            effects += taken[1]
            # The office's own other way is used even if nobody is named on the roster: but then it is not enough.
            if step.to != "other_way" or reach.on_duty(given, one.office):
                break
        effects.append(_hole(one, given, step))
    if one.step >= len(plan.steps):
        one = replace(one, again_at=given.now + timedelta(minutes=plan.repeat))
    return replace(matter, offers=swap(matter.offers, matter.offer(office), **_changes(one))), tuple(effects)


def _changes(one: Offer) -> dict[str, object]:
    return {name: getattr(one, name) for name in ("step", "again_at", "tried", "reached")}


def _take(one: Offer, given: Given, step: Step) -> tuple[dict[str, object], list[Effect]] | None:
    """What a step does: what changes of the offer, and the effects; None where it reaches nobody."""
    if step.to == "office":
        if given.directory.office(step.office) is None:
            return None
        values = {"from_office": given.directory.name(one.office)}
        sent = Send(to=step.office, form="escalated", duty="escalate", because="升级", values=values)
        return {"reached": (*one.reached, step.office)}, [_escalated(one, step, step.office), sent]
    person = _person(one, given, step)
    ways = _ways(one, given, step, person)
    if not ways or (person is None and step.to != "other_way"):
        return None
    values = {"from_office": given.directory.name(one.office), "person": person or ""}
    sent = Send(to=one.office, form="escalated", duty="escalate", ways=ways, because="升级", values=values)
    return {"tried": (*one.tried, person) if person else one.tried}, [_escalated(one, step, person or one.office), sent]


def _person(one: Offer, given: Given, step: Step) -> str | None:
    if step.to == "leader":
        return reach.leader(given, one.office)
    clerks = reach.on_duty(given, one.office)
    if step.to == "other_way":
        return next(iter(clerks), None)
    tried = one.tried or clerks[:1]
    return next((name for name in clerks if name not in tried), None)


def _ways(one: Offer, given: Given, step: Step, person: str | None) -> tuple[Address, ...]:
    office = given.directory.office(one.office)
    first = office.ways[0].transport if office and office.ways else ""
    own = given.person_ways(one.office, person) if person else ()
    if step.to != "other_way":
        return own
    others = tuple(way for way in (*own, *(office.ways if office else ())) if way.transport != first)
    return tuple(dict.fromkeys(others))


def _escalated(one: Offer, step: Step, to: str) -> Note:
    data = {"destination": one.office, "to": to, "step": step.to, "minutes": step.after, "why": "未签收"}
    return Note(event="escalated", data=data)


def _hole(one: Offer, given: Given, step: Step) -> Warn:
    name = given.directory.name(one.office)
    return Warn(what="roster", why=f"{name}{HOLES[step.to]}，转下一步", data={"destination": one.office})


def _nobody(matter: Matter, given: Given, one: Offer, plan: Plan) -> Turn:
    """All steps are taken and still nobody has it: an alarm, again and again, and the whole roster is called once more."""
    again = given.now + timedelta(minutes=plan.repeat)
    name = given.directory.name(one.office)
    minutes = int((given.now - one.offered_at).total_seconds() // 60)
    warn = Warn(what="unacknowledged", why=f"{name} {minutes} 分钟无人签收", data={"destination": one.office})
    calls: list[Effect] = [warn]
    for person in reach.on_duty(given, one.office):
        if ways := given.person_ways(one.office, person):
            values = {"from_office": name, "person": person}
            calls.append(Send(to=one.office, form="escalated", duty="escalate", ways=ways, because="升级", values=values))
    return replace(matter, offers=swap(matter.offers, one, again_at=again)), tuple(calls)


def watch_boundary(matter: Matter, given: Given) -> Matter:
    """Note the next edge of working hours where something would change hands there; else none."""
    wanted = any(_takes_over(matter, given, one, working) for one in matter.offers for working in (True, False))
    if not wanted:
        return replace(matter, boundary=None) if matter.boundary is not None else matter
    if matter.boundary is not None and matter.boundary > given.now:
        return matter
    return replace(matter, boundary=given.calendar.next_change(given.now))


def _takes_over(matter: Matter, given: Given, one: Offer, working: bool) -> str | None:
    """The office that takes over from ``one`` when working hours begin or end; None where none does."""
    if one.handed_to or one.duty != "receive":
        return None
    office = given.rules.counterpart(one.office, working)
    if office is None:
        return None
    there = matter.offer(office)
    if there is None or there.handed_to or there.sent_at < one.sent_at:
        # The other office has nothing of it, or not what came last.
        return office if working or one.waits else None
    return office if one.waits and there.waits and not working else None


def hand_over(matter: Matter, given: Given) -> Turn:
    """Working hours begin or end: what was sent out of hours goes to the office that opens, what an office has not acknowledged
    when it closes goes to the one that stands in for it."""
    working = given.working(given.now)
    matter = replace(matter, boundary=None)
    effects: list[Effect] = []
    for one in matter.offers:
        office = _takes_over(matter, given, one, working)
        if office is None:
            continue
        because = f"{'上班' if working else '下班'}移交，自{given.directory.name(one.office)}"
        matter, more = _hand(matter, given, one, office, because)
        effects += more
    return watch_boundary(matter, given), tuple(effects)


def _hand(matter: Matter, given: Given, one: Offer, office: str, because: str) -> Turn:
    note = Note(event="handed_over", data={"from": one.office, "to": office, "why": because})
    waiting = one.waits
    offers = swap(matter.offers, matter.offer(one.office), **({"handed_to": office} if waiting else {}))
    matter = replace(matter, offers=offers)
    destination = Destination(office=office, because=because, duty="receive")
    # A further report that needs no acknowledgement needs none there either.
    matter, more = joined(
        matter,
        lambda m: offer(m, given, [destination], afresh=waiting),
        lambda m: telling.handed(m, given, one.office, office),
        lambda m: telling.owe(m, given, (office,)),
    )
    return matter, (note, Send(to=office, form="report", duty="receive", because=because), *more)

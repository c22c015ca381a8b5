"""The clocks of a matter: started, moved in the open, stopped by what the rule says, passed and judged once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from gateway.core.clocks import STOPS, Clock, due
from gateway.core.duty import reach
from gateway.core.duty.matter import Due, Effect, Given, Judged, Matter, Note, Running, Send, Turn, swap

INSTANT = timedelta(milliseconds=1)
"""Exactly at the deadline is in time; the first instant after it, as outputs show instants, is not."""
ELSEWHERE = ("superior", "leader", "media", "public")
"""Sources that speak for no unit: what they tell does not discharge it."""


class NotFreed(ValueError):
    """None of these clocks was freed."""


def start(matter: Matter, given: Given) -> Turn:
    """Start every clock of conf. What was due before now has passed already, and is judged by the next tick."""
    clocks = tuple(Running(clock=c.id, due=due(c, matter.start)) for c in given.clocks)
    notes = tuple(
        Note(
            event="clock_started",
            data={
                "clock": c.id,
                "due": due(c, matter.start),
                "started_at": matter.start,
                "estimated": matter.estimated,
                "responsible": list(answerable(matter, c)),
            },
        )
        for c in given.clocks
    )
    return replace(matter, clocks=clocks), notes


def answerable(matter: Matter, clock: Clock) -> tuple[str, ...]:
    """Who answers for a clock, by display name."""
    return matter.responsible if clock.responsible == "unit" else matter.office_responsible


def move(matter: Matter, given: Given, begin: datetime, estimated: bool, because: str) -> Turn:
    """Another start than was thought: every clock is computed anew, with the correction on record."""
    if begin == matter.start:
        return replace(matter, estimated=estimated), ()
    clocks: list[Running] = []
    notes: list[Effect] = []
    for running in matter.clocks:
        clock = given.clock(running.clock)
        if clock is None or running.state == "waived" or running.since is not None:
            clocks.append(running)
            continue
        limit = due(clock, begin)
        data = {"clock": clock.id, "from": running.due, "to": limit, "due": limit, "because": because}
        changed = replace(running, due=limit, warned=running.warned and limit <= running.due, disputed=False)
        if running.state == "passed" and (running.stopped_at or given.now) <= limit:
            # A judgement stands until a person looks at it: nothing is taken back by itself.
            changed, data = replace(changed, disputed=True), {**data, "disputed": True}
        elif running.state == "stopped" and running.stopped_at is not None and running.stopped_at > limit:
            changed = replace(changed, state="running")
        clocks.append(changed)
        notes.append(Note(event="clock_moved", data=data))
    return replace(matter, start=begin, estimated=estimated, clocks=tuple(clocks)), tuple(notes)


def stop(matter: Matter, given: Given, at: datetime, means: str, *, by_unit: bool) -> Turn:
    """What came in or went up by ``means`` (a channel, or ``upward``) stops the clocks that it stops by the rule."""
    clocks = list(matter.clocks)
    notes: list[Effect] = []
    for position, running in enumerate(clocks):
        clock = given.clock(running.clock)
        if clock is None or running.stopped_at is not None or running.state == "waived":
            continue
        if means not in STOPS[clock.stopped_by] or (clock.responsible == "unit" and not by_unit):
            continue
        in_time = at <= running.due and running.state == "running"
        clocks[position] = replace(running, stopped_at=at, state="stopped" if in_time else running.state)
        data = {"clock": clock.id, "due": running.due, "stopped_at": at}
        notes.append(Note(event="clock_stopped", data=data if in_time else {**data, "late": True}))
    return replace(matter, clocks=tuple(clocks)), tuple(notes)


def waive(matter: Matter, given: Given, which: tuple[str, ...], by: str, reason: str) -> Turn:
    """A named person frees the clocks ``which`` with a reason; what has passed stays judged."""
    clocks = list(matter.clocks)
    notes: list[Effect] = []
    for position, running in enumerate(clocks):
        if running.clock in which and running.state == "running" and running.stopped_at is None:
            clocks[position] = replace(running, state="waived")
            data = {"clock": running.clock, "due": running.due, "why": reason}
            notes.append(Note(event="clock_waived", data=data, by=by or None))
    return replace(matter, clocks=tuple(clocks)), tuple(notes)


def unwaive(matter: Matter, given: Given, which: tuple[str, ...], by: str, reason: str, undoes: str) -> Turn:
    """Clocks that a person had freed run again to the limit they had; where that has passed meanwhile, within the same time
    from now: nobody is late for what he was freed from. Raises ``NotFreed``."""
    clocks = list(matter.clocks)
    notes: list[Effect] = []
    for position, running in enumerate(clocks):
        clock = given.clock(running.clock)
        if clock is None or running.clock not in which or running.state != "waived":
            continue
        fresh = running.due > given.now
        limit = running.due if fresh else due(clock, given.now)
        since = running.since if fresh else given.now
        clocks[position] = replace(running, state="running", due=limit, since=since, warned=False)
        data = {"clock": clock.id, "due": limit, "why": reason, "undoes": undoes}
        notes.append(Note(event="waiver_withdrawn", by=by or None, data=data))
    if not notes:
        raise NotFreed("没有可恢复的时限")
    return replace(matter, clocks=tuple(clocks)), tuple(notes)


def reopen(matter: Matter, given: Given, because: str) -> Turn:
    """It is graver than when somebody freed its clocks, or than what has gone up: they run again within the same limit from
    now, on record."""
    clocks = list(matter.clocks)
    notes: list[Effect] = []
    for position, running in enumerate(clocks):
        clock = given.clock(running.clock)
        gone_up = running.state == "stopped" and clock is not None and clock.stopped_by == "upward"
        if clock is not None and (running.state == "waived" or gone_up):
            limit = due(clock, given.now)
            clocks[position] = Running(clock=clock.id, due=limit, since=given.now)
            data = {"clock": clock.id, "due": limit, "started_at": given.now, "why": because}
            notes.append(Note(event="clock_started", data={**data, "responsible": list(answerable(matter, clock))}))
    return replace(matter, clocks=tuple(clocks)), tuple(notes)


def falls_due(matter: Matter, given: Given) -> Iterator[Due]:
    """Warnings before a limit, limits that pass, and office clocks that were missed altogether."""
    for running in matter.clocks:
        if running.state != "running" or running.warned or running.stopped_at is not None:
            continue
        clock = given.clock(running.clock)
        if clock is not None and clock.warn_minutes:
            yield running.due - timedelta(minutes=clock.warn_minutes), partial(_warn, id_=clock.id)
    yield from passing(matter, given)


def passing(matter: Matter, given: Given) -> Iterator[Due]:
    """Limits that pass; none while the clock of this machine cannot be trusted."""
    if not given.trusted:
        return
    for running in matter.clocks:
        if running.state not in ("running", "passed") or (clock := given.clock(running.clock)) is None:
            continue
        if running.state == "running":
            yield running.due + INSTANT, partial(_pass, id_=clock.id)
        elif running.stopped_at is None and clock.missed_minutes and running.judgement != "漏报":
            begun = running.since or matter.start
            yield begun + timedelta(minutes=clock.missed_minutes) + INSTANT, partial(_missed, id_=clock.id)


def _one(matter: Matter, id_: str) -> Running:
    return next(one for one in matter.clocks if one.clock == id_)


def _warn(matter: Matter, given: Given, *, id_: str) -> Turn:
    running, clock = _one(matter, id_), given.clock(id_)
    matter = replace(matter, clocks=swap(matter.clocks, running, warned=True))
    if clock is None or running.due < given.now:
        return matter, ()
    left = int((running.due - given.now).total_seconds() // 60)
    note = Note(event="clock_due", data={"clock": id_, "due": running.due, "minutes": left})
    values = {"clock": clock.title, "due": _local(given, running.due), "minutes": str(left)}
    return matter, (note, *_to_those_who_can_act(matter, given, clock, values))


def _to_those_who_can_act(matter: Matter, given: Given, clock: Clock, values: dict[str, str]) -> Iterator[Send]:
    """The warning goes to the unit that must still report, or to the offices that hold the incident."""
    if clock.responsible == "unit":
        ways = matter.reporter if matter.unit_at is not None else reach.unit_ways(given, matter.responsible)
        if ways:
            yield Send(to="reporter", form="warning", duty="remind", ways=ways, values=values)
        return
    signer = given.rules.signer(matter.signing.level) if matter.signing and matter.signing.waits else None
    holding = tuple(one.office for one in matter.offers if one.duty == "receive" and not one.handed_to)
    for office in dict.fromkeys((*(signer.offices if signer else ()), *holding)):
        yield Send(to=office, form="warning", duty="remind", values=values)


def _pass(matter: Matter, given: Given, *, id_: str) -> Turn:
    running, clock = _one(matter, id_), given.clock(id_)
    assert clock is not None
    changed = {"state": "passed", "judgement": clock.judgement}
    matter = replace(matter, clocks=swap(matter.clocks, running, **changed))
    who = list(answerable(matter, clock))
    data = {"clock": id_, "due": running.due, "judgement": clock.judgement, "responsible": who}
    judged = Judged(kind=clock.judgement, clock=id_)
    notes: list[Effect] = [Note(event="clock_passed", data=data)]
    matter = replace(matter, judgements=(*matter.judgements, judged))
    silent = matter.unit_at is None or matter.unit_at > running.due
    if id_ == _silent_clock(given) and matter.told_by in ELSEWHERE and silent:
        matter, more = _silent(matter, who)
        notes += more
    return matter, tuple(notes)


def _silent_clock(given: Given) -> str:
    """The clock that conf names, or the first of the unit's where the profile has none of that name."""
    named = given.clock(given.rules.silent_clock)
    return next((c.id for c in (named, *given.clocks) if c is not None and c.responsible == "unit"), "")


def _silent(matter: Matter, who: list[str]) -> Turn:
    """Another source knew of it while the unit kept silent past its limit: a breach, and the ground of a suspicion that only a
    person may confirm."""
    suspected = Judged(kind="疑似瞒报")
    breach = Note(event="breach", data={"what": "他处先知而责任单位超时未报", "responsible": who})
    return replace(matter, judgements=(*matter.judgements, suspected)), (
        breach,
        Note(event="judged", data={"kind": "疑似瞒报", "responsible": who, "state": "automatic"}),
    )


def _missed(matter: Matter, given: Given, *, id_: str) -> Turn:
    running, clock = _one(matter, id_), given.clock(id_)
    assert clock is not None
    matter = replace(
        matter,
        clocks=swap(matter.clocks, running, judgement="漏报"),
        judgements=(*matter.judgements, Judged(kind="漏报", clock=id_)),
    )
    data = {"kind": "漏报", "clock": id_, "responsible": list(answerable(matter, clock)), "state": "automatic"}
    return matter, (Note(event="judged", data=data),)


def _local(given: Given, at: datetime) -> str:
    return given.calendar.moment(at).local.strftime("%m-%d %H:%M")

"""A matter's turns: a report comes in, time passes. ``next_at`` and ``next_step`` say what comes next."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import partial
from operator import itemgetter

from msgspec import Struct
from msgspec.structs import replace

from gateway.core.duty import clocking, following, instructing, judging, offering, signing, telling
from gateway.core.duty.matter import Due, Effect, Follow, Given, Matter, Note, Offer, Send, Turn, joined
from gateway.core.model import Address, Destination

LATE = timedelta(minutes=1)
"""What is carried out later than this after it was due is marked so."""
AGAIN = timedelta(minutes=1)
"""What cannot be judged, because the clock is not to be trusted, is looked at again so soon."""
MOST = 10_000
"""Steps of one tick: no rule of conf may make a matter turn for ever."""
CONCERNS = (
    clocking.falls_due, offering.falls_due, telling.falls_due, signing.falls_due, following.falls_due, instructing.falls_due,
)  # fmt: skip


class Heard(Struct, frozen=True, kw_only=True):
    """A report that had come before the matter began to matter: below the threshold then, but in time."""

    at: datetime
    channel: str
    role: str


class Told(Struct, frozen=True, kw_only=True):
    """What one report means for the duty. ``start`` is when the event happened as far as all reports say; ``clocked``: it is
    reportable or in doubt, so the clocks run; ``raised``: it is graver than was known; ``false``: figures or items fell.
    ``inherited`` is what a former version had offered, which neither pressed nor kept what went up: that is not judged.
    """

    number: str
    at: datetime
    channel: str
    role: str
    start: datetime
    estimated: bool
    because: str = ""
    clocked: bool = True
    raised: bool = False
    false: bool = False
    final: bool = False
    level: str = ""
    responsible: tuple[str, ...] = ()
    office_responsible: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    destinations: tuple[Destination, ...] = ()
    reporter: tuple[Address, ...] = ()
    earlier: tuple[Heard, ...] = ()
    inherited: tuple[Offer, ...] | None = None


def told(matter: Matter | None, given: Given, one: Told) -> Turn:
    """A report on this incident was taken: the first, or a further one."""
    further = matter is not None
    if matter is None:
        follow = Follow(last_at=given.now)
        first = one.earlier[0] if one.earlier else Heard(at=one.at, channel=one.channel, role=one.role)
        matter = Matter(
            number=one.number, first_at=first.at, start=one.start, estimated=one.estimated, follow=follow, told_by=first.role,
            unit_at=next((e.at for e in one.earlier if e.role not in clocking.ELSEWHERE), None), offers=one.inherited or (),
        )  # fmt: skip
    by_unit = one.role not in clocking.ELSEWHERE
    matter = replace(
        matter,
        level=one.level or matter.level,
        over=False,
        responsible=matter.responsible or one.responsible,
        office_responsible=matter.office_responsible or one.office_responsible,
        unit_at=matter.unit_at or (one.at if by_unit else None),
        reporter=one.reporter if by_unit and one.reporter else matter.reporter,
    )
    received = tuple(d.office for d in one.destinations if d.duty == "receive")
    return joined(
        matter,
        lambda m: clocking.reopen(m, given, "升格，重新起算") if one.raised else (m, ()),
        lambda m: _clocks(m, given, one, by_unit),
        lambda m: offering.offer(m, given, one.destinations, afresh=one.raised or one.false),
        lambda m: telling.owe(m, given, received),
        lambda m: signing.open_(m, given, anew=one.raised or (one.false and signing.gone_up(m)))
        if m.clocks and one.inherited is None
        else (m, ()),
        lambda m: judging.false_report(m, given) if one.false else (m, ()),
        lambda m: following.heard(m, given, missing=one.missing, final=one.final, further=further),
        lambda m: tick(m, given),
    )


def _clocks(matter: Matter, given: Given, one: Told, by_unit: bool) -> Turn:
    if not matter.clocks:
        if not one.clocked:
            return matter, ()
        matter = replace(matter, start=one.start, estimated=one.estimated)
        begin = joined(
            matter,
            lambda m: clocking.start(m, given),
            lambda m: (m, ()) if one.inherited is None else signing.waive(m, given, "", "以前版本登记的事件，上报未在本系统记录"),
            *(partial(_heard, given=given, one=earlier) for earlier in one.earlier),
        )
    else:
        begin = clocking.move(matter, given, one.start, one.estimated, one.because)
    # What had passed before this report came is judged first: the report then only ends it.
    return joined(
        begin[0],
        lambda m: (m, begin[1]),
        lambda m: _run(m, replace_now(given, one.at), (clocking.passing,)),
        lambda m: clocking.stop(m, given, one.at, one.channel, by_unit=by_unit),
    )


def _heard(matter: Matter, *, given: Given, one: Heard) -> Turn:
    return clocking.stop(matter, given, one.at, one.channel, by_unit=one.role not in clocking.ELSEWHERE)


def replace_now(given: Given, now: datetime, *, trusted: bool | None = None) -> Given:
    """The same at another instant, or of another trust."""
    return dataclasses.replace(given, now=now, trusted=given.trusted if trusted is None else trusted)


def corrected(
    matter: Matter,
    given: Given,
    start: datetime,
    estimated: bool,
    because: str,
    have: Sequence[Destination],
    level: str,
    *,
    afresh: bool,
) -> Turn:
    """A person corrected the facts: clocks move in the open, ``have`` get the incident as it is now."""
    sends = tuple(Send(to=d.office, form="report", duty=d.duty, because="更正") for d in have)
    return joined(
        replace(matter, level=level or matter.level),
        lambda m: clocking.reopen(m, given, "升格，重新起算") if afresh else (m, ()),
        lambda m: clocking.move(m, given, start, estimated, because) if m.clocks else (m, ()),
        lambda m: (m, sends),
        lambda m: offering.offer(m, given, have, afresh=afresh),
        lambda m: signing.open_(m, given, anew=afresh) if m.clocks else (m, ()),
        lambda m: tick(m, given),
    )


def acknowledge(matter: Matter, given: Given, office: str, by: str, how: str, verified: bool) -> Turn:
    """A named person of ``office`` has it (签收)."""
    return joined(
        matter,
        lambda m: offering.acknowledge(m, given, office, by, how, verified),
        lambda m: telling.acknowledged(m, given, office, by),
        lambda m: following.close_if_settled(m, given),
    )


def went_up(matter: Matter, given: Given) -> Turn:
    """A delivery to the level above is there."""
    return joined(
        matter,
        lambda m: _run(m, given, (clocking.passing,)),
        lambda m: clocking.stop(m, given, given.now, "upward", by_unit=True),
        lambda m: following.close_if_settled(m, given),
    )


def tick(matter: Matter, given: Given) -> Turn:
    """Carry out, in order, all that is due by now; afterwards see whether the matter is over."""
    if matter.over:
        return matter, ()
    return joined(
        matter,
        lambda m: _run(m, given, CONCERNS),
        lambda m: following.close_if_settled(m, given),
    )


def _run(matter: Matter, given: Given, concerns: Sequence[object]) -> Turn:
    effects: list[Effect] = []
    for _count in range(MOST):
        found = _first(matter, given, concerns)
        if found is None or found[0] > given.now:
            return matter, tuple(effects)
        at, do = found
        matter, more = do(matter, given)
        late = given.now - at > LATE
        effects += (_marked(one) for one in more) if late else more
    raise RuntimeError("a matter does not come to rest")


def _marked(effect: Effect) -> Effect:
    return replace(effect, data={**effect.data, "late": True}) if isinstance(effect, Note) else effect


def _first(matter: Matter, given: Given, concerns: Sequence[object]) -> Due | None:
    known = given.soonest.get(id(matter)) if concerns is CONCERNS else None
    if known is not None and known[0] is matter:
        return known[1]
    every = (due for concern in concerns for due in concern(matter, given))  # type: ignore[operator]
    found: Due | None = min(every, key=itemgetter(0), default=None)
    if concerns is CONCERNS:
        given.soonest[id(matter)] = matter, found
    return found


def next_at(matter: Matter, given: Given) -> datetime | None:
    """When the next thing is to be done about it; None only where it is over."""
    if matter.over:
        return None
    found = _first(matter, given, CONCERNS)
    if given.trusted:
        return found[0] if found else None
    judged = _first(matter, replace_now(given, given.now, trusted=True), (clocking.passing,))
    waits = [found[0]] if found else []
    return min((*waits, max(judged[0], given.now + AGAIN)) if judged else waits, default=None)


def next_step(matter: Matter, given: Given) -> str:
    """What comes next, in a few words for the register."""
    if matter.over:
        return ""
    name = given.directory.name
    waiting = [name(one.office) for one in matter.offers if one.waits and one.duty == "receive"]
    owed = [name(one.of) for one in matter.tellings if one.waits]
    steps = [
        f"等待签收：{'、'.join(waiting)}" if waiting else "",
        f"待登记被通知人：{'、'.join(dict.fromkeys(owed))}" if owed else "",
        "迟报认定待复核" if any(one.disputed for one in matter.clocks) else "",
        _signing(matter, given),
        f"督办 {len(open_)} 项" if (open_ := [one for one in matter.instructions if one.done_at is None]) else "",
        "" if matter.follow.final else f"待续报{following.numeral(matter.follow.count + 1)}或终报",
    ]
    return next((text for text in steps if text), "待结案")


def _signing(matter: Matter, given: Given) -> str:
    if matter.signing is None or not matter.signing.waits:
        return ""
    signer = given.rules.signer(matter.signing.level)
    return f"待审签：{signer.title if signer else matter.signing.level}"

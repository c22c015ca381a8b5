"""What a report means for the duty: clocks start, move or stop, offices must acknowledge, the reporter hears back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec.structs import replace

from gateway import routing
from gateway.core import clocks, outgoing, render
from gateway.core.directory import Unit, sender_of
from gateway.core.duty import following, reach, turn
from gateway.core.duty.matter import Given, Matter, Offer, Turn
from gateway.core.model import Address, Destination, Event, Figure, Incident, Message, Report
from gateway.duty import work
from gateway.house import House
from gateway.outbox import put
from gateway.quarantine import reply_ways
from gateway.store import Tx, deliveries, journal, matters, messages

ANSWER = "answer"
OPEN = ("open", "followed_up")


def told(
    tx: Tx,
    house: House,
    row: messages.MessageRow,
    incident: Incident,
    *,
    before: Incident | None,
    report: Report,
    unit: Unit | None,
    destinations: Sequence[Destination],
    now: datetime,
    inherited: tuple[Offer, ...] | None = None,
) -> Incident:
    """A report on ``incident`` was taken; ``before`` is what was known until then, ``inherited`` what a former version had sent
    out of it. Returns the incident with its next step."""
    kept = matters.get(tx, incident.id)
    with_ = work.given(house, now)
    start, estimated = clocks.anchor(incident.report.occurred, incident.first_received_at, house.config.timezone)
    role = unit.role if unit else "unit"
    by_unit = role == "unit"
    county = incident.report.place.county if incident.report.place else None
    known_as = (unit.name if unit and by_unit else None) or (report.unit if by_unit else None)
    offices = tuple(d.office for d in destinations if d.duty == "receive")
    one = turn.Told(
        number=incident.number,
        at=house.local(row.received_at),
        channel=row.channel,
        role=role,
        start=house.local(start),
        estimated=estimated,
        because=f"{report.kind or '来报'}更正事发时间",
        clocked=bool(incident.items or incident.review),
        raised=before is not None and raised(house, before, incident),
        false=before is not None and taken_back(house, before, incident, report),
        final=report.kind == "终报",
        level=(incident.severity.level or "") if incident.severity else "",
        responsible=reach.responsible(with_, known_as, role, county),
        office_responsible=reach.answering_offices(with_, offices),
        missing=incident.missing,
        destinations=tuple(destinations),
        reporter=reply_ways(house, row, unit),
        earlier=() if kept or before is None else _earlier(tx, house, incident, row),
        inherited=inherited,
    )
    matter, effects = turn.told(kept.matter if kept else None, with_, one)
    return work.keep(tx, house, incident, matter, effects, with_, kept.revision if kept else None)


def opened(tx: Tx, house: House, incident: Incident, now: datetime) -> Incident:
    """An incident about which nothing was to be done is open by a person's act: it is sent to the offices of this hour, and goes
    on as if it had been reportable from the first."""
    (row,) = messages.rows(tx, incident=incident.id, limit=1)
    came = routing.Came(message=row.id, channel=row.channel, sender=work.shown_sender(house, row.sender))
    route = routing.send(tx, house, incident, came, house.config.calendar.moment(house.local(now)), now)
    return _as_told_before(tx, house, row, incident, route, now, None)


def adopt(tx: Tx, house: House, incident: Incident, now: datetime) -> Incident:
    """Give an open incident of a former version its matter: judged by what came then, pressed from now on. What was acknowledged
    is not asked for again, and what went up was not on record then."""
    (row,) = messages.rows(tx, incident=incident.id, limit=1)
    at = house.local(now)
    rows = {one.destination: one for one in deliveries.rows(tx, incident=incident.id, limit=1000)}.values()
    inherited = tuple(
        Offer(
            office=one.destination,
            duty=one.duty,
            offered_at=at,
            sent_at=at,
            acknowledged_by=one.acknowledged_by or "",
            acknowledged_at=house.local(one.acknowledged_at) if one.acknowledged_at else None,
        )
        for one in rows
        if one.duty in routing.SENT and house.config.directory.office(one.destination)
    )
    return _as_told_before(tx, house, row, incident, (), now, inherited)


def _as_told_before(
    tx: Tx,
    house: House,
    row: messages.MessageRow,
    incident: Incident,
    route: tuple[Destination, ...],
    now: datetime,
    inherited: tuple[Offer, ...] | None,
) -> Incident:
    # Whatever it took back was taken back when it came.
    plain = replace(incident.report, correction=False, withdrawal=False)
    unit = house.config.directory.unit(row.sender)
    return told(
        tx, house, row, incident, before=incident, report=plain, unit=unit, destinations=route, now=now, inherited=inherited
    )


def _earlier(tx: Tx, house: House, incident: Incident, row: messages.MessageRow) -> tuple[turn.Heard, ...]:
    """The reports that told of it while it lay below the threshold, oldest first."""
    found = [one for one in reversed(messages.rows(tx, incident=incident.id, limit=100)) if one.id != row.id]
    units = [house.config.directory.unit(one.sender) for one in found]
    return tuple(
        turn.Heard(at=house.local(one.received_at), channel=one.channel, role=unit.role if unit else "unit")
        for one, unit in zip(found, units, strict=True)
        if one.state == "read"
    )


def raised(house: House, before: Incident, after: Incident) -> bool:
    """Whether the incident is graver than was known: a figure that conf names has risen, or an item or degree is new."""
    for name in house.config.duty_rules.raising:
        if _value(getattr(after.report, name)) > _value(getattr(before.report, name)):
            return True
    if set(after.items) - set(before.items):
        return True
    return before.state == "below_threshold" and after.state == "open"


def taken_back(house: House, before: Incident, after: Incident, report: Report) -> bool:
    """Whether a correction or withdrawal took back what had been reported."""
    if report.withdrawal:
        return True
    if not report.correction:
        return False
    figures = house.config.duty_rules.raising
    fell = any(_value(getattr(after.report, name)) < _value(getattr(before.report, name)) for name in figures)
    return fell or bool(set(before.items) - set(after.items))


def revised(tx: Tx, house: House, before: Incident, after: Incident, now: datetime, *, because: str) -> Incident:
    """A person corrected facts: clocks move, and whoever has the incident gets it as it is now; if it is open only by that,
    whoever is to have it."""
    if after.state in OPEN and matters.get(tx, after.id) is None:
        return opened(tx, house, after, now)
    start, estimated = clocks.anchor(after.report.occurred, after.first_received_at, house.config.timezone)
    have = routing.sent_before(tx, house, after, "更正")
    level = (after.severity.level or "") if after.severity else ""

    def move(matter: Matter, with_: Given) -> Turn:
        return turn.corrected(
            matter, with_, house.local(start), estimated, because, have, level,
            afresh=raised(house, before, after) or set(before.items) != set(after.items),
        )  # fmt: skip

    return work.change(tx, house, after, now, move)


def answer(
    tx: Tx, house: House, row: messages.MessageRow, message: Message, incident: Incident, unit: Unit | None, now: datetime
) -> None:
    """The reporter hears back: received, the number, what is missing. Never to automatic or bulk mail (RFC 3834), and not more
    often to one address than conf allows: two machines must not answer each other for ever."""
    section = house.config.duty.answers
    if not section.enabled or message.automatic or message.bulk:
        return
    ways = reply_ways(house, row, unit)
    if not ways or house.config.directory.persons(row.sender):
        return
    recent = deliveries.sent_to(tx, ways[0].address, ANSWER, now - timedelta(hours=1))
    if recent >= section.most_per_hour:
        data = {"of": ways[0].address, "why": f"一小时内已答复 {recent} 次，上限 {section.most_per_hour}"}
        journal.emit(tx, Event(at=now, event="unanswered", incident=incident.number, message=row.id, data=data))
        return
    kept = matters.get(tx, incident.id)
    stage = following.stage(incident.report.kind, kept.matter.follow.count if kept else 0)
    values = {**work.values_of(house, incident), "kind": f"（{stage}）", "office": house.config.city}
    draft = answer_draft(house, row.id, ways, values, incident.number, message)
    put(tx, house, row.id, incident.id, [draft], now)
    if incident.missing and kept is not None:
        of = unit.name if unit else next(iter(kept.matter.responsible), "报送人")
        asked = {"of": of, "what": [render.element(name) for name in incident.missing], "how": ANSWER}
        journal.emit(tx, Event(at=now, event="asked", incident=incident.number, message=row.id, data=asked))


def answer_draft(
    house: House, to: str, ways: tuple[Address, ...], values: dict[str, str], number: str, message: Message, form: str = ANSWER
) -> outgoing.Draft:
    """An answer in the thread of what it answers to, marked as automatic."""
    headers = {"Auto-Submitted": "auto-replied"}
    if message.message_id:
        headers |= {"In-Reply-To": message.message_id, "References": message.message_id}
    return outgoing.short(form, sender_of(to), ANSWER, ways, house.config.templates, values, number, headers)


def stage_of(tx: Tx, incident: str, kind: str | None) -> str:
    """What the report just taken is called: 初报, 续报二, 终报."""
    kept = matters.get(tx, incident)
    return following.stage(kind, (kept.matter.follow.count if kept else 0) + 1)


def _value(figure: Figure | None) -> float:
    return float(figure.value) if figure is not None and figure.value is not None else 0.0

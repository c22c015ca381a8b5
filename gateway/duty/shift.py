"""The hand-over of a shift (交接班): one sheet of what is open, who has what, what went wrong, signed by who goes and who comes.

A sheet is made of the store at one instant. With the first signature it is kept as it was, sealed; with the second it is closed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway import house as houses
from gateway.core.directory import Office
from gateway.core.duty.matter import Given, Matter
from gateway.core.model import Event, Incident
from gateway.duty import work
from gateway.duty.acts import OPEN, Refused
from gateway.duty.matter_view import view
from gateway.house import House
from gateway.i18n import _
from gateway.store import NotFound, Tx, deliveries, handovers, incidents, journal, matters, messages
from gateway.store.handovers import HandoverRow

if TYPE_CHECKING:
    from gateway.operations import Live

MOST = 10_000
"""Open incidents that a sheet takes in; more than that is a flood, and the count says so."""
LATER = ("registered", "attached", "clock_passed", "alarm", "handed_over")
"""What, once the first has signed, the second must know beside the sheet."""


def compose(tx: Tx, house: House, office: Office, now: datetime) -> dict[str, Any]:
    """The sheet of ``office`` at ``now``."""
    given = work.given(house, now)
    since = _since(tx, house, office, now)
    day = min(house.local(since), house.local(now).replace(hour=0, minute=0, second=0, microsecond=0))
    ours, others = [], []
    for incident in reversed(incidents.rows(tx, states=OPEN, limit=MOST)):
        kept = matters.get(tx, incident.id)
        if kept is None or _concerns(kept.matter, office.id, given) or incident.needs_person:
            ours.append(_open(tx, incident, kept.matter if kept else None, given))
        else:
            others.append({"number": incident.number, "title": _title(incident), "next_step": incident.next_step})
    return {
        "office": office.id,
        "name": office.name,
        "made_at": _shown(house, now),
        "since": _shown(house, since),
        "on_duty": {
            "clerks": list(given.roster.on_duty(office.id, given.now)),
            "leaders": list(given.roster.leaders(office.id, given.now)),
            "next": _next(house, office, now),
        },
        "open": ours,
        "others": others,
        "alarms": _alarms(tx, house, since),
        "undelivered": _undelivered(tx, house),
        "second_look": _second_look(tx, house, day),
        "refused": _refused(tx, house, since),
        "quarantined": len([m for m in messages.rows(tx, states=["quarantined"], limit=1000) if m.accepted_at >= day]),
    }


def _since(tx: Tx, house: House, office: Office, now: datetime) -> datetime:
    """When this shift began: with the last hand-over, else with the turn of the roster."""
    earliest = now - timedelta(hours=house.config.duty.shift.longest_hours)
    last = next((row.to_at for row in handovers.rows(tx, office=office.id) if row.to_at is not None), None)
    if last is not None and last >= earliest:
        return last
    turns = [d.start for d in house.config.roster.turns(office.id) if d.role == "clerk" and d.start <= now < d.end]
    return max(min(turns, default=earliest), earliest)


def _next(house: House, office: Office, now: datetime) -> list[dict[str, Any]]:
    """Who comes: the clerks of the next turn that has not begun."""
    turns = [d for d in house.config.roster.turns(office.id) if d.role == "clerk" and d.start > now]
    begin = min((d.start for d in turns), default=None)
    return [{"person": d.person, "from": _shown(house, d.start)} for d in turns if d.start == begin]


def _concerns(matter: Matter, office: str, given: Given) -> bool:
    """Whether an office has anything to do with a matter."""
    signer = given.rules.signer(matter.signing.level) if matter.signing and matter.signing.waits else None
    return (
        matter.offer(office) is not None
        or any(office in one.reached for one in matter.offers)
        or any(one.of == office for one in matter.tellings)
        or any(one.owner == office for one in matter.instructions)
        or (signer is not None and office in signer.offices)
    )


def _open(tx: Tx, incident: Incident, matter: Matter | None, given: Given) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "number": incident.number,
        "title": _title(incident),
        "state": incident.state,
        "items": list(incident.items),
        "needs_person": incident.needs_person,
        "next_step": incident.next_step,
        "first_received_at": given.calendar.moment(incident.first_received_at).local.isoformat(timespec="milliseconds"),
    }
    if matter is None:
        return shown
    names = ("instructed", "supervision_done")
    whole = view(matter, given, [e.event for e in journal.entries(tx, incident=incident.number, names=names, limit=1000)])
    return {
        **shown,
        "next_at": whole["next_at"],
        "clocks": [c for c in whole["clocks"] if c["state"] == "running" or (c["state"] == "passed" and not c["stopped_at"])],
        "has_it": [o for o in whole["offices"] if o["has_it"]],
        "waiting": [o for o in whole["offices"] if not o["has_it"] and not o["handed_to"] and o["duty"] == "receive"],
        "owed": [t for t in whole["tellings"] if t["waits"]],
        "signing": whole["signing"]["next"] if whole["signing"] else None,
        "instructions": [one for one in whole["instructions"] if not one["done_at"]],
        "judgements": [one for one in whole["judgements"] if one["state"] != "lifted"],
        "follow": whole["follow"],
    }


def _title(incident: Incident) -> str:
    """Sheets are printed and lie about: of what is sensitive they hold the number alone."""
    return "" if incident.sensitive else incident.title


def _alarms(tx: Tx, house: House, since: datetime) -> list[dict[str, Any]]:
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for entry in journal.since(tx, since, names=["alarm"], limit=MOST):
        event = entry.event
        key = (event.incident, event.data.get("what"), event.data.get("why"))
        if key in found:
            found[key]["times"] += 1
            found[key]["last_at"] = _shown(house, event.at)
            continue
        at = _shown(house, event.at)
        found[key] = {"at": at, "last_at": at, "what": key[1], "why": key[2], "incident": event.incident, "times": 1}
    return list(found.values())


def _undelivered(tx: Tx, house: House) -> list[dict[str, Any]]:
    """What does not get through: waiting after a failed attempt, or refused with no other way left, of incidents still open."""
    shown = []
    for row in deliveries.rows(tx, states=["waiting", "sending", "refused"], limit=1000):
        if row.attempts == 0 or row.incident is None or incidents.get(tx, row.incident).state not in OPEN:
            continue
        there = deliveries.rows(tx, incident=row.incident, destination=row.destination, limit=100)
        if any(one.id > row.id and one.state in ("delivered", "acknowledged") for one in there):
            continue
        shown.append(
            {
                "id": row.id,
                "incident": incidents.get(tx, row.incident).number,
                "destination": house.config.directory.name(row.destination),
                "transport": row.transport,
                "state": row.state,
                "attempts": row.attempts,
                "why": row.why,
            }
        )
    return shown


def _second_look(tx: Tx, house: House, day: datetime) -> dict[str, list[dict[str, Any]]]:
    """What was set aside today: below the threshold, drills, and what was taken for no urgent matter."""
    below = incidents.rows(tx, states=["below_threshold", "drill"], since=day, limit=1000)
    ignored = [m for m in messages.rows(tx, states=["ignored"], limit=1000) if m.accepted_at >= day]
    return {
        "below_threshold": [
            {"number": i.number, "title": _title(i), "state": i.state, "at": _shown(house, i.first_received_at)} for i in below
        ],
        "ignored": [
            {"id": m.id, "channel": m.channel, "sender": m.sender, "why": m.why, "at": _shown(house, m.received_at)}
            for m in ignored
        ],
    }


def _refused(tx: Tx, house: House, since: datetime) -> list[dict[str, Any]]:
    """What somebody tried in this shift and might not do."""
    tried = [entry.event for entry in journal.since(tx, since, names=["refused"], limit=1000)]
    return [
        {"at": _shown(house, e.at), "incident": e.incident, **{key: e.data.get(key) for key in ("who", "what", "why")}}
        for e in tried
    ]


def sign(
    tx: Tx, house: House, office: Office, person: str, now: datetime, means: str = ""
) -> tuple[HandoverRow, dict[str, Any]]:
    """``person`` signs: as the one who goes where no sheet waits, or their own does, else as the one who comes.

    Raises ``Refused``; the caller puts the attempt on record.
    """
    if office.person(person) is None:
        raise Refused(_("{person} is no registered person of {offices}").format(person=person or "?", offices=office.name))
    waiting = pending(tx, house, office.id, now)
    if waiting is not None and waiting.from_person != person:
        return _second(tx, house, waiting, person, now, means)
    sheet = compose(tx, house, office, now)
    if waiting is None:
        row = handovers.insert(tx, office.id, person, house.local(now), sheet)
    else:
        row = handovers.rewrite(tx, waiting, now, sheet)
    _emit(tx, house, "shift_signed_off", row, sheet, person, now, means=means)
    return row, sheet


def _second(
    tx: Tx, house: House, row: HandoverRow, person: str, now: datetime, means: str
) -> tuple[HandoverRow, dict[str, Any]]:
    sheet = handovers.sheet(tx, row)
    signed = handovers.sign(tx, row, person, now)
    more = {"from": row.from_person, "to": person, "means": means}
    _emit(tx, house, "shift_handed_over", signed, sheet, person, now, **more)
    return signed, sheet


def _emit(
    tx: Tx, house: House, event: str, row: HandoverRow, sheet: dict[str, Any], by: str, now: datetime, **more: str
) -> None:
    counts = {"open": len(sheet["open"]) + len(sheet["others"]), "alarms": len(sheet["alarms"])}
    data = {"office": house.config.directory.name(row.office), "ref": row.number, "digest": row.digest, **counts, **more}
    journal.emit(tx, Event(at=now, event=event, by=by, data=data))


def pending(tx: Tx, house: House, office: str, now: datetime) -> HandoverRow | None:
    """The sheet of ``office`` that waits for its second signature; one that waited too long is signed anew from the start."""
    last = next(iter(handovers.rows(tx, office=office, limit=1)), None)
    if last is None or last.to_at is not None:
        return None
    within = timedelta(minutes=house.config.duty.shift.sign_within_minutes)
    return last if now - last.from_at <= within else None


def _later(tx: Tx, house: House, row: HandoverRow, until: datetime) -> list[dict[str, Any]]:
    """What happened between the first signature and the second, or now: it stands beside the sheet."""
    return [
        {"at": _shown(house, e.event.at), "event": e.event.event, "incident": e.event.incident, "why": e.event.data.get("why")}
        for e in journal.since(tx, row.from_at, names=LATER, limit=1000)
        if row.from_at < e.event.at <= until
    ]


def shown(tx: Tx, house: House, row: HandoverRow, now: datetime) -> dict[str, Any]:
    """A kept sheet with its signatures, and what happened between the two."""
    return {**_line(house, row, now), **handovers.sheet(tx, row), "later": _later(tx, house, row, row.to_at or now)}


def _line(house: House, row: HandoverRow, now: datetime) -> dict[str, Any]:
    within = timedelta(minutes=house.config.duty.shift.sign_within_minutes)
    waits = row.to_at is None and now - row.from_at <= within
    return {
        "number": row.number,
        "office": row.office,
        "name": house.config.directory.name(row.office),
        "state": "signed" if row.to_at is not None else "waits" if waits else "lapsed",
        "from": {"person": row.from_person, "at": _shown(house, row.from_at)},
        "to": {"person": row.to_person, "at": _shown(house, row.to_at)} if row.to_at else None,
        "digest": row.digest,
    }


def _shown(house: House, at: datetime) -> str:
    return house.local(at).isoformat(timespec="milliseconds")


def _named(house: House, office: str) -> Office:
    found = house.config.directory.office(office)
    if found is None:
        known = "、".join(o.name for o in house.config.directory.offices)
        raise Refused(_("no office {office}; allowed: {known}").format(office=office, known=known))
    return found


def _house(live: Live) -> House:
    return live.house() if live.house is not None else houses.build(live.config, bureau_public=b"")


def show_sheet(live: Live, tx: Tx, office: str) -> dict[str, Any]:
    """The sheet of an office as it would be signed now; ``waits`` is the one that waits for its second signature."""
    from gateway.asked import OperationError

    here, now = _house(live), live.now()
    try:
        there = _named(here, office)
    except Refused as refusal:
        raise OperationError(str(refusal)) from None
    waiting = pending(tx, here, there.id, now)
    return {**compose(tx, here, there, now), "waits": _line(here, waiting, now) if waiting else None}


def hand_over(live: Live, tx: Tx, by: str, office: str, person: str, means: str | None = None) -> dict[str, Any]:
    """One signature under the sheet of an office."""
    here, now = _house(live), live.now()
    how = f"{means or 'command line'}, {by}"[:64]
    row, _sheet = sign(tx, here, _named(here, office), person, now, how)
    return shown(tx, here, row, now)


def list_handovers(live: Live, tx: Tx, office: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """Kept sheets, newest first, without what they say."""
    here = _house(live)
    there = here.config.directory.office(office) if office else None
    found = handovers.rows(tx, office=there.id if there else office, limit=limit)
    return [_line(here, row, live.now()) for row in found]


def show_handover(live: Live, tx: Tx, number: str) -> dict[str, Any]:
    """A kept sheet by its number."""
    from gateway.asked import OperationError

    here, now = _house(live), live.now()
    try:
        row = handovers.get(tx, number, here.local(now).year)
    except NotFound:
        raise OperationError(_("no hand-over {number}; see: gateway handover list").format(number=number)) from None
    return shown(tx, here, row, now)


READS: dict[str, Callable[..., Any]] = {"handover_sheet": show_sheet, "handovers": list_handovers, "handover": show_handover}
WRITES: dict[str, Callable[..., Any]] = {"hand_over": hand_over}

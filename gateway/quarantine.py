"""A marked message: its key is sealed away for the confidential bureau, and what goes out says that something came, not what."""

from __future__ import annotations

from datetime import datetime

import msgspec

from gateway import alarms
from gateway.core import outgoing, render
from gateway.core.directory import Unit, sender_of
from gateway.core.model import Address, Event, IncidentState, Report
from gateway.house import House
from gateway.outbox import put
from gateway.store import Tx, deliveries, incidents, journal, matters, messages, vault


def seal(
    tx: Tx, house: House, row: messages.MessageRow, *, sender: str, unit: Unit | None, completes: str | None, now: datetime
) -> None:
    """Seal the key away for the bureau; what goes out says that something came, not what."""
    messages.quarantine(tx, row.id, house.bureau_public)
    journal.emit(
        tx,
        Event(
            at=now,
            event="quarantined",
            message=row.id,
            data={"channel": row.channel, "via": row.via, "to": house.config.secrecy_office, "rules": house.config.version},
        ),
    )
    values = {
        "number": row.id,
        "channel": render.CHANNELS[row.channel],
        "received_at": house.local(row.received_at).strftime("%Y-%m-%d %H:%M"),
        "sender": sender,
        "city": house.config.city,
    }
    notices = []
    bureau = house.config.directory.office(house.config.secrecy_office)
    if bureau is not None and bureau.ways:
        notices.append(outgoing.notice("marked", bureau.id, bureau.ways, house.config.templates, values))
    else:
        _alarm(tx, row, now, "no way to the office that is told of marked messages")
    back = reply_ways(house, row, unit)
    if back:
        notices.append(outgoing.notice("marked_sender", sender_of(row.id), back, house.config.templates, values))
    else:
        _alarm(tx, row, now, "no way back to the sender of a marked message")
    put(tx, house, row.id, None, notices, now)
    if completes:
        _seal_incident(tx, row, completes, now)


def _seal_incident(tx: Tx, row: messages.MessageRow, part: str, now: datetime) -> None:
    """The marking stood in a part that came late: what its partial form opened is stopped, emptied and closed."""
    first = messages.get(tx, part)
    if first.incident is None:
        return
    incident = incidents.get(tx, first.incident)
    gone = [
        d.destination for d in deliveries.rows(tx, incident=incident.id, limit=1000) if d.state in ("delivered", "acknowledged")
    ]
    stopped = deliveries.stop(tx, incident=incident.id, why="marked")
    journal.emit(
        tx,
        Event(
            at=now,
            event="queued_stopped",
            incident=incident.number,
            message=row.id,
            data={"deliveries": stopped, "why": "marked"},
        ),
    )
    state: IncidentState = "closed" if incident.state in ("open", "followed_up", "below_threshold", "drill") else incident.state
    title = render.CHANNELS[row.channel] + "（已封存）"
    emptied = msgspec.structs.replace(
        incident, title=title, report=Report(text=""), why={}, review=(), missing=(), state=state, next_step="", needs_person=None
    )
    incidents.update(tx, emptied)
    if (kept := matters.get(tx, incident.id)) is not None:
        matters.put(tx, incident.id, msgspec.structs.replace(kept.matter, over=True), None, kept.revision)
    vault.destroy(tx, [d.id for d in deliveries.rows(tx, incident=incident.id, limit=1000)])
    why = "a marking came late; before that it had gone to: " + ("、".join(dict.fromkeys(gone)) or "nobody")
    _alarm(tx, row, now, why, incident.number)


def _alarm(tx: Tx, row: messages.MessageRow, now: datetime, why: str, incident: str | None = None) -> None:
    data = alarms.fields("secrecy", why)
    journal.emit(tx, Event(at=now, event="alarm", incident=incident, message=row.id, data=data))


def reply_ways(house: House, row: messages.MessageRow, unit: Unit | None) -> tuple[Address, ...]:
    """Ways back to whoever sent ``row``: the way it came, else what the directory knows of the unit."""
    by = house.config.reply_transports
    found: list[Address] = []
    if row.channel == "email" and "@" in row.sender:
        found.append(Address(transport=by["email"], address=row.sender))
    if row.channel == "sms":
        found.append(Address(transport=by["sms"], address=row.sender))
    for phone in (p.phone for p in unit.informants if p.phone) if unit else ():
        found.append(Address(transport=by["sms"], address=phone))
    if unit and unit.mail:
        found.append(Address(transport=by["email"], address=unit.mail))
    return tuple(dict.fromkeys(found))

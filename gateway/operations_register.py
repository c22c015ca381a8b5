"""Operations on the register: what it shows of messages, incidents, deliveries and channels, and what is done with one."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from gateway import cap, joining
from gateway.asked import OperationError, incident_of
from gateway.core import events, outgoing, render
from gateway.core.model import Event, Incident
from gateway.duty import incident_view
from gateway.i18n import _
from gateway.store import KeyGone, NotFound, Tx, deliveries, incidents, journal, messages, purge

if TYPE_CHECKING:
    from gateway.operations import Live


def list_messages(live: Live, tx: Tx, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """The newest messages first."""
    return [_message(live, tx, row) for row in messages.rows(tx, states=[state] if state else None, limit=limit)]


def _message(live: Live, tx: Tx, row: messages.MessageRow) -> dict[str, Any]:
    incident = incidents.get(tx, row.incident) if row.incident else None
    return {
        "id": row.id,
        "channel": row.channel,
        "via": row.via,
        "received_at": live.shown(row.received_at),
        "sender": row.sender,
        "carrier_id": row.carrier_id,
        "state": row.state,
        "incident": incident.number if incident else None,
        "duplicate_of": row.duplicate_of,
        "why": row.why,
        "size": row.size,
        "content_type": row.content_type,
    }


def show_message(live: Live, tx: Tx, id: str) -> dict[str, Any]:
    """One message, without its content."""
    return _message(live, tx, _row(tx, id))


def open_message(live: Live, tx: Tx, by: str, id: str, capture: bool = False) -> dict[str, Any]:
    """One message with its bytes as they came (base64), unless they were sealed away; who opened it is on record. With
    ``capture`` also what else the carrier said, so that a channel can read it once more."""
    row = _row(tx, id)
    try:
        raw = messages.raw(tx, id)
    except KeyGone:
        if (gone := purge.purged(tx, id)) is not None:
            text = _("the content of message {id} was destroyed at {at} by the retention rule {rule}")
            raise OperationError(text.format(id=id, at=live.shown(gone[0]), rule=gone[1])) from None
        text = _("message {id} is sealed for the confidential bureau; see: gateway message {id} --export")
        raise OperationError(text.format(id=id)) from None
    journal.emit(tx, Event(at=live.now(), event="opened", message=id, by=by, data={"how": "command line"}))
    more = {"recipient": raw.recipient, "meta": raw.meta} if capture else {}
    return {**_message(live, tx, row), **more, "raw": base64.b64encode(raw.body).decode()}


def _row(tx: Tx, id: str) -> messages.MessageRow:
    try:
        return messages.get(tx, id)
    except NotFound:
        raise OperationError(_("no message {id}").format(id=id)) from None


def export_message(live: Live, tx: Tx, id: str) -> dict[str, str]:
    """A quarantined message as a file that only the confidential bureau's private key opens (base64)."""
    row = _row(tx, id)
    try:
        source = id if row.state == "quarantined" else row.duplicate_of or id
        return {"id": id, "sealed": base64.b64encode(messages.export(tx, source)).decode()}
    except KeyGone:
        raise OperationError(_("message {id} is not sealed; see: gateway message {id} --raw").format(id=id)) from None


def list_deliveries(
    live: Live, tx: Tx, incident: str | None = None, state: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest deliveries first."""
    found = incident_of(live, tx, incident) if incident else None
    rows = deliveries.rows(tx, incident=found.id if found else None, states=[state] if state else None, limit=limit)
    return [_delivery(live, tx, row) for row in rows]


def _delivery(live: Live, tx: Tx, row: deliveries.DeliveryRow) -> dict[str, Any]:
    return {
        "id": row.id,
        "incident": incidents.get(tx, row.incident).number if row.incident else None,
        "destination": live.config.directory.name(row.destination),
        "office": row.destination,
        "transport": row.transport,
        "state": row.state,
        "attempts": row.attempts,
        "delivered_at": live.shown(row.delivered_at),
        "acknowledged_by": row.acknowledged_by,
        "acknowledged_at": live.shown(row.acknowledged_at),
        "duty": row.duty,
        "next_try_at": live.shown(row.next_try_at) if row.state == "waiting" else None,
        "why": row.why,
    }


def list_incidents(live: Live, tx: Tx, state: str | None = None, limit: int = 50) -> list[dict[str, Any]]:
    """The newest incidents first."""
    return [incident_line(i) for i in incidents.rows(tx, states=[state] if state else None, limit=limit)]


def incident_line(incident: Incident) -> dict[str, Any]:
    return {
        "number": incident.number,
        "title": incident.title,
        "state": incident.state,
        "items": list(incident.items),
        "occurred": incident.report.occurred.value if incident.report.occurred else None,
        "next_step": incident.next_step,
        "needs_person": incident.needs_person,
        "sensitive": incident.sensitive,
    }


def show_incident(live: Live, tx: Tx, number: str, trail: bool = False) -> dict[str, Any]:
    """One incident with its messages and deliveries; with ``trail`` every event."""
    incident = incident_of(live, tx, number)
    shown = {
        **incident_line(incident),
        "id": incident.id,
        "kinds": list(incident.kinds),
        "why": {item: list(why) for item, why in incident.why.items()},
        "review": msgspec.to_builtins(incident.review),
        "severity": msgspec.to_builtins(incident.severity),
        "event_class": msgspec.to_builtins(incident.event_class),
        "missing": list(incident.missing),
        "merged_into": incidents.get(tx, into).number if (into := incidents.merged_into(tx, incident.id)) else None,
        "may_be": joining.proposed(incident) if incident.state in joining.OPEN else [],
        "revision": incident.revision,
        "first_received_at": live.shown(incident.first_received_at),
        "report": msgspec.to_builtins(incident.report),
        "messages": [_message(live, tx, row) for row in messages.rows(tx, incident=incident.id, limit=1000)],
        "deliveries": [_delivery(live, tx, row) for row in deliveries.rows(tx, incident=incident.id, limit=1000)],
        "duty": incident_view.stand(live, tx, incident),
    }
    if trail:
        shown["chain"] = incident_view.chain(live, tx, incident)
        shown["trail"] = [_event(live, one.event) for one in journal.entries(tx, incident=incident.number, limit=10_000)]
    return shown


def list_calls(live: Live, tx: Tx, number: str) -> list[dict[str, Any]]:
    """Whom to ring up about an incident, with numbers."""
    return incident_view.call_list(live, tx, incident_of(live, tx, number))


def _event(live: Live, event: Event) -> dict[str, Any]:
    named = {"message": event.message, "delivery": event.delivery, "by": event.by}
    return {"at": live.shown(event.at), "event": event.event, **{k: v for k, v in named.items() if v}, **events.shown(event)}


def list_channels(live: Live, tx: Tx) -> list[dict[str, Any]]:
    """Each configured channel: state, detail, last message, backlog, how many messages within the hour, the last trouble since
    the daemon started."""
    shown, now = [], live.now()
    troubles = live.alarms.last if live.alarms is not None else {}
    for configured in live.config.channels:
        channel = live.channels.get(configured.name)
        health = channel.health() if channel is not None else None
        last = messages.rows(tx, via=configured.name, limit=1)
        shown.append(
            {
                "name": configured.name,
                "kind": configured.kind,
                "channel": configured.cls.channel,
                "state": health.state if health else "stopped",
                "detail": live.not_up(configured.name) or (health.detail if health else ""),
                "last_message_at": live.shown(last[0].received_at) if last else None,
                "backlog": messages.backlog(tx, configured.name),
                "last_hour": messages.came_since(tx, configured.name, now - timedelta(hours=1)),
                "last_error": trouble[1] if (trouble := troubles.get(configured.name)) else None,
                "last_error_at": live.shown(trouble[0]) if trouble else None,
            }
        )
    return shown


def export_cap(live: Live, tx: Tx, by: str, number: str) -> dict[str, Any]:
    """One incident as a CAP 1.2 alert (XML as text); who exported which version is on record."""
    incident, config = incident_of(live, tx, number), live.config
    told = messages.rows(tx, incident=incident.id, limit=10_000)
    history = cap.versions([one.event for one in journal.entries(tx, incident=incident.number, limit=100_000)])
    try:
        cap.allowed(incident, any(row.state == "quarantined" for row in told))
        made = cap.document(
            incident, history, config.cap, config.cap_rules, config.catalogue,
            city=config.city, local=lambda at: at.astimezone(ZoneInfo(config.timezone)),
        )  # fmt: skip
    except cap.NoCap as refused:
        raise OperationError(str(refused)) from None
    name = cap.identifier(config.cap, incident.number, history[-1])
    data = {"how": "CAP 1.2", "ref": name}
    journal.emit(tx, Event(at=live.now(), event="exported", incident=incident.number, by=by, data=data))
    return {"incident": incident.number, "identifier": name, "xml": made.decode()}


def paper_of(live: Live, tx: Tx, by: str, number: str, form: str) -> dict[str, str]:
    """What a paper on an incident says, for ``form`` (docx, pdf); who took it is on record."""
    incident = incident_of(live, tx, number)
    told = messages.rows(tx, incident=incident.id, limit=10_000)
    if incident.report.marking or any(row.state == "quarantined" for row in told):
        text = _("{number} holds marked content; it goes to the confidential bureau alone")
        raise OperationError(text.format(number=incident.number))
    last = next((row for row in told if row.id in set(incidents.messages_of(tx, incident.id))), None)
    at = (last.received_at if last else incident.first_received_at).astimezone(ZoneInfo(live.config.timezone))
    values = render.incident_values(
        incident, city=live.config.city, received_at=at, channel=last.channel if last else "", sender=last.sender if last else ""
    )
    journal.emit(tx, Event(at=live.now(), event="exported", incident=incident.number, by=by, data={"how": f"paper {form}"}))
    return outgoing.paper_values(incident, values)


def retry_delivery(live: Live, tx: Tx, by: str, id: str) -> dict[str, Any]:
    """Try a waiting, refused or stopped delivery again at once."""
    row = _delivery_row(tx, id)
    if not deliveries.retry(tx, id, live.now()):
        raise OperationError(_("delivery {id} is {state}; allowed: waiting, refused, stopped").format(id=id, state=row.state))
    _note(live, tx, "delivery_retried", by, row)
    return _delivery(live, tx, deliveries.get(tx, id))


def hold_delivery(live: Live, tx: Tx, by: str, id: str) -> dict[str, Any]:
    """Stop a delivery that is waiting."""
    row = _delivery_row(tx, id)
    if not deliveries.hold(tx, id, live.now()):
        raise OperationError(_("delivery {id} is {state}; allowed: waiting").format(id=id, state=row.state))
    _note(live, tx, "delivery_held", by, row)
    return _delivery(live, tx, deliveries.get(tx, id))


def _delivery_row(tx: Tx, id: str) -> deliveries.DeliveryRow:
    try:
        return deliveries.get(tx, id)
    except NotFound:
        raise OperationError(_("no delivery {id}").format(id=id)) from None


def _note(live: Live, tx: Tx, event: str, by: str, row: deliveries.DeliveryRow) -> None:
    number = incidents.get(tx, row.incident).number if row.incident else None
    data = {"destination": row.destination}
    journal.emit(tx, Event(at=live.now(), event=event, incident=number, delivery=row.id, by=by, data=data))


READS: dict[str, Callable[..., Any]] = {
    "messages": list_messages,
    "message": show_message,
    "export": export_message,
    "deliveries": list_deliveries,
    "incidents": list_incidents,
    "incident": show_incident,
    "calls": list_calls,
    "channels": list_channels,
}
WRITES: dict[str, Callable[..., Any]] = {
    "open": open_message,
    "cap": export_cap,
    "paper": paper_of,
    "retry": retry_delivery,
    "hold": hold_delivery,
}

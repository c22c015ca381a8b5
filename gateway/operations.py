"""What the command line and the console may ask of the store. Each operation is one short transaction; those that change
something record who asked."""

from __future__ import annotations

import base64
import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway import __version__, accounts, cap, joining, maintenance, obligations, phone_log, retention
from gateway.audit.sealer import TREE, Kept
from gateway.core import events, outgoing, render
from gateway.core.model import Event, Incident
from gateway.core.obligations import period as period_of
from gateway.duty import acts, incident_view, people, shift, undoing
from gateway.duty.people import OperationError, incident_number
from gateway.house import House
from gateway.i18n import _
from gateway.settings import Config
from gateway.store import KeyGone, NotFound, Store, Tx, deliveries, incidents, journal, messages, notes, purge
from gateway.store import maintenance as store_maintenance

FORESEEN = 200
"""Events of one act that are shown before it is done."""


@dataclass(slots=True)
class Live:
    """What operations work on. Without a daemon ``channels`` is empty and ``wake`` does nothing."""

    config: Config
    store: Store
    channels: Mapping[str, Any] = field(default_factory=dict)
    alarms: Any = None
    wake: Callable[[], None] = lambda: None
    running: bool = True
    daemon: dict[str, Callable[..., Awaitable[Any]]] = field(default_factory=dict)
    """What only the running daemon can do, and no transaction holds: called with who asked and the arguments."""
    not_up: Callable[[str], str] = lambda name: ""
    """Why a channel could not start; empty where it did."""
    house: Callable[[], House] | None = None
    """What the daemon decides with at this instant; without one it is made from ``config``."""

    def now(self) -> datetime:
        """The present instant with the city's offset."""
        return datetime.now(ZoneInfo(self.config.timezone))

    def shown(self, at: datetime | None) -> str | None:
        """An instant for an output: ISO 8601 with the city's offset."""
        return at.astimezone(ZoneInfo(self.config.timezone)).isoformat(timespec="milliseconds") if at else None


async def perform(
    live: Live, name: str, args: dict[str, Any], by: str, before: Callable[[Tx], None] = lambda tx: None
) -> Any:
    """Carry out operation ``name`` in the daemon. ``before`` looks at the store in the same transaction and may refuse. Raises
    ``OperationError``."""
    if name in live.daemon:
        return await live.daemon[name](by, **args)
    function, writes = _find(name, args)
    if writes:

        def write(tx: Tx) -> Any:
            before(tx)
            return function(live, tx, by, **args)

        try:
            result = await live.store.write(write)
        except acts.Refused as refusal:
            note = people.refusal(live, by, name, args, str(refusal))
            await live.store.write(note)
            raise OperationError(str(refusal)) from None
        live.wake()
        return result
    return await live.store.read(lambda tx: function(live, tx, **args))


class _LookedAt(Exception):
    """Ends a transaction that was only looked at."""


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an act would do: the events it would put on record, and to whom it would send, each with its duty."""

    events: tuple[Event, ...] = ()
    sent: tuple[tuple[str, str], ...] = ()


async def foresee(live: Live, name: str, args: dict[str, Any], by: str) -> Foreseen:
    """What operation ``name`` would do if it were carried out now; nothing of it stays. Raises ``OperationError``."""
    function, _writes = _find(name, args)
    found = Foreseen()

    def write(tx: Tx) -> None:
        nonlocal found
        begun, mark = journal.end(tx), tx.new_id()
        function(live, tx, by, **args)
        entries = journal.entries(tx, after=begun, limit=FORESEEN)
        rows = [row for row in deliveries.rows(tx, limit=FORESEEN) if row.id > mark]
        sent = dict.fromkeys((row.destination, row.duty) for row in reversed(rows))
        found = Foreseen(tuple(entry.event for entry in entries), tuple(sent))
        raise _LookedAt

    try:
        await live.store.write(write)
    except _LookedAt:
        pass
    except acts.Refused as refusal:
        raise OperationError(str(refusal)) from None
    return found


def perform_now(live: Live, name: str, args: dict[str, Any], by: str) -> Any:
    """The same without a daemon; the caller holds the lock."""
    function, writes = _find(name, args)
    if writes:
        try:
            return live.store.write_now(lambda tx: function(live, tx, by, **args))
        except acts.Refused as refusal:
            live.store.write_now(people.refusal(live, by, name, args, str(refusal)))
            raise OperationError(str(refusal)) from None
    return live.store.read_now(lambda tx: function(live, tx, **args))


def _find(name: str, args: dict[str, Any]) -> tuple[Callable[..., Any], bool]:
    if name in READS:
        function, writes = READS[name], False
    elif name in WRITES:
        function, writes = WRITES[name], True
    else:
        raise OperationError(_("unknown operation {name}").format(name=name))
    known = inspect.signature(function).parameters
    unknown = set(args) - set(known)
    if unknown and not any(one.kind is inspect.Parameter.VAR_KEYWORD for one in known.values()):
        raise OperationError(_("unknown argument {name}").format(name=", ".join(sorted(unknown))))
    return function, writes


def status(live: Live, tx: Tx) -> dict[str, Any]:
    """Whether a daemon answers, and which."""
    return {"running": live.running, "version": __version__, "conf": str(live.config.path), "digest": live.config.digest}


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
    found = _incident(live, tx, incident) if incident else None
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
    incident = _incident(live, tx, number)
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
    return incident_view.call_list(live, tx, _incident(live, tx, number))


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
    incident, config = _incident(live, tx, number), live.config
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
    incident = _incident(live, tx, number)
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


def _incident(live: Live, tx: Tx, number: str) -> Incident:
    wanted = incident_number(number, live.now())
    try:
        return incidents.get(tx, wanted)
    except NotFound:
        raise OperationError(_("no incident {number}").format(number=wanted)) from None


def record_end(live: Live, tx: Tx, seq: int | None = None) -> dict[str, Any]:
    """Where the record ends by the journal, the hash at ``seq``, and the algorithm of its tree, for ``audit``."""
    here, last = journal.sealed_at(tx, seq) if seq else None, journal.last_sealed(tx)
    kept = notes.get(tx, TREE, Kept)
    return {
        "sealed": last.seq if last else 0,
        "hash": here.hash if here else None,
        "tree": kept.algorithm if kept else live.config.audit.hash,
        "running": live.running,
    }


def list_maintenance(live: Live, tx: Tx) -> list[dict[str, Any]]:
    """The maintenance that goes on."""
    now = live.now()
    return [_window(live, one) for one in store_maintenance.standing(tx) if one.until > now]


def _window(live: Live, one: store_maintenance.Window) -> dict[str, Any]:
    return {"channel": one.channel, "from": live.shown(one.start), "until": live.shown(one.until), "why": one.why, "by": one.by}


def begin_maintenance(live: Live, tx: Tx, by: str, minutes: int, why: str, channel: str | None = None) -> dict[str, Any]:
    """Keep the alarms that maintenance covers for ``minutes``, of one channel or transport or of all."""
    known = [one.name for one in (*live.config.channels, *live.config.transports)]
    if channel is not None and channel not in known:
        raise OperationError(_("no channel or transport {name}; allowed: {known}").format(name=channel, known=", ".join(known)))
    if not isinstance(minutes, int) or not 1 <= minutes <= maintenance.LONGEST or not why.strip():
        raise OperationError(_("minutes from 1 to {most}, and a reason").format(most=maintenance.LONGEST))
    return _window(live, maintenance.begin(tx, live.now(), minutes=minutes, why=why, by=by, channel=channel))


def end_maintenance(live: Live, tx: Tx, by: str, channel: str | None = None) -> list[dict[str, Any]]:
    """End maintenance before its time: that of one channel, or all of it."""
    now = live.now()
    gone = tuple(w for w in store_maintenance.standing(tx) if w.until > now and channel in (None, w.channel))
    maintenance.end(tx, gone, now, by)
    return [_window(live, one) for one in gone]


def due_for_retention(live: Live, tx: Tx, rule: str, after: str = "") -> dict[str, Any]:
    """How much content is due by a retention rule; ``last`` is where to go on."""
    return _retain(live, tx, None, rule, after)


def retain(live: Live, tx: Tx, by: str, rule: str, after: str = "") -> dict[str, Any]:
    """Destroy the content that is due by a retention rule: one transaction's worth; ``last`` is where to go on."""
    return _retain(live, tx, by, rule, after)


def _retain(live: Live, tx: Tx, by: str | None, name: str, after: str) -> dict[str, Any]:
    rule = next((one for one in retention.rules(live.config.retention) if one.name == name), None)
    if rule is None:
        known = ", ".join(one.name for one in retention.rules(live.config.retention))
        raise OperationError(_("no retention rule {name} in force; allowed: {known}").format(name=name, known=known))
    now = live.now()
    done, last = retention.step(tx, rule, now - timedelta(days=rule.days), after, now, dry_run=by is None, by=by)
    return {"messages": done, "last": last}


def note_roster(live: Live, tx: Tx, by: str, data: dict[str, Any]) -> None:
    """Put on record that a duty roster was imported; the command has read, checked and prepared it."""
    try:
        event = events.check(Event(at=live.now(), event="roster_imported", by=by, data=data))
    except events.NotInVocabulary as error:
        raise OperationError(str(error)) from None
    journal.emit(tx, event)


def list_obligations(live: Live, tx: Tx, period: str | None = None) -> list[dict[str, Any]]:
    """What units owe in a month or a year and what came; without one, in the month and the year that go on."""
    now, config = live.now(), live.config
    try:
        asked = (period_of(period, ZoneInfo(config.timezone)),) if period else obligations.asked(config, now)
    except ValueError:
        raise OperationError(_("no period: {text}; allowed: a month 2026-11 or a year 2026").format(text=period)) from None
    return [obligations.view(one, live.shown) for one in obligations.shown(tx, config, asked, now)]


READS: dict[str, Callable[..., Any]] = {
    "status": status,
    "messages": list_messages,
    "message": show_message,
    "export": export_message,
    "deliveries": list_deliveries,
    "incidents": list_incidents,
    "incident": show_incident,
    "calls": list_calls,
    "channels": list_channels,
    "record_end": record_end,
    "maintenance": list_maintenance,
    "retention_due": due_for_retention,
    "obligations": list_obligations,
    **shift.READS,
    **accounts.READS,
    **undoing.READS,
}
WRITES: dict[str, Callable[..., Any]] = {
    **people.WRITES,
    **shift.WRITES,
    **accounts.WRITES,
    "open": open_message,
    "phone_log": phone_log.take,
    "cap": export_cap,
    "paper": paper_of,
    "retry": retry_delivery,
    "hold": hold_delivery,
    "maintenance_on": begin_maintenance,
    "maintenance_off": end_maintenance,
    "retain": retain,
    "roster_imported": note_roster,
}

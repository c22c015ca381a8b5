"""The duty at work: a move of the pure core on one incident's matter, inside the transaction that calls for it.

The desk, the dispatcher, people's acts and the passing of time all come through ``change``: read the matter, decide, keep it,
carry out the effects. The daemon and ``gateway simulate`` run exactly this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec.structs import replace

from gateway import alarms
from gateway.core import outgoing, render
from gateway.core.duty import turn
from gateway.core.duty.matter import Effect, Given, Matter, Note, Send, Settle, Shut, Turn, Warn
from gateway.core.model import Destination, Event, Incident
from gateway.duty import acknowledging
from gateway.house import House
from gateway.outbox import put
from gateway.store import Tx, deliveries, incidents, journal, matters, messages

log = logging.getLogger(__name__)

REPORTER = "reporter"
"""The destination of what goes back to whoever reported."""


def given(house: House, now: datetime) -> Given:
    """What moves are decided with, at ``now``."""
    config = house.config
    return Given(
        now=house.local(now),
        rules=config.duty_rules,
        clocks=config.clocks,
        directory=config.directory,
        roster=config.roster,
        calendar=config.calendar,
        transports=config.reply_transports,
        trusted=house.trusted(),
    )


def change(
    tx: Tx,
    house: House,
    incident: Incident,
    now: datetime,
    move: Callable[[Matter, Given], Turn],
    kept: matters.Kept | None = None,
) -> Incident:
    """Make a move on the matter of ``incident`` (``kept`` where it was just read); one that has none is left alone. Raises what
    the move raises, and ``Stale``."""
    kept = kept or matters.get(tx, incident.id)
    if kept is None:
        return incident
    with_ = given(house, now)
    matter, effects = move(kept.matter, with_)
    return keep(tx, house, incident, matter, effects, with_, kept.revision)


def keep(
    tx: Tx, house: House, incident: Incident, matter: Matter, effects: tuple[Effect, ...], with_: Given, revision: int | None
) -> Incident:
    """Keep ``matter`` and carry out ``effects``; the incident's next step follows. Returns the incident as it is then."""
    at = turn.next_at(matter, with_)
    matters.put(tx, incident.id, matter, at, revision)
    hand = _Hand(tx, house, incident, with_.now)
    for effect in effects:
        hand.carry_out(effect)
    hand.queue()
    incident = hand.incident
    step = turn.next_step(matter, with_) if incident.state in ("open", "followed_up") else ""
    if incident.needs_person and step:
        step = "由人识读原件"
    if step != incident.next_step:
        incident = incidents.note_step(tx, incident, step)
    return incident


def drop(tx: Tx, house: House, incident: Incident, now: datetime) -> None:
    """Nothing more is to be done about an incident: it was merged, or closed by a person."""
    kept = matters.get(tx, incident.id)
    if kept is not None:
        matters.put(tx, incident.id, replace(kept.matter, over=True), None, kept.revision)
    stopped = deliveries.stop_pressing(tx, incident.id, incident.state)
    if stopped:
        data: dict[str, Any] = {"deliveries": stopped, "why": incident.state}
        journal.emit(tx, Event(at=now, event="queued_stopped", incident=incident.number, data=data))


def tick(tx: Tx, house: House, id_: str, now: datetime) -> bool:
    """Carry out what is due about one incident. What has been done meanwhile changes nothing. False where nothing was due."""
    incident = incidents.get(tx, id_)
    kept = matters.get(tx, id_)
    if kept is None:
        return False
    if incident.state not in ("open", "followed_up"):
        drop(tx, house, incident, now)
        return True
    with_ = given(house, now)
    matter, effects = turn.tick(kept.matter, with_)
    if matter is kept.matter and not effects:
        # Other rules, or a clock that is not trusted: only when it is next due may be another.
        matters.note_next(tx, id_, turn.next_at(matter, with_), kept.revision)
        return False
    keep(tx, house, incident, matter, effects, with_, kept.revision)
    return True


def went_up(tx: Tx, house: House, id_: str, now: datetime) -> None:
    """A report reached the level above."""
    change(tx, house, incidents.get(tx, id_), now, turn.went_up)


def acknowledged_elsewhere(
    tx: Tx, house: House, row: deliveries.DeliveryRow, number: str | None, by: str, now: datetime
) -> None:
    """A person at another gateway has what was sent there. Where the office was offered it anew since, only what had gone
    before is settled by that."""
    kept = matters.get(tx, row.incident) if row.incident else None
    offer = kept.matter.offer(row.destination) if kept else None
    if row.incident is None or offer is None or not offer.waits or offer.offered_at > house.local(row.created_at):
        acknowledging.by_receipt(tx, row, number, by, now)
        return
    how = acknowledging.how(row)
    change(tx, house, incidents.get(tx, row.incident), now, lambda m, g: turn.acknowledge(m, g, row.destination, by, how, False))


class _Hand:
    """Carries out effects on one incident."""

    def __init__(self, tx: Tx, house: House, incident: Incident, now: datetime) -> None:
        self.tx, self.house, self.incident, self.now = tx, house, incident, now
        self._drafts: list[outgoing.Draft] = []

    def carry_out(self, effect: Effect) -> None:
        match effect:
            case Note():
                self.emit(effect.event, effect.data, effect.by)
            case Send():
                self.send(effect)
            case Settle():
                self.queue()  # what was to be sent before counts among what is stopped
                settle(self.tx, self.house, self.incident, effect, self.now)
            case Warn():
                self.warn(effect)
            case Shut():
                self.incident = incidents.update(self.tx, replace(self.incident, state="closed", next_step=""))
                self.emit("closed", {"why": effect.why}, effect.by)

    def emit(self, event: str, data: dict[str, Any], by: str | None = None) -> None:
        local = {k: self.house.local(v) if isinstance(v, datetime) else v for k, v in data.items()}
        local["rules"] = self.house.config.version
        journal.emit(self.tx, Event(at=self.now, event=event, incident=self.incident.number, by=by, data=local))

    def warn(self, effect: Warn) -> None:
        log.error("incident %s: %s", self.incident.number, effect.why)
        data = alarms.fields(effect.what, effect.why, **effect.data)
        journal.emit(self.tx, Event(at=self.now, event="alarm", incident=self.incident.number, data=data))

    def send(self, effect: Send) -> None:
        self._drafts += self.report(effect) if effect.form == "report" else self.short(effect)

    def queue(self) -> None:
        """Queue what is to be sent so far."""
        put(self.tx, self.house, None, self.incident.id, self._drafts, self.now)
        self._drafts = []

    def report(self, effect: Send) -> list[outgoing.Draft]:
        """The incident as it stands now, with the text of its last report."""
        last = messages.rows(self.tx, incident=self.incident.id, limit=1)
        values = render.incident_values(
            self.incident,
            city=self.house.config.city,
            received_at=self.house.local(last[0].received_at if last else self.incident.first_received_at),
            channel=last[0].channel if last else "",
            sender=shown_sender(self.house, last[0].sender) if last else "",
        )
        if effect.duty == "upward" and (signatory := self._signatory()):
            values["signer"] = signatory
        to = Destination(office=effect.to, because=effect.because, duty="receive")
        config = self.house.config
        form = outgoing.form_of(self.incident)
        made, unreachable = outgoing.drafts(
            self.incident, [to], config.directory, config.templates, values, form, self.house.on_paper
        )
        for office in unreachable:
            self.warn(Warn(what="routing", why=f"no way to office {office}"))
        return [replace(draft, duty=effect.duty) for draft in made]

    def _signatory(self) -> str:
        """Who signed last for the level above: the signatory (签发人) of the paper that goes there."""
        kept = matters.get(self.tx, self.incident.id)
        given_ = kept.matter.signing.given if kept and kept.matter.signing else ()
        return given_[-1].by if given_ else ""

    def short(self, effect: Send) -> list[outgoing.Draft]:
        """A short text about the incident; of a sensitive one it says the number and nothing of the matter."""
        config = self.house.config
        office = config.directory.office(effect.to)
        ways = effect.ways or (office.ways if office else ())
        if not ways:
            self.warn(Warn(what="routing", why=f"no way to {config.directory.name(effect.to)}"))
            return []
        values = values_of(self.house, self.incident) | effect.values
        values.setdefault("person", "")
        return [
            outgoing.short(
                effect.form, effect.to, effect.duty, ways, config.templates, values, self.incident.number
            )
        ]


def shown_sender(house: House, sender: str) -> str:
    """A sender as offices see it; whoever is not registered is said to be so."""
    if house.config.directory.unit(sender) is not None:
        return sender
    return f"{sender or '号码不详'}（未登记，请核实）"


def values_of(house: House, incident: Incident) -> dict[str, str]:
    """The placeholders of short texts: the number always, the matter only where it is not sensitive."""
    plain = {
        "city": house.config.city,
        "number": render.display_number(incident.number),
        "short_number": render.short_number(incident.number),
        "asked": "、".join(render.element(name) for name in incident.missing),
    }
    if incident.sensitive:
        return plain
    return plain | {"title": incident.title, "figures": render.figures(incident.report)}


def settle(tx: Tx, house: House, incident: Incident, effect: Settle, now: datetime) -> list[str]:
    """An office has it: its deliveries are acknowledged, what is queued for it stopped; both on record. Another gateway
    that sent it to us is told."""
    changed = deliveries.acknowledge(tx, incident.id, effect.office, effect.by, now)
    stopped = [row.id for row in changed if row.state == "stopped"]
    if stopped:
        data: dict[str, Any] = {"destination": effect.office, "deliveries": stopped, "why": "acknowledged"}
        journal.emit(tx, Event(at=now, event="queued_stopped", incident=incident.number, by=effect.by, data=data))
    data = {
        "destination": effect.office,
        "how": effect.how,
        "verified": effect.verified,
        "deliveries": [row.id for row in changed],
    }
    journal.emit(tx, Event(at=now, event="acknowledged", incident=incident.number, by=effect.by, data=data))
    acknowledging.tell_senders(tx, house.config, incident, effect.by, house.config.directory.name(effect.office), now)
    return [row.id for row in changed]

"""Acknowledgements (签收) between gateways: one that comes back from above, and those that go back to whoever sent us a report.

A channel whose settings have ``acknowledge_by`` names the transport by which its senders are told that a person here has their
report; its messages say in ``meta`` whom to tell (``acknowledge_to``) and the sender's own id of the message (``acknowledge``).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from gateway.core import render
from gateway.core.directory import sender_of
from gateway.core.model import Event, Incident
from gateway.i18n import _
from gateway.settings import Config
from gateway.store import KeyGone, Tx, deliveries, journal, messages

DUTY = "acknowledge"
ACKNOWLEDGES, BY, OFFICE = "X-Gateway-Acknowledges", "X-Gateway-Acknowledged-By", "X-Gateway-Acknowledged-Office"
"""Headers of a delivery that is an acknowledgement: the sender's id of the message, the person, the office."""


def by_receipt(tx: Tx, row: deliveries.DeliveryRow, number: str | None, by: str, now: datetime) -> None:
    """A person at the other end has ``row``: it and what was offered there before it is acknowledged. What was offered later
    asks for an acknowledgement of its own."""
    if row.incident is None:
        return
    changed = deliveries.acknowledge(tx, row.incident, row.destination, by, now, until=row.id)
    if not changed:
        return
    stopped = [one.id for one in changed if one.state == "stopped"]
    if stopped:
        queued: dict[str, Any] = {"destination": row.destination, "deliveries": stopped, "why": "acknowledged"}
        journal.emit(tx, Event(at=now, event="queued_stopped", incident=number, by=by, data=queued))
    data = {"destination": row.destination, "how": how(row), "verified": False, "deliveries": [one.id for one in changed]}
    journal.emit(tx, Event(at=now, event="acknowledged", incident=number, delivery=row.id, by=by, data=data))


def how(row: deliveries.DeliveryRow) -> str:
    """The means of such an acknowledgement, for the record."""
    return f"receipt, {row.transport}"


def tell_senders(tx: Tx, config: Config, incident: Incident, person: str, office: str, now: datetime) -> None:
    """Queue an acknowledgement for each message of ``incident`` whose sender waits for one and has had none."""
    back = {one.name: getattr(one.settings, "acknowledge_by", "") for one in config.channels}
    if not any(back.values()):
        return
    for row in messages.rows(tx, incident=incident.id, limit=1000):
        transport = back.get(row.via)
        if not transport or any(one.duty == DUTY for one in deliveries.rows(tx, message=row.id, limit=1000)):
            continue
        try:
            meta = messages.raw(tx, row.id).meta
        except KeyGone:
            continue
        if not meta.get("acknowledge") or not meta.get("acknowledge_to"):
            continue
        text = _("{number} was acknowledged by {person} ({office})")
        told = text.format(number=render.display_number(incident.number), person=person, office=office)
        queued = deliveries.DeliveryRow(
            id=tx.new_id(), incident=incident.id, message=row.id, destination=sender_of(row.id), duty=DUTY,
            transport=transport, address=meta["acknowledge_to"], created_at=now, next_try_at=now,
        )  # fmt: skip
        headers = {ACKNOWLEDGES: meta["acknowledge"], BY: person, OFFICE: office}
        deliveries.insert(tx, queued, deliveries.Content(subject=told, text=told, short_text=told, headers=headers))

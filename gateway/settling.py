"""What came of a try, or of a carrier's receipt, is written in one transaction: state, event, the next way, the alarm."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from msgspec import Struct

from gateway import alarms
from gateway.core.model import Event
from gateway.core.outcomes import Receipt, TryLater
from gateway.duty import acknowledging
from gateway.i18n import _
from gateway.store import Tx, deliveries, fallback, incidents, journal, maintenance, receipts
from gateway.trying import Backoff, Rules, Verdict, judge

log = logging.getLogger(__name__)


class Attempt(Struct, frozen=True, kw_only=True):
    """A delivery taken for one attempt; ``number`` is its incident's."""

    row: deliveries.DeliveryRow
    number: str | None


Acknowledged = Callable[[Tx, deliveries.DeliveryRow, str | None, str, datetime], None]
"""What follows when a person at the other end has a delivery: the delivery, its incident's number, who, when."""


def settle(
    tx: Tx,
    leased: Attempt,
    verdict: Verdict,
    now: datetime,
    via: str | None,
    backoff: Backoff,
    rules: Rules,
    acknowledged: Acknowledged = acknowledging.by_receipt,
) -> None:
    """Write what came of an attempt: the row's new state, the event, and the next way where one is due."""
    row = leased.row
    promised = receipts.promised(tx, via or row.transport, verdict.refs) if verdict.refs else None
    settled = deliveries.settle(
        tx,
        row.id,
        row.attempts,
        verdict.state,
        next_try_at=verdict.next_try_at,
        why=verdict.why or None,
        refs=verdict.refs,
        via=via,
        progress=verdict.progress or None,
        delivered_at=now if verdict.state == "delivered" else None,
    )
    if not settled:
        return
    data: dict[str, Any] = {"destination": row.destination, "transport": row.transport, "attempt": row.attempts}
    if verdict.state == "delivered":
        emit(tx, "delivered", leased, now, data)
        # Its receipt may have come before our own note of the yes, and said no.
        if verdict.refs and (after := deliveries.get(tx, row.id)).state == "waiting":
            receipt_failed(tx, after, leased.number, now, backoff, rules)
            return
        # Other ways are queued only beside one that failed before.
        tried_before = row.attempts > 1 or row.fallback_of is not None
        elsewhere = _("delivered another way")
        for stopped in fallback.stop_others(tx, row, elsewhere) if tried_before else ():
            stopped_data = {"destination": row.destination, "why": elsewhere}
            journal.emit(tx, Event(at=now, event="queued_stopped", incident=leased.number, delivery=stopped, data=stopped_data))
        if promised is not None:
            acknowledged(tx, row, leased.number, promised, now)
        return
    if verdict.turn:
        return
    final = {"final": True} if verdict.state == "refused" else {}
    emit(tx, "delivery_failed", leased, now, {**data, "why": verdict.why, **final})
    if verdict.fall_back:
        fallback.fall_back(tx, row, now)
    elif verdict.exhausted and not fallback.others_left(tx, row):
        alarm(tx, row, leased.number, now, _no_way(row.destination, verdict.why))


def _no_way(office: str, why: str) -> str:
    return _("no way left to {office}: {why}").format(office=office, why=why)


def alarm(tx: Tx, row: deliveries.DeliveryRow, number: str | None, now: datetime, why: str) -> None:
    """An alarm about one delivery, kept in the transaction that decided it."""
    named = {"destination": row.destination, "transport": row.transport}
    kept = alarms.covers(maintenance.standing(tx), "delivery", named, now)
    log.log(logging.INFO if kept else logging.ERROR, "delivery %s: %s", row.id, why)
    data = alarms.fields("delivery", why, kept=kept, **named)
    journal.emit(tx, Event(at=now, event="alarm", incident=number, delivery=row.id, data=data))


def emit(tx: Tx, name: str, leased: Attempt, now: datetime, data: dict[str, Any]) -> None:
    """An event about one delivery."""
    journal.emit(tx, Event(at=now, event=name, incident=leased.number, delivery=leased.row.id, data=data))


def take_receipt(
    tx: Tx,
    receipt: Receipt,
    now: datetime,
    backoff: Backoff,
    rules: Rules,
    acknowledged: Acknowledged = acknowledging.by_receipt,
) -> None:
    """A carrier's receipt: kept with its part; a failure is judged as any failed attempt is."""
    matched = receipts.take(tx, receipt, now)
    row = matched.delivery
    if not matched.new:
        return
    if row is None:
        parked = {"via": receipt.via, "ref": receipt.ref, "state": receipt.state, "parked": True}
        journal.emit(tx, Event(at=now, event="receipt", data=parked))
        return
    number = incidents.get(tx, row.incident).number if row.incident else None
    data = {"destination": row.destination, "transport": row.transport, "state": receipt.state}
    journal.emit(tx, Event(at=now, event="receipt", incident=number, delivery=row.id, data=data))
    if receipt.state == "acknowledged":
        acknowledged(tx, row, number, receipt.detail, now)
    if receipt.state == "failed" and row.state == "waiting":
        receipt_failed(tx, row, number, now, backoff, rules)


def receipt_failed(
    tx: Tx, row: deliveries.DeliveryRow, number: str | None, now: datetime, backoff: Backoff, rules: Rules
) -> None:
    """The carrier took it and could not bring it: it waits its backoff, the next way is tried beside it, and in the end
    it is given up as any other."""
    verdict = judge(TryLater(_("the carrier says that it could not be delivered")), row, now, backoff, rules)
    failed = {"destination": row.destination, "transport": row.transport, "attempt": row.attempts, "why": verdict.why}
    journal.emit(tx, Event(at=now, event="delivery_failed", incident=number, delivery=row.id, data=failed))
    if verdict.state == "refused":
        fallback.refuse(tx, row.id, verdict.why)
    else:
        fallback.postpone(tx, row.id, verdict.next_try_at or now)
    if row.ways:
        fallback.fall_back(tx, row, now)
    elif verdict.exhausted and not fallback.others_left(tx, row):
        alarm(tx, row, number, now, _no_way(row.destination, verdict.why))

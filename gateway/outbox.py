"""Drafts become rows of the queue, inside the transaction that decided them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.core import outgoing
from gateway.store import Tx, deliveries, messages


def put(tx: Tx, row: messages.MessageRow, incident: str | None, drafts: Sequence[outgoing.Draft], now: datetime) -> None:
    """Queue ``drafts``; each is a row before the transaction that decided it ends."""
    for draft in drafts:
        queued = deliveries.DeliveryRow(
            id=tx.new_id(),
            incident=incident,
            message=row.id,
            destination=draft.destination,
            duty=draft.duty,
            transport=draft.ways[0].transport,
            address=draft.ways[0].address,
            created_at=now,
            next_try_at=now,
            ways=draft.ways[1:],
            cleared=draft.cleared,
        )
        what = deliveries.Content(subject=draft.subject, text=draft.text, short_text=draft.short_text)
        deliveries.insert(tx, queued, what)

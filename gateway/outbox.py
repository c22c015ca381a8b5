"""Drafts become rows of the queue, inside the transaction that decided them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from gateway.core import outgoing
from gateway.duty import links
from gateway.house import House
from gateway.store import Tx, deliveries, precedence


def put(tx: Tx, house: House, message: str | None, incident: str | None, drafts: Sequence[outgoing.Draft], now: datetime) -> None:
    """Queue ``drafts``; each is a row before the transaction that decided it ends. ``message`` is what they answer to."""
    if not drafts:
        return
    first = precedence.of(tx, message, incident)
    made: list[tuple[deliveries.DeliveryRow, deliveries.Content]] = []
    for draft in drafts:
        queued = deliveries.DeliveryRow(
            id=tx.new_id(),
            incident=incident,
            message=message,
            destination=draft.destination,
            duty=draft.duty,
            transport=draft.ways[0].transport,
            address=draft.ways[0].address,
            created_at=now,
            next_try_at=now,
            ways=draft.ways[1:],
            cleared=draft.cleared,
            precedence=first,
        )
        link = links.made(tx.keys, house.config.links, queued)
        what = deliveries.Content(
            subject=draft.subject,
            text=outgoing.linked(draft.text, link),
            short_text=outgoing.linked(draft.short_text, link),
            headers=draft.headers,
            paper=draft.paper,
        )
        made.append((queued, what))
    deliveries.insert_all(tx, made)

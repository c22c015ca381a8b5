"""The next way to the same office: a delivery of its own that keeps the place in the queue of the one it stands in for."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa

from gateway.core import lifecycle
from gateway.store import deliveries
from gateway.store.delivery_rows import DeliveryRow
from gateway.store.ids import micros
from gateway.store.tables import deliveries as table
from gateway.store.tx import Tx


def fall_back(tx: Tx, row: DeliveryRow, now: datetime) -> DeliveryRow | None:
    """Queue the next way of ``row`` beside it; None where no way is left. Done twice it queues nothing more."""
    fresh = deliveries.get(tx, row.id)
    if not fresh.ways:
        return None
    way, left = fresh.ways[0], fresh.ways[1:]
    # The ways move on to the new delivery, so that the old one cannot hand out the same way again.
    tx.run(sa.update(table).where(table.c.id == row.id).values(ways="[]"))
    queued = DeliveryRow(
        id=tx.new_id(),
        incident=fresh.incident,
        message=fresh.message,
        destination=fresh.destination,
        duty=fresh.duty,
        transport=way.transport,
        address=way.address,
        created_at=now,
        next_try_at=now,
        fallback_of=row.id,
        ways=left,
        cleared=fresh.cleared,
        precedence=fresh.precedence,
    )
    deliveries.insert(tx, queued, deliveries.content(tx, row.id))
    return queued


def postpone(tx: Tx, delivery: str, until: datetime) -> None:
    """A delivery whose receipt said no waits for its next try; it begins with the first part again."""
    waiting = sa.update(table).where(table.c.id == delivery, table.c.state == "waiting")
    tx.run(waiting.values(next_try_at=micros(until), progress=None))


def refuse(tx: Tx, delivery: str, why: str) -> bool:
    """No further try by this way; False where it does not wait."""
    waiting = sa.update(table).where(table.c.id == delivery, table.c.state.in_(("waiting", "sending")))
    return tx.run(waiting.values(state="refused", why=why, lease_owner=None, lease_until=None)) > 0


def others_left(tx: Tx, row: DeliveryRow) -> bool:
    """True while another way to the same office is still being tried."""
    place = sa.select(table.c.position).where(table.c.id == row.id).scalar_subquery()
    asked = sa.select(table.c.id).where(table.c.position == place, table.c.id != row.id)
    return tx.scalar(asked.where(table.c.state.in_(("waiting", "sending", "delivered", "acknowledged")))) is not None


def stop_others(tx: Tx, row: DeliveryRow, why: str) -> list[str]:
    """One way got through: what is queued for the same office by the other ways is stopped."""
    place = sa.select(table.c.position).where(table.c.id == row.id).scalar_subquery()
    asked = sa.select(table.c.id).where(table.c.position == place, table.c.id != row.id, table.c.state == "waiting")
    found = [one.id for one in tx.all(asked)]
    if found:
        stopped = lifecycle.step(lifecycle.DELIVERIES, "waiting", "stop")
        tx.run(sa.update(table).where(table.c.id.in_(found), table.c.state == "waiting").values(state=stopped, why=why))
    return found

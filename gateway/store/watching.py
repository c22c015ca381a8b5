"""What the watchdog asks of the store: what stands still in a queue, and which alarms were committed since it last looked.

Short reads on indexes; nothing here opens a text.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core.watch import Heap
from gateway.store import journal
from gateway.store.deliveries import HELD_UP
from gateway.store.ids import instant, micros
from gateway.store.tables import deliveries, events, incidents, matters, messages, part_groups
from gateway.store.tx import Tx

OPEN = ("open", "followed_up")
MOST = 20
"""Incidents named at one look."""
OVERDUE = timedelta(minutes=5)
"""A step that was due so long ago and was not carried out is none."""
SLACK = 10_000
"""So many ids before the place are looked at again on PostgreSQL: an id is given before its transaction commits."""


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """How far the journal was read. ``txid`` is the first transaction that was not yet over (0 on SQLite, where the order of ids
    is that of the commits)."""

    id: int
    txid: int = 0


def lost_leases(tx: Tx, before: datetime) -> list[Heap]:
    """Deliveries that are being sent though their lease ran out before then, by transport."""
    since = deliveries.c.lease_until
    return _heaps(tx, deliveries.c.transport, deliveries.c.id, since, deliveries.c.state == "sending", since < micros(before))


def late_tries(tx: Tx, before: datetime) -> list[Heap]:
    """Deliveries whose next try was due before then and that wait for no other, by transport."""
    since = deliveries.c.next_try_at
    return _heaps(
        tx, deliveries.c.transport, deliveries.c.id, since, deliveries.c.state == "waiting", since < micros(before), ~HELD_UP
    )


def undelivered(tx: Tx, before: datetime) -> list[Heap]:
    """Deliveries that were queued before then and are on their way still, by transport."""
    since = deliveries.c.created_at
    on_its_way = deliveries.c.state.in_(("waiting", "sending"))
    return _heaps(tx, deliveries.c.transport, deliveries.c.id, since, on_its_way, since < micros(before))


def unread(tx: Tx, before: datetime) -> list[Heap]:
    """Messages that were accepted before then and that no lane has taken, by channel."""
    since = messages.c.accepted_at
    return _heaps(tx, messages.c.via, messages.c.id, since, messages.c.state == "accepted", since < micros(before))


def unreleased(tx: Tx, before: datetime) -> list[Heap]:
    """Long messages that got their last part before then and were not released, by channel."""
    since = part_groups.c.last_at
    waits = (part_groups.c.state.in_(("open", "partial")), part_groups.c.have > part_groups.c.released)
    return _heaps(tx, part_groups.c.via, part_groups.c.id, since, *waits, since < micros(before))


def unsealed_since(tx: Tx) -> datetime | None:
    """The instant of the first event that has no place in the audit log yet."""
    found = tx.scalar(sa.select(events.c.at).where(events.c.seq.is_(None)).order_by(events.c.id).limit(1))
    return None if found is None else instant(found)


def idle_incidents(tx: Tx, now: datetime) -> list[str]:
    """The numbers of open incidents for which nothing is to come, or should have come ``OVERDUE`` ago and did not; the oldest
    ``MOST`` of them."""
    coming = sa.select(matters.c.incident).where(
        matters.c.incident == incidents.c.id, matters.c.next_at >= micros(now - OVERDUE)
    )  # fmt: skip
    asked = sa.select(incidents.c.number).where(incidents.c.state.in_(OPEN), ~coming.exists())
    return [row.number for row in tx.all(asked.order_by(incidents.c.id).limit(MOST))]


def end(tx: Tx) -> Place:
    """The end of the journal as far as it is committed: nothing before it will be read."""
    last = int(tx.scalar(sa.select(sa.func.max(events.c.id))) or 0)
    if not tx.postgres:
        return Place(id=last)
    oldest = tx.scalar(sa.text("SELECT pg_snapshot_xmin(pg_current_snapshot())::text"))
    return Place(id=last, txid=int(oldest))


def alarms(tx: Tx, place: Place) -> tuple[list[journal.Entry], Place]:
    """Every alarm committed behind ``place``, none twice and none left out, and the place to go on from."""
    tx.flush()
    after = end(tx)
    asked = sa.select(events).where(events.c.event == "alarm")
    if tx.postgres:
        # Every transaction before the oldest running one is over, so this range will never grow again.
        asked = asked.where(events.c.txid >= place.txid, events.c.txid < after.txid, events.c.id > place.id - SLACK)
    else:
        asked = asked.where(events.c.id > place.id)
    return [journal.entry(row) for row in tx.all(asked.order_by(events.c.id))], after


def _heaps(tx: Tx, name: Any, id_: Any, since: Any, *conditions: Any) -> list[Heap]:
    """What meets the conditions, by ``name``: how many, the first id, and the earliest instant."""
    asked = sa.select(name, sa.func.count(), sa.func.min(id_), sa.func.min(since)).where(*conditions)
    asked = asked.group_by(name).order_by(name)
    return [Heap(name=row[0], count=row[1], oldest=row[2], since=instant(row[3])) for row in tx.all(asked)]

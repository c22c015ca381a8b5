"""What the metrics ask of the store: how long the queues are and what was written to the journal since the last look.

Short reads on indexes; nothing here opens a text.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core.model import Occurred
from gateway.store.ids import instant, micros
from gateway.store.tables import deliveries, events, incident_messages, incidents, messages
from gateway.store.tx import Tx

CLOCKED = ("open", "followed_up")
"""States of incidents whose clocks run."""
_MOST = 500
_decode = msgspec.json.Decoder().decode


class Depths(msgspec.Struct, frozen=True, kw_only=True):
    """Rows by state, and since when the oldest of each queue has been there (None: it is empty)."""

    messages: Mapping[str, int]
    deliveries: Mapping[str, int]
    incidents: Mapping[str, int]
    unsealed: int
    oldest: Mapping[str, datetime | None]


class Noted(msgspec.Struct, frozen=True):
    """One journal event, as far as counting needs it."""

    id: int
    event: str
    data: Mapping[str, Any]


class _Report(msgspec.Struct):
    occurred: Occurred | None = None


class _Facts(msgspec.Struct):
    """The part of an incident's facts that clocks need."""

    items: tuple[str, ...] = ()
    review: tuple[Any, ...] = ()
    report: _Report = msgspec.field(default_factory=_Report)


class Clocked(msgspec.Struct, frozen=True, kw_only=True):
    """An incident whose clocks run: when it happened, and when and by which channel it was told of."""

    occurred: Occurred | None
    first_received_at: datetime
    received: Sequence[tuple[datetime, str]]


_facts = msgspec.json.Decoder(_Facts).decode


def depths(tx: Tx) -> Depths:
    """The queues as they stand."""
    waiting = sa.select(sa.func.min(messages.c.accepted_at)).where(messages.c.state == "accepted")
    sending = sa.select(sa.func.min(deliveries.c.created_at)).where(deliveries.c.state.in_(("waiting", "sending")))
    unsealed = tx.one(sa.select(sa.func.count(), sa.func.min(events.c.at)).where(events.c.seq.is_(None)))
    assert unsealed is not None
    oldest = {"desk": tx.scalar(waiting), "dispatch": tx.scalar(sending), "seal": unsealed[1]}
    return Depths(
        messages=_by_state(tx, messages),
        deliveries=_by_state(tx, deliveries),
        incidents=_by_state(tx, incidents),
        unsealed=unsealed[0],
        oldest={name: None if at is None else instant(at) for name, at in oldest.items()},
    )


def _by_state(tx: Tx, table: sa.Table) -> dict[str, int]:
    asked = sa.select(table.c.state, sa.func.count()).group_by(table.c.state)
    return {row[0]: row[1] for row in tx.all(asked)}


def end_of_journal(tx: Tx) -> int:
    """The id of the newest event, 0 in an empty journal."""
    return int(tx.scalar(sa.select(sa.func.max(events.c.id))) or 0)


def noted(tx: Tx, after: int, names: Sequence[str], limit: int) -> tuple[list[Noted], int]:
    """The events of these names behind id ``after``, and the id to go on from (``limit`` events of any name are looked at)."""
    asked = sa.select(events.c.id, events.c.event, events.c.data).where(events.c.id > after).order_by(events.c.id).limit(limit)
    if tx.postgres:
        # Ids are given before commit: what an open transaction may still put between is left for the next look.
        asked = asked.where(events.c.txid < sa.text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))
    rows = tx.all(asked)
    found = [Noted(row.id, row.event, _decode(row.data)) for row in rows if row.event in names]
    return found, rows[-1].id if rows else after


def clocked(tx: Tx, now: datetime, within: timedelta) -> list[Clocked]:
    """The newest incidents whose clocks run, with a report ``within`` this time; 500 at most."""
    asked = (
        sa.select(incidents.c.id, incidents.c.facts, incidents.c.first_received_at)
        .where(incidents.c.state.in_(CLOCKED), incidents.c.last_report_at >= micros(now - within))
        .order_by(incidents.c.last_report_at.desc())
        .limit(_MOST)
    )
    rows = tx.all(asked)
    told: dict[str, list[tuple[datetime, str]]] = {row.id: [] for row in rows}
    links = (
        sa.select(incident_messages.c.incident, messages.c.received_at, messages.c.channel)
        .join(messages, messages.c.id == incident_messages.c.message)
        .where(incident_messages.c.incident.in_(list(told)))
    )
    for link in tx.all(links) if told else ():
        told[link.incident].append((instant(link.received_at), link.channel))
    found = []
    for row in rows:
        facts = _facts(row.facts)
        if facts.items or facts.review:
            first = instant(row.first_received_at)
            found.append(Clocked(occurred=facts.report.occurred, first_received_at=first, received=told[row.id]))
    return found

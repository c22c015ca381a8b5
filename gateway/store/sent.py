"""Which reports came in from whom in a period, for what units owe. One read; no text is opened."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from gateway.core.model import Occurred
from gateway.core.obligations import Sort
from gateway.store.ids import encode, instant, micros
from gateway.store.tables import incidents, messages
from gateway.store.tx import Tx

READ = ("read", "needs_person")
"""States of messages that are reports; what was ignored, a copy or sealed away is none."""
_EARLY = timedelta(days=1)
"""A message is accepted after it came in, or before by no more than two clocks may differ."""
_CHANCE = 80


class _Report(msgspec.Struct):
    occurred: Occurred | None = None


class _Facts(msgspec.Struct):
    report: _Report = msgspec.field(default_factory=_Report)


class Came(msgspec.Struct, frozen=True, kw_only=True):
    """One report: whose number or address it came from, when, what became of it, and when the event was."""

    sender: str
    at: datetime
    sort: Sort
    occurred: Occurred | None


_facts = msgspec.json.Decoder(_Facts).decode


def came(tx: Tx, start: datetime, end: datetime) -> Iterator[Came]:
    """Every report received in [start, end), in order."""
    columns = (messages.c.sender, messages.c.received_at, messages.c.state.label("read"), incidents.c.state, incidents.c.facts)
    asked = (
        sa.select(*columns, incidents.c.first_received_at)
        .join(incidents, incidents.c.id == messages.c.incident)
        .where(
            messages.c.id >= encode(max(0, micros(start - _EARLY) // 1000) << _CHANCE),
            messages.c.received_at >= micros(start),
            messages.c.received_at < micros(end),
            messages.c.state.in_(READ),
        )
        .order_by(messages.c.received_at)
    )
    for row in tx.all(asked):
        first = row.received_at == row.first_received_at
        yield Came(
            sender=row.sender,
            at=instant(row.received_at),
            sort=_sort(row.read, row.state, first=first),
            occurred=_facts(row.facts).report.occurred,
        )


def unread_before(tx: Tx, end: datetime) -> bool:
    """Whether a message that was received before ``end`` still waits to be read: until then nobody can say what was not sent."""
    asked = sa.select(messages.c.id).where(messages.c.state == "accepted", messages.c.received_at < micros(end)).limit(1)
    return tx.scalar(asked) is not None


def _sort(read: str, state: str, *, first: bool) -> Sort:
    if state == "drill":
        return "drill"
    if state == "below_threshold":
        return "below_threshold"
    if read == "needs_person":
        return "needs_person"
    return "registered" if first else "follow_up"

"""Maintenance windows: rows, so that they survive a restart and end by themselves."""

from __future__ import annotations

from datetime import datetime

import sqlalchemy as sa
from msgspec import Struct

from gateway.store.ids import instant, micros
from gateway.store.tables import events, maintenance
from gateway.store.tx import AnyRow, Tx, clean


class Window(Struct, frozen=True, kw_only=True):
    """One maintenance: [start, until), of one channel or transport or (None) of all. ``after`` is the journal's last entry
    before it began."""

    id: str
    start: datetime
    until: datetime
    channel: str | None
    why: str
    by: str
    after: int
    ended_by: str | None = None


def begin(tx: Tx, *, start: datetime, until: datetime, channel: str | None, why: str, by: str) -> Window:
    """Enter a window."""
    tx.flush()
    last = int(tx.scalar(sa.select(sa.func.max(events.c.id))) or 0)
    made = Window(id=tx.new_id(), start=start, until=until, channel=channel, why=clean(why), by=clean(by), after=last)
    row = {"id": made.id, "start_at": micros(start), "until_at": micros(until), "channel": channel}
    tx.insert(maintenance, {**row, "why": made.why, "by": made.by, "after": last})
    return made


def standing(tx: Tx) -> tuple[Window, ...]:
    """The windows that have not been settled, also those whose time is over."""
    asked = sa.select(maintenance).where(maintenance.c.ended_at.is_(None)).order_by(maintenance.c.id)
    return tuple(_window(row) for row in tx.all(asked))


def cut(tx: Tx, window: str, at: datetime, by: str) -> None:
    """End a window before its time."""
    tx.run(sa.update(maintenance).where(maintenance.c.id == window).values(until_at=micros(at), ended_by=clean(by)))


def settle(tx: Tx, window: str, at: datetime) -> bool:
    """Note that what a window had kept was looked through; False where that was noted before."""
    statement = sa.update(maintenance).where(maintenance.c.id == window, maintenance.c.ended_at.is_(None))
    return bool(tx.run(statement.values(ended_at=micros(at))))


def _window(row: AnyRow) -> Window:
    return Window(
        id=row.id,
        start=instant(row.start_at),
        until=instant(row.until_at),
        channel=row.channel,
        why=row.why,
        by=row.by,
        after=row.after,
        ended_by=row.ended_by,
    )

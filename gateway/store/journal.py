"""The journal: events, written in the transaction that changes the state they tell of, sealed later by the audit room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core import events as vocabulary
from gateway.core.model import Event
from gateway.store.ids import instant, micros
from gateway.store.tables import events, meta
from gateway.store.tx import AnyRow, Tx, clean_or_none

_MINUTE = timedelta(minutes=1)
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A journal event with its place: ``id`` in the journal, ``seq`` in the audit log (None until it is sealed).
    ``public`` is the part of its data that the audit log shows."""

    id: int
    event: Event
    public: dict[str, Any]
    seq: int | None = None
    prev: str | None = None
    hash: str | None = None


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """What the sealer gives to an event."""

    id: int
    seq: int
    prev: str
    hash: str


def emit(tx: Tx, event: Event) -> None:
    """Write an event at the end of the present function. Raises ``NotInVocabulary`` for an event or field that
    core/events.py does not know; telephone numbers are masked there."""
    checked = vocabulary.check(event)
    offset = checked.at.utcoffset() or timedelta(0)
    shown = vocabulary.public(checked)
    withheld = {name: value for name, value in checked.data.items() if name not in shown}
    tx.events.append(
        {
            "at": micros(checked.at),
            "offset_minutes": offset // _MINUTE,
            "event": checked.event,
            "incident": checked.incident,
            "message": checked.message,
            "delivery": checked.delivery,
            "by": clean_or_none(checked.by),
            "data": _encode(shown).decode(),
            "withheld": _encode(withheld).decode() if withheld else None,
        }
    )


def entries(
    tx: Tx,
    *,
    incident: str | None = None,
    message: str | None = None,
    after: int | None = None,
    names: Iterable[str] | None = None,
    limit: int = 1000,
) -> list[Entry]:
    """Events in the order in which they were written; ``after`` is an entry's id to go on from."""
    tx.flush()
    asked = sa.select(events).order_by(events.c.id).limit(limit)
    if incident is not None:
        asked = asked.where(events.c.incident == incident)
    if message is not None:
        asked = asked.where(events.c.message == message)
    if after is not None:
        asked = asked.where(events.c.id > after)
    if names is not None:
        asked = asked.where(events.c.event.in_(list(names)))
    return [_entry(row) for row in tx.all(asked)]


def unsealed(tx: Tx, limit: int = 1000) -> list[Entry]:
    """Committed events without a seal, in an order in which no later one can come before.

    On PostgreSQL ids are given before commit, so only transactions below every running one are read.
    """
    asked = sa.select(events).where(events.c.seq.is_(None)).order_by(events.c.id).limit(limit)
    if tx.postgres:
        asked = asked.where(events.c.txid < sa.text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint"))
    return [_entry(row) for row in tx.all(asked)]


def mark_sealed(tx: Tx, sealed: Sequence[Sealed]) -> None:
    """Give events their places in the chain."""
    if sealed:
        statement = sa.update(events).where(events.c.id == sa.bindparam("row"), events.c.seq.is_(None))
        statement = statement.values(seq=sa.bindparam("s"), prev=sa.bindparam("p"), hash=sa.bindparam("h"))
        tx.run(statement, [{"row": one.id, "s": one.seq, "p": one.prev, "h": one.hash} for one in sealed])


def lock_chain(tx: Tx) -> None:
    """Let one sealer at a time give places; to be called before ``last_sealed``."""
    tx.put(meta, {"key": "sealer", "value": "1"}, key=("key",))


def last_sealed(tx: Tx) -> Entry | None:
    """The end of the chain, None where nothing was sealed."""
    found = tx.one(sa.select(events).where(events.c.seq.is_not(None)).order_by(events.c.seq.desc()).limit(1))
    return None if found is None else _entry(found)


def sealed_after(tx: Tx, seq: int, limit: int = 1000) -> list[Entry]:
    """Sealed events behind ``seq`` in the order of the chain."""
    asked = sa.select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    return [_entry(row) for row in tx.all(asked)]


def sealed_at(tx: Tx, seq: int) -> Entry | None:
    """The event of that place in the chain."""
    found = tx.one(sa.select(events).where(events.c.seq == seq))
    return None if found is None else _entry(found)


def written(tx: Tx, log: str) -> int:
    """How far the audit log of that name was written and synced, as far as was noted; 0 for a new one."""
    return int(tx.scalar(sa.select(meta.c.value).where(meta.c.key == _log(log))) or 0)


def note_written(tx: Tx, log: str, seq: int) -> None:
    """Note how far an audit log was written."""
    tx.put(meta, {"key": _log(log), "value": str(seq)}, key=("key",))


def _log(name: str) -> str:
    return f"log:{name}"[:64]


def _entry(row: AnyRow) -> Entry:
    shown = _decode(row.data)
    at: datetime = instant(row.at).astimezone(timezone(timedelta(minutes=row.offset_minutes)))
    event = Event(
        at=at,
        event=row.event,
        incident=row.incident,
        message=row.message,
        delivery=row.delivery,
        by=row.by,
        data=shown | _decode(row.withheld) if row.withheld else shown,
    )
    return Entry(id=row.id, event=event, public=shown, seq=row.seq, prev=row.prev, hash=row.hash)

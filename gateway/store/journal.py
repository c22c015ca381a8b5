"""The journal: events, written in the transaction that changes the state they tell of, sealed later by the audit room."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core import events as vocabulary
from gateway.core.model import Event
from gateway.store.ids import instant, micros
from gateway.store.prepared import Prepared
from gateway.store.tables import events, meta
from gateway.store.tx import AnyRow, Tx, clean_or_none

_MINUTE = timedelta(minutes=1)
_EARLY = timedelta(hours=1)
_encode = msgspec.json.Encoder(order="sorted").encode
_decode = msgspec.json.Decoder().decode

_UNSEALED_ROWS = sa.select(events).where(events.c.seq.is_(None)).order_by(events.c.id).limit(sa.bindparam("most"))
_UNSEALED = Prepared(_UNSEALED_ROWS)
_UNSEALED_PG = Prepared(_UNSEALED_ROWS.where(events.c.txid < sa.text("pg_snapshot_xmin(pg_current_snapshot())::text::bigint")))
_MARK = Prepared(
    sa.update(events)
    .where(events.c.id == sa.bindparam("row"), events.c.seq.is_(None))
    .values(seq=sa.bindparam("s"), prev=sa.bindparam("p"), hash=sa.bindparam("h"))
)
_LAST_SEALED = Prepared(sa.select(events).where(events.c.seq.is_not(None)).order_by(events.c.seq.desc()).limit(1))
_SEALED_AFTER = Prepared(
    sa.select(events).where(events.c.seq > sa.bindparam("place")).order_by(events.c.seq).limit(sa.bindparam("most"))
)
_SEALED_AT = Prepared(sa.select(events).where(events.c.seq == sa.bindparam("place")))


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
    """Write an event at the end of the present function. Raises as ``line`` does."""
    tx.events.append(line(event))


def line(event: Event) -> dict[str, Any]:
    """An event as it lies in the journal, for ``Tx.events``. Raises ``NotInVocabulary`` for an event or field that
    core/events.py does not know; telephone numbers are masked there."""
    checked = vocabulary.check(event)
    offset = checked.at.utcoffset() or timedelta(0)
    shown, withheld = vocabulary.parted(checked)
    return {
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
    given = {"incident": incident, "message": message, "after": after}
    given = {name: value for name, value in given.items() if value is not None}
    asked: Any = _listed(*given)
    if names is not None:
        asked = asked.statement.where(events.c.event.in_(list(names)))
    return [entry(row) for row in tx.all(asked, {**given, "most": limit})]


@cache
def _listed(*named: str) -> Prepared:
    there = [events.c[name] == sa.bindparam(name) for name in named if name != "after"]
    if "after" in named:
        there.append(events.c.id > sa.bindparam("after"))
    return Prepared(sa.select(events).where(*there).order_by(events.c.id).limit(sa.bindparam("most")))


def forget(tx: Tx, until: int) -> None:
    """Delete what was written up to that entry: in a simulation, where it was handed on and nobody will ask for it."""
    tx.run(_FORGET, {"until": until})


_FORGET = Prepared(sa.delete(events).where(events.c.id <= sa.bindparam("until")))


def end(tx: Tx) -> int:
    """The id of the last entry; 0 where there is none."""
    tx.flush()
    return int(tx.scalar(sa.select(sa.func.max(events.c.id))) or 0)


def latest(tx: Tx, limit: int, before: int | None = None, names: Iterable[str] | None = None) -> list[Entry]:
    """The newest entries first, of these ``names`` or of all; ``before`` is an entry's id to go on from."""
    tx.flush()
    asked = sa.select(events).order_by(events.c.id.desc()).limit(limit)
    if before is not None:
        asked = asked.where(events.c.id < before)
    if names is not None:
        asked = asked.where(events.c.event.in_(list(names)))
    return [entry(row) for row in tx.all(asked)]


def since(tx: Tx, at: datetime, *, names: Iterable[str], limit: int = 1000) -> list[Entry]:
    """The events of these ``names`` from ``at`` on, in the order in which they were written."""
    asked = sa.select(events).where(events.c.id > begin_of(tx, at), events.c.at >= micros(at), events.c.event.in_(list(names)))
    return [entry(row) for row in tx.all(asked.order_by(events.c.id).limit(limit))]


def begin_of(tx: Tx, at: datetime) -> int:
    """The id of an entry behind which everything stands that happened from ``at`` on.

    The time is in no index, the order is: the place is found by halving, an hour early, for clocks are set back.
    """
    low, high, early = 0, end(tx), micros(at - _EARLY)
    while low < high:
        middle = (low + high) // 2
        found = tx.scalar(sa.select(events.c.at).where(events.c.id > middle).order_by(events.c.id).limit(1))
        if found is not None and found < early:
            low = middle + 1
        else:
            high = middle
    return low


def unsealed(tx: Tx, limit: int = 1000) -> list[Entry]:
    """Committed events without a seal, in an order in which no later one can come before.

    On PostgreSQL ids are given before commit, so only transactions below every running one are read.
    """
    return [entry(row) for row in tx.all(_UNSEALED_PG if tx.postgres else _UNSEALED, {"most": limit})]


def mark_sealed(tx: Tx, sealed: Sequence[Sealed]) -> None:
    """Give events their places in the chain."""
    if sealed:
        tx.run(_MARK, [{"row": one.id, "s": one.seq, "p": one.prev, "h": one.hash} for one in sealed])


def lock_chain(tx: Tx) -> None:
    """Let one sealer at a time give places; to be called before ``last_sealed``."""
    tx.put(meta, {"key": "sealer", "value": "1"}, key=("key",))


def last_sealed(tx: Tx) -> Entry | None:
    """The end of the chain, None where nothing was sealed."""
    found = tx.one(_LAST_SEALED)
    return None if found is None else entry(found)


def sealed_after(tx: Tx, seq: int, limit: int = 1000) -> list[Entry]:
    """Sealed events behind ``seq`` in the order of the chain."""
    return [entry(row) for row in tx.all(_SEALED_AFTER, {"place": seq, "most": limit})]


def sealed_at(tx: Tx, seq: int) -> Entry | None:
    """The event of that place in the chain."""
    found = tx.one(_SEALED_AT, {"place": seq})
    return None if found is None else entry(found)


def written(tx: Tx, log: str) -> int:
    """How far the audit log of that name was written and synced, as far as was noted; 0 for a new one."""
    return int(tx.scalar(sa.select(meta.c.value).where(meta.c.key == _log(log))) or 0)


def note_written(tx: Tx, log: str, seq: int) -> None:
    """Note how far an audit log was written."""
    tx.put(meta, {"key": _log(log), "value": str(seq)}, key=("key",))


@cache
def _zone(minutes: int) -> timezone:
    return timezone(timedelta(minutes=minutes))


def _log(name: str) -> str:
    return f"log:{name}"[:64]


def entry(row: AnyRow) -> Entry:
    """A row of the table of events."""
    shown = _decode(row.data)
    event = Event(
        at=instant(row.at).astimezone(_zone(row.offset_minutes)),
        event=row.event,
        incident=row.incident,
        message=row.message,
        delivery=row.delivery,
        by=row.by,
        data=shown | _decode(row.withheld) if row.withheld else shown,
    )
    return Entry(id=row.id, event=event, public=shown, seq=row.seq, prev=row.prev, hash=row.hash)

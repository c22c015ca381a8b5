"""What is still to be done about each incident: one row, and one index that says which is next."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from gateway.core.duty.matter import Matter
from gateway.store.errors import Stale
from gateway.store.ids import instant, micros, micros_or_none
from gateway.store.prepared import Prepared
from gateway.store.tables import incidents, matters
from gateway.store.tx import Tx

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Matter).decode
_OPEN = ("open", "followed_up")
_MATTER = "matter"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A matter as it was read."""

    incident: str
    matter: Matter
    revision: int


_AS_READ = (matters.c.incident == sa.bindparam("of"), matters.c.revision == sa.bindparam("read"))
_GET = Prepared(sa.select(matters.c.state, matters.c.revision).where(matters.c.incident == sa.bindparam("of")))
_PUT = Prepared(
    sa.update(matters)
    .where(*_AS_READ)
    .values(revision=sa.bindparam("written"), next_at=sa.bindparam("at"), state=sa.bindparam("now"))
)
_NOTE_NEXT = Prepared(sa.update(matters).where(*_AS_READ).values(next_at=sa.bindparam("at")))
DUE = Prepared(
    sa.select(matters.c.incident)
    .where(matters.c.next_at <= sa.bindparam("by"))
    .order_by(matters.c.next_at)
    .limit(sa.bindparam("most"))
)
"""What a tick asks: one index, one range of it."""
NEXT_ACT = sa.select(sa.func.min(matters.c.next_at)).where(matters.c.next_at.is_not(None))
NEXT = Prepared(NEXT_ACT)
"""When the next tick is."""


def get(tx: Tx, incident: str) -> Kept | None:
    """The matter of an incident; None where it has none (below the threshold, a drill)."""
    row = tx.one(_GET, {"of": incident})
    if row is None:
        return None
    known = tx.cache.get((_MATTER, incident))
    if known is None or known[0] != row.state:
        known = tx.cache[_MATTER, incident] = row.state, _decode(row.state)
    return Kept(incident=incident, matter=known[1], revision=row.revision)


def put(tx: Tx, incident: str, matter: Matter, next_at: datetime | None, revision: int | None) -> None:
    """Keep a matter that was read at ``revision`` (None: it is new). Raises ``Stale`` where it has changed since."""
    at, state = micros_or_none(next_at), _encode(matter).decode()
    if revision is None:
        if not tx.insert_new(matters, {"incident": incident, "revision": 1, "next_at": at, "state": state}):
            raise Stale(incident)
        return
    changed = {"of": incident, "read": revision, "written": revision + 1, "at": at, "now": state}
    if tx.run(_PUT, changed) == 0:
        raise Stale(incident)


def due(tx: Tx, now: datetime, limit: int = 256) -> list[str]:
    """The incidents about which something is due, longest due first."""
    return [row.incident for row in tx.all(DUE, {"by": micros(now), "most": limit})]


def next_at(tx: Tx) -> datetime | None:
    """When the next thing is due at all."""
    found = tx.scalar(NEXT)
    return None if found is None else instant(found)


def open_ones(tx: Tx, after: str = "", limit: int = 500) -> list[str]:
    """Incidents with something still to be done, by id, to look at all of them."""
    asked = sa.select(matters.c.incident).where(matters.c.next_at.is_not(None), matters.c.incident > after)
    return [row.incident for row in tx.all(asked.order_by(matters.c.incident).limit(limit))]


def without_next_step(tx: Tx, limit: int = 100) -> list[str]:
    """Numbers of open incidents for which nothing is to come."""
    there = sa.select(matters.c.incident).where(matters.c.incident == incidents.c.id, matters.c.next_at.is_not(None)).exists()
    asked = sa.select(incidents.c.number).where(incidents.c.state.in_(_OPEN), ~there).order_by(incidents.c.id).limit(limit)
    return [row.number for row in tx.all(asked)]


def without_matter(tx: Tx, limit: int = 10_000) -> list[str]:
    """Numbers of open incidents that a version before kept without a row here."""
    there = sa.select(matters.c.incident).where(matters.c.incident == incidents.c.id).exists()
    asked = sa.select(incidents.c.number).where(incidents.c.state.in_(_OPEN), ~there).order_by(incidents.c.id).limit(limit)
    return [row.number for row in tx.all(asked)]


def postpone(tx: Tx, incident: str, until: datetime) -> None:
    """Look again later at one that could not be carried out."""
    tx.run(sa.update(matters).where(matters.c.incident == incident).values(next_at=micros(until)))


def note_next(tx: Tx, incident: str, at: datetime | None, revision: int) -> None:
    """When the next thing is due, where nothing else changed."""
    tx.run(_NOTE_NEXT, {"of": incident, "read": revision, "at": micros_or_none(at)})

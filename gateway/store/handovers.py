"""Sheets of shift hand-overs (交接班): a row with the two signatures, and what it says sealed in the vault."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.store import vault
from gateway.store.errors import NotFound
from gateway.store.ids import instant, instant_or_none, micros
from gateway.store.tables import handovers
from gateway.store.tx import AnyRow, Tx, clean

_NUMBER = re.compile(r"(?:(\d{4})-)?(\d{1,6})", re.ASCII)
_encode = msgspec.json.Encoder(order="sorted").encode


class HandoverRow(msgspec.Struct, frozen=True, kw_only=True):
    """A hand-over. ``digest`` is the SHA-256 of what was signed; ``to_person`` None: the second signature is missing."""

    id: str
    number: str
    office: str
    from_person: str
    from_at: datetime
    to_person: str | None
    to_at: datetime | None
    digest: str


def insert(tx: Tx, office: str, person: str, now: datetime, sheet: dict[str, Any]) -> HandoverRow:
    """Keep a sheet with its first signature, under the next number of the year."""
    whole = _encode(sheet)
    number = f"{now.year:04d}-{tx.count_up(f'handover:{now.year:04d}'):04d}"
    row = HandoverRow(
        id=tx.new_id(), number=number, office=office, from_person=clean(person), from_at=now, to_person=None, to_at=None,
        digest=hashlib.sha256(whole).hexdigest(),
    )  # fmt: skip
    tx.insert(handovers, {**msgspec.structs.asdict(row), "from_at": micros(now)})
    vault.put(tx, row.id, whole)
    return row


def rewrite(tx: Tx, row: HandoverRow, now: datetime, sheet: dict[str, Any]) -> HandoverRow:
    """Another sheet under the same number and first signature, while the second is missing."""
    whole = _encode(sheet)
    digest = hashlib.sha256(whole).hexdigest()
    open_ = sa.update(handovers).where(handovers.c.id == row.id, handovers.c.to_at.is_(None))
    tx.run(open_.values(from_at=micros(now), digest=digest))
    vault.replace(tx, row.id, whole)
    return msgspec.structs.replace(row, from_at=now, digest=digest)


def sign(tx: Tx, row: HandoverRow, person: str, now: datetime) -> HandoverRow:
    """The second signature: from now on nothing of it changes."""
    open_ = sa.update(handovers).where(handovers.c.id == row.id, handovers.c.to_at.is_(None))
    if tx.run(open_.values(to_person=clean(person), to_at=micros(now))) == 0:
        raise NotFound(row.number)
    return msgspec.structs.replace(row, to_person=person, to_at=now)


def sheet(tx: Tx, row: HandoverRow) -> dict[str, Any]:
    """What was signed. Raises ``NotFound``, ``KeyGone`` or ``Tampered``."""
    return msgspec.json.decode(vault.get(tx, row.id), type=dict[str, Any])


def get(tx: Tx, number: str, year: int) -> HandoverRow:
    """One by its number: 2026-0007, 0007 or 7 (of ``year``). Raises ``NotFound``."""
    found = _NUMBER.fullmatch(number.strip())
    if found is None:
        raise NotFound(number)
    wanted = f"{found[1] or f'{year:04d}'}-{int(found[2]):04d}"
    row = tx.one(sa.select(handovers).where(handovers.c.number == wanted))
    if row is None:
        raise NotFound(number)
    return _row(row)


def rows(tx: Tx, *, office: str | None = None, limit: int = 100) -> list[HandoverRow]:
    """The newest first."""
    asked = sa.select(handovers).order_by(handovers.c.id.desc()).limit(limit)
    if office is not None:
        asked = asked.where(handovers.c.office == office)
    return [_row(row) for row in tx.all(asked)]


def _row(found: AnyRow) -> HandoverRow:
    values = {name: getattr(found, name) for name in HandoverRow.__struct_fields__}
    return HandoverRow(**{**values, "from_at": instant(values["from_at"]), "to_at": instant_or_none(values["to_at"])})

"""Telephone forms that are not finished: whose and since when in the table of facts, what they say sealed in the vault."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from gateway.store import notes, vault
from gateway.store.errors import NotFound
from gateway.store.tables import meta
from gateway.store.tx import Tx

PREFIX = "console:draft:"
MOST = 20
"""Unfinished forms of one account; of more the oldest is forgotten."""


class Draft(Struct, frozen=True, kw_only=True):
    """An unfinished form. Its ``id`` becomes the id of the call."""

    id: str
    account: str
    made_at: datetime
    changed_at: datetime


def put(tx: Tx, id_: str, account: str, now: datetime, fields: dict[str, str]) -> Draft:
    """Keep a form as it is now. Raises ``NotFound`` where it is another account's."""
    before = get(tx, id_)
    if before is not None and before.account != account:
        raise NotFound(id_)
    kept = Draft(id=id_, account=account, made_at=before.made_at if before else now, changed_at=now)
    notes.put(tx, PREFIX + id_, kept)
    vault.replace(tx, id_, msgspec.json.encode(fields))
    mine = of(tx, account)
    drop(tx, [one.id for one in mine[MOST:]])
    return kept


def get(tx: Tx, id_: str) -> Draft | None:
    """The form of that id."""
    return notes.get(tx, (PREFIX + id_)[: notes.LONGEST], Draft)


def fields(tx: Tx, id_: str) -> dict[str, str]:
    """What a form says. Raises ``NotFound``, ``KeyGone`` or ``Tampered``."""
    return msgspec.json.decode(vault.get(tx, id_), type=dict[str, Any])


def of(tx: Tx, account: str) -> list[Draft]:
    """The forms of an account, the last changed first."""
    return [one for one in every(tx) if one.account == account]


def every(tx: Tx) -> list[Draft]:
    """All forms, the last changed first."""
    asked = sa.select(meta.c.value).where(meta.c.key.startswith(PREFIX, autoescape=True))
    found = [msgspec.json.decode(row.value, type=Draft) for row in tx.all(asked)]
    return sorted(found, key=lambda one: one.changed_at, reverse=True)


def drop(tx: Tx, ids: list[str]) -> None:
    """Forget forms, and what they say."""
    if ids:
        tx.run(sa.delete(meta).where(meta.c.key.in_([PREFIX + one for one in ids])))
        vault.drop(tx, ids)

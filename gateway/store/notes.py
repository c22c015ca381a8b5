"""Small things that a room must not forget over a restart: one JSON text each, under a name, in the table of facts."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import sqlalchemy as sa

from gateway.store.tables import meta
from gateway.store.tx import Tx

T = TypeVar("T")
LONGEST = 64
"""Characters of a note's name."""


def get(tx: Tx, name: str, kind: type[T]) -> T | None:
    """The note of that name; None where there is none. Raises ``msgspec.ValidationError`` for one of another kind."""
    found = tx.scalar(sa.select(meta.c.value).where(meta.c.key == name))
    return None if found is None else msgspec.json.decode(found, type=kind)


def put(tx: Tx, name: str, what: Any) -> None:
    """Write a note. Raises ValueError for a name that is too long."""
    if not 0 < len(name) <= LONGEST:
        raise ValueError(name)
    tx.put(meta, {"key": name, "value": msgspec.json.encode(what).decode()}, key=("key",))


def lock(tx: Tx, name: str) -> None:
    """Until this transaction ends nobody else may hold that lock: to be called before a note is read to be changed. On SQLite
    there is one writer anyway."""
    if tx.postgres:
        tx.put(meta, {"key": f"lock:{name}"[:LONGEST], "value": "1"}, key=("key",))

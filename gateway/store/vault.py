"""Sealed texts: each under a key of its own, which lies beside it wrapped with the store key."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import sqlalchemy as sa

from gateway.store.errors import KeyGone, NotFound
from gateway.store.keys import StoreKeys
from gateway.store.prepared import Prepared
from gateway.store.seal import new_key, seal, unseal
from gateway.store.tables import vault
from gateway.store.tx import Tx

_GET = Prepared(sa.select(vault.c.wrapped, vault.c.sealed).where(vault.c.id == sa.bindparam("row")))
_KEY = Prepared(sa.select(vault.c.wrapped).where(vault.c.id == sa.bindparam("row")))
_DROP = Prepared(sa.delete(vault).where(vault.c.id == sa.bindparam("row")))


def put(tx: Tx, row: str, plain: bytes) -> None:
    """Seal ``plain`` under a new key as the text of ``row``, which had none."""
    tx.insert(vault, sealed_row(tx.keys, row, plain))


def put_all(tx: Tx, plain: Mapping[str, bytes]) -> None:
    """As ``put``, for several rows."""
    tx.insert(vault, [sealed_row(tx.keys, row, text) for row, text in plain.items()])


def replace(tx: Tx, row: str, plain: bytes) -> None:
    """Seal ``plain`` under a new key in place of what ``row`` had."""
    tx.put(vault, sealed_row(tx.keys, row, plain))


def get(tx: Tx, row: str) -> bytes:
    """The text of ``row``. Raises ``NotFound``, ``KeyGone`` or ``Tampered``."""
    found = tx.one(_GET, {"row": row})
    if found is None:
        raise NotFound(row)
    if found.wrapped is None:
        raise KeyGone(row)
    return unseal(tx.keys.unwrap(bytes(found.wrapped), row), bytes(found.sealed), row)


def many(tx: Tx, rows: Iterable[str]) -> dict[str, bytes]:
    """The texts of several rows; those whose key is gone are left out."""
    found = tx.all(sa.select(vault).where(vault.c.id.in_(list(rows)), vault.c.wrapped.is_not(None)))
    return {row.id: unseal(tx.keys.unwrap(bytes(row.wrapped), row.id), bytes(row.sealed), row.id) for row in found}


def keys(tx: Tx, rows: Iterable[str]) -> dict[str, bytes]:
    """The keys of ``rows``, for sealing to the bureau; rows whose key is gone are left out."""
    wrapped = {row: tx.scalar(_KEY, {"row": row}) for row in rows}
    return {row: tx.keys.unwrap(bytes(key), row) for row, key in wrapped.items() if key is not None}


def sealed(tx: Tx, rows: Iterable[str]) -> dict[str, bytes]:
    """The sealed bytes of ``rows`` as they lie, for export."""
    found = tx.all(sa.select(vault.c.id, vault.c.sealed).where(vault.c.id.in_(list(rows))))
    return {row.id: bytes(row.sealed) for row in found}


def drop(tx: Tx, rows: Iterable[str]) -> None:
    """Delete the texts of ``rows`` for good, where nothing will ever ask for them: in a simulation."""
    tx.run(_DROP, [{"row": row} for row in rows])


def destroy(tx: Tx, rows: Iterable[str]) -> None:
    """Delete the store's copy of the keys of ``rows``: what they sealed cannot be opened here any more."""
    tx.run(sa.update(vault).where(vault.c.id.in_(list(rows))).values(wrapped=None))
    tx.touched.add("scrub")


def sealed_row(keys: StoreKeys, row: str, plain: bytes) -> dict[str, object]:
    """``plain`` sealed under a new key, as it lies in the table."""
    key = new_key()
    return {"id": row, "wrapped": keys.wrap(key, row), "sealed": seal(key, plain, row)}

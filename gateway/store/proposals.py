"""Changes of conf/ that wait for a second person: who proposed what and when in the table of facts, the new text sealed in the
vault."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from gateway.store import notes, vault
from gateway.store.tables import meta
from gateway.store.tx import Tx

PREFIX = "console:change:"
MOST = 50
"""Changes that may wait at once."""


class Proposal(Struct, frozen=True, kw_only=True):
    """A change that waits. ``base`` is the digest of the file it was made from; ``why`` its reason."""

    id: str
    file: str
    base: str
    ref: str
    account: str
    person: str
    made_at: datetime
    added: int
    removed: int
    why: str
    how: str = "edit"


def put(tx: Tx, one: Proposal, text: bytes) -> None:
    """Keep a change."""
    notes.put(tx, PREFIX + one.id, one)
    vault.replace(tx, one.id, text)


def get(tx: Tx, id_: str) -> Proposal | None:
    """The change of that id."""
    return notes.get(tx, (PREFIX + id_)[: notes.LONGEST], Proposal)


def text(tx: Tx, id_: str) -> bytes:
    """The file as it would be. Raises ``NotFound``, ``KeyGone`` or ``Tampered``."""
    return vault.get(tx, id_)


def every(tx: Tx) -> list[Proposal]:
    """All that wait, the newest first."""
    asked = sa.select(meta.c.value).where(meta.c.key.startswith(PREFIX, autoescape=True))
    found = [msgspec.json.decode(row.value, type=Proposal) for row in tx.all(asked)]
    return sorted(found, key=lambda one: one.made_at, reverse=True)


def drop(tx: Tx, id_: str) -> None:
    """Forget one, and its text."""
    tx.run(sa.delete(meta).where(meta.c.key == PREFIX + id_))
    vault.drop(tx, [id_])

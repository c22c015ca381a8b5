"""Who may sign in to the console, and who has: accounts and sign-ins, a note each in the table of facts.

A password is kept as its Argon2 hash, the key of a second factor sealed in the vault; of a sign-in only a keyed digest of
what the browser holds.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from gateway.store import notes, vault
from gateway.store.tables import meta
from gateway.store.tx import Tx

ACCOUNT = "console:account:"
SESSION = "console:session:"
T = TypeVar("T")
DIGITS = 40
"""Hexadecimal digits of a sign-in's digest: 160 bits."""


class Account(Struct, frozen=True, kw_only=True):
    """An account. ``person`` is a name of the directory; ``epoch`` grows whenever earlier sign-ins must end; ``totp`` names the
    sealed key of the second factor, empty where there is none; ``certificate`` is a name or the fingerprint of the client
    certificate that signs in with it, empty where none does."""

    name: str
    role: str
    person: str
    password: str
    epoch: int = 1
    totp: str = ""
    disabled: bool = False
    certificate: str = ""
    changed_at: datetime


class Session(Struct, frozen=True, kw_only=True):
    """A sign-in: whose, since and until when, from where. It holds while its ``epoch`` is that of the account; where it was made
    with a client certificate (its fingerprint), for connections that show the same one alone."""

    digest: str
    account: str
    epoch: int
    made_at: datetime
    until: datetime
    peer: str = ""
    agent: str = ""
    certificate: str = ""

    @property
    def id(self) -> str:
        """By which people and the record name it; nothing can be done with it."""
        return self.digest[:10]


def put(tx: Tx, account: Account) -> None:
    """Keep an account."""
    notes.put(tx, ACCOUNT + account.name, account)


def get(tx: Tx, name: str) -> Account | None:
    """The account of that name."""
    return notes.get(tx, (ACCOUNT + name)[: notes.LONGEST], Account)


def by_certificate(tx: Tx, names: tuple[str, ...]) -> list[Account]:
    """The accounts that one of these names of a certificate signs in with: by its fingerprint, where there is one of that."""
    known = [one for one in every(tx) if one.certificate and one.certificate in names]
    return [one for one in known if one.certificate == names[0]] or known


def every(tx: Tx) -> list[Account]:
    """All accounts by name."""
    return _all(tx, ACCOUNT, Account)


def seal_totp(tx: Tx, account: Account, key: str) -> Account:
    """The account with a second factor; its key lies sealed."""
    if account.totp:
        vault.drop(tx, [account.totp])
    if not key:
        return msgspec.structs.replace(account, totp="")
    row = tx.new_id()
    vault.put(tx, row, key.encode())
    return msgspec.structs.replace(account, totp=row)


def totp(tx: Tx, account: Account) -> str:
    """The key of the second factor. Raises ``NotFound``, ``KeyGone`` or ``Tampered``."""
    return vault.get(tx, account.totp).decode()


def digest(tx: Tx, token: str) -> str:
    """By which a sign-in is known again without keeping what the browser holds."""
    return tx.keys.digest("console session", token.encode())[:DIGITS]


def open_session(tx: Tx, session: Session) -> None:
    """Keep a sign-in; those that are over are forgotten."""
    drop(tx, [one.digest for one in sessions(tx) if one.until <= session.made_at])
    notes.put(tx, SESSION + session.digest, session)


def session(tx: Tx, digest: str) -> Session | None:
    """The sign-in of that digest, whatever has become of it since."""
    return notes.get(tx, (SESSION + digest)[: notes.LONGEST], Session)


def sessions(tx: Tx) -> list[Session]:
    """Every sign-in that is kept, also those that are over."""
    return _all(tx, SESSION, Session)


def drop(tx: Tx, digests: list[str]) -> None:
    """Forget sign-ins."""
    if digests:
        tx.run(sa.delete(meta).where(meta.c.key.in_([SESSION + one for one in digests])))


def _all(tx: Tx, prefix: str, kind: type[T]) -> list[T]:
    asked = sa.select(meta.c.value).where(meta.c.key.startswith(prefix, autoescape=True)).order_by(meta.c.key)
    return [msgspec.json.decode(row.value, type=kind) for row in tx.all(asked)]

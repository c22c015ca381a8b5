"""Accounts of the console: who may sign in, in which role, as which person. The command line asks for these operations.

What a role may do is in ``gateway.console.roles``; here stand the names. A password reaches the store as its hash alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from gateway.asked import OperationError
from gateway.certificates import FINGERPRINT
from gateway.core.model import Event
from gateway.i18n import _
from gateway.store import Tx, accounts, journal
from gateway.store.accounts import Account

if TYPE_CHECKING:
    from gateway.operations import Live

ROLES = ("clerk", "leader", "bureau", "operator", "readonly")
"""值班员, 领导, 机要, 运维, 只读."""
NAMED = ("clerk", "leader", "bureau")
"""Roles that act: theirs must be a person of the directory, whom an act can name."""
SHORTEST = 12
"""Characters of a password, at least."""
LONGEST_NAME = 200
_NAME = re.compile(r"[a-z][a-z0-9._-]{0,31}", re.ASCII)
_HASH = re.compile(r"\$argon2id\$[\x21-\x7e]{20,200}", re.ASCII)
_TOTP = re.compile(r"[A-Z2-7]{16,64}", re.ASCII)


def add(live: Live, tx: Tx, by: str, account: str, role: str, password: str, person: str = "") -> dict[str, Any]:
    """A new account; ``password`` is its Argon2id hash."""
    if _NAME.fullmatch(account) is None:
        raise OperationError(_("no account name: {name}; allowed: a-z, 0-9, . _ -, 32 at most").format(name=account[:40]))
    if accounts.get(tx, account) is not None:
        raise OperationError(_("there is an account {name} already").format(name=account))
    _check(live, role, person)
    made = Account(name=account, role=role, person=person, password=_hash(password), changed_at=live.now())
    return _keep(live, tx, by, made, "added")


def passwd(live: Live, tx: Tx, by: str, account: str, password: str) -> dict[str, Any]:
    """Another password; whoever is signed in with the old one is signed out."""
    before = _get(tx, account)
    return _keep(live, tx, by, replace(before, password=_hash(password), epoch=before.epoch + 1), "password")


def change(
    live: Live, tx: Tx, by: str, account: str, role: str | None = None, person: str | None = None, disabled: bool | None = None
) -> dict[str, Any]:
    """Another role or person, or whether it may be used at all; earlier sign-ins end."""
    before = _get(tx, account)
    after = replace(
        before,
        role=before.role if role is None else role,
        person=before.person if person is None else person,
        disabled=before.disabled if disabled is None else disabled,
        epoch=before.epoch + 1,
    )
    if role is not None or person is not None:
        _check(live, after.role, after.person)
    what = "changed" if disabled is None else "disabled" if disabled else "enabled"
    return _keep(live, tx, by, after, what)


def second_factor(live: Live, tx: Tx, by: str, account: str, key: str) -> dict[str, Any]:
    """With ``key`` (base32) signing in asks for a code of six digits as well; an empty one takes that away."""
    before = _get(tx, account)
    if key and _TOTP.fullmatch(key) is None:
        raise OperationError(_("the key of a second factor is base32, 16 to 64 characters"))
    after = accounts.seal_totp(tx, replace(before, epoch=before.epoch + 1), key)
    return _keep(live, tx, by, after, "second factor" if key else "no second factor")


def certificate(live: Live, tx: Tx, by: str, account: str, known_by: str) -> dict[str, Any]:
    """Which client certificate signs in with the account: a name in it, or its fingerprint; an empty one: none."""
    before, wanted = _get(tx, account), known_by.strip().lower()
    bad = len(wanted) > LONGEST_NAME or not wanted.isprintable()
    if bad or (wanted.startswith("sha256:") and FINGERPRINT.fullmatch(wanted) is None):
        text = _("no name of a certificate: {name}; allowed: a mail address, DNS name, URI or common name in it, or sha256:HEX")
        raise OperationError(text.format(name=known_by[:40]))
    taken = next((one.name for one in accounts.every(tx) if wanted and one.certificate == wanted and one.name != account), None)
    if taken is not None:
        raise OperationError(_("{name} signs in with account {account} already").format(name=wanted, account=taken))
    what = "certificate" if wanted else "no certificate"
    return _keep(live, tx, by, replace(before, certificate=wanted, epoch=before.epoch + 1), what)


def listed(live: Live, tx: Tx) -> list[dict[str, Any]]:
    """Every account, and how many are signed in with it."""
    now, held = live.now(), accounts.sessions(tx)
    return [_shown(live, one, sum(holds(s, one, now) for s in held)) for one in accounts.every(tx)]


def holds(session: accounts.Session, account: Account | None, now: Any) -> bool:
    """Whether a sign-in still holds: not over, not revoked, the account as it was."""
    if account is None or account.disabled or session.account != account.name:
        return False
    return session.epoch == account.epoch and session.made_at <= now < session.until


def _get(tx: Tx, name: str) -> Account:
    found = accounts.get(tx, name)
    if found is None:
        known = ", ".join(one.name for one in accounts.every(tx)) or "—"
        raise OperationError(_("no account {name}; there are: {known}").format(name=name[:40], known=known))
    return found


def _check(live: Live, role: str, person: str) -> None:
    if role not in ROLES:
        raise OperationError(_("no role {role}; allowed: {known}").format(role=role[:40], known=", ".join(ROLES)))
    known = any(office.person(person) for office in live.config.directory.offices) if person else False
    if role in NAMED and not known:
        raise OperationError(_("the role {role} needs a person of directory.toml; {person} is none").format(
            role=role, person=person or "—"))  # fmt: skip


def _hash(given: str) -> str:
    if _HASH.fullmatch(given) is None:
        raise OperationError(_("the password must come as its Argon2id hash"))
    return given


def _keep(live: Live, tx: Tx, by: str, account: Account, what: str) -> dict[str, Any]:
    kept = replace(account, changed_at=live.now())
    accounts.put(tx, kept)
    data = {"account": kept.name, "what": what, "role": kept.role, "person": kept.person}
    journal.emit(tx, Event(at=live.now(), event="account_changed", by=by, data={k: v for k, v in data.items() if v}))
    return _shown(live, kept, 0)


def _shown(live: Live, one: Account, signed_in: int) -> dict[str, Any]:
    return {
        "name": one.name,
        "role": one.role,
        "person": one.person,
        "second_factor": bool(one.totp),
        "certificate": one.certificate,
        "disabled": one.disabled,
        "signed_in": signed_in,
        "changed_at": live.shown(one.changed_at),
    }


READS: dict[str, Callable[..., Any]] = {"accounts": listed}
WRITES: dict[str, Callable[..., Any]] = {"account_add": add, "account_passwd": passwd, "account_change": change,
                                         "account_totp": second_factor, "account_certificate": certificate}  # fmt: skip

"""The door: who comes in, how a sign-in is known again, when it ends. Every sign-in, sign-out and refusal is on record."""

from __future__ import annotations

import asyncio
import hmac
import secrets
from collections import OrderedDict
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from gateway import certificates
from gateway.accounts import holds
from gateway.core.model import Event
from gateway.duty.throttle import Throttle
from gateway.i18n import _
from gateway.store import Tx, accounts, journal
from gateway.store.accounts import Account, Session

if TYPE_CHECKING:
    from gateway.console.services import Services

HASHERS = 2
"""Passwords that are checked at once: each takes 64 MiB."""
ONCE_EACH = 50
ONCE_ALL = 5000
"""Forms that may be open: of one sign-in, and of all."""


class Who(Struct, frozen=True, kw_only=True):
    """Somebody who has signed in."""

    session: Session
    account: Account

    @property
    def name(self) -> str:
        """The person, as the record names one; an account without a person goes by its own name."""
        return self.account.person or self.account.name


class Refused(Exception):
    """No entry; the text says why, and no more than a stranger may know."""


class Door:
    """Lets people in and out."""

    def __init__(self, desk: Services) -> None:
        self._desk = desk
        self._tries = Throttle()
        self._noted = Throttle(span=timedelta(minutes=1))
        self._calls = Throttle()
        self._hashing = asyncio.Semaphore(HASHERS)
        self._codes: dict[str, int] = {}
        self._once: OrderedDict[str, str] = OrderedDict()

    @property
    def cookie(self) -> str:
        """The cookie's name. ``__Host-`` binds it to this very host; browsers take that over TLS alone."""
        return "__Host-gateway" if self._desk.section.secure else "gateway-session"

    def peer(self, request: Request) -> str:
        """Who calls. A proxy that conf names is believed where it says for whom it calls."""
        peer = request.client.host if request.client else "?"
        if peer in self._desk.section.proxies:
            told = request.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
            return told[:45] or peer
        return peer

    def may_call(self, who: Who) -> bool:
        """Whether this sign-in has not called too often within a minute."""
        return self._calls.allow(who.session.digest, self._desk.section.calls_per_minute, self._desk.live.now())

    async def known(self, request: Request) -> Who | None:
        """Who calls, where the browser holds a sign-in that still stands."""
        token = request.cookies.get(self.cookie, "")
        if not 20 <= len(token) <= 100:
            return None
        who = await self._desk.store.read(lambda tx: self._look(tx, accounts.digest(tx, token)))
        return who if who is not None and self._fits(who.session) else None

    def _fits(self, session: Session) -> bool:
        """Whether a sign-in that was made with a certificate comes with that very one, and one without may be at all."""
        if not session.certificate:
            return self._desk.section.passwords
        shown = certificates.shown()
        return shown is not None and hmac.compare_digest(certificates.fingerprint(shown), session.certificate)

    async def certified(self) -> Account | None:
        """The account that the certificate of this connection signs in with; None where there is none, or more than one."""
        shown = certificates.shown()
        if shown is None or not self._desk.section.client_ca:
            return None
        names = certificates.names(shown)
        found = await self._desk.store.read(lambda tx: accounts.by_certificate(tx, names))
        return found[0] if len(found) == 1 and not found[0].disabled else None

    async def enter_certified(self, request: Request) -> tuple[Who, str]:
        """Let in whom the certificate of this connection names. Raises ``Refused``."""
        peer = self.peer(request)
        if not self._tries.allow(peer, self._desk.section.sign_in_per_minute, self._desk.live.now()):
            await self._refuse(peer, "", "too many tries")
            raise Refused(_("too many tries; wait a minute"))
        account, shown = await self.certified(), certificates.shown()
        if account is None or shown is None:
            await self._refuse(peer, "", "certificate of no account" if shown is not None else "no certificate")
            raise Refused(_("this certificate signs in with no account"))
        return await self._open(request, account, certificates.fingerprint(shown))

    async def still(self, who: Who) -> bool:
        """Whether a sign-in stands that did a while ago."""
        return await self._desk.store.read(lambda tx: self._look(tx, who.session.digest)) is not None

    def _look(self, tx: Tx, digest: str) -> Who | None:
        session = accounts.session(tx, digest)
        account = accounts.get(tx, session.account) if session is not None else None
        if session is None or account is None or not holds(session, account, self._desk.live.now()):
            return None
        return Who(session=session, account=account)

    async def enter(self, request: Request, name: str, password: str, code: str) -> tuple[Who, str]:
        """Let somebody in; returns what the browser is to hold. Raises ``Refused``."""
        peer, now = self.peer(request), self._desk.live.now()
        if not self._tries.allow(peer, self._desk.section.sign_in_per_minute, now):
            await self._refuse(peer, "", "too many tries")
            raise Refused(_("too many tries; wait a minute"))
        if not self._desk.section.passwords:
            await self._refuse(peer, "", "password not taken")
            raise Refused(_("only a certificate signs in here"))
        account = await self._desk.store.read(lambda tx: accounts.get(tx, name))
        right = await self._right(account, password)
        if account is None or not right or account.disabled:
            why = "unknown account" if account is None else "disabled" if right else "wrong password"
            await self._refuse(peer, account.name if account else "", why)
            raise Refused(_("account or password is wrong"))
        if account.totp and not await self._code(account, code):
            await self._refuse(peer, account.name, "wrong code")
            raise Refused(_("account, password or code is wrong"))
        return await self._open(request, account)

    async def _open(self, request: Request, account: Account, certificate: str = "") -> tuple[Who, str]:
        """Begin a sign-in."""
        peer, now = self.peer(request), self._desk.live.now()
        token = secrets.token_urlsafe(32)
        agent = request.headers.get("user-agent", "")[:120]

        def write(tx: Tx) -> Who:
            session = Session(
                digest=accounts.digest(tx, token), account=account.name, epoch=account.epoch, made_at=now,
                until=now + timedelta(hours=self._desk.section.session_hours), peer=peer, agent=agent, certificate=certificate,
            )  # fmt: skip
            accounts.open_session(tx, session)
            who = Who(session=session, account=account)
            data: dict[str, str | bool] = {"account": account.name, "role": account.role, "peer": peer, "session": session.id}
            data |= {"how": "certificate"} if certificate else {"factor": bool(account.totp)}
            journal.emit(tx, Event(at=now, event="signed_in", by=who.name, data=data))
            return who

        return await self._desk.store.write(write), token

    async def leave(self, session: Session, by: str, why: str) -> None:
        """End a sign-in, one's own or another's."""
        now = self._desk.live.now()

        def write(tx: Tx) -> None:
            accounts.drop(tx, [session.digest])
            data = {"account": session.account, "session": session.id, "why": why}
            journal.emit(tx, Event(at=now, event="signed_out", by=by, data=data))

        await self._desk.store.write(write)
        for token in [token for token, of in self._once.items() if of.startswith(session.digest)]:
            self._once.pop(token, None)

    async def sessions(self) -> list[Who]:
        """Every sign-in that stands, the newest first."""

        def read(tx: Tx) -> list[Who]:
            found = [self._look(tx, one.digest) for one in accounts.sessions(tx)]
            return sorted((one for one in found if one), key=lambda one: one.session.made_at, reverse=True)

        return await self._desk.store.read(read)

    def hand_cookie(self, response: Response, token: str) -> None:
        """Give the browser what it is known by; scripts cannot read it, other sites cannot send it."""
        response.set_cookie(
            self.cookie, token, max_age=int(self._desk.section.session_hours * 3600), path="/",
            secure=self._desk.section.secure, httponly=True, samesite="strict",
        )  # fmt: skip

    def take_cookie(self, response: Response) -> None:
        """Have the browser forget it."""
        response.delete_cookie(self.cookie, path="/", secure=self._desk.section.secure, httponly=True, samesite="strict")

    def mark(self, who: Who) -> str:
        """What every form of this sign-in carries, and no other site can know."""
        return self._desk.store.keys.digest("console form", who.session.digest.encode())[:40]

    def marked(self, who: Who, given: str) -> bool:
        """Whether a form carries it. Compared in constant time."""
        return hmac.compare_digest(given.encode("utf-8", "replace"), self.mark(who).encode())

    def ticket(self, who: Who, purpose: str) -> str:
        """What one form may be sent with once. They are forgotten at a restart: then a page must be looked at again."""
        mine = [token for token, of in self._once.items() if of.startswith(who.session.digest)]
        for token in mine[: max(0, len(mine) - ONCE_EACH + 1)]:
            del self._once[token]
        while len(self._once) >= ONCE_ALL:
            self._once.popitem(last=False)
        made = secrets.token_urlsafe(16)
        self._once[made] = f"{who.session.digest} {purpose}"
        return made

    def take_ticket(self, who: Who, purpose: str, token: str) -> bool:
        """Whether this form may be acted on: it was shown for this very purpose, and not sent before."""
        if self._once.get(token) != f"{who.session.digest} {purpose}":
            return False
        del self._once[token]
        return True

    async def _right(self, account: Account | None, password: str) -> bool:
        """An unknown account takes as long as a wrong password."""
        kept = account.password if account is not None else _nobody()
        async with self._hashing:
            right = await asyncio.to_thread(_verify, kept, password)
        return right and account is not None

    async def _code(self, account: Account, code: str) -> bool:
        """Whether the code is right; each counts once."""
        import pyotp

        key = await self._desk.store.read(lambda tx: accounts.totp(tx, account))
        made, now, given = pyotp.TOTP(key), self._desk.live.now(), code.strip().encode("utf-8", "replace")
        for step in (-1, 0, 1):
            at = int(now.timestamp()) // made.interval + step
            if hmac.compare_digest(made.generate_otp(at).encode(), given) and at > self._codes.get(account.name, 0):
                self._codes[account.name] = at
                return True
        return False

    async def _refuse(self, peer: str, account: str, why: str) -> None:
        """Put a refusal on record. A name that is no account's is not: people type passwords into the wrong field."""
        now, section = self._desk.live.now(), self._desk.section
        if not self._noted.allow(peer, section.sign_in_per_minute + 1, now):
            return
        event = Event(at=now, event="sign_in_refused", data={"account": account or "?", "peer": peer, "why": why})
        await self._desk.store.write(lambda tx: journal.emit(tx, event))


@cache
def _nobody() -> str:
    from argon2 import PasswordHasher

    return PasswordHasher().hash(secrets.token_urlsafe(16))


def _verify(kept: str, password: str) -> bool:
    from argon2 import PasswordHasher
    from argon2.exceptions import Argon2Error, InvalidHash

    try:
        return PasswordHasher().verify(kept, password)
    except (Argon2Error, InvalidHash):
        return False

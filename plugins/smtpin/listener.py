"""The door for mail: which addresses are ours, whose they are, and what each mail is answered.

A mail is answered 250 only after intake has it on stable storage. Nothing of it is parsed here.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from aiosmtpd.smtp import Envelope, Session

from gateway.api import Channel, Intake, RawMessage, Receipt, StorageTrouble, TooLarge
from gateway_plugins.mailtext import dsn
from gateway_plugins.smtpin.accounts import Accounts
from gateway_plugins.smtpin.plain import PlainSession, Terms
from gateway_plugins.smtpin.quick import Mould
from gateway_plugins.smtpin.room import Room
from gateway_plugins.smtpin.session import LOGINS, Guests, LmtpSession, SmtpSession

log = logging.getLogger(__name__)

NULL_SENDER = "<>"
BACKLOG = 1024
"""Connections that may wait to be taken, those of a restart among them."""
CLOSE_SECONDS = 3.0
"""How long a mail in hand may take when the channel stops; the daemon gives a channel five seconds."""


@dataclass(frozen=True, slots=True)
class Owner:
    """The channel that an address belongs to, and its way into the house."""

    channel: Channel
    via: str
    intake: Intake


class Door:
    """The addresses and limits that all sessions of a listener share. It is also aiosmtpd's handler."""

    def __init__(
        self, *, hostname: str, max_bytes: int, max_recipients: int, guests: Guests, room: Room, now: Callable[[], datetime]
    ) -> None:
        self.hostname = hostname
        self.max_bytes = max_bytes
        self.max_recipients = max_recipients
        self.guests = guests
        self.room = room
        self.now = now
        self.owners: dict[str, Owner] = {}
        self.closing = False

    def register(self, addresses: Iterable[str], owner: Owner) -> None:
        """Take mail for ``addresses`` on behalf of ``owner``. Registering again replaces."""
        for address in addresses:
            self.owners[address.lower()] = owner

    def forget(self, via: str) -> None:
        """Take no more mail for the channel ``via``."""
        self.owners = {address: owner for address, owner in self.owners.items() if owner.via != via}

    async def handle_EHLO(
        self, server: Any, session: Session, envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """What aiosmtpd offers, without an AUTH that has no mechanism; commands may come in one go (RFC 2920)."""
        session.host_name = hostname
        return self.offered(responses)

    def offered(self, lines: list[str]) -> list[str]:
        """The answer to EHLO, made of aiosmtpd's."""
        kept = [line for line in lines if line.strip() != "250-AUTH"]
        return [*kept[:-1], "250-PIPELINING", kept[-1]]

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        return self.recipient(envelope, address)

    def recipient(self, envelope: Envelope, address: str) -> str:
        """Only our own addresses, and not too many of them."""
        if len(envelope.rcpt_tos) >= self.max_recipients:
            return f"452 4.5.3 more than {self.max_recipients} recipients"
        if address.lower() not in self.owners:
            return "550 5.1.1 no such recipient here"
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 recipient ok"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        """Hand the mail in, once for each channel it is for; answer when every one of them is on stable storage."""
        server.handing_over = True
        answers: dict[str, str] = {}
        each: list[str] = []
        for address in envelope.rcpt_tos:
            owner = self.owners.get(address.lower())
            via = owner.via if owner else ""
            if via not in answers:
                answers[via] = await self._take(owner, address, server, session, envelope)
            each.append(answers[via])
        if isinstance(server, LmtpSession):
            return "\r\n".join(each)
        # SMTP has one answer for all: a trouble of any outweighs, the sender comes again and what is here is then a duplicate.
        worst = max(answers.values(), key=lambda answer: (answer[0] != "2", answer[0] == "4"))
        return worst

    async def _take(self, owner: Owner | None, address: str, server: Any, session: Session, envelope: Envelope) -> str:
        """One copy into the house, and the answer for it."""
        if owner is None:
            return "451 4.3.0 the channel has stopped, try again later"
        content = envelope.original_content or b""
        peer = session.peer[0] if isinstance(session.peer, tuple) else str(session.peer or "")
        sender = envelope.mail_from or ""
        if sender == NULL_SENDER and (receipts := await asyncio.to_thread(dsn.receipts, content, owner.via)):
            return await self._note(owner, receipts)
        meta = {"peer": str(peer), "helo": _printable(session.host_name or ""), "protocol": server.protocol_name}
        if sender == NULL_SENDER:
            meta["null_sender"] = "1"
        if session.authenticated:
            meta["account"] = _printable(str(session.auth_data))
        raw = RawMessage(
            channel=owner.channel,
            via=owner.via,
            received_at=self.now(),
            sender="" if sender == NULL_SENDER else _printable(sender),
            recipient=_printable(address),
            body=content,
            content_type="message/rfc822",
            meta=meta,
        )
        try:
            accepted = await owner.intake.accept(raw)
        except StorageTrouble:
            return "451 4.3.0 storage trouble, try again later"
        except TooLarge:
            return f"552 5.3.4 message is over the limit of {self.max_bytes} bytes"
        return f"250 2.0.0 accepted as {accepted.id}"

    async def _note(self, owner: Owner, receipts: list[Receipt]) -> str:
        """A mail server's report on a mail that we sent: it goes to the delivery, not to the desk."""
        try:
            for receipt in receipts:
                await owner.intake.receipt(receipt)
        except StorageTrouble:
            return "451 4.3.0 storage trouble, try again later"
        return "250 2.0.0 the report was noted"

    async def handle_exception(self, error: Exception) -> str:
        """Only what nobody foresaw comes here: a temporary answer, so that the sender keeps the mail."""
        log.error("mail session failed: %s", type(error).__name__)
        return "451 4.3.0 internal trouble, try again later"


class Listeners:
    """The listening sockets of one mail channel."""

    def __init__(
        self,
        door: Door,
        *,
        seconds: float,
        session_seconds: float,
        commands: int,
        tls: ssl.SSLContext | None,
        accounts: Accounts,
        login_required: bool,
    ) -> None:
        self.door = door
        self.seconds = seconds
        self.session_seconds = session_seconds
        self.commands = commands
        self.tls = tls
        self.accounts = accounts
        self.login_required = login_required
        self.servers: list[asyncio.Server] = []

    async def open(
        self, host: str, port: int, protocol: type[SmtpSession] | type[LmtpSession], given: socket.socket | None = None
    ) -> int:
        """Listen at ``host`` and ``port``, or at the socket ``given``; returns the port. Raises ``OSError`` when it is taken."""
        loop = asyncio.get_running_loop()
        session = self.sessions(protocol, loop)
        if given is not None:
            server = await loop.create_server(session, sock=given, backlog=BACKLOG)
        else:
            server = await loop.create_server(session, host, port, backlog=BACKLOG)
        self.servers.append(server)
        address = server.sockets[0].getsockname()
        return int(address[1]) if isinstance(address, tuple) else 0

    def sessions(self, protocol: type[SmtpSession] | type[LmtpSession], loop: asyncio.AbstractEventLoop) -> Callable[[], Any]:
        """What makes a session for each connection: a plain one, where SMTP is spoken and nobody has to log in first."""
        upstream = self.upstream(protocol, loop)
        if protocol is not SmtpSession or self.login_required:
            return upstream
        terms = Terms(
            door=self.door,
            loop=loop,
            upstream=upstream,
            commands=self.commands,
            seconds=self.seconds,
            session_seconds=self.session_seconds,
            tls=self.tls is not None,
        )
        return partial(PlainSession, terms)

    def upstream(self, protocol: type[SmtpSession] | type[LmtpSession], loop: asyncio.AbstractEventLoop) -> Callable[[], Any]:
        """What makes a session of aiosmtpd for each connection."""
        return Mould(lambda: self._session(protocol, loop)).session

    def _session(self, protocol: type[SmtpSession] | type[LmtpSession], loop: asyncio.AbstractEventLoop) -> Any:
        session = protocol(
            self.door,
            data_size_limit=self.door.max_bytes,
            enable_SMTPUTF8=True,
            hostname=self.door.hostname,
            ident="ready",
            tls_context=self.tls,
            timeout=self.seconds,
            auth_exclude_mechanism=[] if self.accounts else ["LOGIN", "PLAIN"],
            auth_required=self.login_required,
            authenticator=self.accounts.check,
            command_call_limit={"*": self.commands, "AUTH": LOGINS},
            loop=loop,
        )
        session.door = self.door
        session.session_seconds = self.session_seconds
        return session

    async def close(self) -> None:
        """Take no more connections, let a mail that is being handed over have its answer, and say 421 to everybody else.

        A mail without an answer comes again.
        """
        for server in self.servers:
            server.close()
        self.door.closing = True
        for session in list(self.door.guests.sessions):
            if not session.handing_over:
                session.dismiss()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_SECONDS):
                while self.door.guests.sessions:
                    await self.door.guests.left.wait()
                    self.door.guests.left.clear()
        for session in list(self.door.guests.sessions):
            if session.transport is not None:
                session.transport.abort()
        for server in self.servers:
            await server.wait_closed()
        self.servers.clear()


def quiet_library() -> None:
    """aiosmtpd logs each line of each mail; what an operator needs is logged here instead."""
    logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)


def _printable(word: str) -> str:
    """An envelope word as valid text: octets that are not UTF-8 are shown as such."""
    return word.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")

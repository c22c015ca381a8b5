"""A real SMTP server that keeps every mail it is given: the offices' mailboxes of the demo, and a peer for tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP, Envelope, Session
from msgspec import Struct


class SunkMail(Struct, frozen=True, kw_only=True):
    """One mail for one recipient, as it came over the wire."""

    sender: str
    recipient: str
    data: bytes

    def parsed(self) -> EmailMessage:
        """The mail with its headers and body undone."""
        found = message_from_bytes(self.data, policy=policy.default)
        assert isinstance(found, EmailMessage)
        return found

    @property
    def text(self) -> str:
        """The plain text body."""
        body = self.parsed().get_body(("plain",))
        return str(body.get_content()) if body is not None else ""

    def header(self, name: str) -> str:
        """A header field as text; empty when it is not there."""
        return str(self.parsed().get(name, ""))


class DemoMailSink:
    """``answer`` may be set to a reply such as ``451 4.3.0 busy`` or ``550 5.1.1 unknown``, given at ``answer_at``."""

    def __init__(self, *, answer: str | None = None, answer_at: str = "DATA") -> None:
        self.mails: list[SunkMail] = []
        self.answer = answer
        self.answer_at = answer_at
        self.port = 0
        self._server: asyncio.Server | None = None
        self._sessions: set[SMTP] = set()
        self._more = asyncio.Condition()

    async def start(self, host: str = "127.0.0.1", port: int = 0) -> int:
        """Listen; port 0 takes any free one. Returns the port. Raises ``OSError`` when it is taken."""
        logging.getLogger("mail.log").setLevel(logging.CRITICAL + 1)
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: self._session(loop), host, port)
        self.port = int(self._server.sockets[0].getsockname()[1])
        return self.port

    async def stop(self) -> None:
        """Close the listener and every session."""
        if self._server is None:
            return
        self._server.close()
        for session in self._sessions:
            if session.transport is not None:
                session.transport.close()
        await self._server.wait_closed()
        self._server = None
        self._sessions.clear()

    async def wait_for(self, predicate: Callable[[SunkMail], bool], seconds: float) -> SunkMail:
        """The first mail that fits, waiting up to ``seconds``. Raises ``TimeoutError``."""

        def first() -> SunkMail | None:
            return next((mail for mail in self.mails if predicate(mail)), None)

        async with asyncio.timeout(seconds), self._more:
            await self._more.wait_for(lambda: first() is not None)
        found = first()
        assert found is not None
        return found

    async def handle_RCPT(self, server: Any, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        """Every recipient is known here, unless told otherwise."""
        if self.answer and self.answer_at == "RCPT":
            return self.answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 ok"

    async def handle_DATA(self, server: Any, session: Session, envelope: Envelope) -> str:
        """Keep the mail, one entry per recipient."""
        if self.answer and self.answer_at == "DATA":
            return self.answer
        data = envelope.original_content or b""
        self.mails.extend(SunkMail(sender=envelope.mail_from or "", recipient=to, data=data) for to in envelope.rcpt_tos)
        async with self._more:
            self._more.notify_all()
        return f"250 2.0.0 Ok: queued as {len(self.mails):06d}"

    def _session(self, loop: asyncio.AbstractEventLoop) -> SMTP:
        session = SMTP(self, hostname="sink.gateway.test", enable_SMTPUTF8=True, ident="demo mail sink", loop=loop)
        self._sessions = {kept for kept in self._sessions if kept.transport is not None} | {session}
        return session

"""Connections to the mail server that stand by for the next mail: a report has rarely one destination, and a connection with its
greeting and TLS costs more than the mail. Sources: RFC 5321 sections 3.3 (several mails by one connection), 4.1.1.5."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import aiosmtplib
from msgspec import Struct

PART_SECONDS = 1.0
STILL_SECONDS = 1.0
"""How long one that stood by may take to say that it is still there."""
MOST_MAILS = 100
"""Mails over one connection; some servers refuse more."""


class Line(Struct, eq=False):
    """A connection, how many mails went over it, and when it ends if nobody takes it."""

    smtp: aiosmtplib.SMTP
    mails: int = 0
    expiry: asyncio.TimerHandle | None = None


class Lines:
    """Connections by ``make``, which stand by for ``keep`` seconds after a mail; 0: each mail has one of its own."""

    def __init__(self, make: Callable[[], aiosmtplib.SMTP], keep: float) -> None:
        self._make = make
        self._keep = keep
        self._idle: list[Line] = []
        self._parting: set[asyncio.Task[None]] = set()
        self._closed = False

    @contextlib.asynccontextmanager
    async def line(self, *, new: bool = False) -> AsyncIterator[Line]:
        """A connection that has been greeted and knows of no mail, one that stands by unless it is to be ``new``. It stands by
        afterwards, unless the block raised or closed it. Raises what ``connect`` raises."""
        line = (None if new else await self._standing()) or await self._new()
        try:
            yield line
        except BaseException:
            self._part(line)
            raise
        line.mails += 1
        if self._closed or not self._keep or line.mails >= MOST_MAILS or not line.smtp.is_connected:
            self._part(line)
            return
        line.expiry = asyncio.get_running_loop().call_later(self._keep, self._expired, line)
        self._idle.append(line)

    async def close(self) -> None:
        """End those that stand by; one that is in use ends after its mail."""
        self._closed = True
        for line in self._idle:
            self._part(line)
        self._idle.clear()
        if self._parting:
            await asyncio.wait(self._parting, timeout=PART_SECONDS)

    async def _standing(self) -> Line | None:
        """One that stands by and still answers; what the server has closed meanwhile shows here and costs no try."""
        while self._idle:
            line = self._idle.pop()
            if line.expiry is not None:
                line.expiry.cancel()
            try:
                async with asyncio.timeout(STILL_SECONDS):
                    await line.smtp.rset()
                return line
            except (aiosmtplib.SMTPException, OSError, TimeoutError):
                line.smtp.close()
            except BaseException:
                line.smtp.close()
                raise
        return None

    async def _new(self) -> Line:
        smtp = self._make()
        try:
            await smtp.connect()
            if smtp.last_ehlo_response is None:
                with contextlib.suppress(aiosmtplib.SMTPHeloError):  # one that knows no EHLO is greeted by HELO as it sends
                    await smtp.ehlo()
        except BaseException:
            smtp.close()
            raise
        return Line(smtp)

    def _expired(self, line: Line) -> None:
        self._idle.remove(line)
        self._part(line)

    def _part(self, line: Line) -> None:
        if line.expiry is not None:
            line.expiry.cancel()
        task = asyncio.create_task(_leave(line.smtp))
        self._parting.add(task)
        task.add_done_callback(self._parting.discard)


async def _leave(smtp: aiosmtplib.SMTP) -> None:
    """Leave, politely but not for long: what the server has answered stands, whatever becomes of the line."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(PART_SECONDS):
            await smtp.quit()
    smtp.close()

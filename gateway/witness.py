"""Witnesses: the signed head of the record, written where whoever changes this host cannot reach: another mount, a mailbox, a
telephone. With one of them a log that was cut off or written anew as a whole is found out.

A file gets it within ten seconds of a change; a transport (mail, SMS, printer, another gateway) as often as conf says.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.alarms import Alarms
from gateway.audit.heads import Signer
from gateway.audit.sealer import Sealer
from gateway.core.model import Delivery
from gateway.core.outcomes import Delivered
from gateway.heartbeat import Here, unwatched
from gateway.i18n import _
from gateway.settings_care import WitnessEntry

log = logging.getLogger(__name__)

EVERY = 5.0
"""Seconds between two looks: half of what a file witness promises."""
SEND_SECONDS = 30.0
RETRY = timedelta(minutes=1)
HISTORY = timedelta(hours=1)
"""How often a file witness keeps a head beside the newest one."""


class Witnesses:
    """One task that hands signed heads to the witnesses of conf."""

    def __init__(
        self,
        sealer: Sealer,
        signer: Callable[[], Signer | None],
        entries: Callable[[], tuple[WitnessEntry, ...]],
        transports: Mapping[str, Any],
        *,
        clock: Callable[[], datetime],
        alarms: Alarms,
    ) -> None:
        self._sealer = sealer
        self._signer = signer
        self._entries = entries
        self._transports = transports
        self._clock = clock
        self._alarms = alarms
        self._told: dict[str, tuple[int, datetime]] = {}
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.here: Here = unwatched

    def start(self) -> None:
        """Begin; every witness is told at once."""
        self._task = asyncio.create_task(self._run(), name="witnesses")

    async def stop(self) -> None:
        """Tell file witnesses the last head, then end."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        with contextlib.suppress(Exception):
            await self.look(files_only=True)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self.here("witnesses", SEND_SECONDS * 2)
            try:
                await self.look()
            except Exception as error:
                log.error("witnesses: %s", type(error).__name__)
                self.on_error(error)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._stopping.wait()

    async def look(self, *, files_only: bool = False) -> None:
        """Tell those whose time has come, where the record has grown since."""
        entries = self._entries()
        signer = self._signer() if entries else None
        if not entries:
            return
        if signer is None:
            self._alarms.raise_("witness", why=_("there is no key to sign the record's head with: gateway audit keygen"))
            return
        size, root, algorithm = self._sealer.head()
        now = self._clock()
        for entry in entries:
            known, at = self._told.get(entry.name, (-1, datetime.min.replace(tzinfo=now.tzinfo)))
            if size <= known or (files_only and not entry.file):
                continue
            if not entry.file and now < at + timedelta(minutes=entry.every_minutes):
                continue
            note = signer.note(size, root, algorithm)
            if await self._tell(entry, note, size, root):
                self._told[entry.name] = (size, now)
            else:
                self._told[entry.name] = (known, now - timedelta(minutes=entry.every_minutes) + RETRY)

    async def _tell(self, entry: WitnessEntry, note: str, size: int, root: bytes) -> bool:
        try:
            if entry.file:
                await asyncio.to_thread(keep, Path(entry.file), note, self._clock())
                return True
            why = await self._send(entry, note, size, root)
        except OSError as error:
            why = error.strerror or type(error).__name__
        if why:
            text = _("the witness {name} does not take the record's head: {error}")
            self._alarms.raise_("witness", why=text.format(name=entry.name, error=why), name=entry.name)
        return not why

    async def _send(self, entry: WitnessEntry, note: str, size: int, root: bytes) -> str:
        """Why a transport did not take it; empty where it did."""
        transport = self._transports.get(entry.transport)
        if transport is None:
            return _("transport {name} is not running").format(name=entry.transport)
        short = f"审计记录 {size} 行，摘要 {root.hex()[:32]}"
        delivery = Delivery(
            id=f"witness-{entry.name}-{size}", incident=None, destination=f"witness:{entry.name}", transport=entry.transport,
            address=entry.address, subject=short, text=note, short_text=short,
        )  # fmt: skip
        try:
            async with asyncio.timeout(SEND_SECONDS):
                outcome = await transport.send(delivery)
        except TimeoutError:
            return _("no answer within {seconds:g} s").format(seconds=SEND_SECONDS)
        except Exception as error:
            return type(error).__name__
        return "" if isinstance(outcome, Delivered) else str(getattr(outcome, "why", outcome))


def keep(file: Path, note: str, now: datetime) -> None:
    """Put ``note`` into ``file`` in one step, and once an hour behind the others in ``FILE.history``. Raises ``OSError``."""
    handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as made:
            made.write(note)
            made.flush()
            os.fsync(made.fileno())
            os.fchmod(made.fileno(), 0o644)
        os.replace(name, file)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    history = file.with_name(file.name + ".history")
    with contextlib.suppress(FileNotFoundError):
        if now.timestamp() - history.stat().st_mtime < HISTORY.total_seconds():
            return
    with history.open("a", encoding="utf-8") as kept:
        kept.write(note + "\n")
        kept.flush()
        os.fsync(kept.fileno())

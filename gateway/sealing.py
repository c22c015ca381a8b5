"""The sealer's turns in the daemon: a moment after each commit its events become lines of the audit log. Where they cannot,
nothing more is taken in: carriers keep it and come again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from gateway.alarms import Alarms
from gateway.audit.sealer import BATCH, AuditMismatch, Sealer
from gateway.heartbeat import WORK, Here, unwatched
from gateway.i18n import _
from gateway.store import Store

log = logging.getLogger(__name__)

IDLE_SECONDS = 5.0
PAUSE_SECONDS = 0.05
"""Between a commit and the sealer's turn, and between two of its turns while carriers stand waiting for a receipt."""
RETRY_SECONDS = 0.5
"""Until the log that could not be written is tried again: nothing is taken in meanwhile."""
FIRST_SECONDS = 600.0
"""The first turn may have to look through all rotated logs."""


class Sealing:
    """Runs the turns. ``carriers`` says how many stand waiting for a receipt at this moment."""

    def __init__(self, store: Store, sealer: Sealer, alarms: Alarms, carriers: Callable[[], int]) -> None:
        self._store = store
        self._sealer = sealer
        self._alarms = alarms
        self._carriers = carriers
        self._committed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        # One thread of its own: whatever else goes wrong, no two turns write lines at the same time.
        self._thread = ThreadPoolExecutor(1, "sealer")
        self.shut = ""
        """Why nothing may be taken in now; empty where it may."""
        self.here: Here = unwatched
        self.on_error: Callable[[BaseException], None] = lambda error: None

    def start(self) -> None:
        """Begin with what an earlier run left."""
        self._task = asyncio.create_task(self.run(), name="sealer")

    async def stop(self) -> None:
        """Let the turn in hand end: its thread cannot be cancelled, and two of them would write lines twice."""
        self._stopping.set()
        self._committed.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            await asyncio.to_thread(self._thread.shutdown)

    async def run(self) -> None:
        """Turn after turn until ``stop``; alarms that waited for the store are written in between."""
        loop = asyncio.get_running_loop()
        self._store.listeners.append(lambda: loop.call_soon_threadsafe(self._committed.set))
        within = FIRST_SECONDS
        while not self._stopping.is_set():
            self.here("sealer", within)
            within = WORK
            self._committed.clear()
            try:
                await self._turn()
                await self._alarms.flush()
            except Exception as error:
                # No fault may end the turns.
                log.error("sealer: %s", type(error).__name__)
                self.on_error(error)
                await asyncio.sleep(RETRY_SECONDS)
            if self.shut:
                await asyncio.sleep(RETRY_SECONDS)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(IDLE_SECONDS):
                    await self._committed.wait()
                    if not self._stopping.is_set():
                        # What was taken is read and sent first: its lines would stand in the way of both at the writer.
                        await asyncio.sleep(PAUSE_SECONDS)

    async def _turn(self) -> None:
        """Seal all that there is."""
        loop = asyncio.get_running_loop()
        try:
            while sealed := await loop.run_in_executor(self._thread, self._sealer.run_once):
                self.here("sealer")
                if sealed < BATCH and self._carriers():
                    # The disk and the writer are the carriers' first; more lines at once cost less, too.
                    await asyncio.sleep(PAUSE_SECONDS)
                    await self._alarms.flush()  # where events come all the time this turn has no end
            self.shut = ""
        except AuditMismatch as error:
            # A changed log is for people to look at; reports go on meanwhile, and their events wait in the journal.
            self.shut = ""
            self._alarms.raise_("sealer", why=str(error))
        except Exception as error:
            self.on_error(error)
            why = _("the audit log cannot be written: {error}").format(error=type(error).__name__)
            if isinstance(error, OSError):
                self.shut = why  # what cannot be put on record is not taken: the carriers keep it and come again
            self._alarms.raise_("sealer", why=why)

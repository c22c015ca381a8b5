"""Chores of the running daemon: maintenance that ends by itself, retention's daily pass, the daily look at the duty roster, what
units owe, the morning brief, and the board on paper. Each but the last is a row with an instant, so what fell due while the
daemon was down is done at its next start."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from gateway import brief, maintenance, obligations, retention, roster_holes
from gateway.alarms import Alarms
from gateway.core.errors import StorageTrouble
from gateway.i18n import _
from gateway.settings import Config
from gateway.standby import Standby
from gateway.store import Store, purge

log = logging.getLogger(__name__)

EVERY = 10.0
"""Seconds between two looks."""
ROSTER = "roster"


class Chores:
    """One task. ``config`` is asked anew at each look, so that a reload is followed."""

    def __init__(
        self,
        store: Store,
        alarms: Alarms,
        channels: Mapping[str, Any],
        *,
        config: Callable[[], Config],
        clock: Callable[[], datetime],
        standby: Standby | None = None,
    ) -> None:
        self._store = store
        self._alarms = alarms
        self._channels = channels
        self._config = config
        self._clock = clock
        self._standby = standby
        self._awake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.on_sent: Callable[[], None] = lambda: None
        """Called when something was queued."""

    async def start(self) -> None:
        """Learn of maintenance that goes on, before anything else can raise an alarm, and begin."""
        with contextlib.suppress(StorageTrouble):
            await maintenance.tend(self._store, self._alarms, self._channels, self._clock())
        self._task = asyncio.create_task(self._run(), name="chores")

    async def stop(self) -> None:
        """End after what is in hand; a retention pass stops between two of its transactions."""
        self._stopping = True
        self._awake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Look now: somebody began or ended maintenance."""
        self._awake.set()

    async def _run(self) -> None:
        while not self._stopping:
            self._awake.clear()
            try:
                await self.look()
            except StorageTrouble as trouble:
                log.warning("chores put off: %s", trouble)
            except Exception as error:
                log.error("chores: %s", type(error).__name__)
                self.on_error(error)
                self._alarms.raise_("retention", why=_("a daily pass failed: {error}").format(error=type(error).__name__))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._awake.wait()

    async def look(self) -> None:
        """Do what is due. Raises ``StorageTrouble``."""
        now = self._clock()
        await maintenance.tend(self._store, self._alarms, self._channels, now)
        await self._roster(now)
        await obligations.tend(self._store, self._config(), now)
        await self._brief(now)
        if self._standby is not None and await self._standby.tend(now):
            self.on_sent()
        await self._retain(now)

    async def _brief(self, now: datetime) -> None:
        """The morning brief at its hour. Counting a day is short, and one transaction sends it and notes when the next is due."""
        config = self._config()
        due = await self._store.read(lambda tx: purge.next_at(tx, brief.CHORE))
        if due is None or due <= now or due > brief.next_hour(now, config):
            sent, troubles = await self._store.write(lambda tx: brief.send(tx, config, now))
            for what, data in troubles:
                self._alarms.raise_(what, **data)
            if sent:
                log.info(_("the morning brief goes to {offices}").format(offices=", ".join(sent)))
                self.on_sent()

    async def _roster(self, now: datetime) -> None:
        """Once a day, and at the first start, an alarm for each office that will have nobody on duty."""
        config = self._config()
        due = await self._store.read(lambda tx: purge.next_at(tx, ROSTER))
        if due is not None and due > now:
            return
        for one in roster_holes.empty(config, now):
            about = {} if one.office is None else {"office": one.office}
            self._alarms.raise_("roster", why=one.text, count=one.count, **about)
        # On record before the row says that it was done: rather twice than not at all.
        await self._alarms.flush()
        after = retention.next_pass(now, config.doctor.roster_hour, config.timezone)
        await self._store.write(lambda tx: purge.note_next(tx, ROSTER, after, now))

    async def _retain(self, now: datetime) -> None:
        config = self._config()
        if not retention.rules(config.retention):
            return
        due = await self._store.read(lambda tx: purge.next_at(tx, retention.CHORE))
        if due is not None and due > now:
            return
        after = retention.next_pass(now, config.retention.hour, config.timezone)
        if due is not None:
            going = functools.partial(retention.destroy, go_on=lambda: not self._stopping)
            done = await asyncio.to_thread(going, self._store, config.retention, now)
            if self._stopping:
                return  # the rest is due at the next start
            log.info("retention: %s", " ".join(f"{name}={count}" for name, count in done.items()))
        await self._store.write(lambda tx: purge.note_next(tx, retention.CHORE, after, now if due is not None else None))

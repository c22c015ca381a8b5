"""The desk: takes accepted messages in order and makes sure that each becomes something a person can see.

A lane per kind of channel, so that a page of fax in the reader holds up no SMS. Parsing that could hang or grow runs in worker
processes; what fails there still becomes an incident "needs a person".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from gateway import register
from gateway.alarms import Alarms
from gateway.core.errors import Malformed, StorageTrouble
from gateway.core.model import Event, Message, RawMessage
from gateway.heartbeat import WORK, Here, unwatched
from gateway.house import House
from gateway.i18n import _
from gateway.store import Stale, Store, Tx, journal, messages, parts
from gateway.workers import START_SECONDS, WorkerFailed, WorkerPool

log = logging.getLogger(__name__)

BATCH_BYTES = 64 * 1024 * 1024
INLINE_BYTES = 64 * 1024
"""A body larger than this is never read on the loop, whatever its channel asks for."""
LANES = {"sms": 64, "phone": 64, "email": 8, "fax": 1}
"""How many messages of each kind are in hand at once; a slow kind takes few, so that none waits for the slowest."""
IDLE_SECONDS = 5.0
RETRY_SECONDS = 1.0


class Desk:
    """Runs the lanes. ``house`` may be replaced while running; each message is taken with one house throughout."""

    def __init__(
        self,
        store: Store,
        house: House,
        channels: Mapping[str, Any],
        pools: Mapping[str, WorkerPool],
        *,
        clock: Callable[[], datetime],
        alarms: Alarms,
        wake_dispatch: Callable[[], None],
    ) -> None:
        self.house = house
        self._store = store
        self._channels = channels
        self._pools = pools
        self._clock = clock
        self._alarms = alarms
        self._wake_dispatch = wake_dispatch
        self._awake = {lane: asyncio.Event() for lane in LANES}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.here: Here = unwatched
        self._in_workers: Counter[str] = Counter()

    def start(self) -> None:
        """Start one task per lane, and the one that releases long messages whose parts never came."""
        self._tasks = [asyncio.create_task(self._lane(lane), name=f"desk-{lane}") for lane in LANES]
        self._tasks.append(asyncio.create_task(self._release_parts(), name="desk-parts"))

    async def stop(self, within: float) -> None:
        """Finish what is in hand, ``within`` seconds; what is left stays accepted and is taken at the next start."""
        self._stopping.set()
        self.wake()
        _done, late = await asyncio.wait(self._tasks, timeout=within) if self._tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def wake(self) -> None:
        """Something was accepted."""
        for event in self._awake.values():
            event.set()

    async def _lane(self, lane: str) -> None:
        while not self._stopping.is_set():
            self.here(f"desk-{lane}")
            self._awake[lane].clear()
            try:
                if await self._batch(lane):
                    continue
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._awake[lane].wait(), IDLE_SECONDS)
            except StorageTrouble as trouble:
                self._alarms.raise_("storage", why=str(trouble), name=lane)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                # No fault may end a lane: it says so, and goes on.
                log.error("desk lane %s: %s", lane, type(error).__name__)
                self.on_error(error)
                self._alarms.raise_("desk", why=f"lane {lane}: {type(error).__name__}")
                await asyncio.sleep(RETRY_SECONDS)

    async def _batch(self, lane: str) -> bool:
        rows = await self._store.read(lambda tx: messages.pending(tx, lane, LANES[lane]))
        rows = _bounded(rows)
        if not rows:
            return False
        house = self.house
        reading: list[asyncio.Task[register.Prepared]] = [asyncio.create_task(self._prepare(house, row)) for row in rows]
        taking: list[asyncio.Task[None]] = []
        try:
            # Read side by side, taken in order: each is handed to the writer as soon as those before it are, and the writer
            # runs many to a transaction, each in its own savepoint.
            ahead = self._in_workers.copy()
            for position, (row, task) in enumerate(zip(rows, reading, strict=True)):
                self.here(f"desk-{lane}", WORK + self._patience(rows[position:], ahead))
                taking.append(asyncio.create_task(self._take(house, row, await task)))
            self.here(f"desk-{lane}")
            await asyncio.gather(*taking)
        finally:
            every: list[asyncio.Task[Any]] = [*reading, *taking]
            for pending in every:
                pending.cancel()
            await asyncio.gather(*every, return_exceptions=True)
        self._wake_dispatch()
        return True

    def _patience(self, rows: Sequence[messages.MessageRow], ahead: Mapping[str, int]) -> float:
        """The seconds that the workers may rightly take for ``rows``, behind the calls ``ahead`` of them: each call has its own
        deadline, and a pool answers in order."""
        seconds = 0.0
        for name, pool in self._pools.items():
            ours = sum(_pool(self._channels.get(row.via), row.size) == name for row in rows)
            if ours:
                seconds += (ours + ahead.get(name, 0)) * (pool.seconds + START_SECONDS) / pool.size
        return seconds

    async def _prepare(self, house: House, row: messages.MessageRow) -> register.Prepared:
        """Whatever a message holds, this returns something that can be taken; only storage trouble is raised."""
        try:
            raw = await self._store.read(lambda tx: messages.raw(tx, row.id))
        except StorageTrouble:
            raise
        except Exception as error:
            self._alarms.raise_("desk", why=f"stored bytes cannot be opened: {type(error).__name__}", message=row.id)
            return register.blank(_("the stored bytes cannot be opened"))
        message, failed = await self._read(raw)
        if house.asks_elsewhere or len(message.text) + len(message.quoted) > INLINE_BYTES:
            return await asyncio.to_thread(self._prepare_now, house, row, message, failed, raw.meta)
        return self._prepare_now(house, row, message, failed, raw.meta)

    def _prepare_now(
        self, house: House, row: messages.MessageRow, message: Message, failed: str | None, meta: dict[str, str]
    ) -> register.Prepared:
        try:
            return register.prepare(house, row, message, failed, meta)
        except Exception as error:
            log.error("message %s could not be read: %s", row.id, type(error).__name__)
            self.on_error(error)
            return register.blank(_("the text could not be read"))

    async def _read(self, raw: RawMessage) -> tuple[Message, str | None]:
        """Undo the carrier's format: in this process where that is safe, in a worker where it may not be."""
        channel = self._channels.get(raw.via)
        if channel is None:
            return Message(text=""), _("channel {via} is no longer configured").format(via=raw.via)
        try:
            name = _pool(channel, len(raw.body))
            if name is None:
                return channel.read(raw), None
            self._in_workers[name] += 1
            try:
                return await self._pools[name].read(channel, raw), None
            finally:
                self._in_workers[name] -= 1
        except WorkerFailed as failure:
            return Message(text=""), str(failure)
        except Malformed as fault:
            return Message(text=""), str(fault)
        except Exception as error:
            log.error("channel %s could not read a message: %s", raw.via, type(error).__name__)
            self.on_error(error)
            return Message(text=""), _("the channel could not read the message ({error})").format(error=type(error).__name__)

    async def _take(self, house: House, row: messages.MessageRow, ready: register.Prepared) -> None:
        now = self._clock()
        for left in (1, 0):
            try:
                await self._store.write(lambda tx: register.take(tx, house, row, ready, now))
                return
            except StorageTrouble:
                raise
            except Stale as error:
                # Another node changed the same incident in between: decided again on what is there now.
                failure: Exception = error
                if left:
                    continue
            except Exception as error:
                failure = error
            break
        log.error("message %s could not be taken: %s", row.id, type(failure).__name__)
        self.on_error(failure)
        self._alarms.raise_("desk", why=_("a message could not be taken; a person must read it"), message=row.id)
        bare = register.blank(_("the desk failed on this message ({error})").format(error=type(failure).__name__), ready)
        await self._store.write(lambda tx: register.take(tx, house, row, bare, now))

    async def _release_parts(self) -> None:
        """Long messages whose parts never came: what is there of them goes on its way, marked so."""
        while not self._stopping.is_set():
            self.here("desk-parts")
            try:
                if await self._store.write(self._overdue_parts):
                    self.wake()
            except Exception as error:
                self._alarms.raise_("storage", why=f"parts: {type(error).__name__}")
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), min(self.house.config.limits.parts_seconds / 4, IDLE_SECONDS))

    def _overdue_parts(self, tx: Tx) -> list[parts.Released]:
        now = self._clock()
        released = parts.release_partial(tx, now - timedelta(seconds=self.house.config.limits.parts_seconds), now)
        for one in released:
            data = {"via": one.via, "have": one.have, "parts": one.total, "completes": one.completes}
            journal.emit(tx, Event(at=now, event="partial_released", message=one.id, data=data))
        return released


def _pool(channel: Any, size: int) -> str | None:
    """The workers that undo the format of a message of ``size`` bytes; None where it is read inline, or not at all."""
    if channel is None or (channel.reads_in == "inline" and size <= INLINE_BYTES):
        return None
    return "ocr" if channel.reads_in == "ocr" else "parse"


def _bounded(rows: list[messages.MessageRow]) -> list[messages.MessageRow]:
    """The first rows that together stay under the batch's bytes; at least one."""
    kept: list[messages.MessageRow] = []
    total = 0
    for row in rows:
        total += row.size
        if kept and total > BATCH_BYTES:
            break
        kept.append(row)
    return kept

"""The desk: takes accepted messages in order and makes sure that each becomes something a person can see.

A lane per kind of channel, so that a page of fax in the reader holds up no SMS. Parsing that could hang or grow runs in worker
processes, and what goes there comes back read and classified; what fails there still becomes an incident "needs a person".
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from itertools import chain
from time import monotonic
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.exc import DBAPIError

from gateway import gist, preparing, register
from gateway.alarms import Alarms
from gateway.core.errors import Malformed, StorageTrouble
from gateway.core.model import Attachment, Event, Message, RawMessage
from gateway.heartbeat import WORK, Here, unwatched
from gateway.house import House
from gateway.i18n import _
from gateway.judging import Judged, judge, look
from gateway.shortage import is_short
from gateway.store import Stale, Store, Tx, journal, messages, parts, precedence
from gateway.telling import unquoted
from gateway.turns import Turns
from gateway.workers import START_SECONDS, NotJudged, WorkerFailed, WorkerPool

log = logging.getLogger(__name__)

BATCH_BYTES = 32 * 1024 * 1024
"""Octets of the messages that are in hand at once: each lies in memory several times while it is opened and handed over."""
INLINE_BYTES = 64 * 1024
"""A body larger than this is never undone on the loop, whatever its channel asks for; nor are larger files looked at there."""
INLINE_CHARS = 2000
"""A text longer than this is never judged on the loop: the grammar takes a quarter of a second for the worst that may come."""
LANES = {"sms": 64, "phone": 64, "email": 8, "fax": 1}
"""How many messages of each kind are in hand at once; a slow kind takes few, so that none waits for the slowest."""
IN_ONE_LANE = ("fax",)
"""Kinds whose envelope names a go-between, a fax server: who sent them is known only when they have been read."""
IDLE_SECONDS = 5.0
RETRY_SECONDS = 1.0
SHORT_TRIES = 10
"""So often a message is tried again that met with a shortage of the machine's; after that a person must read it."""


class Lane(NamedTuple):
    """One kind of message, and whose: of one class (precedence.py), or of all. ``most`` are in hand at once."""

    name: str
    channel: str
    most: int
    precedence: int | None = None

    @property
    def later(self) -> bool:
        """Whether it is that of what anybody may send."""
        return self.precedence == precedence.LATER


def lanes() -> tuple[Lane, ...]:
    """Every lane: those of registered senders do not wait for those of strangers, and the other way round."""
    found = []
    for channel, most in LANES.items():
        if channel in IN_ONE_LANE:
            found.append(Lane(channel, channel, most))
        else:
            found.append(Lane(channel, channel, most, precedence.FIRST))
            found.append(Lane(f"{channel}-later", channel, most, precedence.LATER))
    return tuple(found)


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
        self._awake = {lane: asyncio.Event() for lane in lanes()}
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.here: Here = unwatched
        self.wake_time: Callable[[], None] = lambda: None
        self._in_workers: Counter[str] = Counter()
        self.turns = Turns()
        self._judging = {(channel, later): asyncio.Lock() for channel in LANES for later in (False, True)}
        self.known: precedence.Known = precedence.everybody

    def start(self) -> None:
        """Start one task per lane, and the one that releases long messages whose parts never came."""
        self._tasks = [asyncio.create_task(self._lane(lane), name=f"desk-{lane.name}") for lane in lanes()]
        self._tasks.append(asyncio.create_task(self._release_parts(), name="desk-parts"))

    async def stop(self, within: float) -> None:
        """Finish what is in hand, ``within`` seconds; what is left stays accepted and is taken at the next start."""
        self._stopping.set()
        self.wake()
        _done, late = await asyncio.wait(self._tasks, timeout=within) if self._tasks else (set(), set())
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def wake(self, channel: str | None = None, of: int | None = None) -> None:
        """Something was accepted: on that kind of channel, in that class; who does not say wakes every lane. Each that wakes
        looks into the store."""
        for lane, event in self._awake.items():
            if channel in (None, lane.channel) and (of is None or lane.precedence in (None, of)):
                event.set()

    async def _lane(self, lane: Lane) -> None:
        while not self._stopping.is_set():
            self.here(f"desk-{lane.name}")
            self._awake[lane].clear()
            try:
                if await self._batch(lane):
                    continue
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(IDLE_SECONDS):
                        await self._awake[lane].wait()
            except StorageTrouble as trouble:
                self._alarms.raise_("storage", why=str(trouble), name=lane.name)
                await asyncio.sleep(RETRY_SECONDS)
            except Exception as error:
                # No fault may end a lane: it says so, and goes on.
                log.error("desk lane %s: %s", lane.name, type(error).__name__)
                self.on_error(error)
                self._alarms.raise_("desk", why=_("lane {lane}: {error}").format(lane=lane.name, error=type(error).__name__))
                await asyncio.sleep(RETRY_SECONDS)

    async def _batch(self, lane: Lane) -> bool:
        rows = await self._store.read(lambda tx: messages.pending(tx, lane.channel, lane.most, lane.precedence))
        rows = _bounded(rows)
        if not rows:
            return False
        house, began = self.house, monotonic()
        opened = await self._open(rows)
        reading: list[asyncio.Task[preparing.Prepared]] = [
            asyncio.create_task(self._prepare(house, row, raw, lane.later)) for row, raw in zip(rows, opened, strict=True)
        ]
        del opened
        taking: list[asyncio.Task[None]] = []
        try:
            # Read side by side, taken in order: each is handed to the writer as soon as those before it are, and the writer
            # runs many to a transaction, each in its own savepoint.
            ahead = self._in_workers.copy()
            calls = [list(_calls(self._channels.get(row.via), row.size, lane.later)) for row in rows]
            left = Counter(chain.from_iterable(calls))
            for row, task, its in zip(rows, reading, calls, strict=True):
                self.here(f"desk-{lane.name}", WORK + self._patience(left, ahead))
                left.subtract(its)
                taking.append(asyncio.create_task(self._take(house, row, await task, lane.later)))
            self.here(f"desk-{lane.name}")
            await asyncio.gather(*taking)
        finally:
            every: list[asyncio.Task[Any]] = [*reading, *taking]
            for pending in every:
                pending.cancel()
            await asyncio.gather(*every, return_exceptions=True)
        self._wake_dispatch()
        self.wake_time()
        await self.turns.give(monotonic() - began)
        return True

    async def _open(self, rows: Sequence[messages.MessageRow], tries: int = SHORT_TRIES) -> list[RawMessage | Exception]:
        """The messages as they came, or why the stored bytes of one cannot be opened."""
        while True:
            try:
                return await self._store.read(lambda tx: [_opened(tx, row.id) for row in rows])
            except StorageTrouble:
                raise
            except Exception as error:
                tries -= 1
                if tries >= 0 and is_short(error):
                    await self._short(rows[0], error)
                    continue
                # A statement that failed takes the transaction with it, and with that the rows behind its own.
                return [error] if len(rows) == 1 else [(await self._open([row], 0))[0] for row in rows]

    def _patience(self, calls: Mapping[str, int], ahead: Mapping[str, int]) -> float:
        """The seconds that the workers may rightly take for ``calls``, behind those ``ahead`` of them: each call has its own
        deadline, and a pool answers in order."""
        seconds = 0.0
        for name, count in calls.items():
            if count and (pool := self._pools.get(name)):
                seconds += (count + ahead.get(name, 0)) * (pool.seconds + START_SECONDS) / pool.size
        return seconds

    async def _prepare(
        self, house: House, row: messages.MessageRow, raw: RawMessage | Exception, later: bool
    ) -> preparing.Prepared:
        """Whatever a message holds, this returns something that can be taken; only storage trouble is raised."""
        if isinstance(raw, Exception):
            why = _("the stored bytes cannot be opened: {error}").format(error=type(raw).__name__)
            self._alarms.raise_("desk", why=why, message=row.id)
            return preparing.blank(_("the stored bytes cannot be opened"))
        for left in range(SHORT_TRIES, -1, -1):
            try:
                judged, failed = await self.read(raw, house=house, later=later, flags=await self._vouched(raw, later))
                # Plugins are asked here, where they are: at once, or beside the loop where it would wait for them.
                if house.asks_elsewhere or (house.asks and _long(judged.message)):
                    return await asyncio.to_thread(preparing.seconded, house, judged, failed, raw.meta)
                return preparing.seconded(house, judged, failed, raw.meta)
            except Exception as error:
                if left and is_short(error):
                    await self._short(row, error)
                    continue
                why = str(error) if isinstance(error, NotJudged) else type(error).__name__
                log.error("message %s could not be read: %s", row.id, why)
                self.on_error(error)
                break
        return preparing.blank(_("the text could not be read"))

    async def _short(self, row: messages.MessageRow, error: Exception) -> None:
        """Wait until the machine has again what it was short of: that passes, and nothing is wrong with the message."""
        log.warning("message %s is tried again in a moment: %s", row.id, type(error).__name__)
        await asyncio.sleep(RETRY_SECONDS)

    async def read(
        self, raw: RawMessage, *, house: House | None = None, later: bool = False, flags: tuple[str, ...] = ()
    ) -> tuple[Judged, str | None]:
        """Undo the carrier's format and judge what it held: in this process where that is safe and short, else in a worker
        (``later``: in one of those that read for strangers). What comes of it, and why nothing does.

        Raises what judging raises, ``NotJudged`` where it did so in a worker."""
        house, channel, message, failed = house or self.house, self._channels.get(raw.via), Message(text=""), None
        if channel is None:
            failed = _("channel {via} is no longer configured").format(via=raw.via)
        else:
            try:
                found = await self._undone(house, channel, raw, flags, later)
                if isinstance(found, Judged):
                    return found, None
                message = found
            except NotJudged:
                raise
            except WorkerFailed as failure:
                if is_short(failure):
                    raise
                failed = str(failure)
            except Malformed as fault:
                failed = unquoted(str(fault), raw.body)
            except Exception as error:
                if is_short(error):
                    raise
                log.error("channel %s could not read a message: %s", raw.via, type(error).__name__)
                self.on_error(error)
                failed = _("the channel could not read the message ({error})").format(error=type(error).__name__)
        async with self._judging[raw.channel, later]:
            began = monotonic()
            judged = judge(house.rules, raw, message, raw.meta, flags)
            await self.turns.give(monotonic() - began)
        return judged, failed

    async def _undone(
        self, house: House, channel: Any, raw: RawMessage, flags: tuple[str, ...], later: bool
    ) -> Judged | Message:
        """What a worker made of ``raw``, or a message that is short enough to be judged here."""
        name = _pool(channel, len(raw.body), later)
        if name is not None and not hasattr(channel, "read_apart"):
            with self._at_work(name) as pool:
                return await pool.judged(house.rules, raw, channel=channel, flags=flags)
        if name is None:
            message = channel.read(raw)
        else:
            with self._at_work(name) as pool:
                message = await pool.read(channel, raw)
        if not _long(message):
            return message  # type: ignore[no-any-return]
        envelope = msgspec.structs.replace(raw, body=b"")
        try:
            with self._at_work(_parse(later)) as pool:
                return await pool.judged(house.rules, envelope, message=message, flags=flags)
        except WorkerFailed:
            # What it holds is here, and a marking in it must not be missed for want of a worker.
            looked = await asyncio.to_thread(look, house.rules, envelope, message, raw.meta, flags)
            if looked.marking:
                return looked
            raise

    @contextlib.contextmanager
    def _at_work(self, name: str) -> Iterator[WorkerPool]:
        """The workers of that name, for a call that those who wait behind it are to know of."""
        self._in_workers[name] += 1
        try:
            yield self._pools[name]
        finally:
            self._in_workers[name] -= 1

    async def picture(self, raw: RawMessage, page: int) -> Attachment:
        """A page of a message as a PNG, made in a worker; its ``pages`` says how many there are. Raises ``WorkerFailed``."""
        channel = self._channels.get(raw.via)
        if not hasattr(channel, "picture"):
            raise WorkerFailed(_("channel {via} shows no pages").format(via=raw.via))
        return await self._pools["show"].picture(channel, raw, page)

    async def _vouched(self, raw: RawMessage, later: bool) -> tuple[str, ...]:
        """What the channel of ``raw`` could find out about its sender. What it cannot costs nothing but that."""
        channel, pool = self._channels.get(raw.via), self._pools.get(_parse(later))
        if pool is None or not getattr(channel, "vouches", False):
            return ()
        try:
            return await pool.vouch(channel, raw)
        except Exception as error:
            log.warning("channel %s could not vouch for a sender: %s", raw.via, type(error).__name__)
            return ()

    async def _take(self, house: House, row: messages.MessageRow, ready: preparing.Prepared, later: bool) -> None:
        now = self._clock()
        stale, short = 1, SHORT_TRIES
        while True:
            try:
                await self._store.write(lambda tx: register.take(tx, house, row, ready, now), later=later)
                return
            except StorageTrouble:
                raise
            except Stale as error:
                # Another node changed the same incident in between: decided again on what is there now.
                failure: Exception = error
                stale -= 1
                if stale >= 0:
                    continue
            except Exception as error:
                failure = error
                short -= 1
                if short >= 0 and is_short(error):
                    await self._short(row, error)
                    continue
            break
        log.error("message %s could not be taken: %s", row.id, type(failure).__name__)
        self.on_error(failure)
        self._alarms.raise_("desk", why=_("a message could not be taken; a person must read it"), message=row.id)
        bare = preparing.blank(_("the desk failed on this message ({error})").format(error=type(failure).__name__), ready)
        await self._store.write(lambda tx: register.take(tx, house, row, bare, now))

    async def _release_parts(self) -> None:
        """Long messages whose parts never came: what is there of them goes on its way, marked so."""
        while not self._stopping.is_set():
            self.here("desk-parts")
            try:
                if await self._store.write(self._overdue_parts):
                    self.wake()
            except Exception as error:
                why = _("the parts of long messages cannot be released: {error}").format(error=type(error).__name__)
                self._alarms.raise_("storage", why=why)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(self.house.config.limits.parts_seconds / 4, IDLE_SECONDS)):
                    await self._stopping.wait()

    def _overdue_parts(self, tx: Tx) -> list[parts.Released]:
        now = self._clock()
        released = parts.release_partial(
            tx, now - timedelta(seconds=self.house.config.limits.parts_seconds), now, known=self.known
        )
        for one in released:
            data = {"via": one.via, "have": one.have, "parts": one.total, "completes": one.completes}
            journal.emit(tx, Event(at=now, event="partial_released", message=one.id, data=data))
        return released


def _opened(tx: Tx, message: str) -> RawMessage | Exception:
    """A message as it came, or why its stored bytes cannot be opened. What the data base raises is raised."""
    try:
        return messages.raw(tx, message)
    except (StorageTrouble, DBAPIError):
        raise
    except Exception as error:
        if is_short(error):
            raise
        return error


def _parse(later: bool) -> str:
    return "parse-later" if later else "parse"


def _pool(channel: Any, size: int, later: bool) -> str | None:
    """The workers that undo the format of a message of ``size`` bytes; None where it is read inline, or not at all."""
    if channel is None or (channel.reads_in == "inline" and size <= INLINE_BYTES):
        return None
    return "ocr" if channel.reads_in == "ocr" else _parse(later)


def _calls(channel: Any, size: int, later: bool) -> Iterator[str]:
    """The workers that a message of ``size`` bytes may need, one after another."""
    name = _pool(channel, size, later)
    if name is not None:
        yield name
    # Octets may hold more characters than they are: GSM's have seven bits.
    if channel is not None and (hasattr(channel, "read_apart") or (name is None and size * 8 > INLINE_CHARS * 7)):
        yield _parse(later)
    if getattr(channel, "vouches", False):
        yield _parse(later)


def _long(message: Message) -> bool:
    """Whether judging it may take more of the loop than it has."""
    chars = sum(map(len, gist.texts(message)))
    return chars > INLINE_CHARS or sum(len(one.data) for one in message.attachments) > INLINE_BYTES


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

"""Alarms leave for people (告警外发): every committed ``alarm`` event, whoever wrote it, by every way of ``[alarms]`` that does
not depend on what failed.

One reader with a persisted place in the journal, so that a restart loses none. Texts are sent directly by the transports and
never queued: a dispatch that stands still cannot hold them up. What the store itself does not take is told from memory.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from gateway import confine
from gateway.alarms import KINDS, Alarms, page
from gateway.core import alarming
from gateway.core.alarming import Notice, Spoken, WayOut
from gateway.core.errors import StorageTrouble
from gateway.core.model import Delivery, Event
from gateway.core.outcomes import Delivered
from gateway.heartbeat import WORK, Here, unwatched
from gateway.i18n import _, lang
from gateway.settings import Config
from gateway.store import Store, Tx, journal, notes, watching
from gateway.store.ids import Ids

log = logging.getLogger(__name__)

NOTE = "alarm_ways"
SEND_SECONDS = 30.0
EVERY = 5.0
"""Seconds between two looks where nothing woke us."""
PAUSE = 0.3
"""Seconds between two looks at least: each commit wakes us."""
DIRECT_AFTER = timedelta(seconds=10)
"""An alarm that the store has not taken by then is told without it."""
LEASE = timedelta(seconds=180)
RETRY = timedelta(seconds=60)
GIVE_UP = timedelta(hours=24)
KEEP_PLACE = timedelta(minutes=5)


class Owed(Struct, frozen=True, kw_only=True):
    """A text that has to leave: not before ``next_at``."""

    id: str
    notice: Notice
    since: datetime
    next_at: datetime
    tries: int = 0


class Ledger(Struct, frozen=True, kw_only=True):
    """What is remembered: how far the journal was read, what was told of each kind, what is owed."""

    place: watching.Place
    spoken: dict[str, Spoken] = {}
    owed: tuple[Owed, ...] = ()


class AlarmWays:
    """One task. ``transports`` are the running ones by name; ``config`` is asked anew at each look."""

    def __init__(
        self,
        store: Store,
        alarms: Alarms,
        transports: Mapping[str, Any],
        *,
        config: Callable[[], Config],
        clock: Callable[[], datetime],
    ) -> None:
        self._store = store
        self._alarms = alarms
        self._transports = transports
        self._config = config
        self._clock = clock
        self._awake = asyncio.Event()
        self._stopping = False
        self._task: asyncio.Task[None] | None = None
        self._flushing: asyncio.Task[None] | None = None
        self._ledger: Ledger | None = None
        self._kept_at: datetime | None = None
        self._spoken: dict[str, Spoken] = {}
        self._new_id = Ids(clock)
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.here: Here = unwatched

    async def start(self) -> None:
        """Take the place in the journal from which on alarms are told, and begin."""
        loop = asyncio.get_running_loop()

        def wake() -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._awake.set)

        self._store.listeners.append(wake)
        self._alarms.on_raised = wake
        with contextlib.suppress(StorageTrouble):
            await self._store.write(self._open)
        self._task = asyncio.create_task(self._run(), name="alarm-ways")

    async def stop(self) -> None:
        """End after what is in hand; what is owed leaves after the next start."""
        self._stopping = True
        self._awake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
        if self._flushing is not None:
            await asyncio.gather(self._flushing, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping:
            self.here("alarms", WORK + 3 * SEND_SECONDS + self._config().alarms.command_seconds)
            self._awake.clear()
            try:
                await self.look()
            except StorageTrouble as trouble:
                log.warning("alarm ways: %s", trouble)
            except Exception as error:
                log.error("alarm ways: %s", type(error).__name__)
                self.on_error(error)
            await asyncio.sleep(PAUSE)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EVERY):
                    await self._awake.wait()

    async def look(self) -> None:
        """Tell what is to be told now. Raises ``StorageTrouble`` after what needs no store was told."""
        await self._flush()
        now = self._clock()
        await self._tell_directly(now)
        if not await self._store.read(lambda tx: self._anything(tx, now)):
            return
        mine = await self._store.write(lambda tx: self._claim(tx, now))
        await asyncio.gather(*(self._tell(one) for one in mine))

    async def _flush(self) -> None:
        """Let the store have what waits in memory; one that hangs is not waited for."""
        if self._alarms.waiting and (self._flushing is None or self._flushing.done()):
            self._flushing = asyncio.create_task(self._alarms.flush(), name="alarms-flush")
        if self._flushing is not None and not self._flushing.done():
            await asyncio.wait([self._flushing], timeout=1.0)

    async def _tell_directly(self, now: datetime) -> None:
        """What is about the store, or what it does not take, from memory alone."""
        limits = self._limits()
        for event in self._alarms.unwritten() if self._ways() else ():
            if event.data.get("what") != "storage" and now - event.at < DIRECT_AFTER:
                continue
            self._alarms.left_directly(event)
            notice = self._notice(event)
            self._spoken[notice.what], leaves = alarming.admit(self._spoken.get(notice.what), notice, now, limits)
            if leaves:
                await self._send(notice, self._new_id())
        for what, spoken in list(self._spoken.items()):
            after, told = alarming.over(spoken, now, limits)
            self._spoken = {**{k: v for k, v in self._spoken.items() if k != what}, **({what: after} if after else {})}
            if told is not None:
                await self._send(told, self._new_id())

    def _open(self, tx: Tx) -> Ledger:
        notes.lock(tx, NOTE)
        found = notes.get(tx, NOTE, Ledger)
        if found is None:
            found = Ledger(place=watching.end(tx))
            notes.put(tx, NOTE, found)
        return found

    def _anything(self, tx: Tx, now: datetime) -> bool:
        """Whether there is something to claim. A place that moved on over other events alone is kept in memory, and noted now and
        then."""
        kept = notes.get(tx, NOTE, Ledger)
        if kept is None:
            return True
        seen = self._ledger.place if self._ledger is not None and self._ledger.place.id > kept.place.id else kept.place
        found, place = watching.alarms(tx, seen)
        limits = self._limits()
        ended = any(alarming.over(spoken, now, limits)[0] is not spoken for spoken in kept.spoken.values())
        if self._ways() and (found or ended or any(one.next_at <= now for one in kept.owed)):
            return True
        self._ledger = replace(kept, place=place)
        return self._kept_at is None or now - self._kept_at >= KEEP_PLACE

    def _claim(self, tx: Tx, now: datetime) -> list[Owed]:
        """Move on in the journal; returns what leaves now, leased so that no other node tells it, too. Without ways there is
        nobody to tell, and what was raised meanwhile is no news once there are some."""
        kept, limits = self._open(tx), self._limits()
        found, place = watching.alarms(tx, kept.place)
        if not self._ways():
            found, kept = [], Ledger(place=place)
        spoken, owed = dict(kept.spoken), list(kept.owed)
        for entry in found:
            if entry.event.data.get("maintenance") or entry.event.data.get("direct"):
                continue
            one = self._notice(entry.event)
            spoken[one.what], leaves = alarming.admit(spoken.get(one.what), one, now, limits)
            if leaves:
                owed.append(Owed(id=tx.new_id(), notice=one, since=now, next_at=now))
        for what in list(spoken):
            after, told = alarming.over(spoken[what], now, limits)
            if after is None:
                del spoken[what]
            else:
                spoken[what] = after
            if told is not None:
                owed.append(Owed(id=tx.new_id(), notice=told, since=now, next_at=now))
        mine = [one for one in owed if one.next_at <= now]
        leased = [replace(one, next_at=now + LEASE) if one in mine else one for one in owed]
        notes.put(tx, NOTE, Ledger(place=place, spoken=spoken, owed=tuple(leased)))
        self._kept_at = now
        return mine

    async def _tell(self, one: Owed) -> None:
        told, failed = await self._send(one.notice, one.id)
        now = self._clock()
        await self._store.write(lambda tx: self._settle(tx, one, told, failed, now))

    def _settle(self, tx: Tx, one: Owed, told: Sequence[str], failed: Sequence[str], now: datetime) -> None:
        kept = self._open(tx)
        rest = [other for other in kept.owed if other.id != one.id]
        if told:
            data = {"what": one.notice.what, "to": list(told), "failed": list(failed), "count": one.notice.count}
            journal.emit(tx, Event(at=now, event="alarm_sent", data={**data, "page": one.notice.page}))
        elif now - one.since < GIVE_UP:
            wait = min(RETRY * 2 ** min(one.tries, 4), timedelta(minutes=10))
            rest.append(replace(one, tries=one.tries + 1, next_at=now + wait))
        else:
            log.error("an alarm of kind %s found no way for a day and is given up", one.notice.what)
        notes.put(tx, NOTE, replace(kept, owed=tuple(rest)))

    async def _send(self, notice: Notice, id_: str) -> tuple[list[str], list[str]]:
        """Send by every way that is free of the trouble, and by the others only where none of these took it. Returns the names of
        the ways that took it and of those that did not."""
        free, rest = alarming.choose(self._ways(), notice.about)
        told: list[str] = []
        failed: list[str] = []
        for ways in (free, rest):
            taken = await asyncio.gather(*(self._one(way, notice, id_) for way in ways))
            told += [way.name for way, yes in zip(ways, taken, strict=True) if yes]
            failed += [way.name for way, yes in zip(ways, taken, strict=True) if not yes]
            if told:
                break
        if not told:
            log.error("an alarm of kind %s left by no way", notice.what)
        return told, failed

    async def _one(self, way: WayOut, notice: Notice, id_: str) -> bool:
        try:
            if not way.transport:
                await self._run_command(self._text(notice))
                return True
            transport = self._transports.get(way.transport)
            if transport is None:
                raise _NotTaken(_("transport {name} is not configured").format(name=way.transport))
            async with asyncio.timeout(SEND_SECONDS):
                outcome = await transport.send(self._delivery(way, notice, id_))
            if not isinstance(outcome, Delivered):
                raise _NotTaken(str(getattr(outcome, "why", type(outcome).__name__)))
            return True
        except _NotTaken as why:
            log.error("alarm way %s took nothing: %s", way.name, why)
        except Exception as error:
            log.error("alarm way %s failed: %s", way.name, type(error).__name__)
        return False

    async def _run_command(self, text: str) -> None:
        """The program of conf gets the text on standard input, and has its time."""
        conf = self._config().alarms
        quiet = asyncio.subprocess.DEVNULL
        process = await confine.spawn(
            *conf.command, stdin=asyncio.subprocess.PIPE, stdout=quiet, stderr=quiet, start_new_session=True
        )
        try:
            async with asyncio.timeout(conf.command_seconds):
                await process.communicate(f"{text}\n".encode())
        except TimeoutError:
            raise _NotTaken(_("no end within {seconds} s").format(seconds=f"{conf.command_seconds:g}")) from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
                await process.wait()
        if process.returncode != 0:
            raise _NotTaken(_("it ended with {code}").format(code=process.returncode))

    def _ways(self) -> list[WayOut]:
        conf = self._config().alarms
        found = []
        for way in conf.ways:
            carrier = getattr(self._transports.get(way.transport), "receipts_from", None)
            depends = frozenset(name for name in (way.transport, carrier) if name)
            name = way.name or way.transport
            found.append(WayOut(name=name, transport=way.transport, address=way.address, depends=depends))
        return [*found, *([WayOut(name="command")] if conf.command else [])]

    def _limits(self) -> alarming.Limits:
        conf = self._config().alarms
        return alarming.Limits(repeat=timedelta(minutes=conf.repeat_minutes), burst=conf.burst)

    def _notice(self, event: Event) -> Notice:
        what = str(event.data.get("what", ""))
        kind = KINDS.get(what)
        made = alarming.notice(event, _known(self._config()), carriers=kind is None or kind.covered)
        return made if made.page else replace(made, page=page(what))

    def _text(self, notice: Notice) -> str:
        directory = self._config().directory
        shown = replace(notice, names=tuple(directory.name(name) for name in notice.names))
        phrases = {
            "head": _("[gateway alarm] {kind}"),
            "more": _("{count} of them"),
            "at": _("at {at}"),
            "page": _("what to do: {page}"),
            "join": _("; "),
        }
        return alarming.words(shown, _kind(notice), phrases)

    def _delivery(self, way: WayOut, notice: Notice, id_: str) -> Delivery:
        text = self._text(notice)
        subject = _("[gateway alarm] {kind}").format(kind=_kind(notice))
        return Delivery(
            id=f"{id_}-{way.transport}", incident=None, destination="alarm", transport=way.transport, address=way.address,
            subject=f"{self._config().city} {subject}", text=text, short_text=text,
        )  # fmt: skip


class _NotTaken(Exception):
    """A way did not take a text; the reason holds none of it."""


def _kind(notice: Notice) -> str:
    """The kind of an alarm in words."""
    kind = KINDS.get(notice.what)
    return (kind.zh if lang() == "zh" else kind.en) if kind else _("an alarm of no known kind")


def _known(config: Config) -> frozenset[str]:
    """Every name that conf gives: nothing else may stand in a text as a name."""
    plugins = (*config.channels, *config.transports, *config.routers, *config.readers, *config.classifiers)
    offices = (name for office in config.directory.offices for name in (office.id, office.name))
    return frozenset((*(one.name for one in plugins), *offices, *(one.name for one in config.canaries)))

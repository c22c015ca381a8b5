"""The watchdog (值守看门狗): looks every few seconds for what stands still, and raises it.

Queries → a pure decision (``gateway.core.watch``) → alarms, which leave by ``gateway.alarm_ways``; the self-tests of the
carriers are turned here, too. It shares no task with what it watches, and its own standstill ends in systemd's watchdog.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway import alarms
from gateway.alarm_ways import AlarmWays
from gateway.alarms import Alarms
from gateway.canary import SEND_SECONDS, Canaries
from gateway.core import watch
from gateway.core.errors import StorageTrouble
from gateway.heartbeat import WORK, Here, unwatched
from gateway.i18n import _
from gateway.settings import Config
from gateway.space import SpaceWatch
from gateway.store import Store, Tx, watching
from gateway.ways import Ways

log = logging.getLogger(__name__)

PROBE_SECONDS = 10.0
Up = dict[watch.Way, bool]


class Watch:
    """One task, and that of the alarm ways. ``config`` is asked anew at each look, so that a reload is followed."""

    def __init__(
        self, store: Store, told: Alarms, ways: Ways, *, config: Callable[[], Config], clock: Callable[[], datetime]
    ) -> None:
        self._store = store
        self._alarms = told
        self._ways = ways
        self._config = config
        self._clock = clock
        self._canaries = Canaries(store, ways.transports, entries=lambda: config().canaries, clock=clock)
        self.alarm_ways = AlarmWays(store, told, ways.transports, config=config, clock=clock)
        self.space = SpaceWatch(store, told, config=config, clock=clock)
        self._said: Mapping[str, watch.Said] = {}
        self._down: Mapping[watch.Way, datetime] = {}
        self._probed: Mapping[str, bool] = {}
        self._probed_at: datetime | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.here: Here = unwatched
        self.on_error: Callable[[BaseException], None] = lambda error: None

    async def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._run(), name="watch")

    async def stop(self) -> None:
        """End after what is in hand."""
        self._stopping.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while not self._stopping.is_set():
            every = self._config().watchdog.every_seconds
            self.here("watch", WORK + every + SEND_SECONDS + PROBE_SECONDS)
            # Space first: where a disk is full the store takes nothing, and the rest of a look ends there.
            await self._turn(self.space.look)
            if await self._turn(self.look):
                await self._turn(self._canaries.look)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(every):
                    await self._stopping.wait()

    async def _turn(self, part: Callable[[], Coroutine[Any, Any, None]]) -> bool:
        """One part of a look; False where it failed."""
        try:
            await part()
        except StorageTrouble as trouble:
            self._alarms.raise_("storage", why=str(trouble), name="watch")
        except Exception as error:
            log.error("watch: %s", type(error).__name__)
            self.on_error(error)
            self._alarms.raise_("watchdog", why=_("the watch failed: {error}").format(error=type(error).__name__))
        else:
            return True
        return False

    async def look(self) -> None:
        """Look once and raise what is new. Raises ``StorageTrouble``."""
        now = self._clock()
        self._down = watch.standing(self._down, await self._up(now), now)
        limits = self._limits()
        seen = await self._store.read(lambda tx: _seen(tx, limits, now, self._down))
        found = watch.findings(seen, limits, now)
        windows = self._alarms.windows
        covered = {one.key for one in found if alarms.covers(windows, one.kind, one.data, now)}
        tell, self._said = watch.news(found, self._said, covered, now, limits.repeat)
        for one in tell:
            more: dict[str, Any] = {**one.data, **({"minutes": one.minutes} if one.minutes else {})}
            more |= {"incident": one.incident, "message": one.message, "delivery": one.delivery}
            self._alarms.raise_(one.kind, why=_why(one), **more)

    async def _up(self, now: datetime) -> Up:
        """How every configured way is: a channel by what it says of itself, a transport by its start and its probe."""
        config = self._config()
        found: Up = {("channel", one.name): _state(self._ways.channels.get(one.name)) == "up" for one in config.channels}
        await self._probe(now, config)
        failed = {way.name for way in self._ways.failed if way.sort == "transport"}
        found |= {
            ("transport", one.name): one.name not in failed and self._probed.get(one.name, True) for one in config.transports
        }
        return found

    async def _probe(self, now: datetime, config: Config) -> None:
        """Ask the transports that can be asked, now and then; the answer stands until the next time."""
        pause = config.watchdog.probe_minutes
        if not pause or (self._probed_at is not None and timedelta(0) <= now - self._probed_at < timedelta(minutes=pause)):
            return
        self._probed_at = now
        askable = {one.name: probe for one in config.transports if (probe := _prober(self._ways.transports.get(one.name)))}
        answers = await asyncio.gather(*(_reached(probe) for probe in askable.values()))
        self._probed = dict(zip(askable, answers, strict=True))

    def _limits(self) -> watch.Limits:
        config = self._config()
        conf = config.watchdog
        return watch.Limits(
            lease=timedelta(seconds=conf.lease_seconds),
            late_try=timedelta(seconds=conf.try_seconds),
            undelivered=timedelta(minutes=conf.undelivered_minutes),
            unread=timedelta(seconds=conf.unread_seconds),
            parts=timedelta(seconds=config.limits.parts_seconds + conf.unread_seconds),
            down=timedelta(minutes=conf.down_minutes),
            seal=timedelta(seconds=conf.seal_seconds),
            repeat=timedelta(minutes=conf.repeat_minutes),
        )


def _seen(tx: Tx, limits: watch.Limits, now: datetime, down: Mapping[watch.Way, datetime]) -> watch.Seen:
    return watch.Seen(
        leases=watching.lost_leases(tx, now - limits.lease),
        tries=watching.late_tries(tx, now - limits.late_try),
        undelivered=watching.undelivered(tx, now - limits.undelivered),
        unread=watching.unread(tx, now - limits.unread),
        parts=watching.unreleased(tx, now - limits.parts),
        unsealed=watching.unsealed_since(tx),
        idle=watching.idle_incidents(tx, now),
        down=down,
    )


def _why(one: watch.Finding) -> str:
    text = {
        "lease": _("{count} deliveries by {name} are being sent though their lease ran out {minutes} min ago"),
        "try": _("{count} deliveries by {name} are not tried again: the next try was due {minutes} min ago"),
        "undelivered": _("{count} deliveries by {name} have been on their way for up to {minutes} min"),
        "unread": _("{count} messages from {name} were accepted up to {minutes} min ago and nobody has taken them"),
        "parts": _("{count} long messages from {name} wait for {minutes} min and were not released"),
        "down": _("{name} has been down for {minutes} min"),
        "lag": _("the audit log is {minutes} min behind"),
        "idle": _("incident {incident} is open and nobody has a next step for it"),
    }[one.case]
    name = one.data.get("via") or one.data.get("transport") or ""
    return text.format(count=one.data.get("count", 1), name=name, minutes=one.minutes, incident=one.incident)


def _state(channel: Any) -> str:
    """What a channel says of itself; one that is not there or fails even at that is down."""
    try:
        return str(channel.health().state) if channel is not None else "down"
    except Exception:
        return "down"


def _prober(transport: Any) -> Callable[[], Any] | None:
    probe = getattr(transport, "probe", None)
    return probe if callable(probe) else None


async def _reached(probe: Callable[[], Any]) -> bool:
    try:
        async with asyncio.timeout(PROBE_SECONDS):
            return await probe() is None
    except Exception:
        return False

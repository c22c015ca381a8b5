"""The daemon's sense of time: carries out what is due about each incident, at once, and knows whether the clock may be believed.

Timers are rows with an instant, so after down time everything that fell due is carried out in order, marked late. The wall
clock is anchored to CLOCK_BOOTTIME, which nobody can set: while the two disagree deliveries and escalations go on, and nothing
is judged.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import time
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

from gateway.alarms import Alarms
from gateway.core.calendar import fixed
from gateway.core.errors import StorageTrouble
from gateway.core.model import Event
from gateway.duty import reports, work
from gateway.heartbeat import Here, unwatched
from gateway.house import House
from gateway.i18n import _
from gateway.store import Stale, Store, incidents, journal, matters

log = logging.getLogger(__name__)

TOLERANCE = 5.0
"""Seconds by which wall clock and CLOCK_BOOTTIME may drift apart unnoticed."""
OFFSET_HOLDS = 900
"""Seconds: clocks change at full quarters of an hour."""
LONGEST_WAIT = 1.0
"""A step of the wall clock must be seen soon: never sleep longer than this."""
BATCH = 256


def boot_seconds() -> float:
    """CLOCK_BOOTTIME: counts through suspend, and cannot be set."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Trust:
    """Whether the wall clock may be believed. Pure but for its memory: instants are handed in."""

    def __init__(self, wall: float, boot: float) -> None:
        self._offset = wall - boot
        self.off_by = 0.0

    def look(self, wall: float, boot: float) -> bool:
        """Compare the two clocks; True while they agree."""
        self.off_by = wall - boot - self._offset
        return abs(self.off_by) <= TOLERANCE

    def confirm(self, wall: float, boot: float) -> None:
        """An operator says that the wall clock is right now."""
        self._offset = wall - boot
        self.off_by = 0.0


class Wall:
    """The wall clock, with the offset of the zone that ``zone`` names as it is now and no name of it (``calendar.fixed``)."""

    def __init__(self, zone: Callable[[], str], seconds: Callable[[], float] = time.time) -> None:
        self._zone, self._seconds = zone, seconds
        self._since: tuple[str, float] = "", 0.0
        self._offset: tzinfo | None = None

    def __call__(self) -> datetime:
        at, name = self._seconds(), self._zone()
        # To ask the zone takes longer than all else, and every step of every message asks what time it is.
        if (since := (name, at // OFFSET_HOLDS)) != self._since:
            self._offset = fixed(datetime.fromtimestamp(at, ZoneInfo(name))).tzinfo
            self._since = since
        return datetime.fromtimestamp(at, self._offset)


class Steady:
    """The present instant, in steady steps: the wall clock while it may be believed; when it was set, time goes on as
    CLOCK_BOOTTIME counts it, until the two agree again or an operator confirms. So nothing waits a day, and nothing comes a
    day too soon, because somebody set a clock."""

    def __init__(self, wall: Callable[[], datetime], boot: Callable[[], float] = boot_seconds) -> None:
        self._wall, self._boot = wall, boot
        self._trust = Trust(wall().timestamp(), boot())

    def __call__(self) -> datetime:
        wall = self._wall()
        good = self._trust.look(wall.timestamp(), self._boot())
        return wall if good else wall - timedelta(seconds=self._trust.off_by)

    def look(self) -> float | None:
        """By how many seconds the wall clock was set; None while it may be believed."""
        return None if self._trust.look(self._wall().timestamp(), self._boot()) else self._trust.off_by

    def confirm(self) -> float:
        """An operator says that the wall clock is right; returns by how much it had been set."""
        off = self.look() or 0.0
        self._trust.confirm(self._wall().timestamp(), self._boot())
        return off


class Timekeeper:
    """Runs the matters. ``house`` may be replaced while running."""

    def __init__(
        self,
        store: Store,
        house: House,
        *,
        clock: Steady,
        alarms: Alarms,
        wake_dispatch: Callable[[], None],
    ) -> None:
        self.house = house
        self._store = store
        self._clock = clock
        self._alarms = alarms
        self._wake_dispatch = wake_dispatch
        self._awake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        self._trusted = True
        self.on_error: Callable[[BaseException], None] = lambda error: None
        self.here: Here = unwatched

    def start(self) -> None:
        """Begin; what fell due while nobody ran comes first."""
        self._task = asyncio.create_task(self._run(), name="timekeeper")

    async def stop(self) -> None:
        """End after the round in hand."""
        self._stopping = True
        self._awake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)

    def wake(self) -> None:
        """Something changed that may have brought the next thing nearer."""
        self._awake.set()

    def trusted(self) -> bool:
        """Whether anything may be judged by the wall clock."""
        return self._trusted

    async def confirm(self, by: str) -> dict[str, object]:
        """An operator confirms the wall clock; judgements go on."""
        off = self._clock.confirm()
        self._trusted = True
        event = Event(at=self._clock(), event="commanded", by=by, data={"command": "clock confirm"})
        await self._store.write(lambda tx: journal.emit(tx, event))
        self.wake()
        return {"off_by": round(off, 3)}

    async def refresh(self, house: House) -> None:
        """Other rules are in force: when the next thing is due is computed anew for every open matter."""
        self.house = house
        after = ""
        while ids := await self._store.read(lambda tx, a=after: matters.open_ones(tx, a)):  # type: ignore[misc]
            for id_ in ids:
                await self._one(id_)
            after = ids[-1]
        self.wake()

    async def _run(self) -> None:
        while not self._stopping:
            self.here("timekeeper")
            self._awake.clear()
            wait = LONGEST_WAIT
            try:
                self._look()
                if await self.round():
                    continue
                due = await self._store.read(matters.next_at)
                if due is not None:
                    wait = min(wait, max(0.01, (due - self._clock()).total_seconds()))
            except StorageTrouble as trouble:
                self._alarms.raise_("storage", why=str(trouble), name="timekeeper")
            except Exception as error:
                # No fault may end the loop by which deadlines are kept.
                log.error("timekeeper: %s", type(error).__name__)
                self.on_error(error)
                self._alarms.raise_("desk", why=_("lane {lane}: {error}").format(lane="timekeeper", error=type(error).__name__))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._awake.wait()

    def _look(self) -> None:
        off = self._clock.look()
        if off is None and not self._trusted:
            log.warning(_("the clock is right again: judgements go on"))
        if off is not None:
            text = _("the wall clock is off by {seconds:.0f} s: nothing is judged until it is right or an operator confirms it")
            self._alarms.raise_("clock", why=text.format(seconds=off))
        self._trusted = off is None

    async def round(self) -> bool:
        """Carry out what is due now; True where there was something."""
        now = self._clock()
        ids = await self._store.read(lambda tx: matters.due(tx, now, BATCH))
        done = await asyncio.gather(*(self._one(id_) for id_ in ids))
        if any(done):
            self._wake_dispatch()
        return any(done)

    async def _one(self, id_: str) -> bool:
        """One matter, in a savepoint of its own: a bad one holds up no other. True where its next instant is another now."""
        house, now = self.house, self._clock()
        for _attempt in range(2):
            try:
                return await self._store.write(lambda tx: work.tick(tx, house, id_, now))
            except Stale:
                continue  # another node, or the desk, was faster: looked at again
            except StorageTrouble:
                raise
            except Exception as error:
                log.error("incident %s: %s", id_, type(error).__name__)
                self.on_error(error)
                text = _("a deadline could not be carried out ({error})")
                self._alarms.raise_("desk", why=text.format(error=type(error).__name__))
                await self._store.write(functools.partial(matters.postpone, incident=id_, until=now + timedelta(minutes=1)))
                return True
        return False

    async def adopt(self) -> None:
        """Open incidents of a former version have no matter yet: they get one, with the clocks as they would have run."""
        now, house = self._clock(), self.house
        for number in await self._store.read(matters.without_matter):
            try:
                await self._store.write(lambda tx, n=number: reports.adopt(tx, house, incidents.get(tx, n), now))  # type: ignore[misc]
            except StorageTrouble:
                raise
            except Exception as error:
                # The daemon must start: one that cannot be read is for people, and tried again at the next start.
                self.on_error(error)
                why = _("incident {number} cannot be taken over from a former version ({error})")
                self._alarms.raise_("desk", why=why.format(number=number, error=type(error).__name__))

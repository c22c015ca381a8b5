"""The feed: the board as it is now, made anew when something was committed, and told to every browser that has it open.

Server-sent events: ``board`` with a new version, ``beat`` while nothing changes, ``bye`` when the sign-in is over. A browser that
hears neither says that its board is stale.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from functools import partial
from time import monotonic
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import StreamingResponse

from gateway.console import board
from gateway.console.door import Door, Who
from gateway.console.services import Services
from gateway.core.errors import StorageTrouble
from gateway.duty import work
from gateway.i18n import _
from gateway.store import Tx
from gateway.store.standing import Standing, not_through

log = logging.getLogger(__name__)

LOOK_SECONDS = 10.0
"""Without any commit it is made anew so often: clocks run on, channels go down."""
SHARE = 5.0
"""What making it costs, so many times over, passes before it is made again."""
RETRY_MS = 2000


class Way(Struct, frozen=True, kw_only=True):
    """A channel or transport as the line at the top shows it."""

    name: str
    sort: str
    state: str
    detail: str = ""


class Snapshot(Struct, frozen=True, kw_only=True):
    """The board at one instant. ``trouble`` says why it is not newer."""

    at: datetime
    version: str
    lines: tuple[board.Line, ...] = ()
    ways: tuple[Way, ...] = ()
    trouble: str = ""

    @property
    def unheld(self) -> tuple[board.Line, ...]:
        """What somebody must acknowledge."""
        return tuple(line for line in self.lines if line.unheld)


class Feed:
    """Keeps the snapshot and the open streams."""

    def __init__(self, desk: Services, door: Door, *, tick: Callable[[], float] = monotonic) -> None:
        self._desk = desk
        self._door = door
        self._tick = tick
        self._standing = Standing()
        self._making = asyncio.Lock()
        self._dirty = asyncio.Event()
        self._changed = asyncio.Condition()
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._made = -1e9
        self._cost = 0.0
        self.streams = 0
        self.snapshot = Snapshot(at=desk.live.now(), version="")

    def start(self) -> None:
        """Listen for commits."""
        loop = asyncio.get_running_loop()
        self._desk.store.listeners.append(lambda: loop.call_soon_threadsafe(self.committed))
        self._task = asyncio.create_task(self._run(), name="console-feed")

    def committed(self) -> None:
        """Something was written: the board may be another."""
        self._dirty.set()

    async def stop(self) -> None:
        """End every stream."""
        self._stopping.set()
        self._dirty.set()
        async with self._changed:
            self._changed.notify_all()
        if self._task is not None:
            await self._task
            self._task = None

    async def fresh(self) -> Snapshot:
        """The board as it is now: who has just done something sees it done."""
        if self._old():
            await self._make()
        return self.snapshot

    def _old(self) -> bool:
        return self._dirty.is_set() or self._tick() - self._made >= LOOK_SECONDS

    async def _run(self) -> None:
        while not self._stopping.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._dirty.wait()
            if self.streams and not self._stopping.is_set():
                await self._make()
            with contextlib.suppress(TimeoutError):
                pause = max(self._desk.section.refresh_seconds, self._cost * SHARE)
                async with asyncio.timeout(pause):
                    await self._stopping.wait()

    async def _make(self) -> None:
        async with self._making:
            if not self._old():
                return  # somebody else has made it while we waited
            self._dirty.clear()
            begun = self._tick()
            try:
                made = await self._desk.store.read(self._read)
            except StorageTrouble as trouble:
                made = msgspec.structs.replace(self.snapshot, trouble=str(trouble), version=self.snapshot.version + "!")
            except Exception as error:
                log.error("the board could not be made: %s", type(error).__name__)
                why = _("the board could not be made: {error}").format(error=type(error).__name__)
                made = msgspec.structs.replace(self.snapshot, trouble=why, version=self.snapshot.version + "!")
            self._made = self._tick()
            self._cost = self._made - begun
            changed = made.version != self.snapshot.version
            self.snapshot = made
        if changed:
            async with self._changed:
                self._changed.notify_all()

    def _read(self, tx: Tx) -> Snapshot:
        """In a reader's thread."""
        desk = self._desk
        given = work.given(desk.house, desk.live.now())
        scale = desk.config.catalogue.severity
        degrees = tuple(degree.name for degree in scale.degrees) if scale else ()
        lines = tuple(board.lines(self._standing.read(tx), given, desk.section.soon_minutes, degrees))
        ways = tuple(self._ways(not_through(tx)))
        # The minutes of clocks run in the browser: they alone make no new board.
        still = [msgspec.structs.replace(one, clocks=tuple(_still(c) for c in one.clocks)) for one in lines]
        version = hashlib.sha256(msgspec.json.encode([still, ways])).hexdigest()[:16]
        return Snapshot(at=given.now, version=version, lines=lines, ways=ways)

    def _ways(self, waiting: Mapping[str, int]) -> list[Way]:
        desk, found = self._desk, []
        for sort, configured, running in (
            ("channel", desk.config.channels, desk.live.channels),
            ("transport", desk.config.transports, desk.transports),
        ):
            for one in configured:
                failed = desk.failed(sort, one.name)
                state, detail = ("down", failed) if failed else _health(running.get(one.name))
                if sort == "transport" and state == "up" and waiting.get(one.name):
                    state, detail = "failing", str(waiting[one.name])
                found.append(Way(name=one.name, sort=sort, state=state, detail=detail))
        return found

    def _another(self, told: str) -> bool:
        return self.snapshot.version != told or self._stopping.is_set()

    def told(self, snapshot: Snapshot) -> dict[str, Any]:
        """What a browser is told of a snapshot: no word of content."""
        return {
            "version": snapshot.version,
            "at": snapshot.at.isoformat(timespec="seconds"),
            "open": len(snapshot.lines),
            "unheld": [line.number for line in snapshot.unheld],
            "trouble": bool(snapshot.trouble),
        }

    def stream(self, who: Who) -> StreamingResponse | None:
        """The events for one browser; None where too many are open."""
        if self.streams >= self._desk.section.streams or self._stopping.is_set():
            return None
        return StreamingResponse(self._events(who), media_type="text/event-stream", headers={"Cache-Control": "no-store"})

    async def _events(self, who: Who) -> AsyncIterator[bytes]:
        self.streams += 1
        told = ""
        try:
            yield f"retry: {RETRY_MS}\n\n".encode()
            while not self._stopping.is_set():
                if not await self._door.still(who):
                    yield _event("bye", {})
                    return
                snapshot = await self.fresh()
                name = "beat" if snapshot.version == told else "board"
                told = snapshot.version
                yield _event(name, self.told(snapshot))
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._desk.section.stale_seconds / 3), self._changed:
                        await self._changed.wait_for(partial(self._another, told))
        except StorageTrouble:
            return  # the browser says that it is stale, and comes again
        finally:
            self.streams -= 1


def _still(clock: board.Clock) -> board.Clock:
    return msgspec.structs.replace(clock, minutes=0)


def _health(running: Any) -> tuple[str, str]:
    """What a channel or transport says of itself; one that cannot say is taken to be up where it started."""
    if running is None:
        return "down", ""
    health = getattr(running, "health", None)
    if health is None:
        return "up", ""
    try:
        said = health()
        return str(said.state), str(getattr(said, "detail", ""))
    except Exception:
        return "down", ""


def _event(name: str, what: dict[str, Any]) -> bytes:
    return f"event: {name}\ndata: {json.dumps(what)}\n\n".encode()

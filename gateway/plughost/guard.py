"""One plugin's process over time: started when it is asked, watched, started again when it failed, told to rest, and what it
has to hold. Everything here runs on the loop of ``gateway.plughost``."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import logging
import time
import weakref
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway.core.errors import StorageTrouble
from gateway.core.model import RawMessage
from gateway.core.outcomes import Receipt
from gateway.i18n import _
from gateway.plughost import policy
from gateway.plughost.child import Child, PluginDown, PluginFailed
from gateway.plughost.policy import Bucket, Record, Restarts
from gateway.plughost.wire import OVERHEAD, Accepted, Answered, Call, Load, Made, Make, Submit, Told, WireFault, pack, unpack
from gateway.settings_model import PluginsSection
from gateway.telling import tell

log = logging.getLogger(__name__)

IDLE_SECONDS = 30.0
STOP_SECONDS = 4.0
RETRY_FIRST = 1.0
RETRY_LONGEST = 60.0
BURIAL_SECONDS = 3.0
SENDS = ("send", "submit")
"""Calls that an object may only have after its start."""
SAID_SECONDS = 10.0
FLOOD_SECONDS = 0.5
BURST_SECONDS = 2
"""So many seconds' worth of messages are taken without a wait."""
ACCEPTS = 16
"""Messages of one plugin on their way into the store at once: enough for what waited for a second to share few commits."""
BEATS = 5
"""Pings within the time in which a plugin has to answer one."""


class Around(Protocol):
    """What a guard asks of the hub: the limits and facts of the daemon, and where an alarm goes."""

    limits: PluginsSection
    zone: str
    max_bytes: int

    def say(self, plugin: str, why: str) -> None: ...


@dataclass(slots=True, eq=False)
class Placed:
    """An object that a plugin's process is to hold. ``intake`` and ``services`` belong to the daemon's ``loop``."""

    hook: str
    kind: str
    name: str
    settings: bytes
    secrets: tuple[str, ...] = ()
    services: Any = None
    intake: Any = None
    loop: asyncio.AbstractEventLoop | None = None
    receipts_from: str = ""
    waits: bool = False
    """It was to start, and no start has succeeded since."""
    why: str = ""
    """Why its last start failed."""
    starting: asyncio.Lock = field(default_factory=asyncio.Lock)
    serial: int = field(default_factory=itertools.count().__next__)

    @property
    def key(self) -> str:
        """Its name on the wire; of all but channels an old and a new one may live side by side for a while."""
        return f"{self.hook}.{self.name}" if self.hook == "channels" else f"{self.hook}.{self.name}.{self.serial}"


class Guard:
    """One plugin's process and what it has to hold. Its coroutines run on the hub's loop."""

    def __init__(self, hub: Around, load: Load) -> None:
        self.hub = hub
        self.load = load
        self.plugin = load.plugin
        self.told: Told | None = None
        self.wanted: dict[str, Placed] = {}
        self.users: weakref.WeakSet[Any] = weakref.WeakSet()
        self.classes: dict[tuple[str, str], type[Any]] = {}
        self.record = Record()
        self.why = ""
        self._child: Child | None = None
        self.checked: dict[bytes, bytes] = {}
        """What it answered last to each table that it found good."""
        self._made: dict[str, Placed] = {}
        self._started: dict[str, Placed] = {}
        self._retries: dict[str, asyncio.Task[None]] = {}
        self._burials: set[asyncio.Task[None]] = set()
        self._one = asyncio.Lock()
        self._again: asyncio.Task[None] | None = None
        self._said: dict[str, float] = {}
        self._accepts = Bucket(rate=hub.limits.messages_per_second, burst=hub.limits.messages_per_second * BURST_SECONDS)
        self._door = asyncio.Semaphore(ACCEPTS)

    @property
    def needed(self) -> bool:
        """Whether anything of the configuration is made from it."""
        return bool(self.wanted or self.users)

    @property
    def pid(self) -> int | None:
        """The process that runs now."""
        return self._child.process.pid if self._child is not None and self._child.gone is None else None

    @property
    def down(self) -> str:
        """Why it does not run; empty where it does."""
        return "" if self._child is not None and self._child.gone is None else self.why or _("not started")

    def health(self, placed: Placed) -> tuple[str, str]:
        """State and detail of a channel, as it said last; why it could not start where it could not."""
        child = self._child
        if child is None or child.gone is not None:
            return "down", _("plugin {plugin}: {why}").format(plugin=self.plugin, why=self.down)
        if placed.why:
            return "down", placed.why
        return child.health.get(placed.name, ("connecting", ""))

    async def describe(self) -> Told:
        """What the plugin is: asked once, because other code has another guard. Raises ``PluginDown``."""
        if self.told is None:
            await self._live()
        assert self.told is not None
        return self.told

    async def ask(self, do: str, placed: Placed | None, data: bytes, seconds: float, *, at_once: bool = False) -> bytes:
        """Call the plugin, its object made first where it is not. ``at_once``: do not wait for a start."""
        if at_once and (self._child is None or self._child.gone is not None or self._one.locked()):
            self._later()
            raise PluginDown(_("plugin {plugin}: {why}").format(plugin=self.plugin, why=self.down))
        child = await self._live()
        if placed is not None:
            if placed.waits and do in SENDS:
                why = _("{name} has not started: {why}").format(name=placed.name, why=placed.why or _("not started"))
                raise PluginDown(_("plugin {plugin}: {why}").format(plugin=self.plugin, why=why))
            await self._make(child, placed)
        return await child.call(do, placed.key if placed else "", data, seconds)

    async def route(
        self, placed: Placed, pack_with: Callable[[bool], bytes], directory: Any, seconds: float, *, at_once: bool
    ) -> bytes:
        """As ``ask``; the directory is told only where this process does not have it yet."""
        child = self._child
        told = child is not None and child.gone is None and child.directory is directory
        answer = await self.ask("route", placed, pack_with(not told), seconds, at_once=at_once)
        if self._child is not None:
            self._child.directory = directory
        return answer

    async def start(self, placed: Placed) -> None:
        """Start a channel or transport, and again after each new start of the process, until ``stop``."""
        self.wanted[placed.key] = placed
        placed.waits = True
        try:
            await self._run(await self._live(), placed)
        except PluginFailed as error:
            # Its own "no", such as a port in use: whoever asked is told, and may ask again.
            self.wanted.pop(placed.key, None)
            raise PluginFailed(error.kind, _("plugin {plugin}: {why}").format(plugin=self.plugin, why=error)) from None

    async def stop(self, placed: Placed) -> None:
        """Stop it, within a few seconds."""
        if self.wanted.get(placed.key) is placed:
            del self.wanted[placed.key]
        if self._started.get(placed.key) is placed:
            del self._started[placed.key]
        if self._made.get(placed.key) is placed and self._child is not None and self._child.gone is None:
            del self._made[placed.key]
            try:
                await self._child.call("stop", placed.key, b"", STOP_SECONDS)
            except (PluginDown, PluginFailed) as error:
                log.warning("%s did not stop in order: %s", placed.name, error)
        self._idle()

    async def _run(self, child: Child, placed: Placed) -> None:
        """Make and start it, unless this process has. Raises ``PluginFailed`` after what had begun was stopped."""
        async with placed.starting:
            if self._started.get(placed.key) is placed and self._child is child:
                return
            try:
                await self._make(child, placed)
                await child.call("start", placed.key, b"", self.hub.limits.start_seconds)
            except PluginFailed as error:
                placed.why = str(error)
                if self._made.pop(placed.key, None) is not None:
                    with contextlib.suppress(PluginFailed):
                        await child.call("stop", placed.key, b"", STOP_SECONDS)
                raise
            self._started[placed.key] = placed
            placed.waits, placed.why = False, ""

    async def _retry(self, child: Child, placed: Placed) -> None:
        """Go on until it is up, for as long as this process lives and it is wanted."""
        wait = RETRY_FIRST
        while True:
            await asyncio.sleep(wait)
            if self._child is not child or self.wanted.get(placed.key) is not placed:
                return
            before = placed.why
            try:
                await self._run(child, placed)
            except PluginDown:
                return
            except PluginFailed:
                self._not_up(placed, before)
                wait = min(RETRY_LONGEST, wait * 2)
                continue
            log.info("%s of plugin %s is up now", placed.name, self.plugin)
            return

    def _not_up(self, placed: Placed, before: str = "") -> None:
        """The same reason again is no news; it stands in `gateway channels` for as long as it lasts."""
        if placed.why != before:
            self.alarm(_("{name} could not start: {error}").format(name=placed.name, error=placed.why))

    async def _make(self, child: Child, placed: Placed) -> None:
        if self._made.get(placed.key) is placed:
            return
        secrets = {}
        for name in placed.secrets:
            try:
                secrets[name] = placed.services.secret(name)
            except Exception as error:
                log.warning("plugin %s: %s", self.plugin, error)
        make = Make(hook=placed.hook, kind=placed.kind, name=placed.name, settings=placed.settings, zone=self.hub.zone,
                    max_bytes=self.hub.max_bytes, secrets=secrets)  # fmt: skip
        self._made[placed.key] = placed
        try:
            made = unpack(await child.call("make", placed.key, pack(make), self.hub.limits.start_seconds), Made)
        except WireFault as fault:
            self._made.pop(placed.key, None)
            raise PluginFailed("WireFault", _("answered nonsense to {call} ({error})").format(call="make", error=fault)) from None
        except BaseException:
            self._made.pop(placed.key, None)
            raise
        placed.receipts_from = made.receipts_from

    async def _live(self) -> Child:
        """The running process, started where it may be. Raises ``PluginDown``."""
        if self._child is not None and self._child.gone is None and not self._one.locked():
            return self._child
        async with self._one:
            if self._child is not None and self._child.gone is None:
                return self._child
            left = policy.wait(self.record, time.monotonic())
            if left > 0:
                text = _("plugin {plugin}: {why}; tried again in {seconds:.0f} s")
                raise PluginDown(text.format(plugin=self.plugin, why=self.why, seconds=left))
            return await self._launch()

    async def _launch(self) -> Child:
        limits = self.hub.limits
        self._made, self._started = {}, {}
        for placed in self.wanted.values():
            placed.waits = True
        try:
            child = Child.spawn(self.plugin, serve=self._serve, noted=self._noted, ended=self._ended,
                                largest=self.hub.max_bytes + OVERHEAD)  # fmt: skip
        except OSError as error:
            self._failed(_("no process could be started ({error})").format(error=type(error).__name__))
            raise PluginDown(_("plugin {plugin}: {why}").format(plugin=self.plugin, why=self.why)) from None
        await child.open()
        self._child = child
        try:
            self.told = unpack(await child.call("load", "", pack(self.load), limits.start_seconds), Told)
        except (PluginFailed, WireFault) as error:
            child.end(_("does not load: {error}").format(error=error))
            raise PluginDown(child.gone) from None
        child.watch(limits.hang_seconds / BEATS, limits.hang_seconds, limits.memory_mb)
        self.record = policy.settled(self.record, time.monotonic(), self._rules)
        for placed in list(self.wanted.values()):
            try:
                await self._run(child, placed)
            except PluginFailed:
                self._not_up(placed)
                if (old := self._retries.pop(placed.key, None)) is not None:
                    old.cancel()
                self._retries[placed.key] = asyncio.create_task(self._retry(child, placed))
        asyncio.get_running_loop().call_later(IDLE_SECONDS, self._idle)
        return child

    @property
    def _rules(self) -> Restarts:
        limits = self.hub.limits
        return Restarts(first=limits.restart_min, longest=limits.restart_max, most=limits.failures,
                        window=limits.window_seconds, rest=limits.rest_seconds)  # fmt: skip

    def _ended(self, child: Child, why: str) -> None:
        if child.burial is not None:
            self._burials.add(child.burial)
            child.burial.add_done_callback(self._burials.discard)
        if child is self._child:
            self._failed(why)

    def _failed(self, why: str) -> None:
        now = time.monotonic()
        self.record = policy.failed(policy.settled(self.record, now, self._rules), now, self.plugin, self._rules)
        self.why = why
        again = _("{why}; failure {count}, it is started again in {seconds:.1f} s")
        text = _("{why}; failure {count}, it rests for {seconds:.0f} s") if self.record.resting else again
        self.alarm(text.format(why=why, count=len(self.record.failures), seconds=policy.wait(self.record, now)))
        self._later()

    def _later(self) -> None:
        """Start it again as soon as it may be, if anybody needs it."""
        if self.needed and (self._again is None or self._again.done()):
            self._again = asyncio.get_running_loop().create_task(self._restart())

    async def _restart(self) -> None:
        while self.needed and (self._child is None or self._child.gone is not None):
            await asyncio.sleep(policy.wait(self.record, time.monotonic()) + 0.001)
            try:
                await self._live()
            except PluginDown:
                continue
            except Exception as error:
                # Whatever it was, the trying goes on, after a wait.
                why = _("its start ended with {error}").format(error=tell(error))
                if self._child is not None and self._child.gone is None:
                    self._child.end(why)
                else:
                    self._failed(why)
                continue
            log.info("plugin %s runs again", self.plugin)

    def _idle(self) -> None:
        """A process that nothing is made from ends; the next call starts it again."""
        if not self.needed:
            self.close()

    def close(self) -> None:
        """End the process; no failure."""
        child, self._child = self._child, None
        if child is not None:
            child.end(_("not needed"))

    async def over(self) -> None:
        """End the process for good, and wait until nothing of it is left."""
        self.wanted.clear()
        self.users.clear()
        tasks = [task for task in (self._again, *self._retries.values()) if task is not None]
        for task in tasks:
            task.cancel()
        self.close()
        if waits := {*tasks, *self._burials}:
            await asyncio.wait(waits, timeout=BURIAL_SECONDS)

    def alarm(self, why: str) -> None:
        """An alarm that names the plugin; the same one not more often than every few seconds."""
        now = time.monotonic()
        if now - self._said.get(why, -SAID_SECONDS) >= SAID_SECONDS:
            if len(self._said) > 100:
                self._said.clear()
            self._said[why] = now
            self.hub.say(self.plugin, why)

    def _noted(self, what: str, why: str) -> None:
        match what:
            case "alarm":
                self.alarm(why)
            case "raised":
                self.alarm(_("raised {error}").format(error=why))
            case "forked":
                self.alarm(_("forked; the copy was ended"))
            case "stdout":
                self.alarm(_("writes to standard output; nothing of it is kept"))
            case "stderr":
                log.debug("plugin %s wrote %s bytes to standard error", self.plugin, why)

    async def _serve(self, call: Call) -> bytes:
        """A call of the plugin's. What a channel may do is done for its own channels alone."""
        match call.do:
            case "accept":
                raw = unpack(call.data, RawMessage)
                placed = self._own(raw.via)
                if (wait := self._accepts.take(time.monotonic())) > 0:
                    if wait > FLOOD_SECONDS:
                        self.alarm(_("floods: over {rate:g} messages a second; they wait").format(
                            rate=self.hub.limits.messages_per_second))  # fmt: skip
                    await asyncio.sleep(policy.together(time.monotonic(), wait) if wait > FLOOD_SECONDS else wait)
                async with self._door:
                    accepted = await _there(placed, placed.intake.accept(raw))
                return pack(Accepted(accepted.id, accepted.duplicate_of))
            case "receipt":
                receipt = unpack(call.data, Receipt)
                placed = self._own(receipt.via)
                await _there(placed, placed.intake.receipt(receipt))
                return b""
            case "submit":
                return pack(Answered.of(await self._submit(unpack(call.data, Submit))))
        raise WireFault("a call that does not exist")

    def _own(self, name: str) -> Placed:
        placed = self.wanted.get(f"channels.{name}")
        if placed is None or placed.intake is None:
            raise WireFault("a message for a channel that is not its own")
        return placed

    async def _submit(self, asked: Submit) -> Any:
        user = next((p for p in self.wanted.values() if asked.carrier in texts(json.loads(p.settings))), None)
        if user is None:
            raise WireFault("a carrier that its settings do not name")
        carrier = user.services.channel(asked.carrier)
        if carrier is None or not hasattr(carrier, "submit"):
            raise StorageTrouble(_("the carrier {name} is not running").format(name=asked.carrier))
        sending = carrier.submit(asked.to, asked.part, encoding=asked.encoding, udh=asked.udh, receipt=asked.receipt)
        return await _there(user, sending)


async def _there(placed: Placed, work: Coroutine[Any, Any, Any]) -> Any:
    """Run ``work`` on the daemon's loop."""
    if placed.loop is None:
        work.close()
        raise StorageTrouble(_("the gateway does not run"))
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, placed.loop))


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        yield from (one for inner in (value.values() if isinstance(value, dict) else value) for one in texts(inner))

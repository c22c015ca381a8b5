"""Carries out a reload: reads conf off the loop, and puts what changed in force between two messages.

Until everything new is read, checked and made, nothing old is touched: a reload that is refused leaves no trace but its event
and its answer. What it does in which order stands in docs/reload.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway import house
from gateway.core.errors import StorageTrouble
from gateway.core.model import Event
from gateway.faults import ConfError, Fault
from gateway.house import House
from gateway.i18n import _
from gateway.reload import WAYS, Moves, Plan, Sort, Way, effective, plan
from gateway.secrets import SecretError
from gateway.settings import Config
from gateway.store import journal
from gateway.trying import Backoff, Rules
from gateway.ways import Lent
from gateway.workers import LATER_NICE, WorkerPool

if TYPE_CHECKING:
    from gateway.service import Service

log = logging.getLogger(__name__)

Made = dict[Way, tuple[Any, Lent]]
"""Plugin objects that are to be started."""


@dataclass(frozen=True, slots=True)
class Ready:
    """What a reload needs, read and checked beside the loop; nothing of it is in use yet."""

    config: Config
    house: House
    plan: Plan
    waiting: tuple[str, ...]


class Reloader:
    """One reload at a time. A signal that comes during one asks for one more."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._one_at_a_time = asyncio.Lock()
        self._asked = asyncio.Event()
        self._stopping = False

    def signal(self) -> None:
        """SIGHUP."""
        self._asked.set()

    async def run(self) -> None:
        """Reload at each signal, for ever."""
        while True:
            await self._asked.wait()
            self._asked.clear()
            await self.reload("SIGHUP")

    async def stop(self, within: float) -> None:
        """Finish the reload that goes on, ``within`` seconds, and begin no other."""
        self._stopping = True
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within), self._one_at_a_time:
                pass

    async def reload(self, by: str) -> dict[str, Any]:
        """Read conf again and put in force what changed. The answer says what that was, or every fault; it never raises for
        what stands in conf."""
        async with self._one_at_a_time:
            began = time.monotonic()
            if self._stopping:
                return {"reloaded": False, "faults": [], "error": _("the gateway is stopping"), "seconds": 0.0}
            self._service.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")
            try:
                answer = await self._reload(by)
            except ConfError as error:
                answer = await self._refused(error.faults, by)
            except StorageTrouble as trouble:
                log.error("reload: %s", trouble)
                answer = {"reloaded": False, "faults": [], "error": _("storage trouble: nothing was changed; try again")}
            except Exception as error:
                log.exception("reload")
                self._service.on_error(error)
                answer = {"reloaded": False, "faults": [], "error": _("the reload failed: {error}").format(error=_told(error))}
            finally:
                self._service.notify("READY=1")
            return {**answer, "seconds": round(time.monotonic() - began, 3)}

    async def _reload(self, by: str) -> dict[str, Any]:
        service = self._service
        with unhindered():
            ready = await asyncio.to_thread(self._prepare)
        old = service.config
        made = _made(service, ready.config, ready.plan)
        waiting = (*ready.plan.restart, *ready.waiting)
        data = {
            "from": old.digest,
            "conf": ready.config.digest,
            "changed": list(ready.plan.changed),
            "started": _names(ready.plan, "start"),
            "stopped": _names(ready.plan, "stop"),
            "needs_restart": list(waiting),
        }
        # On record before it is in force, so that no decision names a conf that the record does not know.
        await service.store.write(lambda tx: journal.emit(tx, Event(at=service.now(), event="reloaded", by=by, data=data)))
        late = await self._apply(ready, made)
        for warning in ready.config.warnings:
            if warning.grave:
                service.alarms.raise_("conf", why=str(warning))
        service.idle_sockets()
        log.info(_("configuration read again: {changed}").format(changed=", ".join(ready.plan.changed) or _("no change")))
        return {
            "reloaded": True,
            "faults": [],
            **data,
            "channels": dataclasses.asdict(ready.plan.channels),
            "transports": dataclasses.asdict(ready.plan.transports),
            "not_up": late,
            "warnings": [str(warning) for warning in ready.config.warnings],
        }

    def _prepare(self) -> Ready:
        """Everything that may fail, before anything is touched. Runs beside the loop. Raises ``ConfError``."""
        service = self._service
        new = service.book.load()
        made = plan(service.config, new, stale=service.ways.stale(), uses=service.ways.uses())
        config = effective(service.config, new)
        try:
            public = service.bureau_public(config)
        except SecretError as error:
            name = config.bureau_public_key
            raise ConfError([Fault("gateway.toml", 1, "secrecy.bureau_public_key", f"{name}: {error}")]) from None
        if public != service.desk.house.bureau_public and "secrecy" not in made.parts:
            made = dataclasses.replace(made, parts=(*made.parts, "secrecy"))
        try:
            built = house.build(config, bureau_public=public, trusted=service.timekeeper.trusted)
            built.rules.packed()  # here, and not on the loop for the first message
        except Exception as error:
            text = _("a plugin could not be made: {error}").format(error=_told(error))
            raise ConfError([Fault("routes.d", 1, "routes.d", text)]) from None
        return Ready(config, built, made, service.book.waiting)

    async def _apply(self, ready: Ready, made: Made) -> list[str]:
        """Ways out first, so that nothing is routed to one that is not there; ways in last. Returns what is not up yet."""
        service, ways, plan_ = self._service, self._service.ways, ready.plan
        old = service.config
        ways.config = ready.config
        late = await self._transports(ready, made)
        # From here to the last line of _switch nothing waits: the next message, delivery or question meets the new conf whole.
        self._switch(ready, old)
        moves = plan_.channels
        await ways.stop("channel", moves.stop)
        for name in moves.removed:
            ways.drop(Way("channel", name))
        for name in moves.start:
            ways.put(Way("channel", name), *made[Way("channel", name)])
        late += await ways.start("channel", moves.start)
        for name in plan_.transports.removed:
            way = Way("transport", name)
            await ways.give_up(way)
            gone = ways.transports.get(name)
            ways.drop(way)
            ways.retire(name, gone, service.dispatcher.in_hand(), ready.config.dispatch.send_timeout)
        await ways.refresh([*(Way("channel", n) for n in moves.kept), *(Way("transport", n) for n in plan_.transports.kept)])
        service.keep(service.timekeeper.refresh(ready.house), "refresh")
        service.wake()
        return late

    async def _transports(self, ready: Ready, made: Made) -> list[str]:
        service, ways = self._service, self._service.ways
        moves = ready.plan.transports
        for name in moves.start:
            way = Way("transport", name)
            await ways.give_up(way)
            before = ways.put(way, *made[way])
            if before is not None:
                ways.retire(name, before, service.dispatcher.in_hand(), ready.config.dispatch.send_timeout)
        return await ways.start("transport", moves.start)

    def _switch(self, ready: Ready, old: Config) -> None:
        service, config = self._service, ready.config
        service.config = service.live.config = config
        service.desk.house = service.timekeeper.house = ready.house
        service.attach_hub(config)
        service.dispatcher.use(Backoff.of(config.dispatch), Rules.of(config.dispatch))
        service.intake.use(max_bytes=config.limits.max_message_bytes, repeat_seconds=config.repeat_seconds)
        for name, pool in pools(config).items():
            before = service.pools[name]
            if _measure(pool) != _measure(before):
                service.pools[name] = pool
                service.keep(before.retire(), f"retire-{name}")
                if name == "parse":
                    service.keep(pool.start(), "prewarm")

    async def _refused(self, faults: list[Fault], by: str) -> dict[str, Any]:
        service = self._service
        files = list(dict.fromkeys(fault.file for fault in faults))
        for fault in faults[:20]:
            log.error("reload refused: %s", fault)
        event = Event(at=service.now(), event="reload_refused", by=by, data={"faults": len(faults), "files": files})
        with contextlib.suppress(StorageTrouble):
            await service.store.write(lambda tx: journal.emit(tx, event))
        why = _("the new configuration was refused (faults: {count}, first: {first}); the old one goes on")
        service.alarms.raise_("reload", why=why.format(count=len(faults), first=f"{faults[0].file}:{faults[0].line}"))
        told = [{"file": f.file, "line": f.line, "key": f.key, "fault": f.text} for f in faults]
        return {"reloaded": False, "faults": told}


def pools(config: Config) -> dict[str, WorkerPool]:
    """The workers that conf asks for, not started."""
    limits = config.limits
    return {
        "parse": WorkerPool("parse", limits.parse_workers, limits.parse_memory_mb, limits.parse_seconds),
        # What strangers send is read by others, and gives way to everything else on the host.
        "parse-later": WorkerPool(
            "parse-later", limits.parse_workers, limits.parse_memory_mb, limits.parse_seconds, nice=LATER_NICE
        ),
        "ocr": WorkerPool("ocr", 1, limits.ocr_memory_mb, limits.ocr_seconds),
        # Somebody who turns pages over keeps no message waiting. It is spawned when first asked.
        "show": WorkerPool("show", 1, limits.parse_memory_mb, limits.parse_seconds),
    }


@contextlib.contextmanager
def unhindered() -> Iterator[None]:
    """For as long as this lasts no collection of garbage stops everything: reading a large conf makes so many objects that one
    would be due, and it would look through all that the gateway holds."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        set_aside()


def set_aside() -> None:
    """What lives now lives long (modules, conf): later collections need not look through it. It still goes when nobody
    holds it any more."""
    gc.collect(1)
    gc.freeze()


def _made(service: Service, config: Config, wanted: Plan) -> Made:
    """The plugin objects of all ways that are to be started. Raises ``ConfError`` for those that cannot be made."""
    moves: dict[Sort, Moves] = {"channel": wanted.channels, "transport": wanted.transports}
    made: Made = {}
    faults: list[Fault] = []
    for field, sort in WAYS.items():
        for configured in getattr(config, field):
            if configured.name not in moves[sort].start:
                continue
            try:
                way, plugin, lent = service.ways.make(sort, configured)
                made[way] = (plugin, lent)
            except Exception as error:
                file, _colon, line = configured.where.rpartition(":")
                text = _("a plugin could not be made: {error}").format(error=_told(error))
                faults.append(Fault(file, int(line), f"{sort}.{configured.name}", text))
    if faults:
        raise ConfError(faults)
    return made


def _names(wanted: Plan, what: str) -> list[str]:
    found = [f"channel {name}" for name in getattr(wanted.channels, what)]
    return found + [f"transport {name}" for name in getattr(wanted.transports, what)]


def _measure(pool: WorkerPool) -> tuple[int, int, float]:
    return pool.size, pool.memory_mb, pool.seconds


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__

"""The daemon: builds every room, starts them in order and stops them in the reverse. The only module that names the reactor
and Sentry."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import fcntl
import functools
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from gateway import __version__, activation, aio, clearance, house, scrub
from gateway.alarms import Alarms
from gateway.audit.heads import NoKey, Signer
from gateway.audit.sealer import AuditMismatch, Sealer
from gateway.chores import Chores
from gateway.conf_book import Book
from gateway.console.server import Server as ConsoleServer
from gateway.console.services import Services
from gateway.control import ControlServer
from gateway.core.errors import StorageTrouble
from gateway.core.model import Event
from gateway.desk import Desk
from gateway.dispatch import Dispatcher
from gateway.duty import work
from gateway.duty.link_page import LinkPage
from gateway.duty.timekeeper import Steady, Timekeeper, Wall
from gateway.heartbeat import Heartbeat
from gateway.house import House
from gateway.i18n import _
from gateway.intake import Intake
from gateway.metrics import Metrics
from gateway.operations import Live
from gateway.plughost.hub import hub
from gateway.reload import Way
from gateway.reloader import Reloader, pools, set_aside
from gateway.sealing import Sealing
from gateway.secrets import SecretError, Secrets
from gateway.settings import Config
from gateway.standby import Standby
from gateway.store import Store, StoreKeys, Tx, end_process, journal
from gateway.store.delivery_rows import DeliveryRow
from gateway.trying import Backoff, Rules
from gateway.watch import Watch
from gateway.ways import Ways
from gateway.web import Listener, Web, http1_only
from gateway.witness import Witnesses

log = logging.getLogger(__name__)

SWITCH_SECONDS = 0.001
"""How long a thread that reads texts or conf may keep the interpreter to itself; the loop would else wait five times as long, and
again after each of its calls of the system."""
STOP_SECONDS = 20.0
UNSURE_SECONDS = 5.0
"""How long the gateway goes on after a failed sync of the data base, so that the alarm gets out; no checkpoint runs meanwhile."""
M_MMAP_THRESHOLD, LARGE_PIECE = -3, 256 * 1024
"""mallopt's name for the size from which a piece of memory is the system's own, and that size in octets."""


def utc_now() -> datetime:
    """The present instant."""
    return datetime.now(UTC)


class AlreadyRunning(RuntimeError):
    """Another process holds the state directory."""


def lock(state: Path) -> IO[str]:
    """Hold ``STATE/lock`` as long as the returned file is open. Raises ``AlreadyRunning``."""
    state.mkdir(mode=0o750, parents=True, exist_ok=True)
    held = (state / "lock").open("a+")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise AlreadyRunning(_("another gateway holds {path}").format(path=state / "lock")) from None
    return held


class Service:
    """One running gateway."""

    def __init__(self, config: Config, book: Book | None = None) -> None:
        self.config = config
        self._wall = Wall(lambda: self.config.timezone)
        self.steady = Steady(self._wall)
        self.book = book or Book(config.path)
        self.secrets = Secrets(config.secrets)
        self._kept: set[asyncio.Task[None]] = set()
        self.notify, self.on_error = notify, report_error
        self.reloader = Reloader(self)
        self.heart = Heartbeat(notify)

    def now(self) -> datetime:
        """The present instant, with the city's offset; no leap of the wall clock is in it before an operator confirms it."""
        return self.steady()

    async def start(self) -> None:
        """Bring the rooms up: store, audit, transports, dispatch, desk, and the channels last."""
        config = self.config
        activation.take()
        self._lock = lock(config.state)
        self.store = Store.open(config.store_url, StoreKeys.load(self.secrets.path("store-key")), clock=self.now)
        self.alarms = Alarms(self.store, self.now)
        self.store.unsure = functools.partial(self._unsure, asyncio.get_running_loop())
        self.heart.on_broken = lambda why: self.alarms.raise_("watchdog", why=why)
        self.sealer = Sealer(self.store, config.audit_log, now=self.now, algorithm=config.audit.hash)
        self.pools = pools(config)
        self.ways = Ways(config, self.secrets, self.alarms, now=self.now, on_error=report_error, on_up=self._came_up)
        self.attach_hub(config)
        self._wire()
        http1_only()
        self.metrics.loop_lag.start()
        await self.watch.alarm_ways.start()
        await self.chores.start()
        self.sealing.start()
        self._event("started", version=__version__, conf=config.digest)
        for warning in config.warnings:
            if warning.grave:
                self.alarms.raise_("conf", why=str(warning))
        await self.ways.start("transport")
        await self.dispatcher.start()
        await self.timekeeper.adopt()
        self.timekeeper.start()
        self.desk.start()
        await self.ways.start("channel", intake=self.intake)
        await self.watch.start()
        self.witnesses.start()
        await self._serve_http()
        # Whoever is answered here finds everything else up.
        self.control = ControlServer(config.state / "control.sock", self.live)
        await self.control.start()
        self.idle_sockets()
        self.keep(self.pools["parse"].start(), "prewarm")
        self.keep(self.reloader.run(), "reloader")
        set_aside()
        ready = _("gateway is ready: channels {channels}").format(channels=", ".join(self.ways.channels))
        notify(f"READY=1\nSTATUS={ready}")
        log.info(ready)

    def _unsure(self, loop: asyncio.AbstractEventLoop, why: str) -> None:
        """In the store's own thread: a sync of the data base failed. Say so, then end; the next process goes by the -wal."""
        told = _("a sync of the data base failed, the gateway begins anew: {error}").format(error=why)
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: self.alarms.raise_("storage", why=told))
        time.sleep(UNSURE_SECONDS)
        end_process(why)

    def keep(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Work in the background that may be given up when the gateway stops."""
        task = asyncio.create_task(work, name=name)
        self._kept.add(task)
        task.add_done_callback(self._kept.discard)

    def attach_hub(self, config: Config) -> None:
        """Plugins in processes of their own are kept within these limits."""
        limits, most = config.plugins, config.limits.max_message_bytes
        hub.attach(asyncio.get_running_loop(), self.alarms, limits=limits, zone=config.timezone, max_bytes=most)

    def _wire(self) -> None:
        config = self.config
        self.dispatcher = Dispatcher(
            self.store,
            self.ways.transports,
            backoff=Backoff.of(config.dispatch),
            rules=Rules.of(config.dispatch),
            owner=socket.gethostname(),
            clock=self.now,
            alarms=self.alarms,
        )
        built = self.build(config)
        built.rules.packed()  # now, and not on the loop for the first message
        self.desk = Desk(
            self.store,
            built,
            self.ways.readers,
            self.pools,
            clock=self.now,
            alarms=self.alarms,
            wake_dispatch=self.dispatcher.wake,
        )
        self.timekeeper = Timekeeper(
            self.store, self.desk.house, clock=self.steady, alarms=self.alarms, wake_dispatch=self.dispatcher.wake
        )
        self.desk.wake_time = self.timekeeper.wake
        self.dispatcher.on_delivered = self._delivered
        self.dispatcher.objection = lambda row, what: clearance.objection(self.config.directory, row, what)
        self.dispatcher.on_acknowledged = self._acknowledged
        self.intake = Intake(
            self.store,
            clock=self.now,
            max_bytes=config.limits.max_message_bytes,
            repeat_seconds=config.repeat_seconds,
            alarms=self.alarms,
            wake=self.desk.wake,
            take_receipt=self.dispatcher.receipt,
            wake_dispatch=self.dispatcher.wake,
        )
        self.metrics = Metrics(
            self.store, config=lambda: self.config, alarms=self.alarms, channels=self._channel_states, clock=self.now
        )
        self.intake.on_accepted = self.metrics.accept_seconds.observe
        self.sealing = Sealing(self.store, self.sealer, self.alarms, lambda: self.intake.in_hand)
        self.sealing.here, self.sealing.on_error = self.heart.here, report_error
        self.intake.shut = lambda: self.sealing.shut
        self.desk.turns.carriers = self.dispatcher.turns.carriers = lambda: self.intake.in_hand
        self.witnesses = Witnesses(
            self.sealer,
            self._signer,
            lambda: self.config.witnesses,
            self.ways.transports,
            clock=self.now,
            alarms=self.alarms,
        )
        self.intake.is_person = lambda sender: bool(self.config.directory.persons(sender))
        self.intake.known = self.known
        self.desk.known = self.known
        self.link_page = LinkPage(self.store, lambda: self.desk.house, clock=self.now, wake=self.wake)
        self.live = Live(config=config, store=self.store, channels=self.ways.channels, alarms=self.alarms, wake=self.wake)
        self.live.daemon["reload"] = self.reloader.reload
        self.live.daemon["clock_confirm"] = self.timekeeper.confirm
        self.live.house = lambda: self.desk.house
        self.console = ConsoleServer(self._lent_to_console(), self.secrets)
        self.console.on_error = report_error
        mounts = [*self.link_page.routes(), *self.console.routes()]
        # Open event streams say nothing for as long as nothing happens.
        self.web = Web(self.metrics, mounts=mounts, listener=Listener(reading=None) if self.console.shared else None)
        self.live.not_up = lambda name: self.ways.failed.get(Way("channel", name), "")
        self.chores = Chores(
            self.store, self.alarms, self.ways.channels, config=lambda: self.config, clock=self.now,
            standby=Standby(self.store, self.alarms, lambda: self.desk.house),
        )  # fmt: skip
        self.chores.on_error = report_error
        self.chores.on_sent = self.dispatcher.wake
        self.desk.on_error = self.dispatcher.on_error = self.timekeeper.on_error = report_error
        self.watch = Watch(self.store, self.alarms, self.ways, config=lambda: self.config, clock=self.now)
        self.metrics.spaces = lambda: self.watch.space.spaces
        self.watch.on_error = self.watch.alarm_ways.on_error = report_error
        for loop in (self.desk, self.dispatcher, self.timekeeper, self.watch, self.watch.alarm_ways):
            loop.here = self.heart.here

    def _lent_to_console(self) -> Services:
        return Services(
            live=self.live,
            section=self.config.console,
            transports=self.ways.transports,
            failed=lambda sort, name: self.ways.failed.get(Way(sort, name), ""),  # type: ignore[arg-type]
            read=self.desk.read,
            picture=self.desk.picture,
            tried=self.book.tried,
        )

    def build(self, config: Config) -> House:
        """What decisions are made with under ``config``."""
        return house.build(config, bureau_public=self.bureau_public(config), trusted=self._trusted)

    def known(self, sender: str) -> bool:
        """Whether the directory knows a sender: a unit, an informant or a duty person."""
        directory = self.config.directory
        return directory.unit(sender) is not None or bool(directory.persons(sender))

    def _signer(self) -> Signer | None:
        """Who signs the record's heads; None where there is no usable key."""
        section = self.config.audit
        try:
            pem = self.secrets.optional(section.key)
            return Signer(section.origin, pem.encode()) if pem else None
        except (SecretError, NoKey) as error:
            self.alarms.raise_("witness", why=str(error))
            return None

    def _trusted(self) -> bool:
        return self.timekeeper.trusted()

    def _delivered(self, tx: Tx, row: DeliveryRow, now: datetime) -> None:
        """A delivery is there: one to the level above stops clocks."""
        if row.duty == "upward" and row.incident is not None:
            work.went_up(tx, self.desk.house, row.incident, now)

    def _acknowledged(self, tx: Tx, row: DeliveryRow, number: str | None, by: str, now: datetime) -> None:
        """A person at another gateway has what was sent there: nobody here is pressed for it any more."""
        work.acknowledged_elsewhere(tx, self.desk.house, row, number, by, now)

    def bureau_public(self, config: Config) -> bytes:
        """Without the bureau's key a marked message could not be sealed: the daemon does not start with such a conf."""
        key = self.secrets.bureau_public(config.bureau_public_key)
        if key is None:
            raise self.secrets.missing(config.bureau_public_key)
        return key

    def _channel_states(self) -> dict[str, str]:
        """How each configured way in is; one that is not there is down."""
        return {c.name: _state(self.ways.channels.get(c.name)) for c in self.config.channels}

    async def _serve_http(self) -> None:
        """Pages are not worth a report: a server that cannot start is an alarm."""
        try:
            await self.console.start()
        except (OSError, SecretError) as error:
            told = getattr(error, "strerror", None) or (str(error) if isinstance(error, SecretError) else type(error).__name__)
            self.alarms.raise_("start", why=_("the console could not start: {error}").format(error=told), name="console")
        try:
            own = self.config.console.enabled and not self.console.shared
            await self.web.start(self.config.http, inherit=not own)
        except OSError as error:
            why = _("the HTTP server could not start: {error}").format(error=error.strerror or type(error).__name__)
            self.alarms.raise_("start", why=why, name="http")

    def idle_sockets(self) -> None:
        """Whoever calls at a socket that systemd keeps open and no channel holds would wait for ever, and nobody would know."""
        if self.ways.waiting:
            return  # a way that is not up yet has its own alarm, and may be the one
        for name in activation.idle():
            why = _("systemd keeps the socket {name} open and no channel takes it: whoever calls there is not answered")
            self.alarms.raise_("conf", why=why.format(name=name), name=name)

    def wake(self) -> None:
        """Desk, dispatch and chores look at once for work."""
        self.desk.wake()
        self.dispatcher.wake()
        self.timekeeper.wake()
        self.chores.wake()

    async def _came_up(self, way: Way) -> None:
        """A channel that could not start at first is up."""
        if way.sort == "channel":
            event = Event(at=self.now(), event="channel_up", data={"via": way.name})
            await self.store.write(lambda tx: journal.emit(tx, event))

    def _event(self, name: str, **data: Any) -> None:
        self.store.write_now(lambda tx: journal.emit(tx, Event(at=self.now(), event=name, data=data)))

    async def stop(self) -> None:
        """Stop taking, finish what is in hand, seal the last events, close the store."""
        notify(f"STOPPING=1\nSTATUS={_('stopping: what is in hand is finished')}")
        await self.control.stop()
        await self.reloader.stop(STOP_SECONDS / 4)
        await self.chores.stop()
        await self.watch.stop()
        await self.ways.stop("channel")
        await self.console.stop()
        await self.web.stop()
        await self.desk.stop(STOP_SECONDS / 4)
        await self.timekeeper.stop()
        await self.dispatcher.stop(STOP_SECONDS / 2)
        await self.watch.alarm_ways.stop()
        await self.ways.stop("transport")
        for pool in self.pools.values():
            await pool.stop()
        self.metrics.loop_lag.stop()
        hub.detach()
        for task in (*self._kept,):
            task.cancel()
        await asyncio.gather(*self._kept, return_exceptions=True)
        await self.alarms.flush()
        await self.sealing.stop()
        self._event("stopped", why=_("asked to"))
        with contextlib.suppress(AuditMismatch, OSError, StorageTrouble):
            while await asyncio.to_thread(self.sealer.run_once):
                pass
        await self.witnesses.stop()
        self.sealer.close()
        self.store.close()
        self._lock.close()

    async def run(self) -> None:
        """Start, go on until SIGTERM or SIGINT, stop. SIGHUP: read conf again."""
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGHUP, self.reloader.signal)
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)
        await self.start()
        try:
            await asked.wait()
        finally:
            await self.stop()


def give_memory_back() -> None:
    """What a large message took goes back to the system with it. glibc else learns from each that such pieces are usual, keeps
    them, and lies in memory after some large mails with several times what it uses (mallopt(3))."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(M_MMAP_THRESHOLD, LARGE_PIECE)


def run_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``main`` on one loop under Twisted's reactor; returns its result or raises its error. The loop is uvloop's: asyncio's
    took half of the processor time of a mail."""
    import uvloop
    from twisted.internet import asyncioreactor

    os.environ.setdefault("UV_USE_IO_URING", "0")  # the unit's filter of system calls refuses it, and nothing here gains by it
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    import twisted.internet.reactor as reactor  # noqa: PLR0402 - what the package declares it as cannot be called, to mypy

    aio.use(reactor)
    give_memory_back()
    sys.setswitchinterval(SWITCH_SECONDS)
    outcome: list[asyncio.Task[Any]] = []

    def begin() -> None:
        task = loop.create_task(main())
        task.add_done_callback(lambda _task: reactor.stop())  # type: ignore[attr-defined]
        outcome.append(task)

    reactor.callWhenRunning(begin)  # type: ignore[attr-defined]
    reactor.run(installSignalHandlers=False)  # type: ignore[attr-defined]
    return outcome[0].result()


def init_sentry(dsn: str | None, release: str) -> None:
    """Sentry only where a DSN exists, with nothing but what ``scrub`` allows."""
    if not dsn:
        return
    import sentry_sdk

    sentry_sdk.init(
        dsn=dsn,
        release=release,
        default_integrations=False,
        include_local_variables=False,
        max_breadcrumbs=0,
        auto_session_tracking=False,
        before_send=scrub.scrub,  # type: ignore[arg-type]
    )


def report_error(error: BaseException) -> None:
    """An unexpected exception, for Sentry if it is on."""
    import sentry_sdk

    if sentry_sdk.is_initialized():
        sentry_sdk.capture_exception(error)


def _state(channel: Any) -> str:
    """What a channel says of itself; one that fails even at that is down."""
    try:
        return str(channel.health().state) if channel is not None else "down"
    except Exception:
        return "down"


def notify(state: str) -> None:
    """Tell systemd, where there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    # sd_notify(3), in UTF-8. Nobody who listens, or a full queue, is no reason to stop work.
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as speaker:
        speaker.connect("\0" + address[1:] if address.startswith("@") else address)
        speaker.send(state.encode())

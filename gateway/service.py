"""The daemon: builds every room, starts them in order and stops them in the reverse. The only module that names the reactor
and Sentry."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import logging
import os
import signal
import socket
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any
from zoneinfo import ZoneInfo

from gateway import __version__, aio, house, scrub
from gateway.alarms import Alarms
from gateway.audit.sealer import AuditMismatch, Sealer
from gateway.control import ControlServer
from gateway.core.errors import StorageTrouble
from gateway.core.model import Event
from gateway.desk import Desk
from gateway.dispatch import Backoff, Dispatcher, Rules
from gateway.i18n import _
from gateway.intake import Intake
from gateway.operations import Live
from gateway.secrets import SecretError, Secrets
from gateway.settings import Config
from gateway.store import Store, StoreKeys, journal
from gateway.workers import WorkerPool

log = logging.getLogger(__name__)

STOP_SECONDS = 20.0
SEAL_IDLE = 5.0


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


class Lent:
    """What a running plugin may use: see ``gateway.api.Services``."""

    def __init__(self, service: Service, name: str) -> None:
        self._service = service
        self._name = name

    @property
    def now(self) -> Callable[[], datetime]:
        return self._service.now

    @property
    def max_bytes(self) -> int:
        return self._service.config.limits.max_message_bytes

    def secret(self, name: str) -> str:
        return self._service.secrets.text(name)

    def channel(self, name: str) -> Any:
        return self._service.channels.get(name)

    def alarm(self, why: str, **data: str) -> None:
        self._service.alarms.raise_("plugin", why=why, plugin=self._name, **data)


class Service:
    """One running gateway."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.secrets = Secrets(config.secrets)
        self.channels: dict[str, Any] = {}
        self.transports: dict[str, Any] = {}
        self.started: list[Any] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._stopping = asyncio.Event()
        self._committed = asyncio.Event()
        self._zone = ZoneInfo(config.timezone)

    def now(self) -> datetime:
        """The present instant, with the city's offset."""
        return datetime.now(self._zone)

    async def start(self) -> None:
        """Bring the rooms up: store, audit, transports, dispatch, desk, and the channels last."""
        config = self.config
        self._lock = lock(config.state)
        self.store = Store.open(config.store_url, StoreKeys.load(self.secrets.path("store-key")), clock=self.now)
        self.alarms = Alarms(self.store, self.now)
        self.sealer = Sealer(self.store, config.audit_log, now=self.now)
        self.pools = {
            "parse": WorkerPool("parse", config.limits.parse_workers, config.limits.parse_memory_mb, config.limits.parse_seconds),
            "ocr": WorkerPool("ocr", 1, config.limits.ocr_memory_mb, config.limits.ocr_seconds),
        }
        self._make_plugins()
        self._wire()
        self._tasks.append(asyncio.create_task(self._seal(), name="sealer"))
        self._event("started", version=__version__, conf=config.digest)
        for warning in config.warnings:
            if warning.grave:
                self.alarms.raise_("conf", why=str(warning))
        for name, transport in self.transports.items():
            await self._start_one(name, transport.start())
        await self.dispatcher.start()
        self.desk.start()
        for name, channel in self.channels.items():
            await self._start_one(name, channel.start(self.intake))
        self.control = ControlServer(config.state / "control.sock", self.live)
        await self.control.start()
        self._tasks.append(asyncio.create_task(self.pools["parse"].start(), name="prewarm"))
        notify("READY=1")
        log.info(_("gateway is ready: channels {channels}").format(channels=", ".join(self.channels)))

    def _make_plugins(self) -> None:
        for configured in self.config.channels:
            self.channels[configured.name] = configured.cls(configured.name, configured.settings, Lent(self, configured.name))
        for configured in self.config.transports:
            self.transports[configured.name] = configured.cls(configured.name, configured.settings, Lent(self, configured.name))

    def _wire(self) -> None:
        config = self.config
        self.dispatcher = Dispatcher(
            self.store,
            self.transports,
            backoff=Backoff(
                first=config.dispatch.retry_min,
                factor=config.dispatch.factor,
                longest=config.dispatch.retry_max,
            ),
            rules=Rules(
                fallback_after=config.dispatch.fallback_after,
                give_up_after=config.dispatch.give_up_after,
                send_timeout=config.dispatch.send_timeout,
                concurrency=config.dispatch.concurrency,
            ),
            owner=socket.gethostname(),
            clock=self.now,
            alarms=self.alarms,
        )
        self.desk = Desk(
            self.store,
            house.build(config, bureau_public=self._bureau_public()),
            self.channels,
            self.pools,
            clock=self.now,
            alarms=self.alarms,
            wake_dispatch=self.dispatcher.wake,
        )
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
        self.live = Live(config=config, store=self.store, channels=self.channels, alarms=self.alarms, wake=self._wake)
        self.desk.on_error = self.dispatcher.on_error = report_error

    def _bureau_public(self) -> bytes:
        """Without the bureau's key a marked message could not be sealed: the daemon does not start."""
        key = self.secrets.bureau_public(self.config.bureau_public_key)
        if key is None:
            name, path = self.config.bureau_public_key, self.config.secrets
            raise SecretError(
                _("secret {name} is missing; put it into {path}, mode 0600, or give it as a systemd credential").format(
                    name=name, path=path / name
                )
            )
        return key

    def _wake(self) -> None:
        self.desk.wake()
        self.dispatcher.wake()

    async def _start_one(self, name: str, starting: Coroutine[Any, Any, None]) -> None:
        """One plugin that cannot start is an alarm; it never keeps the others from working."""
        try:
            await starting
        except Exception as error:
            log.error("%s could not start: %s", name, error)
            report_error(error)
            self.alarms.raise_("start", why=_("{name} could not start: {error}").format(name=name, error=error), plugin=name)

    def _event(self, name: str, **data: Any) -> None:
        self.store.write_now(lambda tx: journal.emit(tx, Event(at=self.now(), event=name, data=data)))

    async def _seal(self) -> None:
        """Seal what was committed, as soon as it was; alarms that waited for the store are written in quiet moments."""
        loop = asyncio.get_running_loop()
        self.store.listeners.append(lambda: loop.call_soon_threadsafe(self._committed.set))
        while not self._stopping.is_set():
            self._committed.clear()
            try:
                while await asyncio.to_thread(self.sealer.run_once):
                    pass
            except AuditMismatch as error:
                # A changed log is for people to look at; reports go on meanwhile, and their events wait in the journal.
                self.alarms.raise_("sealer", why=str(error))
            except Exception as error:
                report_error(error)
                self.alarms.raise_("sealer", why=_("the audit log cannot be written: {error}").format(error=type(error).__name__))
            await self.alarms.flush()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._committed.wait(), SEAL_IDLE)

    async def stop(self) -> None:
        """Stop taking, finish what is in hand, seal the last events, close the store."""
        notify("STOPPING=1")
        await self.control.stop()
        for name, channel in self.channels.items():
            await self._stop_one(name, channel.stop())
        await self.desk.stop(STOP_SECONDS / 4)
        await self.dispatcher.stop(STOP_SECONDS / 2)
        for name, transport in self.transports.items():
            await self._stop_one(name, transport.stop())
        for pool in self.pools.values():
            await pool.stop()
        await self.alarms.flush()
        # The sealer's thread cannot be cancelled, and two of them would write lines twice: it is asked and waited for.
        self._stopping.set()
        self._committed.set()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._event("stopped", why=_("asked to"))
        with contextlib.suppress(AuditMismatch, OSError, StorageTrouble):
            while await asyncio.to_thread(self.sealer.run_once):
                pass
        self.sealer.close()
        self.store.close()
        self._lock.close()

    async def _stop_one(self, name: str, stopping: Coroutine[Any, Any, None]) -> None:
        try:
            await asyncio.wait_for(stopping, STOP_SECONDS / 4)
        except Exception as error:
            log.error("%s did not stop in order: %s", name, type(error).__name__)

    async def run(self) -> None:
        """Start, go on until SIGTERM or SIGINT, stop."""
        asked = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, asked.set)
        await self.start()
        try:
            await asked.wait()
        finally:
            await self.stop()


def run_loop(main: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run ``main`` on one asyncio loop under Twisted's reactor; returns its result or raises its error."""
    from twisted.internet import asyncioreactor

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor

    aio.use(reactor)
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


def notify(state: str) -> None:
    """Tell systemd, where there is one."""
    if os.environ.get("NOTIFY_SOCKET"):
        import sdnotify

        sdnotify.SystemdNotifier().notify(state)

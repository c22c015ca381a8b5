"""The running ways in and out: made from conf, started, tried again where they could not start, replaced, stopped.

What a plugin is lent is noted here: the channels and the secrets it asked for say which others must follow when one of them is
replaced, and whose secret is no longer what it was.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

from gateway.alarms import Alarms
from gateway.core.model import Delivery
from gateway.i18n import _
from gateway.papers.outgoing import Papers
from gateway.papers.press import Form
from gateway.plughost.child import PluginDown, PluginFailed
from gateway.reload import Sort, Way
from gateway.secrets import SecretError, Secrets
from gateway.settings import Config, Configured
from gateway.telling import tell

log = logging.getLogger(__name__)

START_SECONDS = 30.0
PATIENCE = 1.0
"""So long a way may keep the next one from starting; what takes longer goes on beside the others."""
STOP_SECONDS = 5.0
RETRY_FIRST = 1.0
RETRY_LONGEST = 60.0
SORTS: tuple[Sort, ...] = ("channel", "transport")


class Lent:
    """What a running plugin may use: see ``gateway.api.Services``."""

    def __init__(self, ways: Ways, name: str) -> None:
        self._ways = ways
        self._name = name
        self.asked: set[str] = set()
        self.secrets: dict[str, bytes] = {}

    @property
    def now(self) -> Callable[[], datetime]:
        return self._ways.now

    @property
    def max_bytes(self) -> int:
        return self._ways.config.limits.max_message_bytes

    def secret(self, name: str) -> str:
        text = self._ways.secrets.text(name)
        self.secrets[name] = _mark(text)
        return text

    def channel(self, name: str) -> Any:
        self.asked.add(name)
        return self._ways.channels.get(name)

    def alarm(self, why: str, **data: str) -> None:
        self._ways.alarms.raise_("plugin", why=why, plugin=self._name, **data)

    async def paper(self, delivery: Delivery, form: Form) -> bytes | None:
        return await self._ways.papers.make(delivery, form, self._ways.config)


class Ways:
    """Every configured channel and transport. ``channels`` and ``transports`` hold them by name, whether or not they could
    start; ``readers`` are the channels and those taken out of conf since the start, whose last messages may still wait to be
    read. The three mappings stay the same objects for as long as the daemon runs."""

    def __init__(
        self,
        config: Config,
        secrets: Secrets,
        alarms: Alarms,
        *,
        now: Callable[[], datetime],
        on_error: Callable[[BaseException], None],
        on_up: Callable[[Way], Awaitable[None]] | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.config = config
        self.secrets = secrets
        self.alarms = alarms
        self.now = now
        self.channels: dict[str, Any] = {}
        self.transports: dict[str, Any] = {}
        self.readers: dict[str, Any] = {}
        self.failed: dict[Way, str] = {}
        self.papers = Papers(alarms, now)
        self._intake: Any = None
        self._lent: dict[Way, Lent] = {}
        self._retries: dict[Way, asyncio.Task[None]] = {}
        self._retiring: set[asyncio.Task[None]] = set()
        self._on_error = on_error
        self._on_up = on_up
        self._sleep = sleep
        everything = [("channel", c) for c in config.channels] + [("transport", c) for c in config.transports]
        for sort, configured in everything:
            self.put(*self.make(sort, configured))  # type: ignore[arg-type]

    def make(self, sort: Sort, configured: Configured) -> tuple[Way, Any, Lent]:
        """A plugin object that nobody uses yet."""
        lent = Lent(self, configured.name)
        return Way(sort, configured.name), configured.cls(configured.name, configured.settings, lent), lent

    def put(self, way: Way, plugin: Any, lent: Lent) -> Any:
        """Let ``plugin`` stand under its name from now on; returns the one that stood there."""
        running = self._running(way.sort)
        before = running.get(way.name)
        running[way.name] = plugin
        self._lent[way] = lent
        if way.sort == "channel":
            self.readers[way.name] = plugin
        return before

    def uses(self) -> Mapping[Way, Collection[str]]:
        """Which channels each way has asked for: those that must follow when one of these is replaced."""
        return {way: lent.asked for way, lent in self._lent.items() if lent.asked}

    def stale(self) -> set[Way]:
        """The ways that hold a secret which is no longer what it was, or is gone."""
        return {way for way, lent in self._lent.items() if any(self._differs(*held) for held in list(lent.secrets.items()))}

    def _differs(self, name: str, mark: bytes) -> bool:
        try:
            return _mark(self.secrets.text(name)) != mark
        except SecretError:
            return True

    async def start(self, sort: Sort, names: Iterable[str] | None = None, intake: Any = None) -> list[str]:
        """Start the ways of ``sort`` (those of ``names``) in their order; returns the names of those that are not up yet.

        One that cannot start is an alarm; it never keeps the others from working, and is tried until it comes up."""
        self._intake = intake or self._intake
        late = []
        for name in list(self._running(sort)) if names is None else names:
            way = Way(sort, name)
            first = asyncio.create_task(self._try(way))
            await asyncio.wait({first}, timeout=PATIENCE)
            if not first.done() or not first.result():
                late.append(name)
                self._retries[way] = asyncio.create_task(self._again(way, first), name=f"start-{sort}-{name}")
        return late

    async def stop(self, sort: Sort, names: Iterable[str] | None = None) -> None:
        """Stop the ways of ``sort``: all at once, or those of ``names``, the last first. Channels stay readable."""
        every = list(self._running(sort))
        if names is None:
            await asyncio.gather(*(self._stop_one(Way(sort, name)) for name in every))
            retiring = [task for task in self._retiring if sort == "transport"]
            for task in retiring:
                task.cancel()
            await asyncio.gather(*retiring, return_exceptions=True)
            return
        for name in reversed(list(names)):
            await self._stop_one(Way(sort, name))

    async def _stop_one(self, way: Way) -> None:
        await self.give_up(way)
        plugin = self._running(way.sort).get(way.name)
        if plugin is not None:
            await stop_one(way.name, plugin)

    async def give_up(self, way: Way) -> None:
        """Try no longer to start ``way``."""
        self.failed.pop(way, None)
        if (task := self._retries.pop(way, None)) is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def drop(self, way: Way) -> None:
        """Take a stopped way out of use. What a channel accepted can still be read."""
        self._running(way.sort).pop(way.name, None)
        self._lent.pop(way, None)

    def retire(self, name: str, plugin: Any, in_hand: Collection[asyncio.Task[Any]], within: float) -> None:
        """Stop a transport that was replaced as soon as what is being sent by it is through, ``within`` seconds at most."""

        async def wait() -> None:
            if in_hand:
                await asyncio.wait(in_hand, timeout=within)
            await stop_one(name, plugin)

        task = asyncio.create_task(wait(), name=f"retire-{name}")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    async def refresh(self, keep: Iterable[Way]) -> None:
        """Have the ways that stay look again at what they read from files (TLS certificates), where they can."""
        for way in keep:
            again = getattr(self._running(way.sort).get(way.name), "refresh", None)
            if again is None or way in self.failed:
                continue
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await again()
            except Exception as error:
                why = _("{name} could not read its files again and goes on with the old ones: {error}")
                self.alarms.raise_("plugin", why=why.format(name=way.name, error=_told(error)), plugin=way.name)

    @property
    def waiting(self) -> bool:
        """Whether a way is not up yet."""
        return bool(self._retries)

    def _running(self, sort: Sort) -> dict[str, Any]:
        return self.channels if sort == "channel" else self.transports

    async def _try(self, way: Way) -> bool:
        plugin = self._running(way.sort)[way.name]
        try:
            starting = plugin.start(self._intake) if way.sort == "channel" else plugin.start()
            async with asyncio.timeout(START_SECONDS):
                await starting
        except Exception as error:
            why = _("{name} could not start: {error}").format(name=way.name, error=_told(error))
            if self.failed.get(way) != why:
                # The same reason again is no news; it stands in `gateway channels` for as long as it lasts.
                self.failed[way] = why
                self._on_error(error)
                self.alarms.raise_("start", why=why, plugin=way.name)
            await stop_one(way.name, plugin)
            return False
        self.failed.pop(way, None)
        return True

    async def _again(self, way: Way, first: asyncio.Task[bool]) -> None:
        """Go on until ``way`` is up; ``first`` is the try that its starter did not wait for or that failed."""
        wait, up = RETRY_FIRST, await first
        while not up:
            await self._sleep(wait)
            up = await self._try(way)
            wait = min(RETRY_LONGEST, wait * 2)
        self._retries.pop(way, None)
        log.info(_("{name} is up now").format(name=way.name))
        if self._on_up is not None:
            with contextlib.suppress(Exception):
                await self._on_up(way)


async def stop_one(name: str, plugin: Any) -> None:
    """Stop a plugin, in its own time but not for ever."""
    try:
        async with asyncio.timeout(STOP_SECONDS):
            await plugin.stop()
    except Exception as error:
        log.error("%s did not stop in order: %s", name, type(error).__name__)


def _mark(secret: str) -> bytes:
    """By which a secret is known again without being kept."""
    return hashlib.sha256(secret.encode()).digest()


def _told(error: BaseException) -> str:
    if isinstance(error, TimeoutError) and not str(error):
        return _("no answer within {seconds} s").format(seconds=f"{START_SECONDS:g}")
    return str(error) if isinstance(error, PluginDown | PluginFailed) else tell(error)

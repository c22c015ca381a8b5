"""Plugins in processes of their own, for the rest of the daemon: one ``Guard`` a plugin, all on a loop of their own thread.

So a plugin that floods its pipe takes none of the daemon's loop, and code that is not async (a router inside a transaction)
can ask with a deadline. Nothing runs here unless a plugin needs it.
"""

from __future__ import annotations

import asyncio
import atexit
import logging
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import partial
from typing import Any

from gateway.i18n import _
from gateway.plughost.child import PluginDown, PluginFailed
from gateway.plughost.guard import Guard, Placed
from gateway.plughost.wire import Load
from gateway.settings_model import PluginsSection

__all__ = ["Guard", "Hub", "Placed", "PluginDown", "PluginFailed", "hub"]

log = logging.getLogger(__name__)


class Hub:
    """All guards of this process, and the thread that they live in."""

    def __init__(self) -> None:
        self.limits = PluginsSection()
        self.zone = "Asia/Shanghai"
        self.max_bytes = 32 * 1024 * 1024
        self.running = False
        self._guards: dict[Load, Guard] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._tell: Callable[[str, str], None] | None = None

    def attach(self, loop: asyncio.AbstractEventLoop, alarms: Any, *, limits: PluginsSection, zone: str, max_bytes: int) -> None:
        """The daemon runs: alarms go to ``alarms`` on ``loop``, and nobody waits for a process to start."""
        self.limits, self.zone, self.max_bytes = limits, zone, max_bytes
        self._tell = lambda plugin, why: _soon(loop, partial(alarms.raise_, "plugin", why=why, plugin=plugin))
        self.running = True

    def guard(self, load: Load) -> Guard:
        """The guard of a plugin; the same one each time the same plugin is loaded."""
        if load not in self._guards:
            self._guards[load] = self.now(self._new(load), 5.0)
        return self._guards[load]

    async def _new(self, load: Load) -> Guard:
        return Guard(self, load)

    def submit(self, work: Coroutine[Any, Any, Any]) -> Future[Any]:
        """Run ``work`` on the guards' loop."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="plughost", daemon=True).start()
            atexit.register(self.close)
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def now(self, work: Coroutine[Any, Any, Any], seconds: float) -> Any:
        """Wait for ``work`` here, for code that is not async. Raises ``PluginDown`` when even the guard does not answer."""
        future = self.submit(work)
        try:
            return future.result(seconds)
        except TimeoutError:
            future.cancel()
            raise PluginDown(_("no answer within {seconds:g} s").format(seconds=seconds)) from None

    async def wait(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Wait for ``work`` on the daemon's loop."""
        return await asyncio.wrap_future(self.submit(work))

    def say(self, plugin: str, why: str) -> None:
        """An alarm, or where no daemon runs a line of the log."""
        if self._tell is not None:
            self._tell(plugin, why)
        else:
            log.info("plugin %s: %s", plugin, why)

    def pids(self) -> dict[str, int]:
        """The processes that live now, by plugin."""
        return {guard.plugin: guard.pid for guard in list(self._guards.values()) if guard.pid is not None}

    def detach(self) -> None:
        """The daemon stops: its processes end, nothing is started again."""
        self._tell, self.running = None, False
        self.close()

    def close(self) -> None:
        """End every process and forget its guard."""
        guards, self._guards = list(self._guards.values()), {}
        if guards:
            self.now(self._close(guards), 5.0)

    async def _close(self, guards: list[Guard]) -> None:
        await asyncio.gather(*(guard.over() for guard in guards))


def _soon(loop: asyncio.AbstractEventLoop, call: Callable[[], object]) -> None:
    try:
        loop.call_soon_threadsafe(call)
    except RuntimeError:  # the daemon's loop has closed
        log.error("an alarm came too late to be kept")


hub = Hub()
"""The one of this process: a plugin that two parts of the daemon load runs once."""

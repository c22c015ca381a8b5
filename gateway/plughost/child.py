"""The daemon's end of one plugin process: spawns it, calls it with a deadline, answers its calls, watches and kills it.

Everything here runs on the loop of ``gateway.plughost``, never on the daemon's own. Whatever the process does wrong ends it:
it hangs, dies, speaks nonsense, floods, grows. What it has had accepted before is on stable storage and is not touched.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import IO, Any

from gateway.i18n import _
from gateway.plughost.policy import Bucket
from gateway.plughost.wire import Call, Done, Note, WireFault, framed, read_frame, unpack
from gateway.workers import environment

IN_FLIGHT = 64
"""Calls of the plugin that may be unanswered; its own side keeps to far fewer."""
UNSENT = 64 * 1024 * 1024
MOST_PROCESSES = 32
"""Descendants of one plugin; a bomb of forks ends here."""
CHUNK = 65536
CHUNK_SECONDS = 0.1
"""Output is read no faster than one chunk in this time: who floods waits."""
DEATH_SECONDS = 1.0
REAP_SECONDS = 0.01
MEANINGS = {71: "out of memory"}


class PluginDown(Exception):
    """The plugin's process does not answer. The text names the plugin and says why."""


class PluginFailed(Exception):
    """The plugin itself failed at a call: ``kind`` is its exception's name."""

    def __init__(self, kind: str, why: str) -> None:
        super().__init__(why)
        self.kind = kind


class Child:
    """One process. ``serve`` answers its calls; ``noted`` takes its notes; ``ended`` is told once why it is gone."""

    def __init__(
        self,
        plugin: str,
        process: subprocess.Popen[bytes],
        wire: socket.socket,
        *,
        serve: Callable[[Call], Awaitable[bytes]],
        noted: Callable[[str, str], None],
        ended: Callable[[Child, str], None],
        largest: int,
    ) -> None:
        self.plugin = plugin
        self.process = process
        self.health: dict[str, tuple[str, str]] = {}
        self.gone: str | None = None
        self.directory: Any = None
        self.burial: asyncio.Task[None] | None = None
        self._wire = wire
        self._serve = serve
        self._noted = noted
        self._ended = ended
        self._largest = largest
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._last = 0
        self._serving: set[asyncio.Task[None]] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._notes = Bucket(rate=20.0, burst=100.0)

    @classmethod
    def spawn(cls, plugin: str, **given: Any) -> Child:
        """A fresh process that has loaded nothing yet. Raises ``OSError``."""
        ours, theirs = socket.socketpair()
        try:
            process = subprocess.Popen(  # noqa: S603
                [sys.executable, "-P", "-m", "gateway.plughost.main", str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                env=environment(), start_new_session=True,
            )  # fmt: skip
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return cls(plugin, process, ours, **given)

    async def open(self) -> None:
        """Begin to listen to it."""
        reader, self._writer = await asyncio.open_connection(sock=self._wire)
        self._tasks = [asyncio.create_task(self._listen(reader))]
        for name, stream in (("stdout", self.process.stdout), ("stderr", self.process.stderr)):
            if stream is not None:
                self._tasks.append(asyncio.create_task(self._drain(name, stream)))

    def watch(self, beat: float, within: float, memory_mb: int) -> None:
        """Ask every ``beat`` seconds whether it is there; it has to answer ``within`` and to stay below ``memory_mb`` MiB."""
        self._tasks.append(asyncio.create_task(self._watch(beat, within, memory_mb)))

    async def call(self, do: str, name: str, data: bytes, seconds: float) -> bytes:
        """Its answer. Raises ``PluginFailed`` for its exception; a late answer ends it and raises ``PluginDown``."""
        if self.gone is not None:
            raise PluginDown(self.gone)
        if self._writer.transport.get_write_buffer_size() > UNSENT:
            self.end(_("takes nothing more from its pipe"))
            raise PluginDown(self.gone)
        self._last += 1
        number = self._last
        answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._writer.write(framed(Call(number, do, name, data)))
            async with asyncio.timeout(seconds):
                done = await answer
        except TimeoutError:
            self.end(_("did not answer {call} within {seconds:g} s").format(call=do, seconds=seconds))
            raise PluginDown(self.gone) from None
        finally:
            self._waiting.pop(number, None)
        if done.failed:
            raise PluginFailed(done.failed, done.why[:300])
        return done.data

    def end(self, why: str) -> None:
        """Kill it with all it has started; every call that waits raises ``PluginDown``. Harmless the second time."""
        if self.gone is not None:
            return
        self.gone = _("plugin {plugin}: {why}").format(plugin=self.plugin, why=why)
        for pid in descendants(self.process.pid):
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, signal.SIGKILL)
        with contextlib.suppress(Exception):
            self._writer.transport.abort()
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(PluginDown(self.gone))
                answer.exception()
        cancelled = [task for task in self._tasks if task is not asyncio.current_task()]
        for task in cancelled:
            task.cancel()
        self.burial = asyncio.create_task(self._bury(cancelled))
        self._ended(self, why)

    async def _bury(self, cancelled: list[asyncio.Task[None]]) -> None:
        """Its streams are closed last: a descriptor closed while the loop still listens to it is deaf for its next owner."""
        await asyncio.gather(*cancelled, return_exceptions=True)
        while self.process.poll() is None:  # noqa: ASYNC110 - a process has no event, and no thread may be needed at the end
            await asyncio.sleep(REAP_SECONDS)
        for stream in (self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while True:
                frame = await read_frame(reader, self._largest)
                if isinstance(frame, Done):
                    self._take(frame)
                elif isinstance(frame, Call):
                    self._begin(frame)
                else:
                    await self._note(frame)
        except WireFault as fault:
            self.end(_("broke the protocol: {fault}").format(fault=fault))
        except (asyncio.IncompleteReadError, OSError):
            self.end(await self._how())

    def _take(self, done: Done) -> None:
        if not 0 < done.id <= self._last:
            raise WireFault("an answer to nothing")
        answer = self._waiting.get(done.id)
        if answer is not None and not answer.done():
            answer.set_result(done)

    def _begin(self, call: Call) -> None:
        if len(self._serving) >= IN_FLIGHT:
            raise WireFault("more calls at once than allowed")
        task = asyncio.create_task(self._answer(call))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _answer(self, call: Call) -> None:
        try:
            done = Done(call.id, await self._serve(call))
        except WireFault as fault:
            self.end(_("broke the protocol: {fault}").format(fault=fault))
            return
        except Exception as error:
            done = Done(call.id, b"", type(error).__name__, str(error)[:300])
        if self.gone is None:
            self._writer.write(framed(done))

    async def _note(self, note: Note) -> None:
        """Who talks too much is read more slowly; the pipe does the rest."""
        wait = self._notes.take(time.monotonic())
        if wait:
            await asyncio.sleep(min(wait, 1.0))
        self._noted(note.what, note.why[:300])

    async def _watch(self, beat: float, within: float, memory_mb: int) -> None:
        while self.gone is None:
            try:
                self.health = unpack(await self.call("ping", "", b"", within), dict[str, tuple[str, str]])
            except PluginDown:
                return
            except (PluginFailed, WireFault):
                self.end(_("answered nonsense"))
                return
            if (used := resident(self.process.pid)) > memory_mb:
                self.end(_("uses {used} MiB of memory; allowed: {limit}").format(used=used, limit=memory_mb))
            elif (many := len(descendants(self.process.pid))) > MOST_PROCESSES:
                self.end(_("has started {many} processes; allowed: {limit}").format(many=many, limit=MOST_PROCESSES))
            await asyncio.sleep(beat)

    async def _drain(self, name: str, stream: IO[bytes]) -> None:
        """Output is counted and thrown away: a plugin's words may hold a report's."""
        os.set_blocking(stream.fileno(), False)
        loop, readable = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(stream.fileno(), readable.set)
        try:
            while True:
                await readable.wait()
                data = os.read(stream.fileno(), CHUNK)
                if not data:
                    return
                self._noted(name, str(len(data)))
                loop.remove_reader(stream.fileno())
                await asyncio.sleep(CHUNK_SECONDS)
                readable.clear()
                loop.add_reader(stream.fileno(), readable.set)
        except (OSError, ValueError):
            return
        finally:
            with contextlib.suppress(OSError, ValueError):
                loop.remove_reader(stream.fileno())

    async def _how(self) -> str:
        """How it ended, or that it only closed its pipe."""
        deadline = time.monotonic() + DEATH_SECONDS
        while self.process.poll() is None:
            if time.monotonic() > deadline:
                return _("closed its pipe")
            await asyncio.sleep(0.01)
        code = self.process.returncode
        how = f"signal {-code}" if code < 0 else f"exit {code}"
        if code in MEANINGS:
            how += f", {MEANINGS[code]}"
        return _("its process ended ({how})").format(how=how)


def resident(pid: int) -> int:
    """MiB of memory in use; 0 where the process is gone."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text("ascii").split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * resource.getpagesize() // (1024 * 1024)


def descendants(pid: int, most: int = 4096) -> list[int]:
    """Every living process below ``pid``, also those that have made a session of their own."""
    found: list[int] = []
    asked = [pid]
    while asked and len(found) < most:
        for children in Path(f"/proc/{asked.pop()}/task").glob("*/children"):
            with contextlib.suppress(OSError, ValueError):
                born = [int(one) for one in children.read_text("ascii").split()]
                found += born
                asked += born
    return found

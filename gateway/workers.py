"""Worker processes: whatever could hang, grow or crash while reading a message does so there and not in the daemon, and what
takes long takes nothing of its interpreter.

Wire: each frame is four octets of length (big endian) and one msgpack value; a ``Job`` goes in, a ``Done`` comes back.
Workers are spawned, never forked; each call has a deadline and each process limits on memory, processor time and files.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import logging
import os
import signal
import struct
import sys
from collections import deque
from typing import Any

import msgspec

from gateway import confine
from gateway.core.model import Attachment, Message, RawMessage
from gateway.judging import Judged, Packed, Rules

log = logging.getLogger(__name__)

FRAME = struct.Struct(">I")
LARGEST_FRAME = 256 * 1024 * 1024
START_SECONDS = 30.0
END_SECONDS = 1.0
NICE, LATER_NICE = 5, 10
"""How far workers give way to others (nice(2)): those that read for registered senders, and those that read for strangers."""
KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "TZ", "PYTHONPATH", "VIRTUAL_ENV", "HOME", "TMPDIR")


class WorkerFailed(Exception):
    """The message could not be read. The text says why, without a word of the message; a person must look."""


class NoWorker(WorkerFailed):
    """The machine had no process for the message, or that process lacked what a machine gives: that passes, and says nothing of
    the message."""


class NotJudged(Exception):
    """Judging a message raised; the text is the kind of what it raised."""


class ReadSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a worker needs to build a channel: its class, its configured name and its settings as JSON.

    ``path`` is the file of a plugin that is not on the import path.
    """

    module: str
    attr: str
    name: str
    settings: bytes
    path: str | None = None

    @classmethod
    def of(cls, channel: Any) -> ReadSpec:
        """The spec of a channel object made as ``Class(name, settings, services)``."""
        kind = type(channel)
        try:
            path = getattr(kind, "source_file", None) or inspect.getfile(kind)
        except (TypeError, OSError):
            path = None
        return cls(
            module=kind.__module__,
            attr=kind.__qualname__,
            name=channel.name,
            settings=channel.settings.model_dump_json(by_alias=True).encode(),
            path=path,
        )


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One call: read ``raw`` with the channel of ``spec`` within ``seconds``, or vouch for its sender, or draw a ``page`` of it,
    counted from 1. With ``rules`` what was read is judged, with ``flags`` for further remarks, and only that comes back; where
    ``message`` is given, it was read already."""

    spec: ReadSpec | None = None
    raw: RawMessage
    seconds: float
    vouch: bool = False
    page: int = 0
    rules: Packed | None = None
    flags: tuple[str, ...] = ()
    message: Message | None = None


class Done(msgspec.Struct, frozen=True, kw_only=True):
    """The answer: a message (``judged`` where rules came along, ``flags`` where it was asked to vouch, ``picture`` where for a
    page), or ``why`` there is none, or the kind of what judging raised (``odd``). ``spent`` asks for a fresh process: memory has
    grown too far; ``short`` says that the machine lacked something. ``rules`` names those that the process has now."""

    message: Message | None = None
    judged: Judged | None = None
    odd: str | None = None
    flags: tuple[str, ...] | None = None
    picture: Attachment | None = None
    why: str | None = None
    spent: bool = False
    short: bool = False
    rules: str = ""


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """The first frame of a worker that has started."""

    pid: int


_encode = msgspec.msgpack.Encoder().encode
_done = msgspec.msgpack.Decoder(Done)


class _Worker:
    """One process. It is used by one call at a time and thrown away whenever something is wrong with it."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.process = process
        self.stdin = process.stdin
        self.stdout = process.stdout
        self.calls = 0
        self.rules = ""
        """The name of the rules that it has, as it said itself."""

    @property
    def alive(self) -> bool:
        return self.process.returncode is None and not self.stdout.at_eof()

    async def frame(self) -> bytes:
        (size,) = FRAME.unpack(await self.stdout.readexactly(FRAME.size))
        if size > LARGEST_FRAME:
            raise WorkerFailed(f"the answer is over {LARGEST_FRAME} bytes")
        return await self.stdout.readexactly(size)

    async def call(self, job: Job) -> Done:
        if job.rules is not None and job.rules.name == self.rules:
            job = msgspec.structs.replace(job, rules=Packed(self.rules))
        frame = _encode(job)
        self.stdin.write(FRAME.pack(len(frame)))
        self.stdin.write(frame)
        del frame  # large ones lie in memory often enough
        await self.stdin.drain()
        self.calls += 1
        done = _done.decode(await self.frame())
        self.rules = done.rules
        return done

    async def end(self) -> None:
        """Kill and reap; harmless when it is dead already."""
        if self.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.process.pid, signal.SIGKILL)
        self.stdin.close()
        await self.process.wait()


def _failed(done: Done, otherwise: str) -> WorkerFailed:
    """Why nothing came of a call."""
    why = done.why or otherwise
    return NoWorker(why) if done.short else WorkerFailed(why)


class WorkerPool:
    """``size`` worker processes of ``memory_mb`` MiB address space each; a call may take ``seconds``.

    A worker that hangs, dies or answers nonsense is killed and replaced; after ``calls`` calls it is replaced anyway.
    """

    def __init__(self, name: str, size: int, memory_mb: int, seconds: float, *, calls: int = 500, nice: int = NICE) -> None:
        self.name = name
        self.nice = nice
        self.size = size
        self.memory_mb = memory_mb
        self.seconds = seconds
        self.calls = calls
        self._idle: deque[_Worker] = deque()
        self._all: set[_Worker] = set()
        self._slots = asyncio.Semaphore(size)
        self._stopped = False

    @property
    def pids(self) -> list[int]:
        """The processes that live now."""
        return [worker.process.pid for worker in self._all if worker.alive]

    async def start(self) -> None:
        """Spawn all workers now, so that the first message does not wait for a start."""
        missing = self.size - len(self._all)
        self._idle.extend(await asyncio.gather(*(self._spawn() for _ in range(missing))))

    async def stop(self) -> None:
        """Kill every worker; calls that run raise ``WorkerFailed``."""
        self._stopped = True
        await asyncio.gather(*(self._discard(worker) for worker in list(self._all)))
        self._idle.clear()

    async def retire(self) -> None:
        """Answer every call that was made, then stop. Nobody may call it any more."""
        for _place in range(self.size):
            await self._slots.acquire()
        await self.stop()

    async def read(self, channel: Any, raw: RawMessage) -> Message:
        """Read ``raw`` as ``channel`` (a channel object or a ``ReadSpec``) would. Raises ``WorkerFailed``.

        A channel that has a process of its own reads there, so that it holds up nobody else's reading.
        """
        apart = getattr(channel, "read_apart", None)
        if apart is not None:
            message: Message = await apart(raw, self.seconds)
            return message
        done = await self._done(Job(spec=_spec(channel), raw=raw, seconds=self.seconds))
        if done.message is None:
            raise _failed(done, "the worker gave no answer")
        return done.message

    async def judged(
        self,
        rules: Rules,
        raw: RawMessage,
        *,
        channel: Any = None,
        message: Message | None = None,
        flags: tuple[str, ...] = (),
    ) -> Judged:
        """Judge ``message``, or else what ``channel`` reads in ``raw``, as ``judging.judge`` would. Raises ``WorkerFailed``, and
        ``NotJudged`` where only the judging failed."""
        spec = None if message is not None else _spec(channel)
        job = Job(spec=spec, raw=raw, seconds=self.seconds, rules=rules.packed(), flags=flags, message=message)
        done = await self._done(job)
        if done.odd is not None:
            raise NotJudged(done.odd)
        if done.judged is None:
            raise _failed(done, "the worker gave no answer")
        return done.judged

    async def vouch(self, channel: Any, raw: RawMessage) -> tuple[str, ...]:
        """The flags that ``channel`` gives the sender of ``raw``. Raises ``WorkerFailed``."""
        done = await self._done(Job(spec=ReadSpec.of(channel), raw=raw, seconds=self.seconds, vouch=True))
        if done.flags is None:
            raise _failed(done, "the worker gave no answer")
        return done.flags

    async def picture(self, channel: Any, raw: RawMessage, page: int) -> Attachment:
        """A page of ``raw`` as a PNG. Raises ``WorkerFailed``, also where there is no such page."""
        done = await self._done(Job(spec=ReadSpec.of(channel), raw=raw, seconds=self.seconds, page=page))
        if done.picture is None:
            raise _failed(done, "there is no such page")
        return done.picture

    async def _done(self, job: Job) -> Done:
        """One job by one worker, which is thrown away where it fails."""
        async with self._slots:
            if self._stopped:
                raise WorkerFailed("the worker pool has stopped")
            worker = await self._take()
            try:
                done = await self._ask(worker, job)
            except BaseException:
                await asyncio.shield(self._discard(worker))
                raise
            await self._give_back(worker, spent=done.spent)
        return done

    async def _ask(self, worker: _Worker, job: Job) -> Done:
        """One call with its deadline; every way to fail becomes ``WorkerFailed``."""
        try:
            async with asyncio.timeout(self.seconds):
                return await worker.call(job)
        except TimeoutError:
            log.warning("pool %s: worker %s took over %s s and is killed", self.name, worker.process.pid, self.seconds)
            raise WorkerFailed(f"reading took longer than {self.seconds:g} s") from None
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            code = await self._code(worker)
            log.warning("pool %s: worker %s ended with %s", self.name, worker.process.pid, code)
            raise WorkerFailed(f"the worker process ended ({code})") from None
        except msgspec.DecodeError:
            raise WorkerFailed("the worker's answer could not be understood") from None

    @staticmethod
    async def _code(worker: _Worker) -> str:
        """How the process ended: ``exit 3`` or ``signal 9``."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_SECONDS):
                await worker.process.wait()
        await worker.end()
        code = worker.process.returncode or 0
        return f"signal {-code}" if code < 0 else f"exit {code}"

    async def _take(self) -> _Worker:
        while self._idle:
            worker = self._idle.popleft()
            if worker.alive:
                return worker
            await self._discard(worker)
        return await self._spawn()

    async def _give_back(self, worker: _Worker, *, spent: bool) -> None:
        if self._stopped or spent or worker.calls >= self.calls or not worker.alive:
            await self._discard(worker)
        else:
            self._idle.append(worker)

    async def _discard(self, worker: _Worker) -> None:
        self._all.discard(worker)
        await worker.end()

    async def _spawn(self) -> _Worker:
        """A fresh process, ready for its first call. Raises ``WorkerFailed`` when it does not come up."""
        try:
            process = await confine.spawn(
                sys.executable, "-P", "-m", "gateway.worker_main", str(self.memory_mb), str(self.nice),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
                env=environment(), start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise NoWorker(f"no worker process could be started ({type(error).__name__})") from None
        worker = _Worker(process)
        self._all.add(worker)
        try:
            async with asyncio.timeout(START_SECONDS):
                msgspec.msgpack.decode(await worker.frame(), type=Ready)
        except (TimeoutError, asyncio.IncompleteReadError, msgspec.DecodeError) as error:
            await self._discard(worker)
            kind = WorkerFailed if isinstance(error, TimeoutError) else NoWorker
            raise kind("a worker process did not start") from None
        except BaseException:
            await asyncio.shield(self._discard(worker))
            raise
        return worker


def _spec(channel: Any) -> ReadSpec:
    return channel if isinstance(channel, ReadSpec) else ReadSpec.of(channel)


def environment() -> dict[str, str]:
    """Only what an interpreter needs: no credentials directory, no proxies; small malloc arenas under the memory limit."""
    kept = {name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ}
    return kept | {"PYTHONUTF8": "1", "MALLOC_ARENA_MAX": "2", "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"}

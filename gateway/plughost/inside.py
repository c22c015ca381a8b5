"""Inside a plugin's own process: loads one plugin, makes and runs its objects, and speaks with the daemon
(``gateway.plughost.wire``). What goes wrong is told by kind and place: an exception's text may hold a part of a message."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any

from pydantic import ValidationError

from gateway import aio, i18n
from gateway.confine import stand_back
from gateway.core.directory import Directory
from gateway.core.errors import StorageTrouble, TooLarge
from gateway.core.model import Delivery, Destination, Doubt, Match, Message, RawMessage
from gateway.plughost.lent import Carrier, Intake, Lent
from gateway.plughost.wire import (
    BESIDES,
    LINE,
    Answered,
    Call,
    Done,
    Load,
    Look,
    Made,
    Make,
    Note,
    Opinions,
    Route,
    Said,
    Submit,
    Table,
    Told,
    WireFault,
    framed,
    pack,
    read_frame,
    unpack,
)
from gateway.telling import Unfit, place, tell

OUT_OF_MEMORY = 71
FORKED = 72
OURS = "plughost/inside.py"
CALLS = 16
"""Calls to the daemon that may wait for their answer at once; further ones wait their turn here."""
UNSENT = 4 * 1024 * 1024
"""Notes are let go where so many bytes wait to be sent."""
LARGEST = 512 * 1024 * 1024
KEPT: dict[str, type[Exception]] = {"StorageTrouble": StorageTrouble, "TooLarge": TooLarge}


def serve(wire: int) -> None:
    """Serve the daemon by the socket ``wire`` until it lets go of it; does not return."""
    with contextlib.suppress(MemoryError):
        asyncio.run(_serve(socket.socket(fileno=wire)))
    os._exit(OUT_OF_MEMORY)


async def _serve(wire: socket.socket) -> None:
    reader, writer = await asyncio.open_connection(sock=wire)
    _lend_reactor(asyncio.get_running_loop())
    house = House(writer)
    asyncio.get_running_loop().set_exception_handler(house.stray)
    # A copy of this process would read the daemon's calls and answer them twice: it ends where it begins.
    os.register_at_fork(after_in_child=lambda: os._exit(FORKED), after_in_parent=lambda: house.note("forked"))
    try:
        while True:
            frame = await read_frame(reader, LARGEST)
            if isinstance(frame, Call):
                house.take(frame)
            elif isinstance(frame, Done):
                house.answered(frame)
    except (asyncio.IncompleteReadError, ConnectionError):
        os._exit(0)


def _lend_reactor(loop: asyncio.AbstractEventLoop) -> None:
    """Twisted's reactor on this loop, for plugins that ``connect`` and ``listen`` with it."""
    from twisted.internet.asyncioreactor import AsyncioSelectorReactor
    from twisted.internet.main import installReactor

    reactor = AsyncioSelectorReactor(loop)
    installReactor(reactor)
    reactor.startRunning(installSignalHandlers=False)
    aio.use(reactor)


class House:
    """The objects of this process, and the calls both ways."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer = writer
        self._classes: dict[tuple[str, str], type[Any]] = {}
        self._objects: dict[str, Any] = {}
        self._channels: dict[str, Any] = {}
        self._directory = Directory(offices=(), units=(), by_office={}, by_sender={})
        self._tasks: set[asyncio.Task[None]] = set()
        self._waiting: dict[int, asyncio.Future[Done]] = {}
        self._last = 0
        self._slots = asyncio.Semaphore(CALLS)
        self._doing: dict[str, Callable[[Call], Awaitable[bytes] | bytes]] = {
            "load": self._load, "ping": self._ping, "check": self._check, "make": self._make, "start": self._start,
            "stop": self._stop, "read": self._read, "send": self._send, "submit": self._submit, "route": self._route,
            "look": self._look,
            **dict.fromkeys(BESIDES, self._besides),
        }  # fmt: skip

    # calls from the daemon

    def take(self, call: Call) -> None:
        """Serve a call beside the others; a ping is answered at once."""
        if call.do == "ping":
            self._write(Done(call.id, self._ping(call)))
            return
        task = asyncio.ensure_future(self._answer(call))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, call: Call) -> None:
        try:
            result = self._doing[call.do](call)
            data = result if isinstance(result, bytes) else await result
            done = Done(call.id, data)
        except MemoryError:
            os._exit(OUT_OF_MEMORY)
        except (SystemExit, KeyboardInterrupt, asyncio.CancelledError) as error:
            done = Done(call.id, b"", type(error).__name__, f"{type(error).__name__}{place(error, OURS)}")
        except WireFault as error:
            done = Done(call.id, b"", "WireFault", str(error)[:LINE])
        except Exception as error:
            done = Done(call.id, b"", type(error).__name__, _told(call.do, error)[:LINE])
        self._write(done)

    def _load(self, call: Call) -> bytes:
        from gateway.host import Host
        from gateway.plughost import describe

        load = unpack(call.data, Load)
        i18n.use("en" if load.lang == "en" else "zh")
        if load.path and load.path not in sys.path:
            sys.path.append(load.path)
        # The interpreter's own address space does not count against the plugin.
        size = (_pages() + load.memory_mb * 256) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size, size))
        host = Host.load_one(load)
        for hook, kinds in host.kinds.items():
            self._classes |= {(hook, kind): cls for kind, cls in kinds.items()}
        told = Told(
            hooks=tuple(h for p in host.plugins() for h in p["hooks"]),
            classes=tuple(describe.about(hook, cls) for (hook, _kind), cls in self._classes.items()),
            faults=tuple((f.file, f.line, f.key, f.text) for f in host.faults),
        )
        stand_back(9)  # as far as can be, now that all is loaded: a start so far back would take too long beside others
        return pack(told)

    def _ping(self, _call: Call) -> bytes:
        """How the channels are: name → state and detail."""
        found = {}
        for name, channel in list(self._channels.items()):
            try:
                health = channel.health()
                found[name] = (str(health.state), str(health.detail)[:LINE])
            except Exception as error:
                found[name] = ("down", f"health() raised {type(error).__name__}")
        return pack(found)

    def _check(self, call: Call) -> bytes:
        from gateway.plughost.describe import check

        table = unpack(call.data, Table)
        return pack(check(self._classes[table.hook, table.kind].Settings, table))

    def _make(self, call: Call) -> bytes:
        make = unpack(call.data, Make)
        cls = self._classes[make.hook, make.kind]
        try:
            settings = cls.Settings.model_validate_json(make.settings)
        except ValidationError as error:
            keys = sorted({".".join(map(str, one["loc"])) or "?" for one in error.errors(include_url=False, include_input=False)})
            raise Unfit(", ".join(keys)) from None
        if make.hook in ("channels", "transports"):
            made = cls(make.name, settings, Lent(self, make))
            if make.hook == "channels":
                self._channels[make.name] = made
        else:
            made = cls(make.name, settings)
        self._objects[call.name] = made
        return pack(Made(receipts_from=str(getattr(made, "receipts_from", "") or "")))

    async def _start(self, call: Call) -> bytes:
        made = self._objects[call.name]
        if call.name.startswith("channels."):
            await made.start(Intake(self))
        else:
            await made.start()
        return b""

    async def _stop(self, call: Call) -> bytes:
        made = self._objects.pop(call.name, None)
        if call.name.startswith("channels."):
            self._channels.pop(call.name.partition(".")[2], None)
        if made is not None:
            await made.stop()
        return b""

    async def _read(self, call: Call) -> bytes:
        """Beside the loop, so that a long reading is no silence."""
        raw = unpack(call.data, RawMessage)
        message = await asyncio.to_thread(self._objects[call.name].read, raw)
        if not isinstance(message, Message):
            raise WireFault(f"{type(message).__name__} is no message")
        return pack(message)

    async def _send(self, call: Call) -> bytes:
        outcome = await self._objects[call.name].send(unpack(call.data, Delivery))
        return pack(Answered.of(outcome))

    async def _besides(self, call: Call) -> bytes:
        made = self._objects[call.name]
        if call.do == "listens":
            return pack(Said(doors=tuple((str(host), int(port)) for host, port in made.listens())))
        why = await getattr(made, call.do)()
        return pack(Said(why=None if why is None else str(why)[:LINE]))

    async def _submit(self, call: Call) -> bytes:
        asked = unpack(call.data, Submit)
        carrier = self._objects[call.name]
        outcome = await carrier.submit(asked.to, asked.part, encoding=asked.encoding, udh=asked.udh, receipt=asked.receipt)
        return pack(Answered.of(outcome))

    def _route(self, call: Call) -> bytes:
        asked = unpack(call.data, Route)
        if asked.directory is not None:
            self._directory = asked.directory
        found = tuple(self._objects[call.name].route(asked.incident, asked.moment, self._directory))
        if not all(isinstance(one, Destination) for one in found):
            raise WireFault("a router answers destinations")
        return pack(Opinions(destinations=found))

    def _look(self, call: Call) -> bytes:
        asked, plugin = unpack(call.data, Look), self._objects[call.name]
        given = (asked.message, asked.report) if asked.message is not None else (asked.report, asked.found)
        found = tuple(plugin.read(*given) if asked.message is not None else plugin.classify(*given))
        if not all(isinstance(one, Match | Doubt) for one in found):
            raise WireFault("a reader or classifier answers matches and doubts")
        matches = tuple(one for one in found if isinstance(one, Match))
        return pack(Opinions(matches=matches, doubts=tuple(one for one in found if isinstance(one, Doubt))))

    # calls to the daemon

    async def ask(self, do: str, name: str, data: bytes) -> bytes:
        """Call the daemon. Raises what it raised, where a plugin may know it."""
        async with self._slots:
            self._last += 1
            number = self._last
            answer: asyncio.Future[Done] = asyncio.get_running_loop().create_future()
            self._waiting[number] = answer
            try:
                self._write(Call(number, do, name, data))
                await self._writer.drain()
                done = await answer
            finally:
                self._waiting.pop(number, None)
        if done.failed:
            raise KEPT.get(done.failed, StorageTrouble)(done.why)
        return done.data

    def answered(self, done: Done) -> None:
        """The daemon's answer to a call of ours."""
        answer = self._waiting.get(done.id)
        if answer is not None and not answer.done():
            answer.set_result(done)

    def note(self, what: str, why: str = "") -> None:
        """Tell the daemon something, if it listens at all."""
        if self._writer.transport.get_write_buffer_size() < UNSENT:
            self._write(Note(what, why[:LINE]))

    def stray(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """An exception that nobody waited for."""
        error = context.get("exception")
        if isinstance(error, MemoryError):
            os._exit(OUT_OF_MEMORY)
        what = f"{type(error).__name__}{place(error, OURS)}" if error is not None else "an unhandled fault"
        self.note("raised", what)

    def channel(self, name: str) -> Any:
        """A channel of this very process, or one of the daemon's."""
        return self._channels.get(name) or Carrier(self, name)

    def _write(self, frame: Call | Done | Note) -> None:
        self._writer.write(framed(frame))


def _told(do: str, error: BaseException) -> str:
    """Even a start may read what came in before a crash: of what is not ours or the system's, only kind and place are told."""
    if do == "read" and type(error).__name__ == "Malformed":
        return f"Malformed: {error}{place(error, OURS)}"
    if do in ("make", "start"):
        return tell(error, ours=OURS)
    return f"{type(error).__name__}{place(error, OURS)}"


def _pages() -> int:
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[0])

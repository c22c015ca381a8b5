"""A client's session with a carrier: log in, keep alive, come back after every loss, send within a window.

The protocol's own words are in the subclass. What arrives is handed to the owner, and answered as the owner says once it has
the message safe.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, ClassVar, Literal

from msgspec import Struct
from twisted.internet.protocol import ClientFactory

from gateway.api import Outcome, Refused, TryLater, _, connect
from gateway_plugins.carrier.frames import Unwritable
from gateway_plugins.carrier.link import Link, LinkLost, NoAnswer

log = logging.getLogger(__name__)

BUSY_SECONDS = 1.0
STOP_SECONDS = 2.0

Sleep = Callable[[float], Awaitable[object]]


class LineSettings(Struct, frozen=True, kw_only=True):
    """Times in seconds. ``endpoint`` is a Twisted client endpoint; ``name`` is who we are, for log lines."""

    endpoint: str
    name: str
    password: str
    keep_alive: float = 30.0
    request_timeout: float = 10.0
    window: int = 10
    reconnect_min: float = 1.0
    reconnect_max: float = 60.0

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name})"


class LoginRefused(ConnectionError):
    """The carrier did not let us in; the text says why."""


def backoff(failures: int, shortest: float, longest: float, random: Random) -> float:
    """Seconds to wait after so many failures in a row: doubling, between half and all of it, never over ``longest``."""
    return min(longest, shortest * 2.0 ** min(max(failures - 1, 0), 32)) * random.uniform(0.5, 1.0)


def endpoint(host: str, port: int) -> str:
    """A Twisted client endpoint; the colons of an IPv6 address are quoted."""
    quoted = host.replace("\\", "\\\\").replace(":", "\\:")
    return f"tcp:host={quoted}:port={port}"


async def reachable(host: str, port: int) -> str | None:
    """None where a connection can be made, else why not. Nobody logs in: a second session under our name may end the first."""
    try:
        _reader, writer = await asyncio.open_connection(host, port)
    except OSError as error:
        return _("no connection: {why}").format(why=error.strerror or type(error).__name__)
    writer.close()
    return None


class Session(ABC):
    """``alarm`` is called when a log-in is refused (once until the next success) and when the carrier sends what is no PDU.
    ``sleep`` waits between two attempts to connect."""

    wire: ClassVar[str]

    def __init__(
        self,
        settings: Any,
        *,
        alarm: Callable[[str], None] = lambda why: None,
        random: Random,
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self.settings = settings
        self.state: Literal["up", "connecting", "down"] = "down"
        self.detail = _("not started")
        self.alarm = alarm
        self._random = random
        self._sleep = sleep
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._window = asyncio.Semaphore(settings.window)
        self._refused = False
        self._stopping = False

    # the protocol's side

    @abstractmethod
    def make_link(self) -> Link:
        """A link for a new connection."""

    @abstractmethod
    async def log_in(self, link: Any) -> None:
        """Say who we are. Raises ``LoginRefused``."""

    @abstractmethod
    async def enquire(self, link: Any) -> None:
        """Ask whether the carrier is still there."""

    @abstractmethod
    async def log_out(self, link: Any) -> None:
        """Say that we go."""

    # the owner's side

    def start(self) -> None:
        """Begin to connect, and go on for ever; returns at once, whether or not the carrier is there."""
        self.state, self.detail, self._stopping = "connecting", _("connecting"), False
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Answer what is in hand, log out, close. Takes a few seconds at most."""
        link, self._link = self._link, None
        self._stopping = True
        if link is not None:
            await link.drain(STOP_SECONDS)
            try:
                await self.log_out(link)
            except (NoAnswer, LinkLost):
                log.info("%s: the carrier did not answer our farewell", self.wire)
            link.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.state, self.detail = "down", _("stopped")

    async def request(self, send: Callable[[Any], Awaitable[Outcome]]) -> Outcome:
        """Send one message within the window. A time-out or a loss is TryLater: the message may then arrive twice."""
        link = self._link
        if link is None:
            return TryLater(_("the carrier is not connected"))
        try:
            async with asyncio.timeout(self.settings.request_timeout):
                await self._window.acquire()
        except TimeoutError:
            return TryLater(_("the carrier leaves too many messages unanswered"))
        try:
            return await send(link)
        except (NoAnswer, LinkLost) as error:
            return TryLater(str(error))
        except Unwritable as error:
            return Refused(_("the carrier's protocol cannot hold it: {why}").format(why=error))
        finally:
            self._window.release()

    # inside

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while not self._stopping:
            began = loop.time()
            try:
                await self._connected()
                self.detail = _("the connection was lost")
            except Exception as error:  # no peer's doing may end the session for good
                known = isinstance(error, LoginRefused | NoAnswer | LinkLost | Unwritable)
                self.detail = str(error) if known else _("no connection: {why}").format(why=type(error).__name__)
            if self._stopping:
                return
            failures = 1 if loop.time() - began > self.settings.reconnect_max else failures + 1
            self.state = "connecting"
            seconds = backoff(failures, self.settings.reconnect_min, self.settings.reconnect_max, self._random)
            # The first failure is news; the same again and again is not.
            level = logging.WARNING if failures == 1 else logging.DEBUG
            log.log(level, "%s %s: %s; again in %.1f s", self.wire, self.settings.name, self.detail, seconds)
            await self._sleep(seconds)

    async def _connected(self) -> None:
        """One connection, from the first octet to its loss."""
        factory = ClientFactory()
        factory.protocol = self.make_link
        factory.noisy = False
        async with asyncio.timeout(self.settings.request_timeout):
            link: Link = await connect(factory, self.settings.endpoint)
        try:
            await self._log_in(link)
            self._link = link
            self.state, self.detail = "up", _("bound")
            log.info("%s %s: bound", self.wire, self.settings.name)
            await self._keep_alive(link)
        finally:
            self._link = None
            link.close()

    async def _log_in(self, link: Link) -> None:
        try:
            await self.log_in(link)
        except LoginRefused as error:
            if not self._refused:
                self._refused = True
                self.alarm(str(error))
            raise
        self._refused = False

    async def _keep_alive(self, link: Link) -> None:
        while True:
            done, _waiting = await asyncio.wait({link.lost}, timeout=self.settings.keep_alive)
            if done:
                return
            await self.enquire(link)

    def fault(self, why: str) -> None:
        """Bytes came that are no PDU."""
        self.alarm(_("the carrier sent what is no PDU: {why}").format(why=why))

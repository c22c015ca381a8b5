"""One connection over Twisted, either side's: frames in, answers matched to requests, nothing held without bound.

The reactor is not named here; coroutines are asyncio's. What a PDU is, the codec's subclass says (``smpp.link``, ``cmpp.link``);
what to do with a request is the owner's affair.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from typing import Any, ClassVar

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.api import _
from gateway_plugins.carrier.frames import Broken, Framer

log = logging.getLogger(__name__)

MOST_IN_HAND = 512
"""Requests being worked on at once; beyond it nothing more is read until some are answered."""

CLOSE_SECONDS = 5.0
"""How long a peer may take to read our last words before the connection is cut."""


class LinkLost(ConnectionError):
    """The connection ended before the answer came."""


class NoAnswer(TimeoutError):
    """The peer did not answer in time."""


@implementer(IPushProducer)
class Link(Protocol, ABC):
    """``handle`` gets every request but those that only keep or end the connection, and returns the answer, or None to stay
    silent. ``fault`` is told of bytes that were no PDU."""

    wire: ClassVar[str]
    """The protocol's name, for log lines."""
    last_sequence: ClassVar[int]

    def __init__(
        self, handle: Callable[[Any, Any], Awaitable[Any]], fault: Callable[[str], None] | None = None
    ) -> None:  # fmt: skip
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handle = handle
        self._fault = fault
        self._framer = self.framer()
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._in_hand: set[asyncio.Task[None]] = set()
        self._paused: set[str] = set()
        self._closing = False

    # the codec's side

    @abstractmethod
    def framer(self) -> Framer:
        """A new framer for this connection."""

    @abstractmethod
    def octets(self, pdu: Any) -> bytes:
        """A PDU as it is written."""

    @abstractmethod
    def is_answer(self, pdu: Any) -> bool:
        """Whether a PDU answers one of our requests."""

    @abstractmethod
    def courtesy(self, pdu: Any) -> tuple[Any, bool] | None:
        """The answer to a request that only keeps the connection alive or ends it (True); None for every other request."""

    @abstractmethod
    def sorry(self, pdu: Any) -> Any:
        """The answer to a request that failed on our side: the peer must hear that it may try again."""

    # Twisted's side

    def connectionMade(self) -> None:
        """Take part in flow control: a peer that does not read our answers is not read either."""
        self._transport.setTcpNoDelay(True)
        self._transport.setTcpKeepAlive(True)
        self._transport.registerProducer(self, True)

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._closing and self.lost.done():
            return
        for item in self._framer.feed(data):
            if isinstance(item, Broken):
                self._broken(item)
            elif self.is_answer(item):
                self.answered(item)
            else:
                self.requested(item)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Wake everybody who waits for an answer. What is being stored is stored; the SMSC will send it again."""
        self._closing = True
        if not self.lost.done():
            self.lost.set_result(None)
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(LinkLost(_("the connection was lost")))
        self._waiting.clear()

    def pauseProducing(self) -> None:
        """The peer does not read: stop reading it."""
        self._pause("peer")

    def resumeProducing(self) -> None:
        """The peer reads again."""
        self._resume("peer")

    def stopProducing(self) -> None:
        """The transport is gone; ``connectionLost`` follows."""

    # the owner's side

    async def ask(self, make: Callable[[int], bytes], what: str, seconds: float) -> Any:
        """Send the request that ``make`` writes for a sequence number; its answer, whatever that says. Raises ``NoAnswer``,
        ``LinkLost``, and what ``make`` raises."""
        if self._closing:
            raise LinkLost(_("the connection was lost"))
        self._sequence = self._sequence % self.last_sequence + 1
        sequence = self._sequence
        octets = make(sequence)
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = future
        self._transport.write(octets)
        try:
            async with asyncio.timeout(seconds):
                return await future
        except TimeoutError:
            raise NoAnswer(_("the carrier did not answer: {command}").format(command=what)) from None
        finally:
            self._waiting.pop(sequence, None)

    def send(self, pdu: Any) -> None:
        """Write one PDU; nothing happens on a closed connection."""
        if not self.lost.done():
            self._transport.write(self.octets(pdu))

    def send_bytes(self, octets: bytes) -> None:
        """Write bytes as they are (for tests of what a broken peer sends)."""
        self._transport.write(octets)

    async def drain(self, seconds: float) -> None:
        """Read no more, and wait until every request in hand is answered, at most ``seconds``."""
        self._pause("drain")
        if self._in_hand:
            await asyncio.wait(set(self._in_hand), timeout=seconds)
        self._resume("drain")

    def close(self) -> None:
        """Close after what is written has gone out; cut the connection where the peer does not take it."""
        if self._closing:
            return
        self._closing = True
        self._transport.unregisterProducer()
        self._transport.loseConnection()
        asyncio.get_running_loop().call_later(CLOSE_SECONDS, self.abort)

    def abort(self) -> None:
        """Cut the connection at once."""
        self._closing = True
        if not self.lost.done():
            self._transport.abortConnection()

    def answered(self, pdu: Any) -> None:
        """An answer came: hand it to who waits for it."""
        future = self._waiting.get(pdu.sequence)
        if future is None or future.done():
            log.info("%s: %r answers nothing that is waiting", self.wire, pdu)
            return
        future.set_result(pdu)

    def requested(self, pdu: Any) -> None:
        """A request came: answer it here or let the owner do so."""
        given = self.courtesy(pdu)
        if given is not None:
            answer, ends = given
            self.send(answer)
            if ends:
                self.close()
        else:
            task = asyncio.get_running_loop().create_task(self._work(pdu))
            self._in_hand.add(task)
            task.add_done_callback(self._worked)
            if len(self._in_hand) >= MOST_IN_HAND:
                self._pause("in hand")

    # inside

    @property
    def _transport(self) -> Any:
        """The TCP transport; Twisted's own type for it knows neither ``abortConnection`` nor flow control."""
        return self.transport

    def _broken(self, item: Broken) -> None:
        log.warning("%s: bytes that are no PDU: %s", self.wire, item.why)
        if self._fault is not None:
            self._fault(item.why)
        if item.answer is not None:
            self.send(item.answer)
        if item.fatal:
            self.close()

    async def _work(self, pdu: Any) -> None:
        try:
            answer = await self._handle(self, pdu)
        except Exception as error:  # whatever it was, the peer must hear that it may try again
            log.error("%s: %r failed: %s", self.wire, pdu, type(error).__name__)
            answer = self.sorry(pdu)
        if answer is not None:
            self.send(answer)

    def _worked(self, task: asyncio.Task[None]) -> None:
        self._in_hand.discard(task)
        if len(self._in_hand) < MOST_IN_HAND // 2:
            self._resume("in hand")

    def _pause(self, why: str) -> None:
        if not self._paused and not self.lost.done():
            self._transport.pauseProducing()
        self._paused.add(why)

    def _resume(self, why: str) -> None:
        if why not in self._paused:
            return
        self._paused.discard(why)
        if not self._paused and not self.lost.done():
            self._transport.resumeProducing()

"""One SMPP connection over Twisted, either side's: frames in, answers matched to requests, nothing held without bound.

The reactor is not named here; coroutines are asyncio's. What to do with a request is the owner's affair.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer  # type: ignore[import-untyped]

from gateway.api import _
from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp.pdu import Body, Broken, Command, Empty, Framer, Pdu, Status

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
class Link(Protocol):
    """``handle`` gets every request but enquire_link and unbind, and returns the answer, or None to stay silent.
    ``fault`` is told of bytes that were no PDU."""

    def __init__(
        self, handle: Callable[[Link, Pdu], Awaitable[Pdu | None]], fault: Callable[[str], None] | None = None
    ) -> None:  # fmt: skip
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._handle = handle
        self._fault = fault
        self._framer = Framer()
        self._sequence = 0
        self._waiting: dict[int, asyncio.Future[Pdu]] = {}
        self._in_hand: set[asyncio.Task[None]] = set()
        self._paused: set[str] = set()
        self._closing = False

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
            elif item.command & smpp.RESPONSE:
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

    async def request(
        self, command: int, body: Body | None = None, *, seconds: float, tlvs: tuple[tuple[int, bytes], ...] = ()
    ) -> Pdu:  # fmt: skip
        """Send a request; its answer, whatever the status. Raises ``NoAnswer``, ``LinkLost``, ``PduError``."""
        if self._closing:
            raise LinkLost(_("the connection was lost"))
        self._sequence = self._sequence % smpp.LAST_SEQUENCE + 1
        sequence = self._sequence
        octets = smpp.encode(Pdu(command=command, sequence=sequence, body=body or Empty(), tlvs=tlvs))
        future: asyncio.Future[Pdu] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = future
        self._transport.write(octets)
        try:
            return await asyncio.wait_for(future, seconds)
        except LinkLost:
            raise
        except TimeoutError:
            raise NoAnswer(_("the SMSC did not answer: {command}").format(command=smpp.command_name(command))) from None
        finally:
            self._waiting.pop(sequence, None)

    def send(self, pdu: Pdu) -> None:
        """Write one PDU; nothing happens on a closed connection."""
        if not self.lost.done():
            self._transport.write(smpp.encode(pdu))

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

    def answered(self, pdu: Pdu) -> None:
        """An answer came: hand it to who waits for it."""
        future = self._waiting.get(pdu.sequence)
        if future is None or future.done():
            log.info("SMPP: %r answers nothing that is waiting", pdu)
            return
        future.set_result(pdu)

    def requested(self, pdu: Pdu) -> None:
        """A request came: answer it here or let the owner do so."""
        if pdu.command == Command.ENQUIRE_LINK:
            self.send(smpp.response(pdu))
        elif pdu.command == Command.UNBIND:
            self.send(smpp.response(pdu))
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
        log.warning("SMPP: bytes that are no PDU: %s", item.why)
        if self._fault is not None:
            self._fault(item.why)
        self.send(item.answer)
        if item.fatal:
            self.close()

    async def _work(self, pdu: Pdu) -> None:
        try:
            answer = await self._handle(self, pdu)
        except Exception as error:  # whatever it was, the peer must hear that it may try again
            log.error("SMPP: %r failed: %s", pdu, type(error).__name__)
            status = Status.ESME_RX_T_APPN if pdu.command == Command.DELIVER_SM else Status.ESME_RSYSERR
            answer = smpp.response(pdu, status=status)
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

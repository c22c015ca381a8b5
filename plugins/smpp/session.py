"""An ESME's session with an SMSC: bind as transceiver, keep alive, come back after every loss, send within a window.

SMPP 3.4 section 2 (sessions), 4.1.5 (bind_transceiver), 4.11 (enquire_link). What arrives is handed to the owner, and
answered with the status that the owner gives once it has the message safe.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from random import Random
from typing import Literal

from msgspec import Struct
from twisted.internet.protocol import ClientFactory

from gateway.api import Delivered, Outcome, Refused, TryLater, _, connect
from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp.link import Link, LinkLost, NoAnswer
from gateway_plugins.smpp.pdu import Bind, Command, Pdu, Sm, SmResp, Status

log = logging.getLogger(__name__)

# Statuses by which an SMSC says that this very message can never go. All others, known or not, are tried again.
PERMANENT = frozenset(
    {
        Status.ESME_RINVMSGLEN, Status.ESME_RINVSRCADR, Status.ESME_RINVDSTADR, Status.ESME_RINVSERTYP,
        Status.ESME_RINVESMCLASS, Status.ESME_RINVSRCTON, Status.ESME_RINVSRCNPI, Status.ESME_RINVDSTTON,
        Status.ESME_RINVDSTNPI, Status.ESME_RX_P_APPN, Status.ESME_RX_R_APPN,
    }
)  # fmt: skip
BUSY = frozenset({Status.ESME_RTHROTTLED, Status.ESME_RMSGQFUL})
BUSY_SECONDS = 1.0
STOP_SECONDS = 2.0


class SessionSettings(Struct, frozen=True, kw_only=True):
    """Times in seconds. ``endpoint`` is a Twisted client endpoint."""

    endpoint: str
    system_id: str
    password: str
    system_type: str = ""
    enquire_link: float = 30.0
    request_timeout: float = 10.0
    window: int = 10
    reconnect_min: float = 1.0
    reconnect_max: float = 60.0

    def __repr__(self) -> str:
        return f"SessionSettings({self.system_id})"


class BindRefused(ConnectionError):
    """The SMSC answered the bind with an error."""


def backoff(failures: int, shortest: float, longest: float, random: Random) -> float:
    """Seconds to wait after so many failures in a row: doubling, between half and all of it, never over ``longest``."""
    return min(longest, shortest * 2.0 ** min(max(failures - 1, 0), 32)) * random.uniform(0.5, 1.0)


def outcome(answer: Pdu) -> Outcome:
    """What a submit_sm_resp (or a generic_nack) means for a delivery."""
    if answer.status == 0 and isinstance(answer.body, SmResp):
        return Delivered((answer.body.message_id,) if answer.body.message_id else ())
    why = _("the SMSC answered {status}").format(status=smpp.status_name(answer.status))
    if answer.status in PERMANENT:
        return Refused(why)
    return TryLater(why, after=BUSY_SECONDS if answer.status in BUSY else None)


class Session:
    """``deliver`` gets every deliver_sm and returns the command_status to answer with, once the message is safe.
    ``alarm`` is called when a bind is refused (once until the next success) and when the SMSC sends what is no PDU."""

    def __init__(
        self,
        settings: SessionSettings,
        deliver: Callable[[Pdu], Awaitable[int]],
        *,
        alarm: Callable[[str], None] = lambda why: None,
        random: Random,
    ) -> None:
        self.settings = settings
        self.state: Literal["up", "connecting", "down"] = "down"
        self.detail = _("not started")
        self._deliver = deliver
        self._alarm = alarm
        self._random = random
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None
        self._window = asyncio.Semaphore(settings.window)
        self._refused = False

    def start(self) -> None:
        """Begin to connect, and go on for ever; returns at once, whether or not the SMSC is there."""
        self.state, self.detail = "connecting", _("connecting")
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Answer what is in hand, unbind, close. Takes a few seconds at most."""
        link, self._link = self._link, None
        if link is not None:
            await link.drain(STOP_SECONDS)
            try:
                await link.request(Command.UNBIND, seconds=min(STOP_SECONDS, self.settings.request_timeout))
            except (NoAnswer, LinkLost):
                log.info("SMPP: the SMSC did not answer the unbind")
            link.close()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        self.state, self.detail = "down", _("stopped")

    async def submit(self, sm: Sm) -> Outcome:
        """Send one submit_sm within the window. A time-out or a loss is TryLater: the message may then arrive twice."""
        link = self._link
        if link is None:
            return TryLater(_("the SMSC is not connected"))
        try:
            async with asyncio.timeout(self.settings.request_timeout):
                await self._window.acquire()
        except TimeoutError:
            return TryLater(_("the SMSC leaves too many messages unanswered"))
        try:
            return outcome(await link.request(Command.SUBMIT_SM, sm, seconds=self.settings.request_timeout))
        except (NoAnswer, LinkLost) as error:
            return TryLater(str(error))
        except smpp.PduError as error:
            return Refused(_("no SMPP message can be made of it: {why}").format(why=error))
        finally:
            self._window.release()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            began = loop.time()
            try:
                await self._connected()
                self.detail = _("the connection was lost")
            except Exception as error:  # no peer's doing may end the session for good
                known = isinstance(error, BindRefused | NoAnswer | LinkLost | smpp.PduError)
                self.detail = str(error) if known else _("no connection: {why}").format(why=type(error).__name__)
            failures = 1 if loop.time() - began > self.settings.reconnect_max else failures + 1
            self.state = "connecting"
            seconds = backoff(failures, self.settings.reconnect_min, self.settings.reconnect_max, self._random)
            # The first failure is news; the same again and again is not.
            level = logging.WARNING if failures == 1 else logging.DEBUG
            log.log(level, "SMPP %s: %s; again in %.1f s", self.settings.system_id, self.detail, seconds)
            await asyncio.sleep(seconds)

    async def _connected(self) -> None:
        """One connection, from the first octet to its loss."""
        factory = ClientFactory()
        factory.protocol = lambda: Link(self._request, self._fault)
        factory.noisy = False
        async with asyncio.timeout(self.settings.request_timeout):
            link: Link = await connect(factory, self.settings.endpoint)
        try:
            await self._bind(link)
            self._link = link
            self.state, self.detail = "up", _("bound")
            log.info("SMPP %s: bound", self.settings.system_id)
            await self._keep_alive(link)
        finally:
            self._link = None
            link.close()

    async def _bind(self, link: Link) -> None:
        settings = self.settings
        body = Bind(system_id=settings.system_id, password=settings.password, system_type=settings.system_type)
        answer = await link.request(Command.BIND_TRANSCEIVER, body, seconds=settings.request_timeout)
        if answer.status:
            why = _("the SMSC refused the bind: {status}").format(status=smpp.status_name(answer.status))
            if not self._refused:
                self._refused = True
                self._alarm(why)
            raise BindRefused(why)
        self._refused = False

    async def _keep_alive(self, link: Link) -> None:
        while True:
            done, _waiting = await asyncio.wait({link.lost}, timeout=self.settings.enquire_link)
            if done:
                return
            await link.request(Command.ENQUIRE_LINK, seconds=self.settings.request_timeout)

    async def _request(self, link: Link, pdu: Pdu) -> Pdu:
        if pdu.command == Command.DELIVER_SM:
            return smpp.response(pdu, status=await self._deliver(pdu))
        return smpp.generic_nack(Status.ESME_RINVCMDID, pdu.sequence)

    def _fault(self, why: str) -> None:
        self._alarm(_("the SMSC sent what is no PDU: {why}").format(why=why))

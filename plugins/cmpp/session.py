"""A service provider's session with an ISMG (短信网关): CONNECT with its digest, ACTIVE_TEST both ways, SUBMIT within a window.

CMPP 2.0 and 3.0, sections 6 (long connections, window) and 8.4.1 (CONNECT).
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta, timezone
from typing import Any, ClassVar

from gateway.api import Delivered, Outcome, Refused, TryLater, _
from gateway_plugins.carrier import link, session
from gateway_plugins.carrier.session import BUSY_SECONDS, STOP_SECONDS, LineSettings, LoginRefused
from gateway_plugins.cmpp import pdu as cmpp
from gateway_plugins.cmpp.inbound import message_id
from gateway_plugins.cmpp.pdu import (
    ActiveTestResp,
    Body,
    Command,
    Connect,
    ConnectResp,
    Deliver,
    DeliverResp,
    Framer,
    Pdu,
    Submit,
    SubmitResp,
    Version,
)

CHINA = timezone(timedelta(hours=8))

# Status of CONNECT_RESP and Result of SUBMIT_RESP, in the protocol's own words.
_STATUS = {1: "消息结构错", 2: "非法源地址", 3: "认证错", 4: "版本太高", 5: "其他错误"}
_RESULT = {
    1: "消息结构错", 2: "命令字错", 3: "消息序号重复", 4: "消息长度错", 5: "资费代码错", 6: "超过最大信息长", 7: "业务代码错",
    8: "流量控制错", 9: "本网关不负责服务此计费号码", 10: "Src_Id错误", 11: "Msg_src错误", 12: "Fee_terminal_Id错误",
    13: "Dest_terminal_Id错误",
}  # fmt: skip
PERMANENT = frozenset({1, 4, 5, 6, 7, 9, 10, 11, 12, 13})
BUSY = 8
TOO_LONG = 6


class SessionSettings(LineSettings, frozen=True, kw_only=True):
    """``name`` is the SP_Id. ``trouble``: Result of a DELIVER_RESP while nothing can be stored; 0 gives no answer."""

    version: Version = "2.0"
    verify: bool = True
    trouble: int = BUSY


def source_digest(name: str, secret: str, timestamp: int) -> bytes:
    """AuthenticatorSource: who we are, nine zero octets, the shared secret, the time stamp in ten digits."""
    return _md5(name.encode("latin-1"), bytes(9), secret.encode(), f"{timestamp:010}".encode())


def gateway_digest(status: bytes, source: bytes, secret: str) -> bytes:
    """AuthenticatorISMG over the Status as it was sent: one octet, or four in 3.0."""
    return _md5(status, source, secret.encode())


def _md5(*pieces: bytes) -> bytes:
    return hashlib.md5(b"".join(pieces), usedforsecurity=False).digest()


def outcome(answer: Pdu) -> Outcome:
    """What a SUBMIT_RESP means for a delivery."""
    body = answer.body
    if not isinstance(body, SubmitResp):
        return TryLater(_("the carrier answered what is no answer"))
    if body.result == 0:
        return Delivered((message_id(body.msg_id),) if body.msg_id else ())
    why = _("the gateway answered Result {result}: {words}").format(result=body.result, words=_RESULT.get(body.result, "?"))
    if body.result in PERMANENT:
        return Refused(why)
    return TryLater(why, after=BUSY_SECONDS if body.result == BUSY else None)


class Link(link.Link):
    """Either side's connection. ACTIVE_TEST and TERMINATE are answered here."""

    wire: ClassVar[str] = "CMPP"
    last_sequence: ClassVar[int] = cmpp.LAST_SEQUENCE

    def __init__(self, version: Version, trouble: int, *more: Any) -> None:
        self.version: Version = version
        self.trouble = trouble
        super().__init__(*more)

    async def request(self, command: int, body: Body | None = None, *, seconds: float) -> Pdu:
        """Send a request; its answer, whatever that says. Raises ``NoAnswer``, ``LinkLost``, ``PduError``."""

        def make(sequence: int) -> bytes:
            return cmpp.encode(Pdu(command=command, sequence=sequence, body=body or cmpp.Empty()), self.version)

        answer: Pdu = await self.ask(make, cmpp.command_name(command), seconds)
        return answer

    def framer(self) -> Framer:
        return Framer(self.version)

    def octets(self, pdu: Pdu) -> bytes:
        return cmpp.encode(pdu, self.version)

    def is_answer(self, pdu: Pdu) -> bool:
        return bool(pdu.command & cmpp.RESPONSE)

    def courtesy(self, pdu: Pdu) -> tuple[Pdu, bool] | None:
        if pdu.command == Command.ACTIVE_TEST:
            return cmpp.answer(pdu, ActiveTestResp()), False
        return (cmpp.answer(pdu), True) if pdu.command == Command.TERMINATE else None

    def sorry(self, pdu: Pdu) -> Pdu | None:
        return result_of(pdu, self.trouble)


def result_of(pdu: Pdu, result: int | None) -> Pdu | None:
    """The DELIVER_RESP that says ``result``; None, where nothing is to be said. 0 here means: say nothing, so that the gateway's
    own time-out brings the message again."""
    if not isinstance(pdu.body, Deliver) or result == 0:
        return None
    return cmpp.answer(pdu, DeliverResp(msg_id=pdu.body.msg_id, result=result or 0))


class Session(session.Session):
    """``deliver`` gets every DELIVER; it returns None once it is safe, else the Result to answer with (0: no answer)."""

    wire: ClassVar[str] = "CMPP"
    settings: SessionSettings

    def __init__(
        self, settings: SessionSettings, deliver: Callable[[Deliver], Awaitable[int | None]], *, now: Callable[[], datetime],
        **more: Any,
    ) -> None:  # fmt: skip
        super().__init__(settings, **more)
        self._deliver = deliver
        self._now = now

    async def submit(self, submit: Submit) -> Outcome:
        """Send one SUBMIT within the window."""

        async def send(link: Link) -> Outcome:
            return outcome(await link.request(Command.SUBMIT, submit, seconds=self.settings.request_timeout))

        return await self.request(send)

    def make_link(self) -> Link:
        return Link(self.settings.version, self.settings.trouble, self._request, self.fault)

    async def log_in(self, link: Link) -> None:
        s = self.settings
        timestamp = int(f"{self._now().astimezone(CHINA):%m%d%H%M%S}")
        source = source_digest(s.name, s.password, timestamp)
        body = Connect(source_addr=s.name, authenticator=source, version=cmpp.NUMBERS[s.version], timestamp=timestamp)
        answer = (await link.request(Command.CONNECT, body, seconds=s.request_timeout)).body
        if not isinstance(answer, ConnectResp):
            raise LoginRefused(_("the carrier answered what is no answer"))
        if answer.status:
            words = _STATUS.get(answer.status, "?")
            raise LoginRefused(
                _("the gateway refused CONNECT with Status {status}: {words}").format(status=answer.status, words=words)
            )
        good = [gateway_digest(bytes(width), source, s.password) for width in (1, 4)]
        if s.verify and not any(hmac.compare_digest(one, answer.authenticator) for one in good):
            raise LoginRefused(_("the gateway does not know the shared secret: its AuthenticatorISMG is wrong (verify_gateway)"))

    async def enquire(self, link: Link) -> None:
        await link.request(Command.ACTIVE_TEST, seconds=self.settings.request_timeout)

    async def log_out(self, link: Link) -> None:
        await link.request(Command.TERMINATE, seconds=min(STOP_SECONDS, self.settings.request_timeout))

    async def _request(self, _link: Link, pdu: Pdu) -> Pdu | None:
        if not isinstance(pdu.body, Deliver):
            return None  # CMPP has no answer to a command that is not known
        return result_of(pdu, await self._deliver(pdu.body))

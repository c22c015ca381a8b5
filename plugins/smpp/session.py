"""An ESME's session with an SMSC: binds as transceiver, receiver or transmitter.

SMPP 3.4 section 2 (sessions), 4.1 (bind), 4.6 (deliver_sm), 4.7 (data_sm), 4.11 (enquire_link), 4.12 (alert_notification).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, ClassVar, Literal

import msgspec

from gateway.api import Delivered, Outcome, Refused, TryLater, _
from gateway_plugins.carrier import session
from gateway_plugins.carrier.session import BUSY_SECONDS, STOP_SECONDS, LineSettings, LoginRefused, backoff
from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp.link import Link
from gateway_plugins.smpp.pdu import Bind, Command, Data, Pdu, Sm, SmResp, Status

__all__ = ["BindMode", "Session", "SessionSettings", "backoff", "outcome"]

BindMode = Literal["transceiver", "receiver", "transmitter"]
_BINDS = {
    "transceiver": Command.BIND_TRANSCEIVER, "receiver": Command.BIND_RECEIVER, "transmitter": Command.BIND_TRANSMITTER,
}  # fmt: skip

# Statuses by which an SMSC says that this very message can never go. All others, known or not, are tried again.
PERMANENT = frozenset(
    {
        Status.ESME_RINVMSGLEN, Status.ESME_RINVSRCADR, Status.ESME_RINVDSTADR, Status.ESME_RINVSERTYP,
        Status.ESME_RINVESMCLASS, Status.ESME_RINVSRCTON, Status.ESME_RINVSRCNPI, Status.ESME_RINVDSTTON,
        Status.ESME_RINVDSTNPI, Status.ESME_RX_P_APPN, Status.ESME_RX_R_APPN,
    }
)  # fmt: skip
BUSY = frozenset({Status.ESME_RTHROTTLED, Status.ESME_RMSGQFUL})


class SessionSettings(LineSettings, frozen=True, kw_only=True):
    """``name`` is the system_id."""

    system_type: str = ""
    bind: BindMode = "transceiver"


def outcome(answer: Pdu) -> Outcome:
    """What a submit_sm_resp (or a generic_nack) means for a delivery."""
    if answer.status == 0 and isinstance(answer.body, SmResp):
        return Delivered((answer.body.message_id,) if answer.body.message_id else ())
    why = _("the SMSC answered {status}").format(status=smpp.status_name(answer.status))
    if answer.status in PERMANENT:
        return Refused(why)
    return TryLater(why, after=BUSY_SECONDS if answer.status in BUSY else None)


def as_deliver(pdu: Pdu) -> Pdu:
    """A data_sm in the form of a deliver_sm, whose text stands in message_payload."""
    if not isinstance(pdu.body, Data):
        return pdu
    return msgspec.structs.replace(pdu, body=Sm(**msgspec.structs.asdict(pdu.body)))


class Session(session.Session):
    """``deliver`` gets every deliver_sm and data_sm and returns the command_status to answer with, once it is safe."""

    wire: ClassVar[str] = "SMPP"
    settings: SessionSettings

    def __init__(self, settings: SessionSettings, deliver: Callable[[Pdu], Awaitable[int]], **more: Any) -> None:
        super().__init__(settings, **more)
        self._deliver = deliver

    async def submit(self, sm: Sm) -> Outcome:
        """Send one submit_sm within the window."""

        async def send(link: Link) -> Outcome:
            return outcome(await link.request(Command.SUBMIT_SM, sm, seconds=self.settings.request_timeout))

        return await self.request(send)

    def make_link(self) -> Link:
        return Link(self._request, self.fault)

    async def log_in(self, link: Link) -> None:
        settings = self.settings
        body = Bind(system_id=settings.name, password=settings.password, system_type=settings.system_type)
        answer = await link.request(_BINDS[settings.bind], body, seconds=settings.request_timeout)
        if answer.status:
            raise LoginRefused(_("the SMSC refused the bind: {status}").format(status=smpp.status_name(answer.status)))

    async def enquire(self, link: Link) -> None:
        await link.request(Command.ENQUIRE_LINK, seconds=self.settings.request_timeout)

    async def log_out(self, link: Link) -> None:
        await link.request(Command.UNBIND, seconds=min(STOP_SECONDS, self.settings.request_timeout))

    async def _request(self, link: Link, pdu: Pdu) -> Pdu | None:
        if pdu.command in (Command.DELIVER_SM, Command.DATA_SM):
            return smpp.response(pdu, status=await self._deliver(as_deliver(pdu)))
        if pdu.command == Command.ALERT_NOTIFICATION:
            return None  # it has no answer
        return smpp.generic_nack(Status.ESME_RINVCMDID, pdu.sequence)

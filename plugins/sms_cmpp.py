"""SMS in and out through an ISMG (短信网关) of China Mobile: CMPP 2.0 or 3.0 over one long connection.

Wire format: ``gateway_plugins.cmpp.pdu``. A DELIVER is answered with Result 0 only when intake has it on stable storage; storage
trouble is ``storage_result``. Every part of a long message is taken by itself.
"""

from __future__ import annotations

from random import Random
from typing import ClassVar, Literal

from gateway.api import (
    Field,
    Intake,
    Message,
    Outcome,
    RawMessage,
    Receipt,
    Refused,
    SecretName,
    Settings,
    TryLater,
    _,
    hookimpl,
)
from gateway_plugins.carrier.channel import CarrierChannel, Health
from gateway_plugins.carrier.session import endpoint
from gateway_plugins.cmpp import inbound
from gateway_plugins.cmpp.pdu import Deliver, Submit, Version
from gateway_plugins.cmpp.session import TOO_LONG, Session, SessionSettings
from gateway_plugins.smpp import gsm


class CmppSettings(Settings):
    """[channel.NAME] with kind = "sms_cmpp". Times in seconds."""

    host: str = Field(default="127.0.0.1", description="name or address of the ISMG")
    port: int = Field(default=7890, ge=1, le=65535, description="its port for long connections")
    version: Version = Field(default="2.0", description="2.0 or 3.0, as the contract says")
    sp_id: str = Field(max_length=6, description="SP_Id, the six digits that name us (企业代码)")
    secret: SecretName = Field(description="name of the secret that holds the shared secret")
    src_id: str = Field(default="", max_length=21, description="the number we send from (接入号)")
    service_id: str = Field(default="", max_length=10, description="Service_Id of what we send (业务代码)")
    fee_user_type: int = Field(default=2, ge=0, le=3, description="who pays: 2 is us (SP)")
    fee_type: str = Field(default="01", max_length=2, description="FeeType; 01 is free for whom we write to")
    fee_code: str = Field(default="000000", max_length=6, description="FeeCode")
    country: str = Field(default="86", pattern="^[0-9]{0,3}$", description="country code left out of numbers; empty: sent along")
    default_alphabet: Literal["ascii", "gsm", "latin-1", "utf-8", "gb18030"] = Field(
        default="ascii", description="what the ISMG means by Msg_Fmt 0: ascii, gsm, latin-1, utf-8 or gb18030"
    )
    verify_gateway: bool = Field(default=True, description="check AuthenticatorISMG; false for gateways that leave it empty")
    storage_result: int = Field(
        default=8, ge=0, le=255, description="Result of DELIVER_RESP while nothing can be stored; 0: no answer, it comes again"
    )
    active_test: float = Field(default=60.0, gt=0, description="seconds between ACTIVE_TEST (the protocol asks for 180 at most)")
    request_timeout: float = Field(default=10.0, gt=0, description="seconds to wait for an answer, then try again later")
    window: int = Field(default=16, ge=1, le=1000, description="messages out that may be unanswered at once")
    reconnect_min: float = Field(default=1.0, gt=0, description="seconds before the first new attempt after a loss")
    reconnect_max: float = Field(default=60.0, gt=0, description="the longest wait between two attempts")


class SmsCmpp(CarrierChannel):
    """The channel; it is also the ``SmsCarrier`` of ``to_sms``."""

    kind: ClassVar[str] = "sms_cmpp"
    Settings: ClassVar[type[Settings]] = CmppSettings
    settings: CmppSettings
    too_large = TOO_LONG
    _session: Session | None = None

    async def start(self, intake: Intake) -> None:
        """Begin to connect; the ISMG need not be there yet."""
        services, s = self.services, self.settings
        self._intake = intake
        self._session = Session(
            SessionSettings(
                endpoint=endpoint(s.host, s.port),
                name=s.sp_id,
                password=services.secret(s.secret),
                version=s.version,
                verify=s.verify_gateway,
                trouble=s.storage_result,
                keep_alive=s.active_test,
                request_timeout=s.request_timeout,
                window=s.window,
                reconnect_min=s.reconnect_min,
                reconnect_max=s.reconnect_max,
            ),
            self.take,
            now=services.now,
            alarm=self.alarm,
            random=Random(f"{self.name}/{s.sp_id}"),  # noqa: S311  (jitter, not a secret)
        )
        self._session.start()

    async def stop(self) -> None:
        """Answer what is in hand, TERMINATE and close."""
        if self._session is not None:
            await self._session.stop()

    def health(self) -> Health:
        """The session's state."""
        if self._session is None:
            return Health("down", _("not started"))
        return Health(self._session.state, self._session.detail)

    def read(self, raw: RawMessage) -> Message:
        """Text of one part or of all parts; see ``gateway_plugins.cmpp.inbound``. Raises ``Malformed``."""
        return inbound.read(raw, self.settings.default_alphabet)

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        """Send one part; ``encoding`` is gsm (one septet to an octet) or ucs2. ``to``: E.164 or short."""
        if self._session is None:
            return TryLater(_("the carrier is not connected"))
        s = self.settings
        msg_fmt, content = 8, part
        if encoding == "gsm":
            msg_fmt, words = 0, gsm.decode(part)
            if not words.isascii():
                return Refused(_("the carrier's protocol cannot hold it: {why}").format(why="Msg_Fmt 0 is ASCII"))
            content = words.encode("ascii")
        number = to.removeprefix("+")
        return await self._session.submit(
            Submit(
                pk_total=udh[-2] if udh else 1,
                pk_number=udh[-1] if udh else 1,
                registered_delivery=1 if receipt else 0,
                service_id=s.service_id,
                fee_user_type=s.fee_user_type,
                tp_udhi=1 if udh else 0,
                msg_fmt=msg_fmt,
                msg_src=s.sp_id,
                fee_type=s.fee_type,
                fee_code=s.fee_code,
                src_id=s.src_id,
                dest_terminal_ids=(number.removeprefix(s.country) if to.startswith("+") else number,),
                msg_content=udh + content,
            )
        )

    def is_receipt(self, pdu: Deliver) -> bool:
        return pdu.registered_delivery == 1

    def receipt(self, pdu: Deliver) -> Receipt | None:
        return inbound.receipt(pdu, via=self.name)

    def message(self, pdu: Deliver) -> RawMessage:
        return inbound.raw_message(pdu, via=self.name, received_at=self.services.now())

    def trouble(self) -> int:
        return int(self.settings.storage_result)


@hookimpl
def channels() -> list[type[SmsCmpp]]:
    """The CMPP channel."""
    return [SmsCmpp]

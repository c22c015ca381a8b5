"""SMS in and out through an SMSC (短信中心) by SMPP 3.4: one session as transceiver, or a receiver and a transmitter.

Wire format: SMPP 3.4 (``gateway_plugins.smpp.pdu``). A ``deliver_sm`` is answered with status 0 only when intake has it
on stable storage; storage trouble is ``ESME_RX_T_APPN``, which the SMSC retries. Every part of a long message is taken
by itself.
"""

from __future__ import annotations

import asyncio
from random import Random
from typing import ClassVar, Literal

from gateway.api import (
    Field,
    Intake,
    Message,
    Outcome,
    RawMessage,
    Receipt,
    SecretName,
    Services,
    Settings,
    TryLater,
    _,
    hookimpl,
)
from gateway_plugins.carrier.channel import CarrierChannel, Health
from gateway_plugins.carrier.session import endpoint
from gateway_plugins.smpp import inbound
from gateway_plugins.smpp.pdu import Pdu, Sm, Status
from gateway_plugins.smpp.session import BindMode, Session, SessionSettings

_DATA_CODING = {"gsm": 0, "latin-1": 3, "ucs2": 8}
_UDHI = 0x40
_STATES = ("down", "connecting", "up")


class SmppSettings(Settings):
    """[channel.NAME] with kind = "sms_smpp". Times in seconds."""

    host: str = Field(default="127.0.0.1", description="name or address of the SMSC")
    port: int = Field(default=2775, ge=1, le=65535, description="its port")
    system_id: str = Field(max_length=15, description="who we are at the SMSC")
    password: SecretName = Field(description="name of the secret that holds the password (8 characters at most, as SMPP asks)")
    system_type: str = Field(default="", max_length=12, description="what the SMSC asks for here; most ask for nothing")
    source_addr: str = Field(default="", max_length=21, description="the number we send from; + before an E.164 one")
    default_alphabet: Literal["gsm", "latin-1", "ascii", "utf-8", "gb18030"] = Field(
        default="gsm", description="what the SMSC means by data_coding 0: gsm, latin-1, ascii, utf-8 or gb18030"
    )
    enquire_link: float = Field(default=30.0, gt=0, description="seconds between enquire_link")
    request_timeout: float = Field(default=10.0, gt=0, description="seconds to wait for an answer, then try again later")
    bind: Literal["transceiver", "receiver", "transmitter", "pair"] = Field(
        default="transceiver",
        description="transceiver; receiver or transmitter: one way only; pair: a session for each way",
    )
    window: int = Field(default=10, ge=1, le=1000, description="messages out that may be unanswered at once")
    reconnect_min: float = Field(default=1.0, gt=0, description="seconds before the first new attempt after a loss")
    reconnect_max: float = Field(default=60.0, gt=0, description="the longest wait between two attempts")


class SmsSmpp(CarrierChannel):
    """The channel; it is also the ``SmsCarrier`` of ``to_sms``."""

    kind: ClassVar[str] = "sms_smpp"
    Settings: ClassVar[type[Settings]] = SmppSettings
    settings: SmppSettings
    too_large = Status.ESME_RX_R_APPN

    def __init__(self, name: str, settings: SmppSettings, services: Services | None = None) -> None:
        super().__init__(name, settings, services)
        self._sessions: dict[BindMode, Session] = {}

    async def start(self, intake: Intake) -> None:
        """Begin to connect; the SMSC need not be there yet."""
        services, bind = self.services, self.settings.bind
        self._intake = intake
        modes: tuple[BindMode, ...] = ("receiver", "transmitter") if bind == "pair" else (bind,)
        self._sessions = {mode: self._session(mode, services) for mode in modes}
        for session in self._sessions.values():
            session.start()

    def _session(self, mode: BindMode, services: Services) -> Session:
        settings = self.settings
        return Session(
            SessionSettings(
                endpoint=endpoint(settings.host, settings.port),
                name=settings.system_id,
                password=services.secret(settings.password),
                system_type=settings.system_type,
                bind=mode,
                keep_alive=settings.enquire_link,
                request_timeout=settings.request_timeout,
                window=settings.window,
                reconnect_min=settings.reconnect_min,
                reconnect_max=settings.reconnect_max,
            ),
            self._answer,
            alarm=self.alarm,
            random=Random(f"{self.name}/{settings.system_id}/{mode}"),  # noqa: S311  (jitter, not a secret)
        )

    async def stop(self) -> None:
        """Answer what is in hand, unbind and close."""
        await asyncio.gather(*(session.stop() for session in self._sessions.values()))

    def health(self) -> Health:
        """The state of the session; of a pair, the worse one's."""
        if not self._sessions:
            return Health("down", _("not started"))
        worst = min(self._sessions.values(), key=lambda session: _STATES.index(session.state))
        return Health(worst.state, worst.detail)

    def read(self, raw: RawMessage) -> Message:
        """Text of one part or of all parts; see ``gateway_plugins.smpp.inbound``. Raises ``Malformed``."""
        return inbound.read(raw, self.settings.default_alphabet)

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        """Send one part; ``encoding`` is gsm (one septet to an octet), latin-1 or ucs2. ``to``: E.164 or short."""
        session = self._sessions.get("transceiver") or self._sessions.get("transmitter")
        if session is None:
            return TryLater(_("the carrier is not connected"))
        source = self.settings.source_addr
        return await session.submit(
            Sm(
                source_addr_ton=1 if source.startswith("+") else 0,
                source_addr_npi=1 if source.lstrip("+").isdigit() else 0,
                source_addr=source.removeprefix("+"),
                dest_addr_ton=1 if to.startswith("+") else 0,
                dest_addr_npi=1,
                destination_addr=to.removeprefix("+"),
                esm_class=_UDHI if udh else 0,
                registered_delivery=1 if receipt else 0,
                data_coding=_DATA_CODING[encoding],
                short_message=udh + part,
            )
        )

    def is_receipt(self, pdu: Pdu) -> bool:
        return inbound.is_receipt(pdu)

    def receipt(self, pdu: Pdu) -> Receipt | None:
        return inbound.receipt(pdu, via=self.name)

    def message(self, pdu: Pdu) -> RawMessage:
        return inbound.raw_message(pdu, via=self.name, received_at=self.services.now())

    def trouble(self) -> int:
        return Status.ESME_RX_T_APPN

    async def _answer(self, pdu: Pdu) -> int:
        return await self.take(pdu) or Status.ESME_ROK


@hookimpl
def channels() -> list[type[SmsSmpp]]:
    """The SMS channel."""
    return [SmsSmpp]

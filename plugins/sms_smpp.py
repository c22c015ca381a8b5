"""SMS in and out through an SMSC (短信中心): one SMPP 3.4 session as transceiver.

Wire format: SMPP 3.4 (``gateway_plugins.smpp.pdu``). A ``deliver_sm`` is answered with status 0 only when intake has it
on stable storage; storage trouble is ``ESME_RX_T_APPN``, which the SMSC retries. Every part of a long message is taken
by itself.
"""

from __future__ import annotations

import asyncio
import logging
from random import Random
from typing import Any, ClassVar, Literal

from msgspec import Struct

from gateway.api import (
    Channel,
    Field,
    Intake,
    Malformed,
    Message,
    Outcome,
    RawMessage,
    SecretName,
    Services,
    StorageTrouble,
    TooLarge,
    TryLater,
    _,
    hookimpl,
)
from gateway.api import Settings as BaseSettings
from gateway_plugins.smpp import inbound
from gateway_plugins.smpp.pdu import Pdu, Sm, Status
from gateway_plugins.smpp.session import Session, SessionSettings

log = logging.getLogger(__name__)

_DATA_CODING = {"gsm": 0, "latin-1": 3, "ucs2": 8}
_UDHI = 0x40


class SmsHealth(Struct, frozen=True):
    """How the session is."""

    state: Literal["up", "connecting", "down"]
    detail: str


class Settings(BaseSettings):
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
    window: int = Field(default=10, ge=1, le=1000, description="messages out that may be unanswered at once")
    reconnect_min: float = Field(default=1.0, gt=0, description="seconds before the first new attempt after a loss")
    reconnect_max: float = Field(default=60.0, gt=0, description="the longest wait between two attempts")


class SmsSmpp:
    """The channel; it is also the ``SmsCarrier`` of ``to_sms``."""

    kind: ClassVar[str] = "sms_smpp"
    channel: ClassVar[Channel] = "sms"
    Settings: ClassVar[type[BaseSettings]] = Settings
    reads_in: ClassVar[Literal["inline", "parse", "ocr"]] = "inline"

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None:
        self.name = name
        self.settings: Settings = settings
        self._services = services
        self._intake: Intake | None = None
        self._session: Session | None = None

    async def start(self, intake: Intake) -> None:
        """Begin to connect; the SMSC need not be there yet."""
        if self._services is None:
            raise RuntimeError("a channel that was made only to read cannot start")
        self._intake = intake
        settings = self.settings
        self._session = Session(
            SessionSettings(
                endpoint=endpoint(settings.host, settings.port),
                system_id=settings.system_id,
                password=self._services.secret(settings.password),
                system_type=settings.system_type,
                enquire_link=settings.enquire_link,
                request_timeout=settings.request_timeout,
                window=settings.window,
                reconnect_min=settings.reconnect_min,
                reconnect_max=settings.reconnect_max,
            ),
            self._deliver,
            alarm=self._alarm,
            random=Random(f"{self.name}/{settings.system_id}"),  # noqa: S311  (jitter, not a secret)
        )
        self._session.start()

    async def stop(self) -> None:
        """Answer what is in hand, unbind and close."""
        if self._session is not None:
            await self._session.stop()

    async def probe(self) -> str | None:
        """Whether the SMSC takes a connection. No bind: a second one under our name may end the first."""
        try:
            _reader, writer = await asyncio.open_connection(self.settings.host, self.settings.port)
        except OSError as error:
            return _("no connection: {why}").format(why=error.strerror or type(error).__name__)
        writer.close()
        return None

    def health(self) -> SmsHealth:
        """The session's state."""
        if self._session is None:
            return SmsHealth("down", _("not started"))
        return SmsHealth(self._session.state, self._session.detail)

    def read(self, raw: RawMessage) -> Message:
        """Text of one part or of all parts; see ``gateway_plugins.smpp.inbound``. Raises ``Malformed``."""
        return inbound.read(raw, self.settings.default_alphabet)

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        """Send one part; ``encoding`` is gsm (one septet to an octet), latin-1 or ucs2. ``to``: E.164 or short."""
        if self._session is None:
            return TryLater(_("the SMSC is not connected"))
        source = self.settings.source_addr
        return await self._session.submit(
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

    async def _deliver(self, pdu: Pdu) -> int:
        """Take a deliver_sm; the status to answer with. 0 is said only of what is on stable storage."""
        assert self._intake is not None
        assert self._services is not None
        try:
            if inbound.is_receipt(pdu):
                await self._receipt(pdu, self._intake)
            else:
                await self._intake.accept(inbound.raw_message(pdu, via=self.name, received_at=self._services.now()))
        except StorageTrouble:
            return Status.ESME_RX_T_APPN
        except TooLarge:
            return Status.ESME_RX_R_APPN
        return Status.ESME_ROK

    async def _receipt(self, pdu: Pdu, intake: Intake) -> None:
        try:
            receipt = inbound.receipt(pdu, via=self.name)
        except Malformed as error:
            # Sent again it would say no more than now: take it, and tell the operator.
            self._alarm(_("a delivery receipt could not be read: {why}").format(why=error))
            return
        if receipt is not None:
            await intake.receipt(receipt)

    def _alarm(self, why: str) -> None:
        log.warning("%s: %s", self.name, why)
        if self._services is not None:
            self._services.alarm(why, channel=self.name)


def endpoint(host: str, port: int) -> str:
    """A Twisted client endpoint; the colons of an IPv6 address are quoted."""
    quoted = host.replace("\\", "\\\\").replace(":", "\\:")
    return f"tcp:host={quoted}:port={port}"


@hookimpl
def channels() -> list[type[SmsSmpp]]:
    """The SMS channel."""
    return [SmsSmpp]

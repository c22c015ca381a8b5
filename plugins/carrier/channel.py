"""A carrier's long connection as a channel, whatever its protocol: what arrives is taken, or answered with why it was not."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

from msgspec import Struct

from gateway.api import Channel, Intake, Malformed, RawMessage, Receipt, Services, StorageTrouble, TooLarge, _
from gateway.api import Settings as BaseSettings
from gateway_plugins.carrier.session import reachable

log = logging.getLogger(__name__)


class Health(Struct, frozen=True):
    """How the session is."""

    state: Literal["up", "connecting", "down"]
    detail: str


class CarrierChannel(ABC):
    """Base of the channels with a session. A protocol names its settings (with ``host`` and ``port``), its answers to what could
    not be taken, how a PDU becomes a message or a receipt, and opens its sessions in ``start``."""

    kind: ClassVar[str]
    channel: ClassVar[Channel] = "sms"
    Settings: ClassVar[type[BaseSettings]]
    reads_in: ClassVar[Literal["inline", "parse", "ocr"]] = "inline"
    too_large: ClassVar[int]
    """The answer to a message over the limit."""

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self._services = services
        self._intake: Intake | None = None

    @property
    def services(self) -> Services:
        """What the gateway lends a channel that runs."""
        if self._services is None:
            raise RuntimeError("a channel that was made only to read cannot start")
        return self._services

    async def probe(self) -> str | None:
        """Whether the carrier takes a connection."""
        return await reachable(self.settings.host, self.settings.port)

    @abstractmethod
    def is_receipt(self, pdu: Any) -> bool:
        """Whether a delivered PDU reports on a message of ours."""

    @abstractmethod
    def receipt(self, pdu: Any) -> Receipt | None:
        """What a report says; None where it says nothing final. Raises ``Malformed``."""

    @abstractmethod
    def message(self, pdu: Any) -> RawMessage:
        """What is stored of a message."""

    @abstractmethod
    def trouble(self) -> int:
        """The answer while nothing can be stored, so that the carrier sends it again."""

    async def take(self, pdu: Any) -> int | None:
        """Take what the carrier delivers: None once it is on stable storage, else the answer that says why it is not."""
        assert self._intake is not None
        try:
            if self.is_receipt(pdu):
                await self._report(pdu, self._intake)
            else:
                await self._intake.accept(self.message(pdu))
        except StorageTrouble:
            return self.trouble()
        except TooLarge:
            return self.too_large
        return None

    async def _report(self, pdu: Any, intake: Intake) -> None:
        try:
            receipt = self.receipt(pdu)
        except Malformed as error:
            # Sent again it would say no more than now: take it, and tell the operator.
            self.alarm(_("a delivery receipt could not be read: {why}").format(why=error))
            return
        if receipt is not None:
            await intake.receipt(receipt)

    def alarm(self, why: str) -> None:
        """Tell the operator, in the log and as an alarm of this channel."""
        log.warning("%s: %s", self.name, why)
        if self._services is not None:
            self._services.alarm(why, channel=self.name)

"""SMS to an office's duty phone, through a channel that can also send (``SmsCarrier``).

The text is cut into parts as 3GPP TS 23.040 concatenates them, never inside a character. Parts that the carrier took
are remembered in ``TryLater.progress``: a second attempt goes on after them. Each part's id comes back for its receipt. A carrier
that cuts texts itself (``TextCarrier``: a modem's daemon, a cloud service) is given the whole.
"""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

import phonenumbers

from gateway.api import ChannelName, Delivered, Delivery, Field, Outcome, Refused, Services, Settings, TryLater, _, hookimpl
from gateway_plugins.smpp import text


class ToSmsSettings(Settings):
    """[transport.NAME] with kind = "to_sms"."""

    carrier: ChannelName = Field(description="the channel to send through, by its name in conf/channels.d")
    region: str = Field(default="CN", pattern="^[A-Z]{2}$", description="country of numbers written without its code")
    receipts: bool = Field(default=True, description="ask the carrier for a delivery receipt of each part")
    max_parts: int = Field(default=20, ge=1, le=255, description="a text that needs more parts is refused, never cut")


class ToSms:
    """The transport."""

    kind: ClassVar[str] = "to_sms"
    Settings: ClassVar[type[Settings]] = ToSmsSettings

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None:
        self.name = name
        self.settings: ToSmsSettings = settings
        self._services = services

    @property
    def receipts_from(self) -> str:
        """The channel that the carrier's receipts come by."""
        return self.settings.carrier

    async def start(self) -> None:
        """Nothing to start: the carrier runs by itself."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def send(self, delivery: Delivery) -> Outcome:
        """Send every part that the carrier has not taken yet, in order."""
        to = e164(delivery.address, self.settings.region)
        if to is None:
            return Refused(_("the number of the destination is not a telephone number"))
        parts = self._parts(delivery)
        if parts is None:
            return Refused(_("the text is too long for SMS"))
        carrier = self._services.channel(self.settings.carrier) if self._services is not None else None
        if carrier is None:
            return TryLater(_("the carrier {name} is not running").format(name=self.settings.carrier))
        if hasattr(carrier, "send_text"):
            words = delivery.short_text or delivery.text
            whole: Outcome = await carrier.send_text(to, words, key=delivery.id, receipt=self.settings.receipts)
            return whole
        refs = taken(delivery.progress, len(parts))
        for part in parts[len(refs) :]:
            outcome: Outcome = await carrier.submit(
                to, part.data, encoding=part.encoding, udh=part.udh, receipt=self.settings.receipts
            )
            if isinstance(outcome, TryLater):
                return TryLater(outcome.why, outcome.after, {"parts": len(parts), "refs": refs})
            if isinstance(outcome, Refused):
                return outcome
            refs.append(outcome.refs[0] if outcome.refs else "")
        return Delivered(tuple(ref for ref in refs if ref))

    def _parts(self, delivery: Delivery) -> tuple[text.Outgoing, ...] | None:
        """The parts, tied together by a reference that is the same at every attempt; None where there are too many."""
        try:
            parts = text.split(delivery.short_text or delivery.text, zlib.crc32(delivery.id.encode()))
        except ValueError:
            return None
        return parts if len(parts) <= self.settings.max_parts else None


def e164(address: str, region: str) -> str | None:
    """An address as E.164, or None where it is no number that can exist in its country."""
    try:
        number = phonenumbers.parse(address, region)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(number):
        return None
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def taken(progress: dict[str, Any], total: int) -> list[str]:
    """The ids of the parts that an earlier attempt got through; none where that attempt cut the text otherwise."""
    refs = progress.get("refs", [])
    return [str(ref) for ref in refs] if progress.get("parts") == total and len(refs) <= total else []


@hookimpl
def transports() -> list[type[ToSms]]:
    """The SMS transport."""
    return [ToSms]

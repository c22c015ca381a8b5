"""What a plugin is lent in its own process: intake, other channels and services, each of them a call to the daemon."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, Protocol
from zoneinfo import ZoneInfo

from gateway.core.errors import StorageTrouble
from gateway.core.model import RawMessage
from gateway.core.outcomes import Outcome, Receipt, TryLater
from gateway.i18n import _
from gateway.plughost.wire import Accepted, Answered, Make, Submit, pack, unpack
from gateway.secrets import SecretError


class Asking(Protocol):
    """The way to the daemon."""

    async def ask(self, do: str, name: str, data: bytes) -> bytes: ...
    def note(self, what: str, why: str = "") -> None: ...
    def channel(self, name: str) -> Any: ...


class Intake:
    """The one door in, from here: answers after the daemon's commit."""

    def __init__(self, house: Asking) -> None:
        self._house = house

    async def accept(self, raw: RawMessage) -> Accepted:
        """Return when ``raw`` is on stable storage. Raises ``StorageTrouble`` or ``TooLarge``."""
        return unpack(await self._house.ask("accept", "", pack(raw)), Accepted)

    async def receipt(self, receipt: Receipt) -> None:
        """Keep a carrier's delivery receipt. Raises ``StorageTrouble``."""
        await self._house.ask("receipt", "", pack(receipt))


class Carrier:
    """A channel that runs elsewhere, as ``SmsCarrier``."""

    def __init__(self, house: Asking, name: str) -> None:
        self._house = house
        self._name = name

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        """Send one part through it."""
        asked = Submit(carrier=self._name, to=to, part=part, encoding=encoding, udh=udh, receipt=receipt)
        try:
            return unpack(await self._house.ask("submit", "", pack(asked)), Answered).outcome()
        except StorageTrouble as error:
            return TryLater(str(error))


class Lent:
    """What the host lends to a running plugin: see ``gateway.api.Services``."""

    def __init__(self, house: Asking, make: Make) -> None:
        self._house = house
        self._make = make
        self._zone = ZoneInfo(make.zone)

    @property
    def now(self) -> Callable[[], datetime]:
        return lambda: datetime.now(self._zone)

    @property
    def max_bytes(self) -> int:
        return self._make.max_bytes

    def secret(self, name: str) -> str:
        if name not in self._make.secrets:
            raise SecretError(_("secret {name} is missing, or is not named in this plugin's settings").format(name=name))
        return self._make.secrets[name]

    def channel(self, name: str) -> Any:
        return self._house.channel(name)

    def alarm(self, why: str, **data: str) -> None:
        self._house.note("alarm", str(why))

    async def paper(self, delivery: Any, form: str) -> bytes | None:
        """Papers are made in the daemon alone: from here plain pages go out."""
        return None

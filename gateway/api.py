"""All that a plugin may import. Every ``async def`` here is an asyncio coroutine on the one loop.

A plugin is a module with functions marked ``@hookimpl`` that return classes; they are called once, at start. See
docs/plugins.md. Nothing outside this module is public.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, ClassVar, Literal, Protocol

import pluggy
from pydantic import BaseModel, ConfigDict, Field

from gateway.activation import inherited
from gateway.aio import connect, listen
from gateway.core.calendar import Moment
from gateway.core.directory import Directory, Office, Person, Unit
from gateway.core.errors import Malformed, StorageTrouble, TooLarge
from gateway.core.model import (
    Address,
    Attachment,
    Channel,
    Classification,
    Delivery,
    Destination,
    Doubt,
    Figure,
    Incident,
    Match,
    Message,
    Occurred,
    Other,
    Part,
    Place,
    RawMessage,
    Report,
)
from gateway.core.outcomes import Delivered, Outcome, Receipt, Refused, TryLater
from gateway.i18n import _
from gateway.reference import ChannelName, IncidentKind, OfficeId, SecretName, TransportName

API_VERSION = 1

hookimpl = pluggy.HookimplMarker("gateway")

__all__ = [
    "API_VERSION",
    "Address",
    "Attachment",
    "Channel",
    "ChannelName",
    "ChannelPlugin",
    "Classification",
    "ClassifierPlugin",
    "Delivered",
    "Delivery",
    "Destination",
    "Directory",
    "Doubt",
    "Field",
    "Figure",
    "Health",
    "Incident",
    "IncidentKind",
    "Intake",
    "Listening",
    "Malformed",
    "Match",
    "Message",
    "Moment",
    "Occurred",
    "Office",
    "OfficeId",
    "Other",
    "Outcome",
    "Part",
    "Person",
    "Place",
    "Probed",
    "RawMessage",
    "ReaderPlugin",
    "Receipt",
    "ReceiptedTransport",
    "Refreshed",
    "Refused",
    "Report",
    "RouterPlugin",
    "SecretName",
    "Services",
    "Settings",
    "SmsCarrier",
    "StorageTrouble",
    "TextCarrier",
    "TooLarge",
    "TransportName",
    "TransportPlugin",
    "TryLater",
    "Unit",
    "Vouching",
    "_",
    "connect",
    "hookimpl",
    "inherited",
    "listen",
]


class Settings(BaseModel):
    """Base of a plugin's settings. Unknown keys are faults; give each field a ``description``."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Accepted(Protocol):
    """What intake answers: ``id`` of the message now on stable storage; ``duplicate_of`` the earlier copy, if any."""

    @property
    def id(self) -> str: ...
    @property
    def duplicate_of(self) -> str | None: ...


class Intake(Protocol):
    """The one door in. A channel calls it before it says yes to its carrier."""

    async def accept(self, raw: RawMessage) -> Accepted:
        """Return when ``raw`` is on stable storage. Raises ``StorageTrouble`` or ``TooLarge``."""

    async def receipt(self, receipt: Receipt) -> None:
        """Keep a carrier's delivery receipt; early ones wait for their delivery. Raises ``StorageTrouble``."""


class Health(Protocol):
    """One line on how a channel is."""

    state: Literal["up", "connecting", "down"]
    detail: str


class SmsCarrier(Protocol):
    """A channel that can also send. ``to_sms`` looks for it by the channel's configured name."""

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        """Send one part. ``Delivered.refs`` holds the carrier's message id as it wrote it."""


class TextCarrier(Protocol):
    """A channel that sends whole texts, because its modem or service cuts them. ``to_sms`` prefers it to ``SmsCarrier``."""

    async def send_text(self, to: str, text: str, *, key: str, receipt: bool) -> Outcome:
        """Send one text; ``key`` is the delivery's id, the same at every attempt."""


class Services(Protocol):
    """What the host lends to a running plugin."""

    @property
    def now(self) -> Callable[[], datetime]:
        """The present instant, aware."""

    @property
    def max_bytes(self) -> int:
        """The largest message that intake takes."""

    def secret(self, name: str) -> str:
        """A secret by the name the conf gives it: a systemd credential, else a 0600 file in DIR/secrets."""

    def channel(self, name: str) -> Any:
        """A running channel by its configured name, or None."""

    def alarm(self, why: str, **data: str) -> None:
        """Raise an alarm: an event in the journal and a line for the operator."""

    async def paper(self, delivery: Delivery, form: Literal["pdf", "tiff"]) -> bytes | None:
        """The delivery as an official paper, A4, in PDF or as fax pages; None where it is none or cannot be made: then a plain
        page is sent. Never raises, and never takes longer than half of what one try may."""


class ChannelPlugin(Protocol):
    """A way in. Made with ``(name, settings, services)``; ``read`` is pure and may run in another process, where only
    ``(name, settings)`` are given and ``services`` is None."""

    kind: ClassVar[str]
    channel: ClassVar[Channel]
    Settings: ClassVar[type[Settings]]
    reads_in: ClassVar[Literal["inline", "parse", "ocr"]]

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None: ...
    async def start(self, intake: Intake) -> None: ...
    async def stop(self) -> None: ...
    def health(self) -> Health: ...
    def read(self, raw: RawMessage) -> Message: ...


class Refreshed(Protocol):
    """A channel or transport that can look again at what it read from files (certificates): asked at each reload that leaves
    its settings as they are. A plugin without it goes on as it is. After a ``start`` that raised, ``stop`` is called, and
    ``start`` again later."""

    async def refresh(self) -> None: ...


class TransportPlugin(Protocol):
    """A way out."""

    kind: ClassVar[str]
    Settings: ClassVar[type[Settings]]

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def send(self, delivery: Delivery) -> Outcome: ...


class ReceiptedTransport(TransportPlugin, Protocol):
    """A transport whose deliveries are receipted later: the channel of that name hands ``Receipt``s to its intake."""

    @property
    def receipts_from(self) -> str: ...


class Probed(Protocol):
    """What a channel or transport may have besides, for `gateway doctor`: whether its carrier or sink can be reached."""

    async def probe(self) -> str | None:
        """None where it can be, else why not. It sends no message, changes nothing, and may be given up at any time."""


class Picturing(Protocol):
    """What a channel may have besides whose messages come in pages: one of them for a person to look at beside its text. Asked
    in a worker process (``services`` is None), like ``read``."""

    def picture(self, raw: RawMessage, page: int) -> Attachment | None:
        """Page ``page``, counted from 1, as a PNG; its ``pages`` says how many there are. None where there is no such page.
        Raises ``Malformed`` for one that cannot be drawn."""


class Listening(Protocol):
    """What a channel that listens may have besides, for `gateway doctor`: the doors it opens."""

    def listens(self) -> Sequence[tuple[str, int]]:
        """Address and port of each door that its settings ask for."""


class Vouching(Protocol):
    """What a channel may have besides, to find out whether the sender is who the message says: asked after the receipt, beside
    ``read`` in a worker process (``services`` is None), where it may use the network."""

    @property
    def vouches(self) -> bool:
        """Whether ``vouch`` has anything to do with these settings."""

    def vouch(self, raw: RawMessage) -> Sequence[str]:
        """Flags for the message. ``sender_doubtful`` is a doubt for a person, ``sender_confirmed`` outweighs it. It keeps no
        message from going its way, whatever it returns or raises and however long it takes."""


class RouterPlugin(Protocol):
    """Decides which offices must have an incident. Pure."""

    kind: ClassVar[str]
    Settings: ClassVar[type[Settings]]

    def __init__(self, name: str, settings: Any) -> None: ...
    def route(self, incident: Incident, moment: Moment, directory: Directory) -> Sequence[Destination]: ...


class ReaderPlugin(Protocol):
    """Adds evidence to a report; it may raise a doubt, never silence a rule."""

    kind: ClassVar[str]
    Settings: ClassVar[type[Settings]]

    def __init__(self, name: str, settings: Any) -> None: ...
    def read(self, message: Message, report: Report) -> Sequence[Doubt]: ...


class ClassifierPlugin(Protocol):
    """Adds items or doubts to a classification; it never takes one away."""

    kind: ClassVar[str]
    Settings: ClassVar[type[Settings]]

    def __init__(self, name: str, settings: Any) -> None: ...
    def classify(self, report: Report, found: Classification) -> Sequence[Match | Doubt]: ...

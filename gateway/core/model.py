"""The one incident schema: raw message → message → report → incident → deliveries → events.

Every type is frozen. Instants are aware datetimes; ``Occurred.value`` alone is local time without an offset, cut to its
precision. Offsets in ``evidence`` count code points of ``Report.text``. Published as JSON Schema in docs/schema/.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from msgspec import Struct, field

SCHEMA_VERSION = 1

Channel = Literal["sms", "email", "fax", "phone"]
Kind = Literal["初报", "续报", "终报"]
Qualifier = Literal["exact", "at_least", "about", "nearly", "over", "range", "zero", "unknown"]
Precision = Literal["year", "month", "day", "hour", "minute"]
Noise = Literal["spam", "greeting", "notice", "auto_reply", "empty", "news"]
Span = tuple[int, int]

MessageState = Literal["accepted", "read", "needs_person", "quarantined", "duplicate", "ignored"]
DeliveryState = Literal["waiting", "sending", "delivered", "acknowledged", "refused", "stopped"]
IncidentState = Literal["open", "followed_up", "closed", "below_threshold", "drill", "merged"]
Action = Literal["new", "attach", "merge", "duplicate", "below_threshold", "drill", "quarantine", "ignore"]


class Part(Struct, frozen=True, kw_only=True):
    """One part of a long SMS: ``ref`` is the carrier's reference, ``number`` counts from 1 to ``total``."""

    ref: str
    number: int
    total: int


class RawMessage(Struct, frozen=True, kw_only=True):
    """What a channel hands to intake: the bytes as they came and what the carrier said of them. Nothing is parsed yet.

    ``sender`` and ``recipient`` are the carrier's words (envelope address, caller's number); ``carrier_id`` is the
    carrier's own id where it gives one before the content is read; ``part`` marks a piece of a longer message.
    """

    channel: Channel
    via: str
    received_at: datetime
    sender: str
    body: bytes
    content_type: str
    recipient: str = ""
    carrier_id: str | None = None
    part: Part | None = None
    meta: dict[str, str] = {}


class Attachment(Struct, frozen=True, kw_only=True):
    """A file that came with a message. ``text`` is None where its content could not be read. ``digest`` (SHA-256) stands for
    ``data`` once the file itself has been left with the stored message."""

    name: str
    content_type: str
    data: bytes
    text: str | None = None
    pages: int = 0
    digest: str = ""


class Message(Struct, frozen=True, kw_only=True):
    """A message after its carrier's format has been undone; ``text`` is exactly what evidence offsets count in.

    ``unread`` says why part of the content could not be read (then only a person may release it); ``quoted`` is older text
    that came along; ``flags`` are remarks for the operator such as ``charset_repaired`` or ``partial``. ``sender`` is whom the
    content names where the envelope names only a machine: the number that a fax came from. ``page_ends``: where in ``text`` each
    page ends; empty where the text does not come in pages.
    """

    text: str
    subject: str = ""
    quoted: str = ""
    attachments: tuple[Attachment, ...] = ()
    message_id: str | None = None
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    automatic: bool = False
    bulk: bool = False
    sent_at: datetime | None = None
    sender: str = ""
    pages: int = 0
    unread: str | None = None
    flags: tuple[str, ...] = ()
    page_ends: tuple[int, ...] = ()


class Other(Struct, frozen=True, kw_only=True):
    """A number that the same text states for the same thing, and that was not taken. Fields as in ``Figure``."""

    value: int | float | None
    qualifier: Qualifier = "exact"
    max: int | float | None = None
    evidence: tuple[Span, ...] = ()
    low: int | float | None = None


class Figure(Struct, frozen=True, kw_only=True):
    """A number as the text states it. ``value`` None means the text says it is not known.

    三四人 is a range from ``low`` 3 to ``max`` 4; its ``value`` is the upper end: who must act is told the worst that was said.
    数十人受伤 states no number either: ``value`` is None, ``qualifier`` at_least, and ``low`` what they are at the least (10).

    Where the text contradicts itself, ``others`` are the numbers that were not taken and ``why`` is the reason in a few
    Chinese words (以最新合计为准); both are empty where it does not.
    """

    value: int | float | None
    qualifier: Qualifier = "exact"
    max: int | float | None = None
    evidence: tuple[Span, ...] = ()
    others: tuple[Other, ...] = ()
    why: str = ""
    low: int | float | None = None

    @property
    def least(self) -> float | None:
        """The lower end of what is stated: what is certain."""
        return self.value if self.low is None else self.low

    @property
    def most(self) -> float | None:
        """The upper end of what is stated."""
        return self.value if self.max is None else self.max


class Occurred(Struct, frozen=True, kw_only=True):
    """When it happened: local time cut to ``precision`` (2026-03, 2026-03-05, 2026-03-05T22, 2026-03-05T22:30)."""

    value: str
    precision: Precision
    qualifier: Qualifier = "exact"
    evidence: tuple[Span, ...] = ()


class Place(Struct, frozen=True, kw_only=True):
    """Where it happened; levels that are neither stated nor certain stay None."""

    text: str
    country: str | None = None
    province: str | None = None
    city: str | None = None
    county: str | None = None
    evidence: tuple[Span, ...] = ()


class Report(Struct, frozen=True, kw_only=True):
    """One message, read: every element the rules ask for, each figure with value, qualifier and evidence.

    A figure that the text does not state is None, never 0. ``evidence`` holds the spans of the elements that are plain
    text, by field name. ``casualties`` is a stated sum of dead and injured (死伤). ``refers_to`` is an incident number the
    text cites, ``cites`` are catalogue items it names.
    """

    text: str
    kind: Kind | None = None
    number: int | None = None
    correction: bool = False
    withdrawal: bool = False
    sensitive: bool = False
    drill: bool = False
    noise: Noise | None = None
    marking: str | None = None
    occurred: Occurred | None = None
    place: Place | None = None
    deaths: Figure | None = None
    injured: Figure | None = None
    casualties: Figure | None = None
    seriously_injured: Figure | None = None
    missing: Figure | None = None
    poisoned: Figure | None = None
    ill: Figure | None = None
    trapped: Figure | None = None
    participants: Figure | None = None
    evacuated: Figure | None = None
    affected: Figure | None = None
    loss_yuan: Figure | None = None
    houses: Figure | None = None
    forest_mu: Figure | None = None
    crop_mu: Figure | None = None
    crop_lost_mu: Figure | None = None
    cause: str | None = None
    measures: tuple[str, ...] = ()
    next_steps: tuple[str, ...] = ()
    attitude: str | None = None
    unit: str | None = None
    reporter: str | None = None
    phone: str | None = None
    signed_by: str | None = None
    refers_to: str | None = None
    cites: tuple[str, ...] = ()
    evidence: dict[str, tuple[Span, ...]] = {}


FIGURES = (
    "deaths", "injured", "seriously_injured", "missing", "poisoned", "ill", "trapped", "participants", "evacuated",
    "affected", "loss_yuan", "houses", "forest_mu", "crop_mu", "crop_lost_mu",
)  # fmt: skip
"""The fields of ``Report`` that hold a ``Figure``."""


class Match(Struct, frozen=True, kw_only=True):
    """A catalogue item that makes the report reportable, and why, in a leader's words."""

    item: str
    why: tuple[str, ...]


class Doubt(Struct, frozen=True, kw_only=True):
    """An item that a person must decide: its trigger is there, the figure its threshold asks for is not."""

    item: str | None
    because: str


class Severity(Struct, frozen=True, kw_only=True):
    """How grave an accident is (事故等级): the degree that the stated figures reach, and why, in a leader's words.

    ``level`` None: no degree yet. ``at_least``: a figure is unknown or may still grow over the next limit. ``source`` is the
    rule that has these degrees.
    """

    level: str | None
    at_least: bool = False
    why: tuple[str, ...] = ()
    source: str = ""


class EventClass(Struct, frozen=True, kw_only=True):
    """The class of an event with its code, from the table that conf holds (GB/T 35561)."""

    code: str
    name: str


class Classification(Struct, frozen=True, kw_only=True):
    """What the catalogue says of a report: items met, items in doubt, elements still missing. ``rules`` is the digest of
    the catalogue that was used; ``kinds`` are the kinds of incident (traffic, fire …) that routing may ask for. ``severity`` is
    None where no rule gives degrees to such reports."""

    items: tuple[Match, ...] = ()
    review: tuple[Doubt, ...] = ()
    missing: tuple[str, ...] = ()
    sensitive: bool = False
    kinds: tuple[str, ...] = ()
    rules: str = ""
    severity: Severity | None = None
    event_class: EventClass | None = None


class Incident(Struct, frozen=True, kw_only=True):
    """What happened, as far as all reports together say. ``number`` is shown as 〔2026〕0123; ``why`` says for each item what
    met it."""

    id: str
    number: str
    title: str
    state: IncidentState
    items: tuple[str, ...]
    kinds: tuple[str, ...]
    report: Report
    why: dict[str, tuple[str, ...]] = {}
    review: tuple[Doubt, ...] = ()
    missing: tuple[str, ...] = ()
    sensitive: bool = False
    needs_person: str | None = None
    severity: Severity | None = None
    event_class: EventClass | None = None
    first_received_at: datetime
    revision: int = 1
    next_step: str = ""


class Destination(Struct, frozen=True, kw_only=True):
    """An office that must have the incident, and why: the rule of routing that named it."""

    office: str
    because: str
    duty: Literal["receive", "inform", "cooperate"] = "receive"


class Address(Struct, frozen=True, kw_only=True):
    """One way to an office: the name of a configured transport and the address it understands."""

    transport: str
    address: str


class Delivery(Struct, frozen=True, kw_only=True):
    """One thing for one destination by one transport. ``id`` is its idempotency key, stable over retries.

    ``progress`` is what a transport handed back with ``TryLater`` so that a second attempt can go on where the first stopped.
    ``paper`` is what a paper made of it says, by the template's names; empty where it is no report of an incident.
    """

    id: str
    incident: str | None
    destination: str
    transport: str
    address: str
    subject: str
    text: str
    short_text: str
    attempt: int = 1
    cleared: bool = False
    progress: dict[str, Any] = {}
    headers: dict[str, str] = {}
    paper: dict[str, str] = {}


class Event(Struct, frozen=True, kw_only=True):
    """One line of the journal. ``data`` holds ids, offices, persons, times and decisions; never a word of content."""

    at: datetime
    event: str
    incident: str | None = None
    message: str | None = None
    delivery: str | None = None
    by: str | None = None
    data: dict[str, Any] = field(default_factory=dict)

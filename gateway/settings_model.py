"""The settings classes of conf/: each key with its type, its default and what it is for.

docs/configuration.md and the commented keys of the shipped conf are made from these and compared by a test. Durations
are seconds unless the key says otherwise. Paths are relative to the configuration folder.
"""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator
from pydantic_core import PydanticCustomError

from gateway.i18n import _
from gateway.reference import OfficeId, SecretName, TransportName

_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")


def _wrong(what: str, allowed: str) -> PydanticCustomError:
    return PydanticCustomError("wrong", "{what}; {allowed}", {"what": what, "allowed": allowed})


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise _wrong(_("no such time zone"), _("an IANA name such as Asia/Shanghai")) from None
    return value


def minutes(clock: str) -> int:
    """ "08:30" → 510; "24:00" is the end of the day. ValueError for anything else."""
    found = _CLOCK.fullmatch(clock)
    total = int(found[1]) * 60 + int(found[2]) if found else -1
    if not 0 <= total <= 24 * 60:
        raise ValueError(clock)
    return total


def _hours(value: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
    end = -1
    for start, stop in value:
        try:
            first, last = minutes(start), minutes(stop)
        except ValueError:
            raise _wrong(_("no time of day"), _("HH:MM from 00:00 to 24:00")) from None
        if not end <= first < last:
            raise _wrong(_("intervals overlap or run backwards"), _("intervals in order, each with its start before its end"))
        end = last
    return value


Id = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]*$", max_length=64)]
Mail = Annotated[str, StringConstraints(pattern=r"^$|^[^@\s]+@[^@\s]+$")]
Phone = Annotated[str, StringConstraints(pattern=r"^$|^\+?[0-9][0-9 ()-]{1,24}$")]
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, strip_whitespace=True)]
Seconds = Annotated[float, Field(gt=0, le=30 * 86400)]
Timezone = Annotated[str, AfterValidator(_timezone)]
WorkingHours = Annotated[tuple[tuple[str, str], ...], AfterValidator(_hours)]


class Section(BaseModel):
    """Base of the sections: unknown keys are faults, and so are defaults that name what does not exist."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True)


class GatewaySection(Section):
    """The gateway itself."""

    city: Name = Field(default="江州市", description="the city's name as it stands in texts that go out")
    timezone: Timezone = Field(default="Asia/Shanghai", description="the city's time zone, an IANA name")
    lang: Literal["zh", "en"] = Field(default="zh", description="language of operators' texts")
    state: str = Field(default="state", min_length=1, description="folder of the store, the lock and the control socket")
    audit_log: str = Field(default="", description="the audit log; empty: audit.jsonl in the state folder")
    secrets: str = Field(
        default="secrets", min_length=1, description="folder of secrets (0700), where systemd gives no credential"
    )
    store: str = Field(
        default="",
        pattern=r"^$|^sqlite:///.+|^postgresql\+psycopg://.+",
        description="sqlite:///PATH or postgresql+psycopg://…; empty: gateway.db in the state folder",
    )

    @field_validator("store")
    @classmethod
    def _no_password(cls, value: str) -> str:
        # The file is no secret's place: others may read it, and backups hold it.
        if re.search(r"://[^/@]*:[^/@]*@|[?&]password=", value):
            raise _wrong(_("holds a password"), _("allowed: a URL without one; put it into a file that PGPASSFILE names"))
        return value

    demo: bool = Field(default=False, description="true only in a configuration written by init --demo")


class CalendarSection(Section):
    """Working hours. Holidays are in calendar.d/."""

    working_hours: WorkingHours = Field(
        default=(("08:30", "12:00"), ("14:30", "18:00")),
        description="half-open intervals [from, to) of a working day, in order",
    )
    weekend: tuple[Annotated[int, Field(ge=1, le=7)], ...] = Field(default=(6, 7), description="days off, Monday = 1")
    warn_weeks: int = Field(default=8, ge=1, le=52, description="weeks before a new year in which its calendar is asked for")


class Limits(Section):
    """What one message may cost."""

    max_message_bytes: int = Field(default=26_214_400, ge=1024, le=268_435_456, description="largest message taken, in bytes")
    parts_seconds: Seconds = Field(default=600.0, description="a long SMS with a part missing is released as partial after this")
    parse_seconds: Seconds = Field(default=20.0, description="time for parsing one message; then a person must read it")
    ocr_seconds: Seconds = Field(default=180.0, description="time for recognising one fax; then a person must read it")
    parse_memory_mb: int = Field(default=512, ge=128, le=65_536, description="memory of a parsing worker, in MiB")
    ocr_memory_mb: int = Field(default=3072, ge=512, le=65_536, description="memory of the OCR worker, in MiB")
    parse_workers: int = Field(default=1, ge=1, le=16, description="parsing workers")


class DispatchSettings(Section):
    """How deliveries are tried."""

    retry_min: Seconds = Field(default=5.0, description="wait after the first failure")
    retry_max: Seconds = Field(default=300.0, description="longest wait between two tries")
    factor: float = Field(default=2.0, ge=1.0, le=10.0, description="each wait is so many times the one before")
    fallback_after: int = Field(default=3, ge=1, le=100, description="failed tries of one way before the next way is tried")
    give_up_after: Seconds = Field(default=86_400.0, description="seconds after which a delivery that found no way is refused")
    send_timeout: Seconds = Field(default=30.0, description="time for one try")
    concurrency: int = Field(default=16, ge=1, le=256, description="deliveries in flight at once")

    @model_validator(mode="after")
    def _ordered(self) -> DispatchSettings:
        if self.retry_max < self.retry_min:
            raise _wrong(_("longest wait below the shortest"), "retry_min ≤ retry_max")
        return self


class SecrecySection(Section):
    """Marked and sensitive messages."""

    office: OfficeId = Field(default="confidential_bureau", description="the office that is told of a marked message")
    bureau_public_key: SecretName = Field(
        default="bureau-public", description="name of the bureau's X25519 public key among the secrets"
    )
    cleared_transports: tuple[TransportName, ...] = Field(default=(), description="transports that may carry sensitive items")


class RepeatSection(Section):
    """When a second copy of a message counts as the same message."""

    window_seconds: Seconds = Field(default=86_400.0, description="equal content from the same sender within this is a copy")


class ReplySection(Section):
    """Ways back to whoever sent a message."""

    email: TransportName = Field(default="mail", description="transport for answers to mail and fax")
    sms: TransportName = Field(default="sms", description="transport for answers to SMS and telephone")


class SentrySection(Section):
    """Error reports. Off unless the secret exists."""

    dsn: SecretName = Field(default="sentry-dsn", description="name of the secret that holds the DSN")
    environment: str = Field(default="production", min_length=1, max_length=64, description="environment named in error reports")


class CapSection(Section):
    """Incidents as CAP 1.2. What items and figures mean there is in cap.toml."""

    sender: str = Field(
        default="gateway@gateway.test",
        pattern=r"^[^\s,<&]{3,128}$",
        description="who sends, as CAP wants it: unique worldwide, usually an address; no spaces, commas, < or &",
    )
    sender_name: str = Field(default="", max_length=100, description="the office by name; empty: the city's duty room")
    contact: str = Field(default="", max_length=200, description="how the office is reached")
    status: Literal["Actual", "Test", "System"] = Field(
        default="Actual", description="what an alert is; a drill is always Exercise"
    )
    scope: Literal["Restricted", "Private"] = Field(default="Restricted", description="who may see it; never Public")
    restriction: str = Field(
        default="政府内部值班系统使用，不得对外发布", max_length=300, description="the rule that restricts it (Restricted)"
    )
    addresses: tuple[Annotated[str, StringConstraints(pattern=r'^[^"\s]{1,128}$')], ...] = Field(
        default=(), description="whom it is for, without spaces (Private asks for one at least)"
    )
    code_name: str = Field(
        default="GB/T 35561", min_length=1, max_length=64, description="the list that event codes of cap.toml come from"
    )
    geocode_name: str = Field(
        default="GB/T 2260", min_length=1, max_length=64, description="the list that geocodes of cap.toml come from"
    )
    unit_code: str = Field(
        default="", pattern=r"^$|^[0-9]{14}$", description="the unit's 14 digits on platform 12379; empty: no fields of that form"
    )

    @model_validator(mode="after")
    def _addressed(self) -> CapSection:
        if self.scope == "Private" and not self.addresses:
            raise _wrong(_("a private alert without addresses"), _("at least one address"))
        return self


class HttpSection(Section):
    """The operators' HTTP server: metrics and health."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=64, description="address to listen on")
    port: int = Field(default=9464, ge=0, le=65_535, description="its port; 0: no server, unless systemd hands over a socket")
    scrape_seconds: float = Field(default=1.0, ge=0.1, le=60, description="the store is asked at most once in this time")


class LogSection(Section):
    """The daemon's log, on standard error."""

    format: Literal["auto", "text", "json", "journald"] = Field(
        default="auto", description="auto: journald where systemd reads it, text elsewhere; json: one object a line"
    )
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="how much is told")


Days = Annotated[int, Field(ge=0, le=36_500)]
"""Whole days; 0 is never."""


class RetentionSection(Section):
    """How long content is kept. 0: for ever. What is due is destroyed with its key, once a day; the record stays whole."""

    closed_days: Days = Field(default=0, description="content of closed incidents, days after their last report")
    below_days: Days = Field(default=0, description="content of incidents below the threshold, of drills and merged ones")
    ignored_days: Days = Field(default=0, description="messages that were ignored, days after they came in")
    duplicate_days: Days = Field(default=0, description="second copies that have bytes of their own")
    hour: int = Field(default=3, ge=0, le=23, description="hour of the day, local time, of the daily pass")


class DoctorSection(Section):
    """What `gateway doctor` calls too little."""

    free_mb: int = Field(default=2048, ge=0, description="free space asked for where the state is, in MiB")
    free_inodes: int = Field(default=10_000, ge=0, description="free inodes asked for there")
    sync_ms: float = Field(default=30.0, gt=0, description="longest median of a sync in the state folder, in milliseconds")
    roster_days: int = Field(default=14, ge=1, le=60, description="days ahead in which the roster is looked at for holes")
    probe_seconds: float = Field(default=5.0, gt=0, le=60, description="time for reaching one carrier or sink")


class PluginsSection(Section):
    """Plugins that run in a process of their own: other people's distributions, and tables with `isolation = "process"`."""

    memory_mb: int = Field(default=512, ge=64, le=65_536, description="memory of a plugin's process, in MiB")
    call_seconds: Seconds = Field(default=20.0, description="time for one call, such as one try to send")
    start_seconds: Seconds = Field(default=15.0, description="time for loading a plugin, and for starting a channel or transport")
    pure_seconds: float = Field(default=0.5, gt=0, le=10, description="time for one answer of a router, reader or classifier")
    hang_seconds: Seconds = Field(default=5.0, description="a process that answers nothing for this long is killed")
    messages_per_second: float = Field(
        default=10.0, gt=0, le=10_000, description="messages a plugin may hand in on the long run; further ones wait"
    )
    restart_min: Seconds = Field(default=1.0, description="wait before a process that failed is started again")
    restart_max: Seconds = Field(default=60.0, description="longest such wait; each is twice the one before")
    failures: int = Field(default=5, ge=1, le=100, description="failures within the window after which the plugin rests")
    window_seconds: Seconds = Field(default=300.0, description="the window in which failures are counted")
    rest_seconds: Seconds = Field(default=300.0, description="the rest; then it is tried once more")


class GatewayFile(Section):
    """gateway.toml."""

    gateway: GatewaySection = GatewaySection()
    calendar: CalendarSection = CalendarSection()
    limits: Limits = Limits()
    dispatch: DispatchSettings = DispatchSettings()
    secrecy: SecrecySection = SecrecySection()
    repeat: RepeatSection = RepeatSection()
    reply: ReplySection = ReplySection()
    sentry: SentrySection = SentrySection()
    plugins: PluginsSection = PluginsSection()
    retention: RetentionSection = RetentionSection()
    doctor: DoctorSection = DoctorSection()
    cap: CapSection = CapSection()
    http: HttpSection = HttpSection()
    log: LogSection = LogSection()


class HolidayEntry(Section):
    """A holiday of several days, or of one where ``to`` is left out."""

    name: Name = Field(description="name of the holiday")
    first: date = Field(alias="from", description="first day off")
    last: date | None = Field(default=None, alias="to", description="last day off; left out: one day")

    @model_validator(mode="after")
    def _ordered(self) -> HolidayEntry:
        if self.last is not None and not 0 <= (self.last - self.first).days <= 31:
            raise _wrong(_("the holiday runs backwards or lasts over a month"), "from ≤ to")
        return self


class WorkdayEntry(Section):
    """A weekend day worked in exchange (调休上班)."""

    name: Name = Field(description="the holiday it is exchanged for")
    day: date = Field(description="the day worked")


class CalendarFile(Section):
    """calendar.d/*.toml: one year's arrangement, or local days on top of it."""

    year: int = Field(ge=2000, le=2200, description="the year")
    complete: bool = Field(
        default=False, description="true: the file holds the whole arrangement of the year, which is then known"
    )
    holiday: tuple[HolidayEntry, ...] = Field(default=(), description="days off")
    workday: tuple[WorkdayEntry, ...] = Field(default=(), description="weekend days worked")


class PersonEntry(Section):
    """A person. Numbers may be written as usual; they are kept as E.164."""

    name: Name = Field(description="the person's name")
    phone: Phone = Field(default="", description="mobile or telephone number: digits, with +NN or area code as needed")
    mail: Mail = Field(default="", description="mail address: name@domain")
    role: str = Field(default="", max_length=50, description="duty or rank")


class WayEntry(Section):
    """One way to an office."""

    transport: TransportName = Field(description="a configured transport")
    address: str = Field(min_length=1, max_length=254, description="mail address or number, as the transport asks")


class OfficeEntry(Section):
    """An office or department that receives."""

    id: Id = Field(description="short name for conf and commands: a-z, 0-9 and _")
    name: Name = Field(description="display name")
    hours: Literal["working", "out", "always"] = Field(default="always", description="when it is staffed")
    role: Literal["office", "leader", "department", "superior"] = Field(default="office", description="what it is")
    persons: tuple[PersonEntry, ...] = Field(default=(), description="its duty persons")
    ways: tuple[WayEntry, ...] = Field(default=(), description="ways to it, tried in order")


class UnitEntry(Section):
    """A source of reports."""

    name: Name = Field(description="the unit's name")
    county: str = Field(default="", description="its county or district")
    role: Literal["unit", "superior", "leader", "media", "public"] = Field(
        default="unit", description="what it means when it speaks"
    )
    informants: tuple[PersonEntry, ...] = Field(default=(), description="its registered informants")
    phone: Phone = Field(default="", description="its telephone: digits, with +NN or area code as needed")
    mail: Mail = Field(default="", description="its mail address: name@domain")
    fax: Phone = Field(default="", description="its fax number: digits, with +NN or area code as needed")


class DirectoryFile(Section):
    """directory.toml: offices that receive, units that report."""

    area_code: str = Field(
        default="", pattern=r"^(0\d{2,3})?$", description="the city's area code with its 0, for numbers written without it"
    )
    region: str = Field(default="CN", pattern="^[A-Z]{2}$", description="country in which numbers without +NN are read")
    office: tuple[OfficeEntry, ...] = Field(default=(), description="offices and departments")
    unit: tuple[UnitEntry, ...] = Field(default=(), description="reporting units and other sources")


def fields(model: type[BaseModel]) -> dict[str, tuple[Any, str]]:
    """Key as written → (default, description) of a settings class."""
    return {f.alias or name: (f.get_default(), f.description or "") for name, f in model.model_fields.items()}

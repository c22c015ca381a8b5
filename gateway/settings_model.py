"""The settings classes of gateway.toml: each key with its type, its default and what it is for.

docs/configuration.md and the commented keys of the shipped conf are made from these and compared by a test. Durations
are seconds unless the key says otherwise. Paths are relative to the configuration folder. The sections of what is served
are in ``settings_web``, those of watching and keeping in ``settings_care``; directory.toml and calendar.d/ in
``settings_files``.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, field_validator, model_validator

from gateway.i18n import _
from gateway.reference import OfficeId, SecretName, TransportName
from gateway.settings_base import Name, Seconds, Section, Timezone, WorkingHours, wrong
from gateway.settings_care import (
    AlarmsSection,
    AuditSection,
    CanaryEntry,
    DiskSection,
    DoctorSection,
    LogSection,
    RetentionSection,
    SentrySection,
    WatchdogSection,
    WitnessEntry,
)
from gateway.settings_web import ConsoleSection, HttpSection, LinksSection


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
            raise wrong(_("holds a password"), _("allowed: a URL without one; put it into a file that PGPASSFILE names"))
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
    text_chars: int = Field(
        default=40_000, ge=1000, le=40_000,
        description="characters of a message that are read and sent on; of a longer one a person must look at the rest",
    )  # fmt: skip


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
            raise wrong(_("longest wait below the shortest"), "retry_min ≤ retry_max")
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
            raise wrong(_("a private alert without addresses"), _("at least one address"))
        return self


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
    links: LinksSection = LinksSection()
    sentry: SentrySection = SentrySection()
    plugins: PluginsSection = PluginsSection()
    retention: RetentionSection = RetentionSection()
    doctor: DoctorSection = DoctorSection()
    cap: CapSection = CapSection()
    http: HttpSection = HttpSection()
    console: ConsoleSection = ConsoleSection()
    log: LogSection = LogSection()
    watchdog: WatchdogSection = WatchdogSection()
    disk: DiskSection = DiskSection()
    alarms: AlarmsSection = AlarmsSection()
    audit: AuditSection = AuditSection()
    witness: tuple[WitnessEntry, ...] = Field(default=(), description="who keeps the signed head of the record")
    canary: tuple[CanaryEntry, ...] = ()

    @model_validator(mode="after")
    def _canaries_once(self) -> GatewayFile:
        names = [one.name for one in self.canary]
        for name in names:
            if names.count(name) > 1:
                raise wrong(_("two canaries are called {name}").format(name=name), _("each name once"))
        return self

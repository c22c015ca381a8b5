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
from gateway.reference import ChannelName, OfficeId, SecretName, TransportName

LOOPBACK = ("127.0.0.1", "::1", "localhost")
_CLOCK = re.compile(r"([01]\d|2[0-4]):([0-5]\d)")


def wrong(what: str, allowed: str) -> PydanticCustomError:
    """A fault of a value: what is wrong with it, and what is allowed."""
    return PydanticCustomError("wrong", "{what}; {allowed}", {"what": what, "allowed": allowed})


def _timezone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ValueError, OSError, KeyError):
        raise wrong(_("no such time zone"), _("an IANA name such as Asia/Shanghai")) from None
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
            raise wrong(_("no time of day"), _("HH:MM from 00:00 to 24:00")) from None
        if not end <= first < last:
            raise wrong(_("intervals overlap or run backwards"), _("intervals in order, each with its start before its end"))
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


class LinksSection(Section):
    """One-time links to acknowledge by (签收链接), in what goes to offices. They are served by the [http] server under /a/."""

    public_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^\s?#]+[^\s?#/]$",
        description="how offices reach it, such as https://duty.example; empty: no links",
    )
    hours: float = Field(default=24.0, gt=0, le=720, description="how long a link may be used")
    per_minute: int = Field(default=30, ge=1, le=10_000, description="calls of one address within a minute; more are turned away")
    proxies: tuple[str, ...] = Field(
        default=("127.0.0.1", "::1"), description="addresses of proxies whose X-Forwarded-For says who calls"
    )


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
            raise wrong(_("a private alert without addresses"), _("at least one address"))
        return self


class HttpSection(Section):
    """The operators' HTTP server: metrics and health."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=64, description="address to listen on")
    port: int = Field(default=9464, ge=0, le=65_535, description="its port; 0: no server, unless systemd hands over a socket")
    scrape_seconds: float = Field(default=1.0, ge=0.1, le=60, description="the store is asked at most once in this time")


class ConsoleSection(Section):
    """The duty desk in a browser. Off until it is set up; accounts: gateway user add."""

    enabled: bool = Field(default=False, description="true: the console is served")
    host: str = Field(default="127.0.0.1", min_length=1, max_length=64, description="address to listen on")
    port: int = Field(
        default=8443,
        ge=1,
        le=65_535,
        description="its port; that of [http]: one server for both. A socket of systemd's named console goes before",
    )
    public_url: str = Field(
        default="",
        pattern=r"^$|^https?://[^\s?#/]+$",
        description="how a browser reaches it, such as https://console.duty.example; empty: as it listens",
    )
    certificate: str = Field(default="", description="PEM file with the certificate and its chain: then it speaks TLS alone")
    private_key: SecretName = Field(default="console-key", description="name of the secret with the certificate's key (PEM)")
    session_hours: float = Field(default=12.0, gt=0, le=72, description="how long a sign-in holds")
    sign_in_per_minute: int = Field(default=10, ge=1, le=1000, description="tries to sign in of one address within a minute")
    calls_per_minute: int = Field(default=600, ge=10, le=100_000, description="calls of one sign-in within a minute")
    form_kb: int = Field(default=256, ge=16, le=10_240, description="most that a form may send, in KiB; more is refused")
    streams: int = Field(default=64, ge=1, le=1000, description="boards that may stay open at once")
    board_rows: int = Field(default=100, ge=10, le=1000, description="incidents on one page of the board, the most urgent first")
    refresh_seconds: float = Field(default=1.0, ge=0.1, le=60, description="the board is made anew at most once in this time")
    stale_seconds: float = Field(default=25.0, ge=5, le=600, description="a board that hears nothing for so long says so")
    soon_minutes: int = Field(default=10, ge=1, le=240, description="a clock with less left than this counts as urgent")
    sound_seconds: int = Field(default=20, ge=5, le=600, description="pause between two sounds while somebody must acknowledge")
    draft_hours: float = Field(default=24.0, gt=0, le=720, description="how long an unfinished telephone form is kept")
    proxies: tuple[str, ...] = Field(default=(), description="addresses of proxies whose X-Forwarded-For says who calls")
    conf_needs_two: bool = Field(
        default=False, description="true: what an operator changes of conf here waits for a leader's yes (roster, directory …)"
    )
    client_ca: str = Field(
        default="", description="PEM file with the authorities whose client certificates sign in; empty: none is asked for"
    )
    passwords: bool = Field(default=True, description="false: only a client certificate signs in, and TLS refuses who has none")

    @model_validator(mode="after")
    def _certified(self) -> ConsoleSection:
        if self.client_ca and not self.certificate:
            raise wrong(_("client certificates need TLS of our own"), _("client_ca together with certificate"))
        if not self.passwords and not self.client_ca:
            raise wrong(_("without passwords nobody could sign in"), _("passwords = false together with client_ca"))
        return self

    @model_validator(mode="after")
    def _guarded(self) -> ConsoleSection:
        near = self.host in LOOPBACK or self.public_url.startswith("https://")
        if self.enabled and not self.certificate and not near:
            raise wrong(
                _("passwords would cross the network in the clear"),
                _("a certificate, or a loopback host, or the public_url with https of a proxy in front"),
            )
        return self

    @property
    def secure(self) -> bool:
        """Whether browsers reach it by TLS: then cookies are bound to it."""
        return bool(self.certificate) or self.public_url.startswith("https://")


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
    paper_days: Days = Field(default=0, description="what went out about no incident (briefs, reminders), days after it was made")
    hour: int = Field(default=3, ge=0, le=23, description="hour of the day, local time, of the daily pass")


class DoctorSection(Section):
    """What `gateway doctor` calls too little."""

    free_mb: int = Field(default=2048, ge=0, description="free space asked for where the state is, in MiB")
    free_inodes: int = Field(default=10_000, ge=0, description="free inodes asked for there")
    sync_ms: float = Field(default=30.0, gt=0, description="longest median of a sync in the state folder, in milliseconds")
    roster_days: int = Field(default=14, ge=1, le=60, description="days ahead in which the roster is looked at for holes")
    roster_hour: int = Field(default=9, ge=0, le=23, description="hour of the day, local time, at which holes are alarmed")
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


class WatchdogSection(Section):
    """How long something may stand still before it is an alarm."""

    every_seconds: float = Field(default=10.0, ge=0.1, le=600, description="pause between two looks")
    lease_seconds: Seconds = Field(default=60.0, description="a delivery that is being sent so long after its lease ran out")
    try_seconds: Seconds = Field(default=300.0, description="a delivery whose next try was due so long ago and was not made")
    undelivered_minutes: float = Field(default=15.0, gt=0, le=10_080, description="a delivery that found no way for so long")
    unread_seconds: Seconds = Field(default=300.0, description="an accepted message, or a part over its time, that nobody took")
    down_minutes: float = Field(default=5.0, ge=0, le=10_080, description="a channel or transport that is down for so long")
    probe_minutes: float = Field(
        default=5.0, ge=0, le=1440, description="pause between two probes of the transports that can be probed; 0: none"
    )
    seal_seconds: Seconds = Field(default=300.0, description="an event that is not in the audit log after so long")
    repeat_minutes: float = Field(default=30.0, ge=1, le=10_080, description="trouble that stands is raised again after this")


class DiskSection(Section):
    """Free space of the state, store and log folders: how it is watched, and what is an alarm before anything stands still."""

    sample_minutes: float = Field(default=10.0, gt=0, le=1440, description="pause between two looks at the free space")
    window_days: float = Field(default=7.0, gt=0, le=90, description="so much of the past a forecast is made of")
    least_samples: int = Field(default=12, ge=6, le=1000, description="no forecast is made of fewer looks")
    horizon_days: float = Field(default=7.0, gt=0, le=365, description="a disk that will be full within this is an alarm")
    least_mb: int = Field(default=1024, ge=0, description="less free than this is an alarm, in MiB, up to half of the disk")
    least_percent: float = Field(default=2.0, ge=0, le=50, description="and so is a smaller share of the disk, in percent")


class AlarmWay(Section):
    """One way by which alarms leave."""

    transport: TransportName = Field(description="a configured transport")
    address: str = Field(min_length=1, max_length=254, description="mail address or number, as the transport asks")
    name: str = Field(default="", max_length=50, description="who is told there; empty: the transport's name")


class AlarmsSection(Section):
    """By which ways alarms leave for people. Each leaves by every way that does not depend on what it is about."""

    ways: tuple[AlarmWay, ...] = Field(default=(), description="who is told, and by which transport; none: the log alone")
    repeat_minutes: float = Field(
        default=30.0, ge=1, le=1440, description="further alarms of a kind about the same are told together after this"
    )
    burst: int = Field(default=3, ge=1, le=100, description="texts of one kind, about different things, that leave in that time")
    command: tuple[str, ...] = Field(
        default=(), description="a program with its arguments that gets each text on standard input: a siren, a modem; none: []"
    )
    command_seconds: float = Field(default=20.0, gt=0, le=300, description="its time; then it is killed")


class WitnessEntry(Section):
    """A place beyond this host's reach that keeps the signed head of the record: a file on another mount, or a transport."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="its name: a-z, 0-9, _ and -; each once")
    file: str = Field(default="", description="a file on another mount, absolute path; written within 10 s of a change")
    transport: TransportName = Field(
        default="", validate_default=False, description="or a transport: mail, SMS, printer, gateway"
    )
    address: str = Field(default="", max_length=254, description="its address")
    every_minutes: float = Field(default=60.0, gt=0, le=10_080, description="how often a transport gets it, where it has changed")

    @model_validator(mode="after")
    def _one_way(self) -> WitnessEntry:
        if bool(self.file) == bool(self.transport) or bool(self.transport) != bool(self.address):
            raise wrong(_("one way is asked for"), _("file, or transport with address"))
        if self.file and not self.file.startswith("/"):
            raise wrong(_("the file has no absolute path"), _("a path that begins with /"))
        return self


class AuditSection(Section):
    """The record: its hash, and the name under which its heads are signed. The key is the secret `audit-key`."""

    hash: Literal["sha256", "sm3"] = Field(default="sha256", description="hash of new lines and of a new tree")
    origin: str = Field(
        default="gateway.test/audit",
        pattern=r"^[^\s+]{3,100}$",
        description="name of this log in signed heads: unique, no spaces, no +",
    )
    key: SecretName = Field(default="audit-key", description="name of the secret with the Ed25519 private key (PEM)")


class CanaryEntry(Section):
    """A self-test of a carrier: a message of ours that goes out and must come back in."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]{0,39}$", description="its name: a-z, 0-9, _ and -, 40 at most; each once")
    transport: TransportName = Field(description="the transport that sends it")
    address: str = Field(min_length=1, max_length=254, description="our own number or mailbox, as the transport asks")
    via: ChannelName = Field(description="the channel by which it must come back")
    every_minutes: float = Field(default=60.0, gt=0, le=10_080, description="pause between two")
    within_minutes: float = Field(default=10.0, gt=0, le=10_080, description="time to be back in; less than every_minutes")

    @model_validator(mode="after")
    def _in_time(self) -> CanaryEntry:
        if self.within_minutes >= self.every_minutes:
            raise wrong(_("the next one would be sent before this one is judged"), "within_minutes < every_minutes")
        return self


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


class HolidayEntry(Section):
    """A holiday of several days, or of one where ``to`` is left out."""

    name: Name = Field(description="name of the holiday")
    first: date = Field(alias="from", description="first day off")
    last: date | None = Field(default=None, alias="to", description="last day off; left out: one day")

    @model_validator(mode="after")
    def _ordered(self) -> HolidayEntry:
        if self.last is not None and not 0 <= (self.last - self.first).days <= 31:
            raise wrong(_("the holiday runs backwards or lasts over a month"), "from ≤ to")
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
    login: str = Field(
        default="", pattern=r"^$|^[a-z_][a-z0-9_.-]{0,31}$", description="user of this host by whose commands this person acts"
    )


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
    not_cleared: tuple[TransportName, ...] = Field(
        default=(), description="transports that carry nothing sensitive to this office, though [secrecy] clears them"
    )


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

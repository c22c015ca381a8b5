"""Settings of how the gateway looks after itself: its log and record, what is kept, what is watched, and who is told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gateway.i18n import _
from gateway.reference import ChannelName, SecretName, TransportName
from gateway.settings_base import Seconds, Section, wrong


class SentrySection(Section):
    """Error reports. Off unless the secret exists."""

    dsn: SecretName = Field(default="sentry-dsn", description="name of the secret that holds the DSN")
    environment: str = Field(default="production", min_length=1, max_length=64, description="environment named in error reports")


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

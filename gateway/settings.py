"""The frozen settings that conf/ becomes, and where a configuration keeps things. ``gateway.conf_load`` makes them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway.cap_rules import CapFile
from gateway.core.calendar import Calendar
from gateway.core.catalogue import Catalogue
from gateway.core.clocks import Clock
from gateway.core.directory import Directory
from gateway.core.duty.rules import DutyRules
from gateway.core.matching import MatchRules
from gateway.core.roster import Roster
from gateway.duty.file import DutyFile
from gateway.faults import Fault
from gateway.i18n import Lang
from gateway.obligation_rules import ObligationsFile
from gateway.paper_rules import PapersFile
from gateway.reading.gazetteer import Gazetteer
from gateway.reading.words import Words
from gateway.settings_care import (
    AlarmsSection,
    AuditSection,
    CanaryEntry,
    DiskSection,
    DoctorSection,
    LogSection,
    RetentionSection,
    WatchdogSection,
    WitnessEntry,
)
from gateway.settings_model import CapSection, DispatchSettings, GatewaySection, Limits, PluginsSection
from gateway.settings_web import ConsoleSection, HttpSection, LinksSection


@dataclass(frozen=True, slots=True)
class Configured:
    """A plugin's class with its settings under the name that conf gives it. ``where`` is file:line."""

    name: str
    kind: str
    cls: type[Any]
    settings: BaseModel
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All of conf/, validated. Paths are absolute; only enabled plugins are listed; ``digest`` names this very conf."""

    path: Path
    city: str
    timezone: str
    lang: Lang
    state: Path
    audit_log: Path
    secrets: Path
    store_url: str
    limits: Limits
    dispatch: DispatchSettings
    channels: tuple[Configured, ...]
    transports: tuple[Configured, ...]
    routers: tuple[Configured, ...]
    readers: tuple[Configured, ...]
    classifiers: tuple[Configured, ...]
    catalogue: Catalogue
    clocks: tuple[Clock, ...]
    duty: DutyFile
    duty_rules: DutyRules
    matching: MatchRules
    calendar: Calendar
    directory: Directory
    roster: Roster
    gazetteer: Gazetteer
    words: Words
    templates: Mapping[str, str]
    repeat_seconds: float
    secrecy_office: str
    bureau_public_key: str
    reply_transports: Mapping[str, str]
    links: LinksSection
    sentry_dsn: str
    sentry_environment: str
    retention: RetentionSection
    doctor: DoctorSection
    cap: CapSection
    cap_rules: CapFile
    http: HttpSection
    console: ConsoleSection
    log: LogSection
    plugins: PluginsSection
    watchdog: WatchdogSection
    disk: DiskSection
    alarms: AlarmsSection
    audit: AuditSection
    witnesses: tuple[WitnessEntry, ...]
    canaries: tuple[CanaryEntry, ...]
    obligations: ObligationsFile
    papers: PapersFile
    paper_templates: Mapping[str, str]
    demo: bool
    digest: str
    warnings: tuple[Fault, ...]

    @property
    def version(self) -> str:
        """By which decisions name the rules they were made with: the beginning of ``digest``."""
        return self.digest[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Whereabouts:
    """Where a configuration keeps things: enough to reach its daemon, its store and its record. Paths are absolute."""

    path: Path
    timezone: str
    state: Path
    audit_log: Path
    secrets: Path
    store_url: str


def whereabouts(conf_dir: Path) -> Whereabouts | None:
    """What [gateway] of gateway.toml says, whatever is wrong elsewhere; None where that table itself cannot be used."""
    try:
        data = tomllib.loads((conf_dir / "gateway.toml").read_text(encoding="utf-8-sig"))
        return within(conf_dir.resolve(), GatewaySection.model_validate(data.get("gateway", {})))
    except (OSError, ValueError):
        return None


def within(root: Path, section: GatewaySection) -> Whereabouts:
    """Where the configuration in ``root`` keeps things, by its table [gateway]."""
    state = root / section.state
    return Whereabouts(
        path=root,
        timezone=section.timezone,
        state=state,
        audit_log=root / section.audit_log if section.audit_log else state / "audit.jsonl",
        secrets=root / section.secrets,
        store_url=_store_url(section.store, root, state),
    )


def _store_url(given: str, root: Path, state: Path) -> str:
    """Relative SQLite paths count from the configuration folder."""
    if not given:
        return f"sqlite:///{state / 'gateway.db'}"
    scheme, slashes, path = given.partition("sqlite:///")
    return f"{slashes}{root / path}" if slashes and not scheme else given

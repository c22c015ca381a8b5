"""conf/ → frozen settings. The whole is validated before anything is refused: all faults at once, each with file and line.

The order follows the references: ways in and out have names, offices name ways, routers name offices and kinds.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from gateway import conf_build, conf_domain
from gateway.cap_rules import CapFile
from gateway.conf_files import Files
from gateway.conf_plugins import FOLDERS, SORTS, Plugins
from gateway.conf_source import Memory, Reader, Source
from gateway.core import render
from gateway.core.calendar import Calendar
from gateway.core.directory import Directory
from gateway.core.roster import Roster
from gateway.duty.file import DutyFile
from gateway.faults import ConfError, Fault, unknown_name
from gateway.host import Host
from gateway.i18n import _
from gateway.obligation_rules import ObligationsFile
from gateway.paper_rules import PapersFile
from gateway.papers import templates as paper_templates
from gateway.settings import Config, Configured, within
from gateway.settings_files import CalendarFile, DirectoryFile
from gateway.settings_model import GatewayFile

FILES = ("gateway", "directory", "catalogue", "clocks", "duty", "gazetteer", "reading")
OPTIONAL = ("cap", "obligations", "papers")
CONTROL = "control.sock"
TEMPLATE = "template"
"""The key of a fault in a template of papers: it is told, alarmed, and stops nothing."""
SOCKET_PATH = 107
"""Bytes of a UNIX socket's path on Linux, sun_path in unix(7), without the closing zero."""


def check(conf_dir: Path, host: Host, *, today: date | None = None) -> Config:
    """As ``load``, but a present year without a calendar and a plugin that cannot be used are refused as well. Raises
    ``ConfError``."""
    config = load(conf_dir, host, today=today)
    if any(warning.grave for warning in config.warnings):
        raise ConfError(warning for warning in config.warnings if warning.grave)
    return config


def load(
    conf_dir: Path, host: Host, *, today: date | None = None, files: Files | None = None, memory: Memory | None = None
) -> Config:
    """Read and validate all of ``conf_dir``. Raises ``ConfError`` with every fault.

    A year without a calendar comes back as a warning: a daemon that has to start again on 1 January starts, takes every
    hour as out of hours and alarms. ``today`` decides which year is meant; default: now, in the city's zone. ``files`` are
    files already in memory, ``memory`` what was read the last time (see ``gateway.conf_source``).
    """
    reader = Reader(conf_dir, files or {}, {} if memory is None else memory)
    return _Loader(conf_dir, host, today, reader).load()


class _Loader:
    def __init__(self, conf_dir: Path, host: Host, today: date | None, reader: Reader) -> None:
        self.root = conf_dir
        self.host = host
        self.today = today
        self.reader = reader
        self.files: dict[str, Source | None] = {}
        self.plugins: Plugins

    def load(self) -> Config:
        reader = self.reader
        if not self.root.is_dir():
            text = _("there is no such folder: name it with --conf or GATEWAY_CONF, or make one with gateway init {path}")
            raise ConfError([Fault(str(self.root), 1, "conf", text.format(path=self.root))])
        self._read()
        domain = conf_domain.parse(reader, self.files)
        context = self._context(domain)
        main = self._table("gateway", GatewayFile, context)
        self._socket_path(main)
        plugins = {sort: list(self.plugins.of(sort, context)) for sort in SORTS}
        book = self._table("directory", DirectoryFile, context)
        cap = self._table("cap", CapFile, context)
        duty = self._table("duty", DutyFile, context)
        owed = self._table("obligations", ObligationsFile, context)
        papers = self._table("papers", PapersFile, context)
        self._printer(papers, plugins["transport"])
        years = [(s, reader.validate(s, (), CalendarFile, context)) for s in reader.folder("calendar.d")]
        zone = main.gateway.timezone if main else "Asia/Shanghai"
        section = (main or GatewayFile()).calendar
        calendar = conf_build.calendar(reader, [(s, y) for s, y in years if y is not None], section, zone)
        today = self.today or datetime.now(ZoneInfo(zone)).date()
        conf_build.unknown_years(reader, calendar, today, section.warn_weeks)
        templates, of_papers = self._templates(), self._paper_templates()
        directory, roster = self._people(main, book, zone, plugins["transport"])
        # A plugin or a paper's template that cannot be used is missed and alarmed, and keeps the rest from no work.
        serious = [f for f in reader.faults if f.grave and f.key not in ("year", TEMPLATE)]
        if serious or main is None or directory is None or duty is None:
            raise ConfError((f for f in reader.faults if f.grave), causes=(f for f in self.host.faults if f.grave))
        rest = cap or CapFile(), duty, owed or ObligationsFile(), papers or PapersFile()
        return _config(self, main, plugins, domain, calendar, directory, roster, templates, of_papers, *rest)

    def _socket_path(self, main: GatewayFile | None) -> None:
        """The kernel takes no longer path for a socket, and says nothing of use when it refuses one."""
        source = self.files["gateway"]
        if main is None or source is None:
            return
        size = len(os.fsencode(within(self.root.resolve(), main.gateway).state / CONTROL))
        if size > SOCKET_PATH:
            text = _("the path of {name} in it would have {size} bytes; allowed: {most}")
            self.reader.at(source, ("gateway", "state"), text.format(name=CONTROL, size=size, most=SOCKET_PATH))

    def _printer(self, papers: PapersFile | None, transports: list[Configured]) -> None:
        """The board on paper leaves by what ends on paper: as a short message it would be cut."""
        source = self.files["papers"]
        if papers is None or source is None or not (wanted := papers.standby.transport):
            return
        ends = {one.name: one.settings for one in transports if hasattr(one.settings, "form")}
        if wanted not in ends:
            text = _("{name} does not end on paper; allowed: {known}").format(name=wanted, known=", ".join(sorted(ends)) or "—")
            return self.reader.at(source, ("standby", "transport"), text)
        printers = getattr(ends[wanted], "printers", None)
        if printers is not None and papers.standby.address not in printers:
            known = ", ".join(sorted(printers)) or "—"
            text = _("{name} has no printer {printer}; allowed: {known}")
            self.reader.at(
                source, ("standby", "address"), text.format(name=wanted, printer=papers.standby.address, known=known)
            )

    def _read(self) -> None:
        reader = self.reader
        self.files = {name: reader.toml(f"{name}.toml") for name in FILES}
        self.files |= {name: reader.toml(f"{name}.toml", required=False) for name in OPTIONAL}
        self.plugins = Plugins(reader, self.host)
        for path in sorted(self.root.glob("plugins.d/*.py")):
            reader.text(f"plugins.d/{path.name}")
        for path in sorted((*self.root.glob("*.toml"), *self.root.glob("*.d"))):
            known = [*(f"{name}.toml" for name in (*FILES, *OPTIONAL)), *FOLDERS, "calendar.d", "plugins.d"]
            if path.name not in known:
                reader.fault(path.name, 1, path.name, unknown_name(_("file"), path.name, known))

    def _context(self, domain: conf_domain.Domain) -> dict[str, dict[str, str]]:
        """The names that may be referred to. A sort whose file cannot be read is left out: one fault, not a hundred."""
        context: dict[str, dict[str, str]] = {}
        offices = _tables(self.files["directory"], "office")
        if self.files["directory"] is not None:
            context["unit"] = _own(str(unit["name"]) for unit in _tables(self.files["directory"], "unit") if "name" in unit)
            context["office"] = {str(o[key]): str(o.get("id")) for key in ("name", "id") for o in offices if key in o}
        if all(not fault.file.startswith("channels.d/") for fault in self.reader.faults):
            context["transport"] = _own(self.plugins.names("transport"))
            context["channel"] = _own(self.plugins.names("channel"))
        if self.files["catalogue"] is not None:
            context["kind"] = _own(domain.kinds)
        if domain.catalogue is not None:
            context["item"] = _own(item.id for item in domain.catalogue.items)
        if domain.gazetteer is not None:
            context["place"] = _own((domain.gazetteer.city, *(county.name for county in domain.gazetteer.counties)))
        return context

    def _table(self, name: str, model: type[Any], context: Any) -> Any:
        source = self.files[name]
        return self.reader.validate(source, (), model, context) if source else None

    def _templates(self) -> dict[str, str]:
        found = {}
        for name in render.TEMPLATES:
            asked = name not in render.OBLIGATION or self.files["obligations"] is not None
            text = self.reader.text(f"templates/{name}", required=asked)
            if text is None:
                continue
            found[name] = text
            for number, line in enumerate(text.splitlines(), 1):
                for wrong in render.unknown_names(line, render.names_of(name)):
                    what = unknown_name(_("placeholder"), wrong, render.names_of(name))
                    self.reader.fault(f"templates/{name}", number, f"${wrong}", what)
        return found

    def _paper_templates(self) -> dict[str, str]:
        """The templates of papers that the office changed and that can be used; for the others the built-in ones stand in."""
        found = {}
        for name in paper_templates.TEMPLATES:
            text = self.reader.text(f"templates/{name}", required=False)
            if text is None or text == paper_templates.built_in()[name]:
                continue
            fault = paper_templates.check(name, text)
            if fault is None:
                found[name] = text
            else:
                self.reader.fault(f"templates/{name}", fault.line, TEMPLATE, fault.what)
        return found

    def _people(
        self, main: GatewayFile | None, book: DirectoryFile | None, zone: str, transports: list[Configured]
    ) -> tuple[Directory | None, Roster]:
        source = self.files["directory"]
        if source is not None:
            conf_build.twice(self.reader, source)
        if book is None or source is None:
            return None, Roster()
        enabled = frozenset(t.name for t in transports)
        cleared = main.secrecy.cleared_transports if main else ()
        directory = conf_build.directory(self.reader, source, book, enabled, cleared)
        return directory, conf_build.duty_roster(self.reader, "roster.csv", directory, zone)


def _config(
    loader: _Loader,
    main: GatewayFile,
    plugins: Mapping[str, list[Configured]],
    domain: conf_domain.Domain,
    calendar: Calendar,
    directory: Directory,
    roster: Roster,
    templates: Mapping[str, str],
    of_papers: Mapping[str, str],
    cap: CapFile,
    duty: DutyFile,
    owed: ObligationsFile,
    papers: PapersFile,
) -> Config:
    section, where = main.gateway, within(loader.root.resolve(), main.gateway)
    assert domain.catalogue is not None and domain.gazetteer is not None and domain.words is not None
    return Config(
        path=where.path,
        city=section.city,
        timezone=where.timezone,
        lang=section.lang,
        state=where.state,
        audit_log=where.audit_log,
        secrets=where.secrets,
        store_url=where.store_url,
        limits=main.limits,
        dispatch=main.dispatch,
        channels=tuple(plugins["channel"]),
        transports=tuple(plugins["transport"]),
        routers=tuple(plugins["router"]),
        readers=tuple(plugins["reader"]),
        classifiers=tuple(plugins["classifier"]),
        catalogue=domain.catalogue,
        clocks=domain.clocks,
        duty=duty,
        duty_rules=duty.rules(),
        matching=domain.matching,
        calendar=calendar,
        directory=directory,
        roster=roster,
        gazetteer=domain.gazetteer,
        words=domain.words,
        templates=templates,
        repeat_seconds=main.repeat.window_seconds,
        secrecy_office=main.secrecy.office,
        bureau_public_key=main.secrecy.bureau_public_key,
        reply_transports={"email": main.reply.email, "sms": main.reply.sms},
        links=main.links,
        sentry_dsn=main.sentry.dsn,
        sentry_environment=main.sentry.environment,
        retention=main.retention,
        doctor=main.doctor,
        cap=main.cap,
        cap_rules=cap,
        http=main.http,
        console=main.console,
        log=main.log,
        plugins=main.plugins,
        watchdog=main.watchdog,
        disk=main.disk,
        alarms=main.alarms,
        audit=main.audit,
        witnesses=main.witness,
        canaries=main.canary,
        obligations=owed,
        papers=papers,
        paper_templates=of_papers,
        demo=section.demo,
        digest=loader.reader.digest(),
        warnings=tuple(sorted((*loader.reader.faults, *loader.host.faults))),
    )


def _tables(source: Source | None, key: str) -> list[dict[str, Any]]:
    found = source.data.get(key) if source else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _own(names: Any) -> dict[str, str]:
    return {name: name for name in names}

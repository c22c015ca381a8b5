"""Taking a handed-in roster into conf/roster.csv: read, put together with what stays of the old one, written in one step.

``plan`` decides and touches nothing; ``Plan.write`` puts the new file in the place of the old one, or leaves everything as it is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

from gateway.conf_change import ChangedMeanwhile, Exchange
from gateway.conf_files import Unsteady, steady
from gateway.conf_load import load
from gateway.core import roster_csv, roster_table
from gateway.core.roster import Duty, Roster, outside
from gateway.core.roster_table import RosterFault, Row
from gateway.faults import ConfError, Fault
from gateway.host import Host
from gateway.i18n import _
from gateway.roster_files import tables
from gateway.roster_text import FILE
from gateway.settings import Config

__all__ = ["ChangedMeanwhile", "Plan", "plan", "planned"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What an import would do. With ``faults`` nothing may be written. ``config`` is the configuration with the new roster."""

    config: Config
    faults: tuple[RosterFault, ...]
    passed_over: tuple[str, ...]
    """Sheets without a header."""
    imported: tuple[Duty, ...]
    gained: tuple[Duty, ...]
    lost: tuple[Duty, ...]
    old: bytes | None
    new: bytes

    @property
    def digest(self) -> str:
        """By which the record names the new file: the beginning of its SHA-256."""
        return hashlib.sha256(self.new).hexdigest()[:16]

    @property
    def span(self) -> tuple[datetime, datetime]:
        """From the first imported turn to the end of the last."""
        return min(d.start for d in self.imported), max(d.end for d in self.imported)

    def write(self, conf: Path, record: Callable[[], object]) -> None:
        """Put the new file in the place of the old one; its mode and owner stay. ``record`` is called when all but the exchange
        is done; where it raises, nothing was changed. Raises ``ChangedMeanwhile`` and ``OSError``."""
        ready = Exchange.prepare(conf / FILE, self.old, self.new)
        try:
            record()
        except BaseException:
            ready.drop()
            raise
        ready.finish()


def plan(conf: Path, file: Path, *, replace: bool) -> Plan:
    """What importing ``file`` into ``conf`` would do. Raises ``Unreadable`` for the file, ``ConfError`` for faults of conf
    outside the roster."""
    try:
        files = steady(conf)
    except Unsteady as unsteady:
        text = _("goes on changing while it is read; reload when it is written to its end")
        raise ConfError(Fault(name, 1, Path(name).name, text) for name in unsteady.names) from None
    host = Host.load(conf)
    return planned(
        file.name, tables(file), lambda changes: load(conf, host, files={**files, **changes}), files.get(FILE), replace=replace
    )


def planned(
    name: str,
    handed: Sequence[list[roster_table.Line]],
    loaded: Callable[[Mapping[str, bytes]], Config],
    old: bytes | None,
    *,
    replace: bool,
) -> Plan:
    """What importing the tables of the file ``name`` would do to the roster ``old``; ``loaded`` gives the configuration with
    other files. Raises ``ConfError`` for faults of conf outside the roster."""
    config = loaded({FILE: roster_csv.render(Roster()).encode()})
    zone, directory = ZoneInfo(config.timezone), config.directory
    before = [] if old is None else roster_csv.lines(old.decode("utf-8-sig", "replace"), FILE)
    stood, unfit = roster_table.read(before, directory, zone) if any(not line.remark for line in before) else ([], [])
    rows, faults, passed_over = _read(handed, config)
    if not rows and not faults:
        faults = [RosterFault(place=roster_table.Place(line=1, file=name), what="none")]
    kept: list[Row] = []
    if not replace:
        faults += unfit
        stays = outside([(row.duty, row) for row in stood], [row.duty for row in rows])
        kept = [Row(duty, row.place, row.head) for duty, row in stays]
    faults += roster_csv.clashes([*kept, *rows], directory)
    now = roster_csv.roster_of(row.duty for row in (*kept, *rows))
    was = {row.duty for row in stood}
    notes = [] if replace or old is None else roster_csv.remarks(old.decode("utf-8-sig", "replace"))
    new = roster_csv.render(now, notes).encode()
    return Plan(
        config=config if faults else loaded({FILE: new}),
        faults=tuple(faults),
        passed_over=passed_over,
        imported=tuple(row.duty for row in rows),
        gained=tuple(sorted(set(now.duties) - was)),
        lost=tuple(sorted(was - set(now.duties))),
        old=old,
        new=new,
    )


def _read(found: Sequence[list[roster_table.Line]], config: Config) -> tuple[list[Row], list[RosterFault], tuple[str, ...]]:
    """The rows of all tables. A sheet without a header is passed over, unless none has one."""
    zone = ZoneInfo(config.timezone)
    headed = [lines for lines in found if roster_table.header(lines) is not None]
    rows: list[Row] = []
    faults: list[RosterFault] = []
    for lines in headed or found[:1]:
        here, wrong = roster_table.read(lines, config.directory, zone)
        rows += here
        faults += wrong
    passed_over = tuple(lines[0].place.sheet for lines in found if lines not in headed) if headed else ()
    return rows, faults, passed_over

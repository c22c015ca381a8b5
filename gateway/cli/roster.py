"""``roster``: the duty roster (值班表), handed in as a file and shown with its holes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from gateway.cli import TranslatedGroup, fail
from gateway.cli.show import as_json, safe, table
from gateway.i18n import _

if TYPE_CHECKING:
    from gateway.core.directory import Directory
    from gateway.core.roster import Duty, Hole
    from gateway.roster_import import Plan

SHOWN = 40
"""Changed turns that an import prints."""


@click.group(cls=TranslatedGroup)
def roster() -> None:
    """The duty roster: who is on duty, in which office, and who leads.

    \b
    Examples:
      gateway roster import 12月值班表.xlsx --dry-run
      gateway roster show --office 市政府值班室 --days 7
    """


@roster.command("import")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--dry-run", is_flag=True, help="Say what would change; write nothing.")
@click.option("--replace", is_flag=True, help="Keep nothing of the present roster.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def import_(conf: Path, file: Path, dry_run: bool, replace: bool, as_json_: bool) -> None:
    """Take a roster from a .csv or .xlsx file into roster.csv, and have a running daemon use it. With a fault nothing is written.

    \b
    Examples:
      gateway roster import 12月值班表.xlsx --dry-run
      gateway roster import december.csv
      gateway roster import 2027.xlsx --replace

    For each office and role of the file, what lies outside its first and last turn stays as it is.
    """
    from gateway.faults import ConfError
    from gateway.roster_files import Unreadable
    from gateway.roster_import import plan

    try:
        wanted = plan(conf, file, replace=replace)
    except Unreadable as error:
        fail(str(error), 2)
    except ConfError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        fail(_("faults in {conf}: {count}").format(count=len(error.faults), conf=conf))
    if wanted.faults:
        return _refuse(wanted, file, as_json_)
    changed = bool(wanted.gained or wanted.lost)
    reloaded = _carry_out(conf, file, wanted, replace) if changed and not dry_run else None
    _tell(wanted, reloaded, dry_run, as_json_)
    if reloaded is not None and not reloaded.get("reloaded", True):
        count = len(reloaded["faults"])
        fail(_("roster.csv was written, but the daemon refused to reload: {why}").format(
            why=_("{count} faults; gateway check names them").format(count=count) if count else reloaded["error"]))  # fmt: skip
    return None


def _refuse(wanted: Plan, file: Path, as_json_: bool) -> None:
    from gateway.roster_text import faults_of

    faults = faults_of(wanted.faults, wanted.config.directory)
    if as_json_:
        as_json({"imported": False, "faults": [{"at": at, "column": head, "fault": text} for at, head, text in faults]})
    else:
        for at, head, text in faults:
            click.echo(safe(f"{at}: {head}: {text}" if head else f"{at}: {text}"))
    fail(_("{count} faults in {conf}; nothing was written").format(count=len(faults), conf=file))


def _carry_out(conf: Path, file: Path, wanted: Plan, replace: bool) -> dict[str, Any]:
    """Record, write, reload: what the daemon answered, or an empty answer where none runs."""
    from gateway.asked import OperationError
    from gateway.cli.link import do_with
    from gateway.control import ask
    from gateway.roster_import import ChangedMeanwhile

    start, end = wanted.span
    data = {
        "file": file.name,
        "turns": len(wanted.imported),
        "from": start.isoformat(),
        "to": end.isoformat(),
        "offices": sorted({duty.office for duty in wanted.imported}),
        "gained": len(wanted.gained),
        "lost": len(wanted.lost),
        "ref": wanted.digest,
        "how": "replace" if replace else "merge",
    }
    try:
        wanted.write(conf, lambda: do_with(wanted.config, "roster_imported", data=data))
    except ChangedMeanwhile:
        fail(_("roster.csv was changed meanwhile; nothing was written: import it again"))
    except OSError as error:
        fail(_("cannot write {file}: {error}").format(
            file=error.filename or conf / "roster.csv", error=error.strerror or error))  # fmt: skip
    try:
        answer: dict[str, Any] = ask(wanted.config.state / "control.sock", "reload", {}, seconds=120)
        return answer
    except ConnectionError:
        return {}
    except (OperationError, OSError) as error:
        return {"reloaded": False, "faults": [], "error": str(error) or type(error).__name__}


def _tell(wanted: Plan, reloaded: dict[str, Any] | None, dry_run: bool, as_json_: bool) -> None:
    from gateway.roster_holes import ahead, empty

    config = wanted.config
    now = datetime.now(ZoneInfo(config.timezone))
    if as_json_:
        shown = {
            "imported": reloaded is not None,
            "faults": [],
            "turns": len(wanted.imported),
            "gained": [_turn(duty, config.directory) for duty in wanted.gained],
            "lost": [_turn(duty, config.directory) for duty in wanted.lost],
            "passed_over": list(wanted.passed_over),
            "reloaded": bool(reloaded),
            "holes": [_hole(hole, config.directory) for hole in ahead(config, now)],
        }
        return as_json(shown)
    for name in wanted.passed_over:
        click.echo(_("sheet {name} has no header and was passed over").format(name=safe(name)), err=True)
    marked = [*(("-", duty) for duty in wanted.lost), *(("+", duty) for duty in wanted.gained)]
    for sign, duty in sorted(marked, key=lambda one: (one[1].start, one[1].office, one[1].role, one[1].order))[:SHOWN]:
        name = config.directory.name(duty.office)
        words = (f"{duty.start:%Y-%m-%d %H:%M} – {duty.end:%Y-%m-%d %H:%M}", name, duty.shift, _(duty.role), str(duty.order))
        click.echo(safe(" ".join(filter(None, (sign, *words, duty.person)))))
    if len(marked) > SHOWN:
        click.echo(_("… and {count} more; --json shows all").format(count=len(marked) - SHOWN))
    text = _("{turns} turns read; {gained} turns added, {lost} taken away")
    click.echo(text.format(turns=len(wanted.imported), gained=len(wanted.gained), lost=len(wanted.lost)))
    if dry_run:
        click.echo(_("tried only: nothing was written"))
    elif reloaded is None:
        click.echo(_("no change: nothing was written"))
    elif not reloaded:
        click.echo(_("roster.csv is written; no daemon runs, it is in force at the next start"))
    elif reloaded["reloaded"]:
        click.echo(_("roster.csv is written and in force"))
    for one in empty(config, now):
        click.echo(one.text, err=True)
    return None


@roster.command("show")
@click.option("--office", help="Only this office, by id or name.")
@click.option("--days", type=click.IntRange(1, 400), help="So many days; default: roster_days in [doctor].")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="From this day on; default: from now on.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def show(conf: Path, office: str | None, days: int | None, first: datetime | None, as_json_: bool) -> None:
    """Who is on duty in the next days, office by office; where nobody is although the office is staffed, a line says so.

    \b
    Examples:
      gateway roster show
      gateway roster show --office 市委机要局 --days 30 --from 2026-12-01
    """
    from gateway.cli.link import load
    from gateway.core.roster import holes, needing

    config = load(conf)
    directory, zone = config.directory, ZoneInfo(config.timezone)
    start = datetime.combine(first, time(), zone) if first else datetime.now(zone).replace(second=0, microsecond=0)
    end = start + timedelta(days=days or config.doctor.roster_days)
    wanted = directory.office(office) if office is not None else None
    if office is not None and wanted is None:
        known = "、".join(one.name for one in directory.offices)
        fail(_("no office {office}; allowed: {known}").format(office=office, known=known), 2)
    needed = needing(config.roster, directory) if wanted is None else (wanted,)
    turns = [d for one in needed for d in config.roster.turns(one.id) if d.start < end and start < d.end]
    missing = holes(config.roster, needed, config.calendar, start, end)
    names = [one.id for one in needed]
    lines: Sequence[Duty | Hole] = sorted((*turns, *missing), key=lambda one: (names.index(one.office), one.start, _rank(one)))
    if as_json_:
        return as_json([_turn(line, directory) if _is_turn(line) else _hole(line, directory) for line in lines])
    heads = [_("office"), _("on duty from"), _("on duty until"), _("shift"), _("role"), _("order"), _("person")]
    table(heads, [_cells(line, directory) for line in lines])
    if missing:
        click.echo(_("{count} holes: nobody is on duty there").format(count=len(missing)))
    return None


def _is_turn(line: Any) -> bool:
    return hasattr(line, "person")


def _rank(line: Any) -> tuple[bool, int]:
    """Clerks in the order of calling, then leaders; a hole before both."""
    return (line.role == "leader", line.order) if _is_turn(line) else (False, -1)


def _cells(line: Any, directory: Directory) -> list[str]:
    span = [directory.name(line.office), f"{line.start:%Y-%m-%d %H:%M}", f"{line.end:%Y-%m-%d %H:%M}"]
    if not _is_turn(line):
        return [*span, "", "", "", _("! nobody")]
    return [*span, line.shift, _(line.role), str(line.order), line.person]


def _turn(duty: Any, directory: Directory) -> dict[str, Any]:
    more = {"person": duty.person, "order": duty.order, "role": duty.role, "shift": duty.shift}
    return {**_span(duty, directory), "hole": False, **more}


def _hole(hole: Any, directory: Directory) -> dict[str, Any]:
    return {**_span(hole, directory), "hole": True, "person": None}


def _span(one: Any, directory: Directory) -> dict[str, Any]:
    return {"office": one.office, "name": directory.name(one.office), "from": one.start.isoformat(), "to": one.end.isoformat()}

"""``doctor``, ``backup``, ``restore``, ``maintenance``, ``retention``: the care of the house."""

from __future__ import annotations

import signal
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.cli import Translated, TranslatedGroup, fail
from gateway.cli.link import do, load, located
from gateway.cli.show import as_json, table
from gateway.i18n import _, moment

JSON = click.option("--json", "as_json_", is_flag=True, help="Print JSON.")


@click.command(cls=Translated)
@JSON
@click.pass_obj
def doctor(conf: Path, as_json_: bool) -> None:
    """Is this host ready: each finding with what to do; exit 1 where something is wrong. It sends nothing.

    \b
    Examples:
      gateway doctor
      gateway doctor --json
    """
    from gateway.doctor import examine

    findings = examine(conf)
    if as_json_:
        as_json([{"what": f.what, "state": f.state, "found": f.found, "do": f.do} for f in findings])
    else:
        marks = {"ok": "✓", "warn": "!", "wrong": "✗"}
        for finding in findings:
            click.echo(f"{marks[finding.state]} {finding.what}: {finding.found}")
            if finding.do:
                click.echo(f"    → {finding.do}")
        wrong, warn = (sum(f.state == state for f in findings) for state in ("wrong", "warn"))
        click.echo(_("{count} looked at: {wrong} wrong, {warn} to look at").format(count=len(findings), wrong=wrong, warn=warn))
    raise SystemExit(1 if any(f.state == "wrong" for f in findings) else 0)


@click.command(cls=Translated)
@click.argument("target", type=click.Path(path_type=Path))
@click.option("--verify", is_flag=True, help="Read it again: sums, and the record against the journal.")
@click.option("--keep", type=click.IntRange(1), help="In a folder: remove all but the newest so many backups.")
@click.option(
    "--rate", type=click.FloatRange(0), default=0.0, show_default=True, help="At most so many MiB/s; 0: as fast as it goes."
)
@JSON
@click.pass_obj
def backup(conf: Path, target: Path, verify: bool, keep: int | None, rate: float, as_json_: bool) -> None:
    """A consistent copy of store, record and configuration in one file, also while the daemon runs. Secrets are not in it.

    \b
    Examples:
      gateway backup /var/backups/jibao --keep 14 --verify
      gateway backup before-upgrade.tar
    """
    from gateway import backup as backups
    from gateway import restore as restores
    from gateway.core.errors import StorageTrouble
    from gateway.store import StoreRefused

    # Shutting down or a time limit sends SIGTERM: what is half written goes then, too.
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(128 + signal.SIGTERM))
    config = located(conf)
    try:
        made = backups.write(config, target, _now(config), rate=rate, folder_only=keep is not None)
        checked = restores.verify(made.path, made.path.parent) if verify else None
        removed = backups.prune(made.path.parent, keep) if keep else []
    except (backups.BackupError, StorageTrouble, StoreRefused, OSError) as error:
        fail(str(error))
    if as_json_:
        shown = {"path": str(made.path), "size": made.size, "seq": made.manifest.seq, "hash": made.manifest.hash}
        return as_json({**shown, "verified": checked is not None, "removed": [str(path) for path in removed]})
    text = _("{path}: {size:.1f} MiB, schema {schema}, record up to place {seq}")
    shown_size = made.size / (1 << 20)
    click.echo(text.format(path=made.path, size=shown_size, schema=made.manifest.schema, seq=made.manifest.seq))
    if checked is not None:
        click.echo(_("verified: {count} files, {lines} lines of the record").format(
            count=len(checked.manifest.files), lines=checked.lines))  # fmt: skip
    for path in removed:
        click.echo(_("removed {path}").format(path=path))
    secrets = _("secrets are not in it: keep {path} apart; without it nobody can read the texts")
    click.echo(secrets.format(path=config.secrets / "store-key"))
    return None


@click.command(cls=Translated)
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--to", type=click.Path(path_type=Path, file_okay=False), required=True, help="A new folder: DIR/conf and DIR/state."
)
@click.option("--store", help="For a backup of PostgreSQL: an empty data base, postgresql+psycopg://…")
@click.pass_obj
def restore(conf: Path, file: Path, to: Path, store: str | None) -> None:
    """Bring a backup back into a new folder, after its sums and its record were checked. It overwrites nothing.

    \b
    Examples:
      gateway restore gateway-20260305T030000.tar --to /srv/jibao
    """
    from gateway import restore as restores
    from gateway.backup import BackupError
    from gateway.core.errors import StorageTrouble
    from gateway.service import AlreadyRunning, lock
    from gateway.store import StoreRefused

    where = restores.places(to, store)
    try:
        held = lock(where.state)
    except (AlreadyRunning, OSError) as error:
        fail(str(error))
    try:
        back = restores.restore(file, where, datetime.now().astimezone())
    except (BackupError, StorageTrouble, StoreRefused, OSError) as error:
        fail(str(error))
    finally:
        held.close()
    manifest = back.manifest
    click.echo(_("made {at} on {node} by gateway {version}, schema {schema}").format(
        at=moment(manifest.made_at), node=manifest.node, version=manifest.version, schema=manifest.schema))  # fmt: skip
    states = ", ".join(f"{_(state)} {count}" for state, count in back.messages.items()) or "—"
    click.echo(_("store: {count} messages ({states})").format(count=sum(back.messages.values()), states=states))
    click.echo(_("record: {lines} lines, whole, up to place {seq}").format(lines=back.lines, seq=manifest.seq))
    click.echo(_("configuration: {count} files in {path}").format(count=len(back.conf), path=where.conf))
    text = _("put the secrets, store-key before all, into {path} (0600); then: gateway --conf {conf} run")
    click.echo(text.format(path=f"{where.conf}/secrets", conf=where.conf))


@click.group(cls=TranslatedGroup, invoke_without_command=True)
@JSON
@click.pass_context
def maintenance(ctx: click.Context, as_json_: bool) -> None:
    """For a time, keep alarms about carriers and peers without raising them. Every report is taken and sent as ever.

    \b
    Examples:
      gateway maintenance on --minutes 60 --why 短信中心割接 --channel sms
      gateway maintenance
      gateway maintenance off
    """
    if ctx.invoked_subcommand is not None:
        return
    rows = do(ctx.obj, "maintenance")
    if as_json_:
        as_json(rows)
    elif rows:
        _windows(rows)
    else:
        click.echo(_("no maintenance goes on"))


def _windows(rows: list[dict[str, Any]]) -> None:
    heads = [_("channel"), _("begins"), _("until"), _("why"), _("by")]
    table(heads, [[row["channel"] or _("all"), moment(row["from"]), moment(row["until"]), row["why"], row["by"]] for row in rows])


@maintenance.command("on")
@click.option("--minutes", type=click.IntRange(1, 10_080), required=True, help="How long; it ends by itself.")
@click.option("--why", required=True, help="Why; it goes on record.")
@click.option("--channel", help="Only this channel or transport, by its name in conf.")
@click.pass_obj
def maintenance_on(conf: Path, minutes: int, why: str, channel: str | None) -> None:
    """Begin."""
    _windows([do(conf, "maintenance_on", minutes=minutes, why=why, channel=channel)])


@maintenance.command("off")
@click.option("--channel", help="Only that of this channel or transport.")
@click.pass_obj
def maintenance_off(conf: Path, channel: str | None) -> None:
    """End before its time; trouble that still stands is raised."""
    ended = do(conf, "maintenance_off", channel=channel)
    click.echo(_("maintenance ended: {count}").format(count=len(ended)) if ended else _("no maintenance goes on"))


@click.command(cls=Translated)
@click.option("--dry-run", is_flag=True, help="Count only.")
@JSON
@click.pass_obj
def retention(conf: Path, dry_run: bool, as_json_: bool) -> None:
    """Destroy the content whose time is over by the rules in [retention]; the record stays whole. The daemon does it daily.

    \b
    Examples:
      gateway retention --dry-run
    """
    from gateway.retention import rules

    config = load(conf)
    done = {}
    for rule in rules(config.retention):
        count, last = 0, ""
        while True:
            name = "retention_due" if dry_run else "retain"
            step = do(conf, name, rule=rule.name, after=last)
            count += step["messages"]
            if step["last"] is None:
                break
            last = step["last"]
        done[rule.name] = {"days": rule.days, "messages": count}
    if as_json_:
        as_json({"dry_run": dry_run, "rules": done})
        return
    if not done:
        click.echo(_("no rule in [retention] is in force: everything is kept"))
    for name, one in done.items():
        text = _("{rule}, {days} days: {count} due") if dry_run else _("{rule}, {days} days: {count} destroyed")
        click.echo(text.format(rule=name, days=one["days"], count=one["messages"]))


def _now(config: Any) -> datetime:
    return datetime.now(ZoneInfo(config.timezone))

"""``catalogue``: trying a changed catalogue on past messages before it is in force."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli import TranslatedGroup, fail
from gateway.cli.show import as_json, aside, safe
from gateway.core.errors import Malformed
from gateway.i18n import _
from gateway.reasons import reason

HEADS = {
    "items": "item",
    "review": "review",
    "route": "route",
    "action": "becomes",
    "severity": "severity",
    "event_class": "class",
}


@click.group(cls=TranslatedGroup)
def catalogue() -> None:
    """The catalogue of what is urgent."""


@catalogue.command("test")
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--with", "other", type=click.Path(path_type=Path), metavar="FILE or DIR",
              help="The changed catalogue, or a conf folder with one; default CONF/catalogue.toml.new.")  # fmt: skip
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def test(conf: Path, file: Path, other: Path | None, as_json_: bool) -> None:
    """Replay past messages against the present and a changed catalogue, and show what would be decided otherwise.

    \b
    Examples:
      gateway catalogue test past.jsonl --with draft.toml
      gateway catalogue test past.jsonl --json

    FILE holds one message a line, as for explain --batch; they are one stream. Exit 0: nothing otherwise, 1: something is.
    """
    from gateway import trial
    from gateway.cli.link import load
    from gateway.faults import ConfError

    present = load(conf)
    changed = other or conf / trial.NEW
    try:
        lines = file.read_bytes().decode("utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        fail(_("cannot read {file}: {error}").format(file=file, error=getattr(error, "strerror", None) or error), 2)
    if other is None and not changed.is_file():
        fail(_("no changed catalogue: give --with FILE, or put it into {file}").format(file=changed), 2)
    try:
        new = trial.changed_config(conf, changed)
    except ConfError as error:
        for fault in error.faults:
            click.echo(str(fault), err=True)
        fail(_("faults in {conf}: {count}").format(count=len(error.faults), conf=changed), 2)
    except OSError as error:
        fail(_("cannot read {file}: {error}").format(file=changed, error=error.strerror), 2)
    total, found = 0, []
    try:
        for one in trial.replay(present, new, lines):
            total += 1
            if one is not None:
                found.append(one)
                as_json(one.plain()) if as_json_ else _print(one)
    except Malformed as fault:
        fail(str(fault), 2)
    if as_json_:
        as_json({"messages": total, "different": len(found), "from": present.catalogue.digest, "to": new.catalogue.digest})
    else:
        text = _("{different} of {total} messages would be decided otherwise ({old} → {new})")
        digests = {"old": present.catalogue.digest, "new": new.catalogue.digest}
        click.echo(text.format(different=len(found), total=total, **digests))
    raise SystemExit(1 if found else 0)


def _print(one: object) -> None:
    from gateway.trial import SETS, Difference

    assert isinstance(one, Difference)
    click.echo(_("message {id} (line {line}):").format(id=safe(str(one.id)), line=one.line))
    for key in SETS:
        for sign, names in (("+", one.gained[key]), ("-", one.lost[key])):
            for name, why in names.items():
                click.echo(f"  {sign} {_(HEADS[key])} {safe(name)}{aside(safe(reason(why))) if why else ''}")
    for key, (before, after) in one.changed.items():
        shown = [_(value) if key == "action" and value else value or _("none") for value in (before, after)]
        click.echo(f"  {_(HEADS[key])}: {safe(str(shown[0]))} → {safe(str(shown[1]))}")

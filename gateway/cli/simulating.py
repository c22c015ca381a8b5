"""``simulate``: a scenario on a virtual clock."""

from __future__ import annotations

import json
import logging
import sys
from pathlib import Path

import click

from gateway.cli import Translated, fail
from gateway.core.errors import Malformed
from gateway.i18n import _


@click.command(cls=Translated)
@click.argument("file", metavar="FILE or -")
@click.option("--json", "as_json_", is_flag=True, help="One event a line, as JSON; else a readable time line.")
@click.pass_obj
def simulate(conf: Path, file: str, as_json_: bool) -> None:
    """Play a scenario on a virtual clock through the whole pipeline: who would be told, asked, judged, and when. Writes nothing.

    \b
    Examples:
      gateway simulate night.jsonl
      gateway simulate --json night.jsonl
    \b
    A line of FILE: {"at": ISO 8601 with offset, "do": …}, in order of time; see docs/simulate.md.
    """
    from gateway import explain, house
    from gateway.audit.text import render
    from gateway.cli.link import load
    from gateway.simulate import MANY, run

    config = load(conf)
    made = house.build(config, bureau_public=explain.throwaway_key())
    names = {office.id: office.name for office in config.directory.offices}
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text("utf-8-sig")
    except OSError as error:
        fail(_("cannot read {file}: {error}").format(file=file, error=error.strerror), 2)
    except UnicodeDecodeError as fault:
        fail(str(fault))
    encode = json.JSONEncoder(ensure_ascii=False).encode
    told: list[str] = []

    def tell() -> None:
        if told:
            click.echo("\n".join(told))
            told.clear()

    # What goes wrong in the scenario is among its events; the terminal shows them, not the daemon's log.
    daemons, nowhere = logging.getLogger("gateway"), logging.NullHandler()
    told_before, daemons.propagate = daemons.propagate, False
    daemons.addHandler(nowhere)
    try:
        for event in run(made, text.split("\n")):
            outer = {key: event[key] for key in ("at", "event", "incident", "by") if key in event}
            told.append(encode(event) if as_json_ else render(encode({**outer, "data": event}), names=names))
            if len(told) == MANY:
                tell()
        tell()
    except Malformed as fault:
        tell()
        fail(str(fault))
    finally:
        daemons.propagate = told_before
        daemons.removeHandler(nowhere)

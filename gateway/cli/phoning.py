"""``phone-log``: the clerk's telephone log form (电话记录单)."""

from __future__ import annotations

import getpass
import json
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.cli import Translated, fail
from gateway.cli.link import do, located
from gateway.cli.show import as_json
from gateway.i18n import _

MOST = 1_000_000
"""Octets of a form that are read from a file."""


@click.command("phone-log", cls=Translated)
@click.option("--caller", help="The caller's number.")
@click.option("--unit", help="The unit that called.")
@click.option("--name", help="Who called.")
@click.option("--called", help="The number that was called.")
@click.option("--at", "started_at", metavar="TIME", help="When the call came: 2026-11-23T09:21, local; default now.")
@click.option("--text", help="What was said.")
@click.option("--remark", help="What the clerk proposes.")
@click.option("--clerk", help="Who writes; default: the login.")
@click.option("--id", "call_id", help="The id of the call: the same id again is the same call.")
@click.option("--file", "file", metavar="FILE", help="The form as JSON, from a file or - for stdin, instead of questions.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON, ask nothing.")
@click.pass_obj
def phone_log(conf: Path, /, file: str | None, as_json_: bool, **given: str | None) -> None:
    """Write down a telephone call: what is not given as an option is asked for. It is stored when the id is printed.

    \b
    Examples:
      gateway phone-log
      gateway phone-log --caller 0999-8811004 --text "石桥县河湾村民房倒塌，两人被压" --clerk 李值班 --json
      gateway phone-log --file call.json
    """
    form: dict[str, Any] = _from_file(file) if file else {}
    form |= {key: value for key, value in given.items() if value}
    if file is None and not as_json_:
        _ask(form)
    form.setdefault("clerk", getpass.getuser())
    if form.get("started_at"):
        form["started_at"] = _instant(conf, str(form["started_at"]))
    done = do(conf, "phone_log", form=form)
    if as_json_:
        return as_json(done)
    again = _(" (again; first taken as {id})").format(id=done["duplicate_of"]) if done["duplicate_of"] else ""
    click.echo(_("accepted as {id}").format(id=done["id"]) + again)
    return None


def _from_file(name: str) -> dict[str, Any]:
    try:
        data = sys.stdin.buffer.read(MOST + 1) if name == "-" else Path(name).read_bytes()
        form = json.loads(data.decode("utf-8-sig")) if len(data) <= MOST else fail(_("{file} is over {most} bytes").format(
            file=name, most=MOST), 2)  # fmt: skip
    except OSError as error:
        return fail(_("cannot read {file}: {error}").format(file=name, error=error.strerror), 2)
    except (ValueError, RecursionError):
        return fail(_("{file} is not JSON; allowed: one object with caller, text, clerk").format(file=name), 2)
    if not isinstance(form, dict):
        return fail(_("{file} is not JSON; allowed: one object with caller, text, clerk").format(file=name), 2)
    return form


def _ask(form: dict[str, Any]) -> None:
    """Each line of the form that is still empty; what need not be filled in may be left so."""
    asked = (
        ("unit", _("unit that called"), False), ("name", _("who called"), False), ("caller", _("caller's number"), True),
        ("started_at", _("when the call came (empty: now)"), False), ("text", _("what was said"), True),
        ("remark", _("what you propose"), False), ("clerk", _("clerk"), True),
    )  # fmt: skip
    for key, label, needed in asked:
        while not form.get(key):
            value = click.prompt(label, default=getpass.getuser() if key == "clerk" else "", show_default=key == "clerk").strip()
            if value:
                form[key] = value
            if value or not needed:
                break


def _instant(conf: Path, text: str) -> str:
    try:
        at = datetime.fromisoformat(text.strip().replace(" ", "T"))
    except ValueError:
        return fail(_("{value} is no time; allowed: 2026-03-05, 2026-03-05T22, 2026-03-05T22:30").format(value=text), 2)
    zone = ZoneInfo(getattr(located(conf), "timezone", "Asia/Shanghai"))
    return (at if at.tzinfo else at.replace(tzinfo=zone)).isoformat()

"""``obligations``: what units owe beside the reports of their incidents, and what came."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.cli import Translated
from gateway.cli.link import do
from gateway.cli.show import as_json, moment, table
from gateway.i18n import _


@click.command(cls=Translated)
@click.option("--period", help="A month such as 2026-11 or a year such as 2026; without it, those that go on.")
@click.option("--missing", is_flag=True, help="Only those who have not sent enough.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.pass_obj
def obligations(conf: Path, period: str | None, missing: bool, as_json_: bool) -> None:
    """What units owe in a period (conf/obligations.toml), what came, and what is missing.

    \b
    Examples:
      gateway obligations
      gateway obligations --period 2026-11 --json
      gateway obligations --period 2026 --missing
    """
    rows = [row for row in do(conf, "obligations", period=period) if row["missing"] or not missing]
    if as_json_:
        return as_json(rows)
    who, counts = [_("unit"), _("informant"), _("obligation"), _("period")], [_("owed"), _("sent"), _("missing"), _("late")]
    states = {"met": _("met"), "due": _("not yet due"), "missing": _("not met"), "nothing owed": _("nothing owed")}
    shown = [
        [
            row["unit"], row["person"] or "", row["rule"], row["period"], row["owed"], row["sent"], row["missing"], row["late"],
            states[row["state"]], moment(row["due"]),
        ]
        for row in rows
    ]  # fmt: skip
    return table([*who, *counts, _("state"), _("due")], shown)

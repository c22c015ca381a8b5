"""``stats``: figures of a period and the papers made from them. Reads the store beside the daemon; needs neither it nor a key."""

from __future__ import annotations

import json
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.cli import Translated, fail
from gateway.cli.link import load
from gateway.cli.papers import pages, word, write
from gateway.core.obligations import Period
from gateway.i18n import _
from gateway.settings import Config

FORMS = ("text", "html", "json", "xlsx", "docx", "pdf")
FILES = ("xlsx", "docx", "pdf")
PAPERS = ("situation", "quarter", "circular", "ranking", "owed", "brief")
BRIEF_DAYS = 7
"""The longest time that a brief tells of."""


@click.command(cls=Translated)
@click.option("--period", help="A month 2026-09, a quarter 2026Q3 or a year 2026; without any, the month before this one.")
@click.option("--month", help="A month such as 2026-09.")
@click.option("--quarter", help="A quarter such as 2026Q3.")
@click.option("--year", help="A year such as 2026.")
@click.option("--from", "first", type=click.DateTime(["%Y-%m-%d"]), help="The first day, such as 2026-09-01.")
@click.option("--to", "last", type=click.DateTime(["%Y-%m-%d"]), help="The last day, itself included.")
@click.option("--paper", type=click.Choice(PAPERS), default="situation", show_default=True,
              help="The report in words, the summary in tables and plots, the circular, the ranking, what informants owed, "
                   "or the brief.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(FORMS), help="How it is written; default: text.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="Into this file (0600), not to stdout.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON: every number with the incidents behind it.")
@click.option("--text", "as_text", is_flag=True, help="Print plain text.")
@click.option("--html", "as_html", is_flag=True, help="Print HTML.")
@click.option("--xlsx", type=click.Path(path_type=Path, dir_okay=False), help="Write a workbook.")
@click.option("--docx", type=click.Path(path_type=Path, dir_okay=False), help="Write a Word document.")
@click.option("--pdf", type=click.Path(path_type=Path, dir_okay=False), help="Write pages.")
@click.pass_obj
def stats(conf: Path, /, form: str | None, output: Path | None, paper: str, **given: Any) -> None:
    """Figures of a period: on-time rates, what was late or missed, how long it took; as the reports that the office owes.

    \b
    Examples:
      gateway stats --month 2026-09
      gateway stats --quarter 2026Q3 --paper quarter --docx summary.docx
      gateway stats --year 2026 --paper ranking --xlsx ranking.xlsx
      gateway stats --from 2026-09-01 --to 2026-09-15 --json
    """
    targets = _targets(form, output, given)
    config = load(conf)
    whole = _period(config, given, paper)
    monthly = paper == "quarter" or any(kind == "xlsx" for kind, _target in targets)
    made = _Made(config, whole, paper, monthly=monthly)
    for kind, target in targets:
        write(made.as_(kind), target)


def _targets(form: str | None, output: Path | None, given: dict[str, Any]) -> list[tuple[str, Path | None]]:
    chosen: list[tuple[str, Path | None]] = [(kind, given[kind]) for kind in FILES if given[kind] is not None]
    chosen += [(kind, None) for kind, flag in (("json", "as_json_"), ("text", "as_text"), ("html", "as_html")) if given[flag]]
    if form is not None or output is not None or not chosen:
        chosen.append((form or "text", output))
    if sum(target is None for _kind, target in chosen) > 1:
        fail(_("one form alone can go to stdout"), 2)
    if any(target is None and kind in FILES for kind, target in chosen) and sys.stdout.isatty():
        fail(_("this form is no text: name a file with --output"), 2)
    return chosen


def _period(config: Config, given: dict[str, Any], paper: str) -> Period:
    from gateway.core.figures.period import between, named
    from gateway.stats import now

    zone = ZoneInfo(config.timezone)
    names = [given[key] for key in ("period", "month", "quarter", "year") if given[key] is not None]
    spanned = given["first"] is not None or given["last"] is not None
    if len(names) + spanned > 1:
        fail(_("one period is asked for, not several"), 2)
    try:
        if spanned:
            first = given["first"].date() if given["first"] else date(given["last"].year, 1, 1)
            return between(first, given["last"].date() if given["last"] else now(config).date(), zone)
        if names:
            return named(names[0], zone)
    except ValueError as error:
        fail(_("no period: {text}; allowed: 2026-09, 2026Q3, 2026, or --from and --to in order").format(text=error), 2)
    if paper == "brief":
        from gateway import brief

        return brief.hours(brief.next_hour(now(config), config) - brief.SPAN, config)
    before = now(config).date().replace(day=1) - timedelta(days=1)
    return named(f"{before:%Y-%m}", zone)


class _Made:
    """The figures, read once; each form made from them when it is asked for."""

    def __init__(self, config: Config, whole: Period, paper: str, *, monthly: bool) -> None:
        from gateway.stats import gather, now

        self.config, self.whole, self.paper = config, whole, paper
        self.found = _read(config, lambda tx: gather(tx, config, whole, now(config), monthly=monthly))

    def as_(self, kind: str) -> bytes:
        from gateway.papers import blocks, making, xlsx
        from gateway.stats import view

        if kind == "json":
            return json.dumps(view(self.found), ensure_ascii=False).encode() + b"\n"
        if kind == "xlsx":
            return xlsx.make(self.found.figures, self.found.accounts, self.whole.name, self.found.months)
        html = self._html(lambda fault: click.echo(making.wording(fault), err=True))
        if kind == "text":
            return blocks.text(html).encode()
        if kind == "docx":
            return word(self.config, html)
        if kind == "pdf":
            return pages(html, 500)
        return html.encode()


    def _html(self, on_fault: Any) -> str:
        from gateway import brief
        from gateway.papers import making

        if self.paper != "brief":
            return making.of_figures(self.config, self.paper, self.found, self.whole, on_fault)
        if self.whole.end - self.whole.start > timedelta(days=BRIEF_DAYS):
            fail(_("a brief tells of {days} days at most: --from and --to").format(days=BRIEF_DAYS), 2)
        return brief.html(self.config, self.found, self.whole, on_fault)


def _read(config: Config, fn: Any) -> Any:
    import sqlalchemy as sa

    from gateway.core.errors import StorageTrouble
    from gateway.store import StoreRefused
    from gateway.store.copying import Peek

    url = sa.make_url(config.store_url)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        return fail(_("there is no store yet at {path}").format(path=url.database))
    try:
        peek = Peek(config.store_url)
        try:
            return peek.read_now(fn)
        finally:
            peek.close()
    except (StorageTrouble, StoreRefused) as error:
        return fail(str(error))

"""``explain``: what would this message become, where would it go, and why."""

from __future__ import annotations

import base64
import sys
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import click

from gateway.cli import Translated, fail
from gateway.cli.reasons import reason
from gateway.cli.show import as_json, aside, element, figure, listed, moment, occurred, safe, severity
from gateway.core.errors import Malformed
from gateway.core.model import FIGURES
from gateway.core.render import display_number
from gateway.i18n import _


@click.command(cls=Translated)
@click.argument("file", default="-", metavar="[FILE or -]")
@click.option(
    "--channel",
    type=click.Choice(["sms", "email", "fax", "phone"]),
    help="By which way it came; default sms, or email for a mail.",
)
@click.option("--at", "moment", help="When it came, ISO 8601; default now.")
@click.option("--sender", default="", help="Who sent it: number or address.")
@click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
@click.option("--batch", is_flag=True, help="FILE holds one JSON object a line; they are one stream.")
@click.pass_obj
def explain(conf: Path, file: str, channel: str | None, moment: str | None, sender: str, as_json_: bool, batch: bool) -> None:
    """Dry run: what a message would become, where it would go and why. Writes nothing.

    \b
    Examples:
      echo "今日9时青山区民房起火，1人死亡" | gateway explain
      gateway explain --channel fax --at 2026-10-01T23:10 report.txt
      gateway explain --json --batch reports.jsonl
    """
    from gateway import explain as explaining
    from gateway import house
    from gateway.cli.link import load

    if batch and not as_json_:
        fail(_("--batch prints JSON lines: add --json"), 2)
    config = load(conf)
    made = house.build(config, bureau_public=explaining.throwaway_key())
    data = _bytes(file)
    try:
        if batch:
            for line in explaining.batch(made, data.decode("utf-8-sig").split("\n")):
                click.echo(line)
            return
        explainer = explaining.Explainer(made)
        shown = explainer.explain(_line(data, channel, _when(moment, config.timezone), sender))
        explainer.close()
    except (Malformed, UnicodeDecodeError) as fault:
        fail(str(fault))
    if as_json_:
        as_json(shown)
    else:
        _print(shown, colour=sys.stdout.isatty())


def _bytes(file: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
    except OSError as error:
        return fail(_("cannot read {file}: {error}").format(file=file, error=error.strerror), 2)  # type: ignore[no-any-return]


def _when(text: str | None, timezone: str) -> datetime:
    zone = ZoneInfo(timezone)
    if text is None:
        return datetime.now(zone)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return fail(_("--at is not a time: {text}; allowed: 2026-03-05T22:30").format(text=text), 2)  # type: ignore[no-any-return]
    return at if at.tzinfo else at.replace(tzinfo=zone)


def _line(data: bytes, channel: str | None, at: datetime, sender: str) -> dict[str, Any]:
    """A mail is known by its first line; anything else is text."""
    first = data[:200].split(b"\n", 1)[0]
    mail = b":" in first and first.split(b":", 1)[0].strip().replace(b"-", b"").isalpha() and first[:1].isalpha()
    kind = channel or ("email" if mail else "sms")
    line: dict[str, Any] = {"id": "1", "channel": kind, "received_at": at.isoformat(), "sender": sender}
    if kind in ("email", "fax") and mail:
        line["raw_b64"] = base64.b64encode(data).decode()
        return line
    try:
        line["text"] = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        line["text"] = data.decode("gb18030", "replace")
    return line


def _print(shown: dict[str, Any], colour: bool) -> None:
    report = shown["report"]
    number = f" {display_number(shown['number'])}" if shown["number"] else ""
    because = aside(safe(reason(shown["because"]))) if shown["because"] else ""
    click.echo(f"{_('becomes')}: {_(shown['action'])}{number}{because}")
    if report is None:
        click.echo(_("a marking was found: the content goes nowhere, the confidential bureau is told"))
        return
    click.echo(_highlighted(safe(shown["text"]), report, colour))
    for label, value in _facts(report):
        click.echo(f"  {label}: {safe(value)}" if label else f"  {value}")
    for match in shown["catalogue"]:
        click.echo(f"{_('item')} {match['item']}: {safe(listed(match['why']))}")
    for doubt in shown["review"]:
        click.echo(f"{_('review')} {doubt['item'] or ''}: {safe(reason(doubt['because']))}")
    if shown["severity"]:
        click.echo(f"{_('severity')}: {severity(shown['severity'])}")
    if found := shown["event_class"]:
        click.echo(f"{_('class')}: {safe(found['code'])} {safe(found['name'])}")
    if shown["needs_person"]:
        click.echo(f"{_('needs a person')}: {safe(reason(shown['needs_person']))}")
    if shown["missing"]:
        click.echo(f"{_('missing')}: {listed(element(name) for name in shown['missing'])}")
    if shown["route"]:
        click.echo(f"{_('route')}{aside(reason(shown['moment']))}:")
        for office in shown["route"]:
            click.echo(f"  {office}: {reason(shown['route_because'][office])}")
    for clock in shown["clocks"]:
        stopped = f" {_('stopped at')} {moment(clock['stopped_at'])}" if clock["stopped_at"] else ""
        click.echo(f"{_('clock')} {clock['clock']}: {_(clock['state'])}, {_('due')} {moment(clock['due'])}{stopped}")


def _facts(report: dict[str, Any]) -> list[tuple[str, str]]:
    facts: list[tuple[str, str]] = [(_("kind"), reason(report.get("kind")))]
    if report.get("occurred"):
        facts.append((_("occurred"), occurred(report["occurred"]["value"], report["occurred"]["qualifier"])))
    if report.get("place"):
        facts.append((_("place"), report["place"]["text"]))
    for name in FIGURES:
        if found := report.get(name):
            facts.append(("", figure(name, found)))
    for name in ("cause", "attitude", "unit", "reporter", "phone", "signed_by"):
        facts.append((element(name), report.get(name) or ""))
    for name in ("measures", "next_steps"):
        facts.append((element(name), listed(report.get(name) or [])))
    return [(label, value) for label, value in facts if value]


def _spans(report: dict[str, Any]) -> list[tuple[int, int, str]]:
    spans = [(s, e, element(name)) for name in FIGURES for s, e in (report.get(name) or {}).get("evidence", [])]
    for name in ("occurred", "place"):
        spans += [(s, e, element(name)) for s, e in (report.get(name) or {}).get("evidence", [])]
    for name, found in (report.get("evidence") or {}).items():
        spans += [(s, e, element(name)) for s, e in found]
    return sorted(set(spans))


def _highlighted(text: str, report: dict[str, Any], colour: bool) -> str:
    """The text with its evidence underlined, or in ⟦ ⟧ on a terminal that cannot; each labelled."""
    shown, at = "", 0
    for start, end, label in _spans(report):
        if start < at:
            continue
        piece = text[start:end]
        marked = (
            click.style(piece, underline=True, bold=True) + click.style(f"[{label}]", dim=True)
            if colour
            else f"⟦{piece}|{label}⟧"
        )
        shown += text[at:start] + marked
        at = end
    return shown + text[at:]

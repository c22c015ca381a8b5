"""``incidents``, ``incident``, ``messages``, ``message``, ``deliveries``, ``channels``: the register."""

from __future__ import annotations

import base64
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import click

from gateway.cli import Translated, TranslatedGroup, fail, matter
from gateway.cli.link import do
from gateway.cli.show import as_json, element, figure, listed, moment, occurred, safe, severity, table
from gateway.cli.show import number as parted
from gateway.core.model import FIGURES, DeliveryState, IncidentState, MessageState
from gateway.core.render import display_number
from gateway.i18n import _
from gateway.reasons import reason

ALL, SCREEN = 100_000, 50
JSON = click.option("--json", "as_json_", is_flag=True, help="Print JSON.")
LIMIT = click.option("--limit", type=click.IntRange(1, ALL), help="How many at most; default 50, with --json all.")


@click.command(cls=Translated)
@click.option("--state", type=click.Choice(get_args(IncidentState)), help="Only those in this state.")
@LIMIT
@JSON
@click.pass_obj
def incidents(conf: Path, state: str | None, limit: int | None, as_json_: bool) -> None:
    """The incidents, newest first.

    \b
    Examples:
      gateway incidents
      gateway incidents --state open --json
    """
    rows = do(conf, "incidents", state=state, limit=limit or (ALL if as_json_ else SCREEN))
    if as_json_:
        return as_json(rows)
    heads = [_("number"), _("state"), _("items"), _("occurred"), _("title"), _("next step")]
    shown = [
        [
            display_number(r["number"]),
            _(r["state"]),
            listed(r["items"]),
            moment(r["occurred"]),
            r["title"],
            reason(r["next_step"]),
        ]
        for r in rows
    ]
    return table(heads, shown)


class FlagsAfterNumber(TranslatedGroup):
    """``incident N --trail``: flags may stand behind the number, as people write them; what follows a command is its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        options = [param for param in self.params if isinstance(param, click.Option)]
        flags = {name for option in options for name in option.opts} | set(ctx.help_option_names)
        valued = {name for option in options if not option.is_flag for name in option.opts}
        front: list[str] = []
        rest: list[str] = []
        words = iter(args)
        for word in words:
            if word in self.commands:
                return super().parse_args(ctx, [*front, *rest, word, *words])
            # A flag may bring its value along, as in --output FILE.
            (front if word in flags or word.partition("=")[0] in valued else rest).append(word)
            if word in valued:
                front.extend(value for value in [next(words, None)] if value is not None)
        return super().parse_args(ctx, [*front, *rest])


@click.group(cls=FlagsAfterNumber, invoke_without_command=True)
@click.argument("number")
@click.option("--trail", is_flag=True, help="The whole chain of people and times, and every event of it.")
@click.option("--calls", is_flag=True, help="Whom to ring up, with numbers.")
@click.option("--cap", is_flag=True, help="As a CAP 1.2 alert, XML; who took it goes on record.")
@click.option("--paper", type=click.Path(path_type=Path, dir_okay=False),
              help="As an official paper into this file (0600): FILE.docx or FILE.pdf; who took it goes on record.")  # fmt: skip
@click.option(
    "--output", type=click.Path(path_type=Path, dir_okay=False), help="With --cap: into this file (0600), not to stdout."
)
@JSON
@click.pass_context
def incident(
    ctx: click.Context, number: str, trail: bool, calls: bool, cap: bool, paper: Path | None, output: Path | None, as_json_: bool
) -> None:
    """One incident: what is known, who has it; with a command, an action on it.

    \b
    Examples:
      gateway incident 123
      gateway incident 〔2026〕0123 --trail
      gateway incident 123 --calls
      gateway incident 123 --cap --output 2026-0123.xml
      gateway incident 123 --paper 2026-0123.docx
      gateway incident 123 ack --office 市政府值班室 --by 李值班
      gateway incident 124 merge 123 --reason 同一起车祸
    """
    conf = ctx.obj
    ctx.obj = (conf, number)
    if ctx.invoked_subcommand is not None:
        return
    if output is not None and not cap:
        fail(_("--output goes with --cap"), 2)
    if paper is not None:
        from gateway.cli.papers import of_incident

        return of_incident(conf, number, paper)
    if cap:
        return _cap(do(conf, "cap", number=number), output, as_json_)
    if calls:
        return matter.print_calls(do(conf, "calls", number=number), as_json_)
    shown = do(conf, "incident", number=number, trail=trail)
    if as_json_:
        return as_json(shown)
    _print_incident(shown)


def _cap(made: dict[str, Any], output: Path | None, as_json_: bool) -> None:
    if output is not None:
        try:
            # A restricted document: nobody else may read it, whatever the umask says, and no other file is followed.
            with os.fdopen(os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb") as file:
                os.fchmod(file.fileno(), 0o600)
                file.write(made["xml"].encode())
        except OSError as error:
            fail(_("cannot write {file}: {error}").format(file=output, error=error.strerror), 2)
    if as_json_:
        as_json(made)
    elif output is None:
        sys.stdout.buffer.write(made["xml"].encode())
    else:
        click.echo(_("{identifier} written to {file}").format(identifier=made["identifier"], file=output))


def _print_incident(shown: dict[str, Any]) -> None:
    report = shown["report"]
    click.echo(f"{display_number(shown['number'])}  {_(shown['state'])}  {safe(shown['title'])}")
    figures = [figure(name, report[name]) for name in FIGURES if report.get(name)]
    when = report.get("occurred") or {}
    lines = [
        (_("items"), listed(shown["items"])),
        (_("review"), listed(f"{d.get('item') or ''} {reason(d['because'])}".strip() for d in shown["review"])),
        (_("severity"), severity(shown["severity"])),
        (_("class"), " ".join((shown["event_class"] or {}).values())),
        (_("needs a person"), reason(shown["needs_person"])),
        (_("occurred"), occurred(when.get("value"), when.get("qualifier", "exact"))),
        (_("place"), (report.get("place") or {}).get("text")),
        (_("figures"), listed(figures)),
        (_("unit"), report.get("unit")),
        (_("missing"), listed(element(name) for name in shown["missing"])),
        (_("next step"), reason(shown["next_step"])),
        (_("merged into"), display_number(shown["merged_into"]) if shown.get("merged_into") else None),
    ]
    for name, value in lines:
        if value:
            click.echo(f"  {name}: {safe(value)}")
    for other in shown.get("may_be", []):
        text = _("may be the same as {number}: gateway incident {this} merge {other} --reason …")
        this, that = (f"{int(n.partition('-')[2])}" if n[:4] == shown["number"][:4] else n for n in (shown["number"], other))
        click.echo("  " + text.format(number=display_number(other), this=this, other=that))
    heads = [_("message"), _("channel"), _("received"), _("sender"), _("state")]
    came = shown["messages"]
    table(heads, [[m["id"], _(m["channel"]), moment(m["received_at"]), m["sender"], _(m["state"])] for m in came])
    heads = [_("delivery"), _("destination"), _("transport"), _("state"), _("delivered"), _("acknowledged by"), _("why")]
    rows = [[d["id"], d["destination"], d["transport"], _(d["state"]), moment(d["delivered_at"]), d["acknowledged_by"],
             reason(d["why"])]
            for d in shown["deliveries"]]  # fmt: skip
    table(heads, rows)
    if shown.get("duty"):
        matter.print_stand(shown["duty"])
    if "chain" in shown:
        matter.print_chain(shown["chain"])
        click.echo("\n" + _("every event:"))
    for event in shown.get("trail", []):
        rest = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("at", "event"))
        click.echo(f"{moment(event['at'])}  {event['event']}  {safe(rest)}")


@click.command(cls=Translated)
@click.option("--state", type=click.Choice(get_args(MessageState)), help="Only those in this state.")
@LIMIT
@JSON
@click.pass_obj
def messages(conf: Path, state: str | None, limit: int | None, as_json_: bool) -> None:
    """What came in, newest first.

    \b
    Examples:
      gateway messages
      gateway messages --state needs_person
    """
    rows = do(conf, "messages", state=state, limit=limit or (ALL if as_json_ else SCREEN))
    if as_json_:
        return as_json(rows)
    heads = [_("message"), _("via"), _("received"), _("sender"), _("state"), _("incident"), _("why")]
    shown = [
        [r["id"], r["via"], moment(r["received_at"]), r["sender"], _(r["state"]), r["incident"], reason(r["why"])] for r in rows
    ]
    return table(heads, shown)


@click.command(cls=Translated)
@click.argument("id")
@click.option("--raw", is_flag=True, help="The bytes as they came, to stdout.")
@click.option("--export", is_flag=True, help="A sealed message for the bureau's own machine, to stdout.")
@click.option("--capture", type=click.Path(path_type=Path, dir_okay=False),
              help="The message as it came, to a new file (0600) for: gateway plugins test FILE --replay.")  # fmt: skip
@JSON
@click.pass_obj
def message(conf: Path, id: str, raw: bool, export: bool, capture: Path | None, as_json_: bool) -> None:
    """One message.

    \b
    Examples:
      gateway message 01JABCDEF0123456789ABCDEFG
      gateway message 01JABCDEF0123456789ABCDEFG --raw > report.eml
      gateway message 01JABCDEF0123456789ABCDEFG --capture report.json
    """
    if capture is not None:
        if raw or export:
            fail(_("--capture, --raw and --export exclude each other"), 2)
        if capture.exists():
            fail(_("{file} is there already; a captured message never replaces a file").format(file=capture), 2)
        return _capture(do(conf, "open", id=id, capture=True), capture)
    if export:
        sys.stdout.buffer.write(base64.b64decode(do(conf, "export", id=id)["sealed"]))
        return None
    shown = do(conf, "open" if raw else "message", id=id)
    if as_json_:
        return as_json(shown)
    if raw:
        sys.stdout.buffer.write(base64.b64decode(shown["raw"]))
        return None
    words: dict[str, Callable[[Any], str]] = {"state": _, "received_at": moment, "why": reason, "size": parted, "channel": _}
    for name, value in shown.items():
        if value is not None:
            click.echo(safe(f"{_(name.replace('_', ' '))}: {words.get(name, str)(value)}"))
    return None


def _capture(shown: dict[str, Any], file: Path) -> None:
    from gateway.testing import capture

    try:
        capture.write(file, capture.of(shown))
    except FileExistsError:
        fail(_("{file} is there already; a captured message never replaces a file").format(file=file), 2)
    except OSError as error:
        fail(_("cannot write {file}: {error}").format(file=file, error=error.strerror), 2)
    click.echo(_("{file} holds the report; delete it when it is no longer needed").format(file=file), err=True)


@click.group(cls=TranslatedGroup, invoke_without_command=True)
@click.option("--incident", "number", help="Only those of this incident.")
@click.option("--state", type=click.Choice(get_args(DeliveryState)), help="Only those in this state.")
@LIMIT
@JSON
@click.pass_context
def deliveries(ctx: click.Context, number: str | None, state: str | None, limit: int | None, as_json_: bool) -> None:
    """What is going out, newest first.

    \b
    Examples:
      gateway deliveries --state waiting
      gateway deliveries retry 01JABCDEF0123456789ABCDEFG
    """
    if ctx.invoked_subcommand is not None:
        return
    rows = do(ctx.obj, "deliveries", incident=number, state=state, limit=limit or (ALL if as_json_ else SCREEN))
    if as_json_:
        return as_json(rows)
    heads = [_("delivery"), _("incident"), _("destination"), _("transport"), _("state"), _("attempts"), _("delivered"), _("why")]
    fields = ("id", "incident", "destination", "transport", "state", "attempts", "delivered_at", "why")
    words: dict[str, Callable[[Any], str]] = {"state": _, "delivered_at": moment, "attempts": parted, "why": reason}
    table(heads, [[words.get(name, str)(r[name]) if r[name] is not None else None for name in fields] for r in rows])
    return None


@deliveries.command("retry")
@click.argument("id")
@click.pass_obj
def retry(conf: Path, id: str) -> None:
    """Try it again at once."""
    click.echo(_(do(conf, "retry", id=id)["state"]))


@deliveries.command("hold")
@click.argument("id")
@click.pass_obj
def hold(conf: Path, id: str) -> None:
    """Stop it before it is sent."""
    click.echo(_(do(conf, "hold", id=id)["state"]))


def _channel(row: dict[str, Any]) -> list[str | None]:
    trouble = f"{moment(row['last_error_at'])} {reason(row['last_error'])}" if row["last_error"] else None
    counts = [parted(row["last_hour"]), parted(row["backlog"])]
    return [row["name"], row["kind"], _(row["state"]), moment(row["last_message_at"]), *counts, row["detail"], trouble]


@click.command(cls=Translated)
@JSON
@click.pass_obj
def channels(conf: Path, as_json_: bool) -> None:
    """What is alive: each channel's state, last message, messages within the hour, backlog and last trouble.

    \b
    Examples:
      gateway channels
    """
    rows = do(conf, "channels")
    if as_json_:
        as_json(rows)
    else:
        heads = [_("channel"), _("kind"), _("state"), _("last message"), _("last hour"), _("backlog")]
        table([*heads, _("detail"), _("last trouble")], [_channel(row) for row in rows])
    if any(r["state"] == "down" for r in rows):
        fail(_("a channel is down"))

"""``incidents``, ``incident``, ``messages``, ``message``, ``deliveries``, ``channels``: the register."""

from __future__ import annotations

import base64
import sys
from pathlib import Path
from typing import Any, get_args

import click

from gateway.cli import Translated, TranslatedGroup, fail
from gateway.cli.link import do
from gateway.cli.show import as_json, safe, table
from gateway.core.model import FIGURES, DeliveryState, Figure, IncidentState, MessageState
from gateway.core.render import display_number, element, figure
from gateway.i18n import _

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
        [display_number(r["number"]), _(r["state"]), "、".join(r["items"]), r["occurred"], r["title"], r["next_step"]]
        for r in rows
    ]
    return table(heads, shown)


class FlagsAfterNumber(TranslatedGroup):
    """``incident N --trail``: flags may stand behind the number, as people write them; what follows a command is its own."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        flags = {name for param in self.params if isinstance(param, click.Option) for name in param.opts}
        flags |= set(ctx.help_option_names)
        own = next((n for n, word in enumerate(args) if word in self.commands), len(args))
        args = [w for w in args[:own] if w in flags] + [w for w in args[:own] if w not in flags] + args[own:]
        return super().parse_args(ctx, args)


@click.group(cls=FlagsAfterNumber, invoke_without_command=True)
@click.argument("number")
@click.option("--trail", is_flag=True, help="Every event of it.")
@JSON
@click.pass_context
def incident(ctx: click.Context, number: str, trail: bool, as_json_: bool) -> None:
    """One incident: what is known, who has it; with a command, an action on it.

    \b
    Examples:
      gateway incident 123
      gateway incident 〔2026〕0123 --trail
      gateway incident 123 ack --office 市政府值班室 --by 李值班
    """
    conf = ctx.obj
    ctx.obj = (conf, number)
    if ctx.invoked_subcommand is not None:
        return
    shown = do(conf, "incident", number=number, trail=trail)
    if as_json_:
        return as_json(shown)
    _print_incident(shown)


def _print_incident(shown: dict[str, Any]) -> None:
    report = shown["report"]
    click.echo(f"{display_number(shown['number'])}  {_(shown['state'])}  {safe(shown['title'])}")
    figures = [figure(n, Figure(value=report[n]["value"], qualifier=report[n]["qualifier"], max=report[n].get("max")))
               for n in FIGURES if report.get(n)]  # fmt: skip
    lines = [
        (_("items"), "、".join(shown["items"])),
        (_("review"), "；".join(f"{d.get('item') or ''} {d['because']}".strip() for d in shown["review"])),
        (_("needs a person"), shown["needs_person"]),
        (_("occurred"), shown["occurred"]),
        (_("place"), (report.get("place") or {}).get("text")),
        (_("figures"), "，".join(figures)),
        (_("unit"), report.get("unit")),
        (_("missing"), "、".join(element(name) for name in shown["missing"])),
        (_("next step"), shown["next_step"]),
    ]
    for name, value in lines:
        if value:
            click.echo(f"  {name}: {safe(value)}")
    heads = [_("message"), _("channel"), _("received"), _("sender"), _("state")]
    table(heads, [[m["id"], m["channel"], m["received_at"], m["sender"], _(m["state"])] for m in shown["messages"]])
    heads = [_("delivery"), _("destination"), _("transport"), _("state"), _("delivered"), _("acknowledged by"), _("why")]
    rows = [[d["id"], d["destination"], d["transport"], _(d["state"]), d["delivered_at"], d["acknowledged_by"], d["why"]]
            for d in shown["deliveries"]]  # fmt: skip
    table(heads, rows)
    for event in shown.get("trail", []):
        rest = " ".join(f"{k}={v}" for k, v in event.items() if k not in ("at", "event"))
        click.echo(f"{event['at']}  {event['event']}  {rest}")


@incident.command("ack")
@click.option("--office", required=True, help="The office that has it, by id or display name.")
@click.option("--by", "person", required=True, help="The person of that office.")
@click.pass_obj
def acknowledge(obj: tuple[Path, str], office: str, person: str) -> None:
    """A named person of the office has it: what is still queued for that office stops."""
    done = do(obj[0], "acknowledge", number=obj[1], office=office, person=person)
    click.echo(_("{number}: {person} of {office} has it").format(
        number=display_number(done["incident"]), person=done["person"], office=done["office"]))  # fmt: skip


@incident.command("close")
@click.option("--reason", required=True, help="Why; it goes on record.")
@click.pass_obj
def close(obj: tuple[Path, str], reason: str) -> None:
    """Close it, with a reason."""
    done = do(obj[0], "close", number=obj[1], reason=reason)
    click.echo(f"{display_number(done['number'])}  {_(done['state'])}")


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
    return table(
        heads, [[r["id"], r["via"], r["received_at"], r["sender"], _(r["state"]), r["incident"], r["why"]] for r in rows]
    )


@click.command(cls=Translated)
@click.argument("id")
@click.option("--raw", is_flag=True, help="The bytes as they came, to stdout.")
@click.option("--export", is_flag=True, help="A sealed message for the bureau's own machine, to stdout.")
@JSON
@click.pass_obj
def message(conf: Path, id: str, raw: bool, export: bool, as_json_: bool) -> None:
    """One message.

    \b
    Examples:
      gateway message 01JABCDEF0123456789ABCDEFG
      gateway message 01JABCDEF0123456789ABCDEFG --raw > report.eml
    """
    if export:
        sys.stdout.buffer.write(base64.b64decode(do(conf, "export", id=id)["sealed"]))
        return None
    shown = do(conf, "open" if raw else "message", id=id)
    if as_json_:
        return as_json(shown)
    if raw:
        sys.stdout.buffer.write(base64.b64decode(shown["raw"]))
        return None
    for name, value in shown.items():
        if value is not None:
            click.echo(f"{name}: {value}")
    return None


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
    table(heads, [[_(r[name]) if name == "state" else r[name] for name in fields] for r in rows])
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


@click.command(cls=Translated)
@JSON
@click.pass_obj
def channels(conf: Path, as_json_: bool) -> None:
    """What is alive: each channel's state, last message and backlog.

    \b
    Examples:
      gateway channels
    """
    rows = do(conf, "channels")
    if as_json_:
        as_json(rows)
    else:
        heads = [_("channel"), _("kind"), _("state"), _("last message"), _("backlog"), _("detail")]
        table(heads, [[r["name"], r["kind"], _(r["state"]), r["last_message_at"], r["backlog"], r["detail"]] for r in rows])
    if any(r["state"] == "down" for r in rows):
        fail(_("a channel is down"))

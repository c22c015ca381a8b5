"""``handover``: the sheet of a shift's hand-over (交接班), signed by who goes and who comes, kept and shown again."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from gateway.cli import TranslatedGroup, fail
from gateway.cli.link import do
from gateway.cli.show import as_json, aside, listed, moment, safe, table
from gateway.core.render import display_number
from gateway.i18n import _
from gateway.reasons import reason

JSON = click.option("--json", "as_json_", is_flag=True, help="Print JSON.")


@click.group(cls=TranslatedGroup, invoke_without_command=True)
@click.option("--office", help="The office whose shift it is, by id or display name.")
@click.option("--sign", "person", help="Sign it: first by the clerk who goes, then by the one who comes.")
@JSON
@click.pass_context
def handover(ctx: click.Context, office: str | None, person: str | None, as_json_: bool) -> None:
    """The sheet of a shift's hand-over: open matters, clocks, who has what, alarms, what was set aside.

    \b
    Examples:
      gateway handover --office 市政府值班室
      gateway handover --office 市政府值班室 --sign 李值班
      gateway handover --office 市政府值班室 --sign 马值班
      gateway handover show 7
    """
    if ctx.invoked_subcommand is not None:
        return
    if not office:
        fail(_("which office? --office OFFICE"), 2)
    if person is not None:
        sheet = do(ctx.obj, "hand_over", office=office, person=person)
    else:
        sheet = do(ctx.obj, "handover_sheet", office=office)
    if as_json_:
        return as_json(sheet)
    return _print(sheet)


@handover.command("list")
@click.option("--office", help="Only those of this office.")
@click.option("--limit", type=click.IntRange(1, 100_000), default=50, help="How many at most; default 50.")
@JSON
@click.pass_obj
def listing(conf: Path, office: str | None, limit: int, as_json_: bool) -> None:
    """The sheets that were signed, newest first."""
    rows = do(conf, "handovers", office=office, limit=limit)
    if as_json_:
        return as_json(rows)
    heads = [_("number"), _("office"), _("goes"), _("signed"), _("comes"), _("signed"), _("state")]
    shown = []
    for row in rows:
        comes = row["to"] or {"person": "", "at": None}
        signed = (row["from"]["person"], moment(row["from"]["at"]), comes["person"], moment(comes["at"]))
        shown.append([display_number(row["number"]), row["name"], *signed, _(_STATES[row["state"]])])
    return table(heads, shown)


@handover.command("show")
@click.argument("number")
@JSON
@click.pass_obj
def show(conf: Path, number: str, as_json_: bool) -> None:
    """One signed sheet, by its number.

    \b
    Examples:
      gateway handover show 2026-0007
    """
    sheet = do(conf, "handover", number=number)
    if as_json_:
        return as_json(sheet)
    return _print(sheet)


_STATES = {"signed": "signed by both", "waits": "waits for the second signature", "lapsed": "lapsed without the second signature"}


def _print(sheet: dict[str, Any]) -> None:
    number = f"{display_number(sheet['number'])}  " if sheet.get("number") else ""
    click.echo(safe(f"{_('shift hand-over')}  {number}{sheet['name']}"))
    click.echo(_("as of {time}, since {since}").format(time=moment(sheet["made_at"]), since=moment(sheet["since"])))
    there = sheet["on_duty"]
    click.echo(safe(_("on duty: {clerks}; leader: {leaders}; next: {next}").format(
        clerks=listed(there["clerks"]) or "—", leaders=listed(there["leaders"]) or "—",
        next=listed(f"{one['person']}{aside(moment(one['from']))}" for one in there["next"]) or "—")))  # fmt: skip
    _open(sheet["open"])
    if sheet["others"]:
        _head(_("open, with other offices ({count})"), len(sheet["others"]))
        table([_("number"), _("title"), _("next step")], [_short(one) for one in sheet["others"]])
    _head(_("alarms of the shift ({count})"), len(sheet["alarms"]))
    for one in sheet["alarms"]:
        times = aside(_("{count} times").format(count=one["times"])) if one["times"] > 1 else ""
        about = f"{display_number(one['incident'])} " if one["incident"] else ""
        click.echo(safe(f"  {moment(one['at'])}  {one['what']}  {about}{one['why']}{times}"))
    if sheet["undelivered"]:
        _head(_("does not get through ({count})"), len(sheet["undelivered"]))
        heads = [_("incident"), _("destination"), _("transport"), _("state"), _("attempts"), _("why")]
        table(heads, [_undelivered(one) for one in sheet["undelivered"]])
    _second_look(sheet["second_look"], sheet["quarantined"])
    if sheet["refused"]:
        _head(_("tried and refused ({count})"), len(sheet["refused"]))
        for one in sheet["refused"]:
            about = f"{display_number(one['incident'])} " if one["incident"] else ""
            click.echo(safe(f"  {moment(one['at'])}  {about}{one['who']}  {one['what']}  {one['why']}"))
    _signatures(sheet)


def _head(text: str, count: int) -> None:
    click.echo("\n" + text.format(count=count))
    if not count:
        click.echo("  " + _("nothing"))


def _open(rows: Sequence[dict[str, Any]]) -> None:
    _head(_("open matters ({count})"), len(rows))
    for one in rows:
        title = one["title"] or _("sensitive; not shown here")
        click.echo(safe(f"  {display_number(one['number'])}  {title}  {listed(one['items'])}"))
        lines = [(_("needs a person"), reason(one["needs_person"])), (_("next step"), reason(one["next_step"]))]
        if "clocks" in one:
            lines += [
                (_("next at"), moment(one["next_at"])),
                (_("clocks"), listed(_clock(clock) for clock in one["clocks"])),
                (_("has it"), listed(f"{o['name']} {o['acknowledged_by']}" for o in one["has_it"])),
                (_("does not have it"), listed(_waiting(o) for o in one["waiting"])),
                (_("person to be named"), listed(f"{t['of']}→{t['whom']}" for t in one["owed"])),
                (_("sign-off"), one["signing"]),
                (_("under supervision"), listed(f"{i['id']} {i['owner']}{aside(moment(i['due']))}" for i in one["instructions"])),
                (_("judgements"), listed(dict.fromkeys(f"{j['kind']} {j['title']}".strip() for j in one["judgements"]))),
            ]
        for name, value in lines:
            if value:
                click.echo(safe(f"    {name}: {value}"))


def _clock(one: dict[str, Any]) -> str:
    if one["minutes_left"] is not None:
        return f"{one['title']} {_('{count} left').format(count=one['minutes_left'])}"
    return f"{one['title']} {_('{count} late').format(count=one['minutes_late'])}"


def _waiting(one: dict[str, Any]) -> str:
    told = _("{count} minutes").format(count=one["minutes"])
    return f"{one['name']}{aside(told)}"


def _short(one: dict[str, Any]) -> list[str]:
    return [display_number(one["number"]), one["title"] or _("sensitive; not shown here"), reason(one["next_step"])]


def _undelivered(one: dict[str, Any]) -> list[Any]:
    number = display_number(one["incident"])
    return [number, one["destination"], one["transport"], _(one["state"]), one["attempts"], reason(one["why"])]


def _second_look(found: dict[str, Any], sealed: int) -> None:
    _head(_("for a second look: below the threshold, drills ({count})"), len(found["below_threshold"]))
    for one in found["below_threshold"]:
        title = one["title"] or _("sensitive; not shown here")
        click.echo(safe(f"  {moment(one['at'])}  {display_number(one['number'])}  {_(one['state'])}  {title}"))
    _head(_("for a second look: ignored ({count})"), len(found["ignored"]))
    for one in found["ignored"]:
        click.echo(safe(f"  {moment(one['at'])}  {one['id']}  {_(one['channel'])}  {one['sender']}  {reason(one['why'])}"))
    if sealed:
        click.echo("\n" + _("sealed for the confidential bureau: {count}").format(count=sealed))


def _signatures(sheet: dict[str, Any]) -> None:
    if sheet.get("later"):
        _head(_("after the first signature ({count})"), len(sheet["later"]))
        for one in sheet["later"]:
            about = f"{display_number(one['incident'])} " if one["incident"] else ""
            click.echo(safe(f"  {moment(one['at'])}  {about}{one['event']}  {reason(one['why'])}"))
    click.echo()
    waits = sheet if sheet.get("number") else sheet.get("waits")
    if waits is None:
        click.echo(_("not signed; the clerk who goes signs: gateway handover --office {office} --sign NAME").format(
            office=sheet["office"]))  # fmt: skip
        return
    comes = waits["to"]
    click.echo(safe(_("goes: {person}, {time}").format(person=waits["from"]["person"], time=moment(waits["from"]["at"]))))
    if comes:
        click.echo(safe(_("comes: {person}, {time}").format(person=comes["person"], time=moment(comes["at"]))))
    elif waits["state"] == "waits":
        text = _("{number} waits for the clerk who comes: gateway handover --office {office} --sign NAME")
        click.echo(text.format(number=display_number(waits["number"]), office=waits["office"]))
    else:
        click.echo(_(_STATES["lapsed"]))

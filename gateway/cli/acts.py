"""``gateway incident N ACT``: what a named person does about an incident. ``--by`` names the person; without it the person of the
directory whose login asks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gateway.cli.link import do
from gateway.cli.register import incident
from gateway.cli.show import as_json, listed, moment, safe, table
from gateway.core.render import display_number
from gateway.i18n import _
from gateway.reasons import reason as worded

Obj = tuple[Path, str]
BY = click.option("--by", "person", help="Who acts, by name as in directory.toml; default: the person whose login this is.")
REASON = click.option("--reason", required=True, help="Why; it goes on record.")
JSON = click.option("--json", "as_json_", is_flag=True, help="Print JSON.")


def _act(obj: Obj, act: str, as_json_: bool, **args: Any) -> None:
    _print(do(obj[0], "do", number=obj[1], act=act, **{k: v for k, v in args.items() if v is not None}), as_json_)


def _print(done: dict[str, Any], as_json_: bool) -> None:
    if as_json_:
        return as_json(done)
    click.echo(f"{display_number(done['number'])}  {_(done['state'])}  {listed(done['items'])}")
    if done["next_step"]:
        click.echo(f"  {_('next step')}: {worded(done['next_step'])}")
    return None


@incident.command("ack")
@click.option("--office", required=True, help="The office that has it, by id or display name.")
@BY
@JSON
@click.pass_obj
def acknowledge(obj: Obj, office: str, person: str | None, as_json_: bool) -> None:
    """A named person of the office has it: what is still queued for that office stops."""
    done = do(obj[0], "acknowledge", number=obj[1], office=office, person=person)
    if as_json_:
        return as_json(done)
    click.echo(_("{number}: {person} of {office} has it").format(
        number=display_number(done["incident"]), person=done["person"], office=done["office"]))  # fmt: skip
    return None


@incident.command("notify")
@click.option("--office", required=True, help="The office that speaks: the bureau or duty room that received it.")
@click.option("--told", required=True, help="The person that it told.")
@BY
@JSON
@click.pass_obj
def notify(obj: Obj, office: str, told: str, person: str | None, as_json_: bool) -> None:
    """The office names the person it told, of the information section or beside a secretary-general.

    \b
    Examples:
      gateway incident 123 notify --office 市委机要局 --told 王科长 --by 何值班
    """
    _print(do(obj[0], "notify", number=obj[1], office=office, told=told, person=person), as_json_)


@incident.command("approve")
@click.option("--wording", default="同意", help="The words of the signature.")
@click.option("--level", help="The level of the sign-off (duty.toml); default: the one whose turn it is.")
@BY
@JSON
@click.pass_obj
def approve(obj: Obj, wording: str, level: str | None, person: str | None, as_json_: bool) -> None:
    """One signature of the chain; after the last one the report goes to the level above."""
    _act(obj, "approve", as_json_, wording=wording, level=level, person=person)


@incident.command("instruct")
@click.argument("wording", required=False)
@click.option("--to", help="Who is to do it: an office, a unit or a person.")
@click.option("--due", help="By when: 2026-03-05T22:30, or hours from now; default: as duty.toml says.")
@click.option("--done", metavar="ITEM", help="The item of that number is done.")
@click.option("--result", help="With --done: what came of it.")
@BY
@JSON
@click.pass_obj
def instruct(
    obj: Obj, wording: str | None, to: str | None, due: str | None, done: str | None, result: str | None, person: str | None,
    as_json_: bool,
) -> None:  # fmt: skip
    """A leader's instruction opens an item under supervision, reminded of until it is done.

    \b
    Examples:
      gateway incident 123 instruct 全力救治伤员 --to 市卫生健康委 --due 24 --by 金书记
      gateway incident 123 instruct --done 1 --result 伤员均已脱离危险 --by 王科长
    """
    if (done is None) == (wording is None) or (wording is not None and not to):
        raise click.UsageError(_("either WORDING with --to, or --done"))
    _act(obj, "instruct", as_json_, wording=wording, to=to, due=due, done=done, result=result, person=person)


@incident.command("ask")
@click.argument("what")
@BY
@JSON
@click.pass_obj
def ask(obj: Obj, what: str, person: str | None, as_json_: bool) -> None:
    """Ask the reporter for something, by the way the report came."""
    _act(obj, "ask", as_json_, what=what, person=person)


@incident.command("correct")
@click.argument("changes", nargs=-1, required=True, metavar="FIELD=VALUE…")
@REASON
@BY
@JSON
@click.pass_obj
def correct(obj: Obj, changes: tuple[str, ...], reason: str, person: str | None, as_json_: bool) -> None:
    """Correct facts: items, degree, clocks and offices are decided anew, and whoever has it gets it as it is now.

    \b
    Examples:
      gateway incident 123 correct deaths=3 injured=5 --reason 医院核实 --by 王科长
      gateway incident 123 correct occurred=2026-03-05T22:10 --reason 交警核实 --by 王科长
    """
    pairs = dict(one.partition("=")[::2] for one in changes)
    if any("=" not in one for one in changes):
        raise click.UsageError(_("allowed: FIELD=VALUE, such as deaths=3"))
    _act(obj, "correct", as_json_, changes=pairs, reason=reason, person=person)


@incident.command("judge")
@click.argument("kind", type=click.Choice(["迟报", "漏报", "误报", "疑似瞒报", "瞒报"]))
@click.option("--lift", is_flag=True, help="Lift it instead of confirming it.")
@click.option("--clock", help="Of which clock.")
@REASON
@BY
@JSON
@click.pass_obj
def judge(obj: Obj, kind: str, lift: bool, clock: str | None, reason: str, person: str | None, as_json_: bool) -> None:
    """Confirm, make or lift a judgement."""
    _act(obj, "judge", as_json_, kind=kind, lift=lift, clock=clock, reason=reason, person=person)


@incident.command("waive")
@click.option("--clock", "clocks", multiple=True, help="Only this clock; default: all that delivery upward stops.")
@REASON
@BY
@JSON
@click.pass_obj
def waive(obj: Obj, clocks: tuple[str, ...], reason: str, person: str | None, as_json_: bool) -> None:
    """Not for upward: the clocks to the level above need not be kept."""
    _act(obj, "waive", as_json_, clocks=list(clocks) or None, reason=reason, person=person)


@incident.command("release")
@click.option("--reason", default="", help="What was seen in the original.")
@BY
@JSON
@click.pass_obj
def release(obj: Obj, reason: str, person: str | None, as_json_: bool) -> None:
    """A person has looked at the original: what needed a person goes on its way."""
    _act(obj, "release", as_json_, reason=reason, person=person)


@incident.command("close")
@REASON
@BY
@JSON
@click.pass_obj
def close(obj: Obj, reason: str, person: str | None, as_json_: bool) -> None:
    """Close it, with a reason."""
    _act(obj, "close", as_json_, reason=reason, person=person)


@incident.command("reopen")
@REASON
@BY
@JSON
@click.pass_obj
def reopen(obj: Obj, reason: str, person: str | None, as_json_: bool) -> None:
    """Open a closed one again, with a reason."""
    _act(obj, "reopen", as_json_, reason=reason, person=person)


@incident.command("undo")
@click.argument("entry", required=False)
@click.option("--reason", help="Why; it goes on record.")
@BY
@JSON
@click.pass_obj
def undo(obj: Obj, entry: str | None, reason: str | None, person: str | None, as_json_: bool) -> None:
    """Take back an act: ENTRY as listed, or last. Without ENTRY: what was done, what can be taken back, why the rest cannot.

    \b
    Examples:
      gateway incident 123 undo
      gateway incident 123 undo last --reason 录入有误 --by 王科长
    """
    if entry is not None:
        if not reason:
            raise click.UsageError(_("--reason is needed"))
        return _act(obj, "undo", as_json_, entry=entry, reason=reason, person=person)
    found = do(obj[0], "undoable", number=obj[1], person=person)
    if as_json_:
        return as_json(found)
    heads = [_("entry"), _("time"), _("act"), _("can it be taken back")]
    table(heads, [[one["entry"], moment(one["at"]), safe(one["text"]), _("yes") if one["undo"] else one["why"]] for one in found])
    return None


@incident.command("merge")
@click.argument("other")
@REASON
@BY
@JSON
@click.pass_obj
def merge(obj: Obj, other: str, reason: str, person: str | None, as_json_: bool) -> None:
    """It is the same matter as OTHER: join it to that one.

    Of two figures the higher one stands and the other stays visible; nothing is added up.

    \b
    Examples:
      gateway incident 124 merge 123 --reason 同一起车祸，两单位分别上报 --by 王科长
    """
    _act(obj, "merge", as_json_, into=other, reason=reason, person=person)


@incident.command("split")
@REASON
@BY
@JSON
@click.pass_obj
def split(obj: Obj, reason: str, person: str | None, as_json_: bool) -> None:
    """It was merged by mistake: open it again. The figures of the other one must then be checked.

    \b
    Examples:
      gateway incident 124 split --reason 系另一路段的事故 --by 王科长
    """
    _act(obj, "split", as_json_, reason=reason, person=person)

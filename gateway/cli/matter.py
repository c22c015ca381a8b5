"""How an incident stands, its chain of people and its call list, on a terminal."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import click

from gateway.cli.show import as_json, aside, listed, moment, pad, phone, safe, table, width
from gateway.i18n import _
from gateway.reasons import reason

MEANS = ("sms", "email", "fax", "phone", "link", "command line", "console")


def print_stand(stand: dict[str, Any]) -> None:
    """Clocks, who has it and who does not, what is owed, signatures, instructions, judgements."""
    started = moment(stand["start"]) + (aside(_("estimated")) if stand["estimated"] else "")
    click.echo("\n" + _("clocks, from {start}; responsible: {units}").format(
        start=started, units=safe(listed(stand["responsible"])) or "—"))  # fmt: skip
    table([_("clock"), _("due"), _("state"), _("minutes"), _("responsible")], [_clock(one) for one in stand["clocks"]])
    click.echo("\n" + _("who has it"))
    heads = [_("office"), _("offered"), _("acknowledged by"), _("acknowledged"), _("minutes"), _("called")]
    table(heads, [_office(one) for one in stand["offices"] if one["duty"] == "receive" or one["has_it"]])
    if stand["tellings"]:
        click.echo("\n" + _("whom they told"))
        table([_("office"), _("to be told"), _("person"), _("told by"), _("time")], [_telling(t) for t in stand["tellings"]])
    if stand["signing"]:
        click.echo("\n" + _("sign-off: {state}").format(state=_signing(stand["signing"])))
        for one in stand["signing"]["chain"]:
            told = f"{one['by']}  {moment(one['at'])}  {one['wording'] or ''}" if one["by"] else _("not signed")
            click.echo(safe(f"  {one['title']}: {told}".rstrip()))
    for one in stand["instructions"]:
        click.echo(safe(f"{_('instruction')} {one['id']}  {one['by']} → {one['owner']}: {one['wording']}  {_instruction(one)}"))
    for one in stand["judgements"]:
        click.echo(safe(f"{_('judgement')}: {one['kind']} {one['title']}".rstrip()) + aside(_(one["state"])))
    follow = stand["follow"]
    if not follow["final"] and follow["next_at"]:
        click.echo(_("next follow-up is asked for at {time}").format(time=moment(follow["next_at"])))


def _clock(one: dict[str, Any]) -> list[Any]:
    state = _(one["state"]) + (aside(safe(one["judgement"])) if one["judgement"] else "")
    if one["disputed"]:
        state += aside(_("to be looked at"))
    if one["minutes_left"] is not None:
        count = _("{count} left").format(count=one["minutes_left"])
    elif one["minutes_late"] is not None:
        count = _("{count} late").format(count=one["minutes_late"])
    else:
        count = _("after {count}").format(count=one["minutes_taken"]) if one["minutes_taken"] is not None else ""
    return [one["title"], moment(one["due"]), state, count, listed(one["responsible"])]


def _office(one: dict[str, Any]) -> list[Any]:
    if one["handed_to"]:
        who = _("handed to {office}").format(office=one["handed_to"])
    else:
        who = one["acknowledged_by"] or _("nobody yet")
    return [one["name"], moment(one["offered_at"]), who, moment(one["acknowledged_at"]), one["minutes"], listed(one["called"])]


def _telling(one: dict[str, Any]) -> list[Any]:
    person = one["person"] or (_("not named yet") if one["waits"] else "—")
    return [one["of"], one["whom"], person, one["by"], moment(one["at"])]


def _signing(signing: dict[str, Any]) -> str:
    if signing["state"] == "waits":
        return _("waits for {title}").format(title=safe(signing["next"] or ""))
    return _("not for upward") if signing["state"] == "waived" else _("complete, sent up at {time}").format(
        time=moment(signing["sent_at"]))  # fmt: skip


def _instruction(one: dict[str, Any]) -> str:
    if one["done_at"]:
        return _("done {time}: {result}").format(time=moment(one["done_at"]), result=one["result"] or "—")
    left = one["minutes_left"]
    due = _("due {time}").format(time=moment(one["due"]))
    return due + (aside(_("{count} late").format(count=-left)) if left is not None and left < 0 else "")


def print_chain(steps: Iterable[dict[str, Any]]) -> None:
    """The chain of people and times; nothing of a wording is cut."""
    click.echo("\n" + _("chain of people and times, minutes after the event"))
    shown = [
        [moment(one["at"]), f"{one['minutes']:+d}", _(one["step"]), _who(one), _means(one), _what(one)]
        for one in steps
    ]
    cells = [[safe(str(cell)) for cell in row] for row in shown]
    columns = [max((width(row[i]) for row in cells), default=0) for i in range(5)]
    for row in cells:
        click.echo("  ".join([*(pad(cell, n) for cell, n in zip(row[:5], columns, strict=True)), row[5]]).rstrip())


def _who(step: dict[str, Any]) -> str:
    return " ".join(part for part in (step["office"], step["person"]) if part)


def _means(step: dict[str, Any]) -> str:
    """How it was done: a channel and the name it has in conf, a link, or the command line and the login."""
    how, mark, more = str(step["means"]).partition(", " if "," in step["means"] else " ")
    return f"{_(how)}{mark}{more}" if how in MEANS else str(step["means"])


def _what(step: dict[str, Any]) -> str:
    more = [_("unverified")] if step["verified"] is False else []
    more += [_("carried out late")] if step["late"] else []
    # Of whoever told of it the role in the directory stands here: a unit is the rule, and needs no word.
    said = _(step["what"]) if step["step"] == "reported" else reason(step["what"])
    return f"{said if said != _('unit') else ''}{aside(listed(more)) if more else ''}"


def print_calls(rows: list[dict[str, Any]], as_json_: bool) -> None:
    """The call list."""
    if as_json_:
        return as_json(rows)
    has = {True: _("has it"), False: _("does not have it"), None: ""}
    shown = [
        [
            _(one["role"]) + (aside(_("from {time}").format(time=moment(one["since"]))) if one["since"] else ""),
            one["office"],
            one["person"],
            one["post"],
            phone(one["phone"]) if one["phone"] else one["mail"],
            has[one["has_it"]],
        ]
        for one in rows
    ]
    return table([_("role"), _("office"), _("person"), _("post"), _("number"), _("state")], shown)

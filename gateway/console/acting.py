"""What a person does about an incident in the browser: fill in, see what will happen, confirm.

What will happen is not described but tried: the very act runs in a transaction that is then undone, and what it would have put on
record is shown. Confirming carries out the same operation as the command line's, in the name of the person who has signed in.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct
from starlette.responses import Response

from gateway import wording
from gateway.asked import OperationError
from gateway.audit import text as record
from gateway.console.call import Call, Page
from gateway.console.roles import Right
from gateway.core import events
from gateway.core.duty import judging, undoing
from gateway.core.render import LABELS, display_number
from gateway.duty import work
from gateway.duty.correcting import CORRECTABLE
from gateway.i18n import _, lang, listed
from gateway.operations import Foreseen, foresee
from gateway.store import NotFound, Tx, incidents

STAMP = 20
"""Characters of the time before a line of the record."""


class Field(Struct, frozen=True, kw_only=True):
    """A field of an act. ``choices`` names what fills a list; ``lines`` more than one make a text of several lines."""

    name: str
    label: str
    choices: str = ""
    lines: int = 1
    needed: bool = True
    default: str = ""
    most: int = 500


class Act(Struct, frozen=True, kw_only=True):
    """An act: its name in the address, the right it asks for, its fields. ``whole``: it is refused where the facts have changed
    since the page was shown. ``final`` says before it is done why it cannot be taken back."""

    name: str
    right: Right
    title: str
    fields: tuple[Field, ...]
    whole: bool = False
    final: str = ""


OFFICE = Field(name="office", label="office", choices="waiting")
REASON = Field(name="reason", label="reason", lines=2)
ACTS: tuple[Act, ...] = (
    Act(name="acknowledge", right="acknowledge", title="acknowledge", fields=(OFFICE,), final=undoing.GONE["acknowledged"]),
    Act(name="notify", right="acknowledge", title="name who was told", final=undoing.GONE["notified"], fields=(
        Field(name="office", label="the office that told", choices="telling"),
        Field(name="told", label="the person told", choices="persons"))),
    Act(name="approve", right="sign", title="sign", whole=True, final="after the last signature it goes up", fields=(
        Field(name="wording", label="wording", lines=3, default="agreed wording", most=1000),)),
    Act(name="instruct", right="instruct", title="instruct", final=undoing.GONE["instructed"], fields=(
        Field(name="wording", label="instruction", lines=3, most=1000),
        Field(name="to", label="who is to do it", choices="offices"),
        Field(name="due", label="hours to do it", default="24", most=16))),
    Act(name="done", right="handle", title="put down as done", fields=(
        Field(name="item", label="instruction", choices="instructions"),
        Field(name="result", label="what came of it", lines=2))),
    Act(name="ask", right="handle", title="ask the reporter", final=undoing.GONE["asked"], fields=(
        Field(name="what", label="what is asked", lines=2),)),
    Act(name="correct", right="handle", title="correct a fact", whole=True, fields=(
        Field(name="field", label="fact", choices="facts"),
        Field(name="value", label="right value", most=200, needed=False),
        REASON)),
    Act(name="judge", right="handle", title="judge", fields=(
        Field(name="kind", label="judgement", choices="judgements"), REASON)),
    Act(name="merge", right="handle", title="merge", whole=True, fields=(
        Field(name="into", label="number of the incident that goes on", most=20), REASON)),
    Act(name="split", right="handle", title="split off again", fields=(REASON,)),
    Act(name="waive", right="handle", title="not for upward", whole=True, fields=(REASON,)),
    Act(name="release", right="handle", title="release", fields=(REASON,), whole=True, final=undoing.GONE["released"]),
    Act(name="close", right="handle", title="close", fields=(REASON,), whole=True),
    Act(name="reopen", right="handle", title="reopen", fields=(REASON,)),
    Act(name="undo", right="handle", title="take back", whole=True, fields=(
        Field(name="entry", label="what is taken back", choices="undoable"), REASON)),
)  # fmt: skip


class Changed(OperationError):
    """The facts are no longer those that the page showed."""


def pages() -> Iterable[Page]:
    """Two pages for each act: to look, and to act."""
    for act in ACTS:
        yield Page("GET", f"/incident/{{number}}/{act.name}", act.right, _asking(act))
        yield Page("POST", f"/incident/{{number}}/{act.name}", act.right, _sending(act))


def _asking(act: Act) -> Any:
    async def ask(call: Call) -> Response:
        asked = call.request.query_params
        given = {f.name: asked.get(f.name, "")[: f.most] if f.choices == "undoable" else _default(f) for f in act.fields}
        return await _form(call, act, given)

    return ask


def _sending(act: Act) -> Any:
    async def send(call: Call) -> Response:
        given = {f.name: call.form.text(f.name, f.most) if f.lines > 1 else call.form.line(f.name, f.most) for f in act.fields}
        missing = [field for field in act.fields if field.needed and not given[field.name]]
        if missing:
            text = _("{field} is needed").format(field=_(missing[0].label))
            return await _form(call, act, given, wrong=text, status=400)
        if call.form.line("step") == "do":
            return await _do(call, act, given)
        return await _form(call, act, given, show=True)

    return send


async def _form(
    call: Call, act: Act, given: dict[str, str], *, wrong: str = "", status: int = 200, show: bool = False
) -> Response:
    """The fields and, where they are complete, what will happen."""
    number = call.path("number")
    try:
        incident = await call.look("incident", number=number)
        if any(field.choices == "undoable" for field in act.fields):
            incident["acts"] = await call.look("undoable", number=number, person=call.user.account.person)
    except OperationError as refusal:
        return await call.problem(404, str(refusal), back="/")
    choices = {field.name: _choices(call, field, incident) for field in act.fields if field.choices}
    for name, found in choices.items():
        if not given.get(name) and found:
            given[name] = next((value for value, _label, ours in found if ours), found[0][0] if len(found) == 1 else "")
    complete = all(given.get(field.name) or not field.needed for field in act.fields)
    foreseen: list[str] = []
    only_lists = all(field.choices for field in act.fields)
    if not wrong and complete and (show or only_lists):
        try:
            foreseen = _told(call, await foresee(call.desk.live, *_operation(call, act, incident["number"], given)))
        except OperationError as refusal:
            wrong, status = str(refusal), 409 if show else 200
    ready = bool(foreseen) and not wrong
    return await call.page(
        "act.html", status, act=act, incident=incident, given=given, choices=choices, wrong=wrong, foreseen=foreseen, ready=ready,
        seen=incident["revision"],
        ticket=call.rooms.door.ticket(call.user, _purpose(act, incident["number"], given)) if ready else "",
        told=done_before, has_choices=all(choices[name] for name in choices),
        stranger=any(field.choices in ("waiting", "telling") and choices[field.name]
                     and not any(ours for _v, _l, ours in choices[field.name]) for field in act.fields),
    )  # fmt: skip


async def _do(call: Call, act: Act, given: dict[str, str]) -> Response:
    """Carry it out, once."""
    try:
        incident = await call.look("incident", number=call.path("number"))
    except OperationError as refusal:
        return await call.problem(404, str(refusal), back="/")
    number = incident["number"]
    if not call.rooms.door.take_ticket(call.user, _purpose(act, number, given), call.form.line("ticket", 64)):
        text = _("this page was sent before or is too old; nothing was done now. Look at the incident as it stands.")
        return await call.problem(409, text, back=f"/incident/{number}")
    seen = call.form.line("seen", 10)

    def unchanged(tx: Tx) -> None:
        if act.whole and str(_revision(tx, number)) != seen:
            raise Changed(_("the facts have changed since this page was shown; look again"))

    try:
        name, args, _by = _operation(call, act, number, given)
        await call.operation(name, unchanged, **args)
    except Changed as refusal:
        return await call.problem(409, str(refusal), back=f"/incident/{number}")
    except OperationError as refusal:
        return await call.problem(409, str(refusal), back=f"/incident/{number}")
    call.say(_("done: {act}, {number}, by {person}").format(
        act=_(act.title), number=display_number(number), person=call.user.name))  # fmt: skip
    return call.go(f"/incident/{number}")


def _revision(tx: Tx, number: str) -> int:
    try:
        return incidents.get(tx, number).revision
    except NotFound:
        return 0


def _purpose(act: Act, number: str, given: Mapping[str, str]) -> str:
    """What a ticket is for: this act on this incident with these very words, which are the ones whose effect was shown."""
    words = hashlib.sha256(msgspec.json.encode(dict(given), order="sorted")).hexdigest()
    return f"{act.name} {number} {words}"


def _operation(call: Call, act: Act, number: str, given: dict[str, str]) -> tuple[str, dict[str, Any], str]:
    """The operation behind an act, its arguments, and who asks."""
    account = call.user.account
    whom = {"number": number, "person": account.person or None, "means": "console"}
    if act.name in ("acknowledge", "notify"):
        return act.name, {**whom, **given}, account.name
    return "do", {**whom, "act": act.name, **given}, account.name


def _default(field: Field) -> str:
    return "同意上报" if field.default == "agreed wording" else field.default


def _choices(call: Call, field: Field, incident: dict[str, Any]) -> list[tuple[str, str, bool]]:
    """What a list offers: value, text, and whether it is ours."""
    directory, person = call.desk.config.directory, call.user.account.person
    duty = incident["duty"] or {"offices": [], "tellings": []}
    ours = {office.id for office in directory.offices if person and office.person(person)}
    if field.choices == "waiting":
        waiting = [one for one in duty["offices"] if not one["has_it"] and not one["handed_to"]]
        return [(one["office"], one["name"], one["office"] in ours) for one in waiting]
    if field.choices == "telling":
        names = {directory.name(office.id): office.id for office in directory.offices}
        found = dict.fromkeys(one["of"] for one in duty["tellings"] if one["waits"])
        return [(names.get(name, name), name, names.get(name) in ours) for name in found]
    if field.choices == "persons":
        whom = [one["whom"] for one in duty["tellings"] if one["waits"]]
        first = [office for office in directory.offices if office.name in whom]
        rest = [office for office in directory.offices if office.name not in whom and office.role in ("office", "leader")]
        return [(p.name, f"{p.name}  {office.name}", False) for office in (*first, *rest) for p in office.persons]
    if field.choices == "offices":
        return [(office.id, office.name, False) for office in directory.offices if office.role != "superior"]
    if field.choices == "instructions":
        open_ones = [one for one in duty.get("instructions", ()) if not one["done_at"]]
        return [(one["id"], f"{one['id']}  {one['owner']}：{one['wording']}"[:80], False) for one in open_ones]
    if field.choices == "undoable":
        return [(one["entry"], done_before(one), False) for one in incident["acts"] if one["undo"]]
    if field.choices == "facts":
        return [(name, label(name), False) for name in CORRECTABLE]
    return [(kind, kind, False) for kind in judging.KINDS]


def done_before(one: Mapping[str, Any]) -> str:
    """An act on record, in words: when, who, what, and of a correction how each fact was."""
    changes = "；".join(f"{label(name)} {_value(before)} → {_value(after)}" for name, before, after in one["changes"])
    told = f"{one['by']} {_('correct a fact')}: {changes}" if changes else one["text"]
    return wording.safe(f"{str(one['at'])[5:16].replace('T', ' ')}  {told}")


def label(name: str) -> str:
    """A fact by its name, without a unit: 死亡, or deaths."""
    return LABELS[name][0] if lang() == "zh" and name in LABELS else wording.element(name)


def _told(call: Call, found: Foreseen) -> list[str]:
    """What would happen, in words: what would go on record, then to whom it would be sent."""
    directory = call.desk.config.directory
    names = {office.id: office.name for office in directory.offices}
    lines = []
    for event in found.events:
        if event.event == "corrected":
            continue  # the facts follow one by one
        line = {"at": event.at.isoformat(), "event": event.event, "by": event.by, "data": events.public(event)}
        told = _revised(event.data) or record.render(msgspec.json.encode(line), names=names)[STAMP:]
        lines.append(wording.safe(told))
    for destination in dict.fromkeys(destination for destination, _duty in found.sent):
        name = _("the reporter") if destination == work.REPORTER else directory.name(destination)
        lines.append(_("sent to {office}").format(office=name))
    return list(dict.fromkeys(lines))


def _revised(data: Mapping[str, Any]) -> str:
    """A fact as it was and as it would be; empty for an event that is about none."""
    name = str(data.get("field", ""))
    if name in CORRECTABLE:
        before, after = (data.get(key) for key in ("from", "to"))
        return f"{label(name)}: {_value(before)} → {_value(after)}"
    if name == "items":
        gone = wording.aside(_("no longer: {items}").format(items=listed(data["fallen"]))) if data.get("fallen") else ""
        return f"{_('items')}: {listed(data.get('items') or ('—',))}{gone}"
    return ""


def _value(value: Any) -> str:
    return _("not known") if value in (None, "") else str(value)

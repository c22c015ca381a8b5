"""A leader's instruction (批示) opens an item under supervision (督办) that is reminded of until it is done."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial

from msgspec.structs import replace

from gateway.core.duty.matter import Due, Given, Instruction, Matter, Note, Send, Turn, swap


class NoSuchItem(ValueError):
    """There is no open item of that number."""


def instruct(matter: Matter, given: Given, by: str, wording: str, owner: str, due: datetime | None, verified: bool) -> Turn:
    """``by`` gives an instruction to ``owner`` (an office by id, or a unit or person by name), to be done by ``due``."""
    limit = due or given.now + timedelta(hours=given.rules.supervise_hours)
    id_ = str(len(matter.instructions) + 1)
    item = Instruction(id=id_, by=by, owner=owner, due=limit, next_at=limit)
    data = {"wording": wording, "to": [owner], "due": limit, "instruction": id_, "verified": verified}
    values = {"leader": by, "wording": wording, "due": _local(given, limit), "instruction": id_}
    sent = () if given.directory.office(owner) is None else (Send(to=owner, form="supervision", duty="remind", values=values),)
    return replace(matter, instructions=(*matter.instructions, item)), (Note(event="instructed", by=by, data=data), *sent)


def done(matter: Matter, given: Given, id_: str, by: str, result: str) -> Turn:
    """An item is done, with its result. ``last``: the newest open one. Raises ``NoSuchItem``."""
    open_ones = [one for one in matter.instructions if one.done_at is None]
    item = open_ones[-1] if open_ones and id_ == "last" else next((one for one in open_ones if one.id == id_), None)
    if item is None:
        known = "、".join(one.id for one in open_ones) or "无"
        raise NoSuchItem(f"没有待办督办事项 {id_}；待办：{known}")
    data = {"office": item.owner, "instruction": item.id, "wording": result}
    return replace(matter, instructions=swap(matter.instructions, item, done_at=given.now)), (
        Note(event="supervision_done", by=by, data=data),
    )


def resume(matter: Matter, given: Given, id_: str, by: str, reason: str, undoes: str) -> Turn:
    """An item that was put down as done is not: it is under supervision again. Raises ``NoSuchItem``."""
    item = next((one for one in matter.instructions if one.id == id_ and one.done_at is not None), None)
    if item is None:
        raise NoSuchItem(f"督办事项 {id_} 未办结")
    again = max(item.due, given.now + timedelta(minutes=given.rules.supervise_remind))
    data = {"office": item.owner, "instruction": item.id, "why": reason, "undoes": undoes}
    return replace(matter, instructions=swap(matter.instructions, item, done_at=None, next_at=again)), (
        Note(event="supervision_resumed", by=by, data=data),
    )


def falls_due(matter: Matter, given: Given) -> Iterator[Due]:
    """Items whose time is up, reminded of until they are done."""
    for one in matter.instructions:
        if one.done_at is None:
            yield one.next_at, partial(_remind, id_=one.id)


def _remind(matter: Matter, given: Given, *, id_: str) -> Turn:
    item = next(one for one in matter.instructions if one.id == id_)
    again = given.now + timedelta(minutes=given.rules.supervise_remind)
    matter = replace(matter, instructions=swap(matter.instructions, item, next_at=again))
    note = Note(event="supervision_due", data={"due": item.due, "office": item.owner, "instruction": item.id})
    values = {"leader": item.by, "due": _local(given, item.due), "instruction": item.id}
    if given.directory.office(item.owner) is None:
        return matter, (note,)
    return matter, (note, Send(to=item.owner, form="supervision", duty="remind", values=values))


def _local(given: Given, at: datetime) -> str:
    return given.calendar.moment(at).local.strftime("%m-%d %H:%M")

"""Taking back (撤回): which of the last acts of people can be taken back, and why the others cannot.

Nothing on record is changed by it: what takes an act back is an act of its own, with a person and a reason, that names what it
takes back. What has left the house (an acknowledgement, a question, a report to the level above) cannot be taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

import msgspec
from msgspec import Struct

from gateway.core.duty.matter import Judged, Matter
from gateway.core.model import Event, Incident

Undo = Literal["correct", "done", "split", "merge", "judge", "waive", "approve", "reopen", "close"]
GONE: Mapping[str, str] = {
    "acknowledged": "an acknowledgement stands: others rely on it",
    "notified": "whom an office says it told stays on record; tell the right person and the reporter besides",
    "instructed": "the instruction was sent; give another one, or put it down as done",
    "asked": "the question was sent",
    "released": "it was sent on its way; correct what is wrong, and whoever has it gets that",
}
"""Acts that can never be taken back, and why."""
ACTS = (
    "corrected", "supervision_done", "merged", "split", "judged", "clock_waived", "approved", "closed", "reopened", *GONE,
)  # fmt: skip
"""The events of acts, as far as they are looked at here."""
SINCE = "something else was decided about it since"
ELSEWHERE = "it is taken back at {number}"
UNKNOWN = "what stood before is not on record; do the opposite by hand"
UPWARD = "it has gone to the level above"
OTHERS = "only {person} may take back this signature"
OPEN = ("open", "followed_up")


class Step(Struct, frozen=True, kw_only=True):
    """An act on record. ``entry`` is its place in the journal; ``undo`` what kind of act takes it back, empty where none does:
    then ``why`` says why, with ``values`` for its places. ``changes`` are the facts of a correction as they were and became."""

    entry: int
    at: datetime
    by: str
    event: Event
    undo: Undo | Literal[""] = ""
    why: str = ""
    values: dict[str, str] = {}
    changes: tuple[tuple[str, Any, Any], ...] = ()

    @property
    def ref(self) -> str:
        """By which the act that takes this one back names it on record."""
        return f"{self.event.event}@{self.event.at.isoformat()}#{self.entry}"


def steps(entries: Sequence[tuple[int, Event]], incident: Incident, matter: Matter | None, *, person: str = "") -> list[Step]:
    """The acts of people on record (``entries`` in their order, each with its place), the newest first; ``person`` is who would
    take them back. Of clocks freed in one act the first event stands for all."""
    undone = {str(event.data["undoes"]) for _entry, event in entries if event.data.get("undoes")}
    found: list[Step] = []
    before: Event | None = None
    for place, (entry, event) in enumerate(entries):
        same = before is not None and event.event == before.event and (event.at, event.by) == (before.at, before.by)
        before = event
        if event.event not in ACTS or not event.by or (same and event.event == "clock_waived"):
            continue
        one = Step(entry=entry, at=event.at, by=event.by, event=event, changes=_changes(entries[place + 1 :], event))
        if one.ref in undone:
            found.append(msgspec.structs.replace(one, why=SINCE))
        else:
            found.append(_judge(one, incident, matter, person))
    return found[::-1]


def freed(entries: Sequence[tuple[int, Event]], step: Step) -> tuple[str, ...]:
    """The clocks that were freed in one act."""
    return tuple(
        str(event.data["clock"])
        for _entry, event in entries
        if event.event == "clock_waived" and event.at == step.event.at and event.by == step.event.by
    )


def _changes(after: Sequence[tuple[int, Event]], event: Event) -> tuple[tuple[str, Any, Any], ...]:
    if event.event != "corrected":
        return ()
    wanted = set(event.data.get("fields", ()))
    found: dict[str, tuple[str, Any, Any]] = {}
    for _entry, one in after:
        if one.event == "corrected":
            break
        name = str(one.data.get("field", ""))
        if one.event == "revised" and name in wanted and name not in found and one.at == event.at:
            found[name] = (name, one.data.get("from"), one.data.get("to"))
    return tuple(found.values())


def _judge(one: Step, incident: Incident, matter: Matter | None, person: str) -> Step:
    event, data = one.event.event, one.event.data

    def can(undo: Undo) -> Step:
        return msgspec.structs.replace(one, undo=undo)

    def cannot(why: str, **values: str) -> Step:
        return msgspec.structs.replace(one, why=why, values=values)

    if event in GONE:
        return cannot(GONE[event])
    if event in ("merged", "split"):
        other = data.get("into" if event == "merged" else "from")
        if other is None:
            return cannot(ELSEWHERE, number=str(data.get("from" if event == "merged" else "into", "")))
        stands = (incident.state == "merged") == (event == "merged")
        return can("split" if event == "merged" else "merge") if stands else cannot(SINCE)
    if event == "closed":
        return can("reopen") if incident.state == "closed" else cannot(SINCE)
    if event == "reopened":
        return can("close") if incident.state in OPEN else cannot(SINCE)
    if event == "corrected":
        if "former" not in data:
            return cannot(UNKNOWN)
        became = data["former"]["became"]
        stands = incident.state in (*OPEN, "below_threshold") and facts(incident, became) == became
        return can("correct") if stands else cannot(SINCE)
    if matter is None or incident.state not in OPEN:
        return cannot(SINCE)
    if event == "supervision_done":
        item = next((i for i in matter.instructions if i.id == data.get("instruction")), None)
        return can("done") if item is not None and item.done_at == one.event.at else cannot(SINCE)
    if event == "judged":
        if "former" not in data:
            return cannot(UNKNOWN)
        return can("judge") if judged(matter, data) is not None else cannot(SINCE)
    if event == "clock_waived":
        waived = any(c.clock == data.get("clock") and c.state == "waived" for c in matter.clocks)
        return can("waive") if waived else cannot(SINCE)
    return _signature(one, matter, person)


def _signature(one: Step, matter: Matter, person: str) -> Step:
    signing = matter.signing
    last = signing.given[-1] if signing is not None and signing.given else None
    if signing is not None and signing.sent_at is not None:
        return msgspec.structs.replace(one, why=UPWARD)
    if signing is None or last is None or signing.waived or (last.by, last.at) != (one.by, one.event.at):
        return msgspec.structs.replace(one, why=SINCE)
    if person and person != last.by:
        return msgspec.structs.replace(one, why=OTHERS, values={"person": last.by})
    return msgspec.structs.replace(one, undo="approve")


def judged(matter: Matter, data: Mapping[str, Any]) -> Judged | None:
    """The judgement that an event ``judged`` of a person left, where it stands as it was left."""
    clock = str(data.get("clock") or "")
    fits = [j for j in matter.judgements if (j.kind, j.state) == (data.get("kind"), data.get("state")) and clock in ("", j.clock)]
    return fits[-1] if fits else None


def facts(incident: Incident, names: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """Facts of an incident in plain values, to be kept beside a correction and compared with later."""
    found: dict[str, Any] = msgspec.to_builtins({name: getattr(incident.report, name) for name in names})
    return msgspec.json.decode(msgspec.json.encode(found))  # type: ignore[no-any-return]

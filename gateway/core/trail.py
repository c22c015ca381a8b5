"""The chain of people and times (责任倒查): from the informant to the leader who decided, step by step as recorded. Pure.

What the journal holds is told again in order, each step with person, office, means and minutes after the event.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from msgspec import Struct

from gateway.core.model import Event


class Source(Struct, frozen=True, kw_only=True):
    """A message of the incident and who stands behind it, as far as the directory knows. ``role`` as in the directory."""

    id: str
    at: datetime
    channel: str
    via: str
    sender: str
    informant: str = ""
    unit: str = ""
    role: str = ""


class Step(Struct, frozen=True, kw_only=True):
    """One step. ``minutes`` counts whole minutes from the event, negative before it; ``verified`` None: nothing is said of it."""

    at: datetime
    minutes: int
    step: str
    office: str = ""
    person: str = ""
    means: str = ""
    what: str = ""
    verified: bool | None = None
    late: bool = False


Naming = Callable[[str], str]
Told = tuple[str, str, str, str, str]
"""step, office, person, means, what"""


def chain(
    start: datetime, sources: Iterable[Source], events: Iterable[Event], name: Naming, title: Naming = str
) -> tuple[Step, ...]:
    """Every step of one incident, in order. ``name`` gives an office's display name, ``title`` that of a clock or a level of
    the sign-off."""
    made: list[Step] = []
    for one in sources:
        who = one.informant or one.sender
        means = f"{one.channel} {one.via}" if one.via != one.channel else one.channel
        known = bool(one.unit)
        made.append(_step(start, one.at, ("reported", one.unit, who, means, one.role), verified=known))
    for event in events:
        told = _TOLD.get(event.event)
        for step, office, person, means, what in told(event, event.data, name, title) if told is not None else ():
            verified = event.data.get("verified") if person else None
            whole = (step, office, person, means or str(event.data.get("means") or ""), what)
            made.append(_step(start, event.at, whole, verified=verified, late=bool(event.data.get("late"))))
    return tuple(sorted(made, key=lambda one: one.at))


def _step(start: datetime, at: datetime, told: Told, *, verified: bool | None, late: bool = False) -> Step:
    step, office, person, means, what = told
    minutes = int((at - start).total_seconds() // 60)
    return Step(
        at=at, minutes=minutes, step=step, office=office, person=person, means=means, what=what, verified=verified, late=late
    )


def _listed(value: Any) -> str:
    return "、".join(str(one) for one in value) if isinstance(value, list | tuple) else str(value or "")


def _received(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("received", "", "", "", _listed(data.get("items")) or str(data.get("kind") or ""))]


def _offered(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("offered", name(one), "", "", str(data.get("why") or "")) for one in data.get("destinations", ())]


def _delivered(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    if data.get("duty") in ("answer", "remind"):
        return []
    return [("delivered", name(str(data.get("destination", ""))), "", f"{data.get('transport', '')}", "")]


def _failed(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    if not data.get("final"):
        return []
    there, by = name(str(data.get("destination", ""))), str(data.get("transport") or "")
    return [("not delivered", there, "", by, str(data.get("why") or ""))]


def _acknowledged(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("acknowledged", name(str(data.get("destination", ""))), event.by or "", str(data.get("how") or ""), "")]


def _notified(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    told = str(data.get("person") or "")
    return [("notified", name(str(data.get("office", ""))), event.by or "", str(data.get("how") or ""), told)]


def _asked(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("asked", name(str(data.get("of", ""))), event.by or "", "", _listed(data.get("what")))]


def _escalated(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("escalated", name(str(data.get("destination", ""))), "", "", f"→ {name(str(data.get('to', '')))}")]


def _handed(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("handed over", name(str(data.get("from", ""))), "", "", f"→ {name(str(data.get('to', '')))}")]


def _approved(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("approved", title(str(data.get("level", ""))), event.by or "", "", str(data.get("wording") or ""))]


def _instructed(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    to = _listed([name(str(one)) for one in data.get("to", ())])
    return [("instructed", "", event.by or "", "", f"{data.get('instruction', '')} {data.get('wording', '')} → {to}".strip())]


def _done(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    what = f"{data.get('instruction', '')} {data.get('wording', '')}".strip()
    return [("done", name(str(data.get("office", ""))), event.by or "", "", what)]


def _passed(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    what = f"{title(str(data.get('clock', '')))} {data.get('judgement', '')}".strip()
    return [("limit passed", _listed(data.get("responsible")), "", "", what)]


def _judged(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    said = (data.get("kind"), title(str(data["clock"])) if data.get("clock") else "", data.get("state"), data.get("why"))
    return [("judged", _listed(data.get("responsible")), event.by or "", "", " ".join(str(one) for one in said if one))]


def _breach(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("breach", _listed(data.get("responsible")), "", "", str(data.get("what") or ""))]


def _waived(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("waived", "", event.by or "", "", f"{title(str(data.get('clock', '')))} {data.get('why', '')}".strip())]


def _resumed(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    what = f"{data.get('instruction', '')} {data.get('why', '')}".strip()
    return [("done taken back", name(str(data.get("office", ""))), event.by or "", "", what)]


def _unwaived(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("waiver taken back", "", event.by or "", "", f"{title(str(data.get('clock', '')))} {data.get('why', '')}".strip())]


def _unsigned(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("signature taken back", title(str(data.get("level", ""))), event.by or "", "", str(data.get("why") or ""))]


def _moved(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    return [("limit moved", "", "", "", f"{title(str(data.get('clock', '')))} {data.get('because', '')}".strip())]


def _by_person(step: str) -> Callable[[Event, Mapping[str, Any], Naming, Naming], list[Told]]:
    def told(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
        what = " ".join(part for part in (_listed(data.get("fields")), str(data.get("why") or "")) if part)
        return [(step, "", event.by or "", "", what)]

    return told


def _refused(event: Event, data: Mapping[str, Any], name: Naming, title: Naming) -> list[Told]:
    what = f"{data.get('what', '')}: {data.get('why', '')}"
    return [("refused", "", str(data.get("who") or ""), str(data.get("how") or ""), what)]


_TOLD: Mapping[str, Callable[[Event, Mapping[str, Any], Naming, Naming], list[Told]]] = {
    "registered": _received,
    "attached": _received,
    "routed": _offered,
    "delivered": _delivered,
    "delivery_failed": _failed,
    "acknowledged": _acknowledged,
    "asked": _asked,
    "notified": _notified,
    "escalated": _escalated,
    "handed_over": _handed,
    "approved": _approved,
    "instructed": _instructed,
    "supervision_done": _done,
    "clock_passed": _passed,
    "clock_moved": _moved,
    "clock_waived": _waived,
    "supervision_resumed": _resumed,
    "waiver_withdrawn": _unwaived,
    "approval_withdrawn": _unsigned,
    "judged": _judged,
    "breach": _breach,
    "refused": _refused,
    "corrected": _by_person("corrected"),
    "released": _by_person("released"),
    "merged": _by_person("merged"),
    "split": _by_person("split"),
    "closed": _by_person("closed"),
    "reopened": _by_person("reopened"),
}
"""The events that are steps of the chain, and how each is told."""
STEPS = (
    "reported", "received", "offered", "delivered", "not delivered", "acknowledged", "asked", "notified", "escalated",
    "handed over", "approved", "instructed", "done", "limit passed", "limit moved", "waived", "judged", "breach", "refused",
    "corrected", "released", "merged", "split", "closed", "reopened", "done taken back", "waiver taken back",
    "signature taken back",
)  # fmt: skip
"""Every step that there may be."""

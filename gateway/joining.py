"""Two incidents that are one, and one that was two: a person joins or parts them, with a reason on record. One transaction each.

Figures follow the rule for two units: the higher one stands, the other stays visible, nothing is added up. What waits for an
office that has the other incident already is stopped; an office that has neither still gets what waits for it.
"""

from __future__ import annotations

import re
from datetime import datetime

from msgspec.structs import replace

from gateway.core import catalogue, combining
from gateway.core.catalogue import Catalogue
from gateway.core.model import Doubt, Event, Incident, Report, Severity
from gateway.core.render import display_number
from gateway.i18n import _
from gateway.store import Tx, deliveries, incidents, journal, messages

OPEN = ("open", "followed_up", "below_threshold")
"""The states in which two incidents can be joined."""
_SAME = re.compile(r"或与 (\d{4}-\d+) 为同一事件")


class CannotJoin(ValueError):
    """The two cannot be joined or parted; the text says why and what is allowed."""


def proposed(incident: Incident) -> list[str]:
    """The numbers of the incidents that ``incident`` may be the same as."""
    return [found[1] for doubt in incident.review if (found := _SAME.search(doubt.because))]


def merge(
    tx: Tx, rules: Catalogue, gone: Incident, into: Incident, *, why: str, by: str, now: datetime, means: str = "",
    undoes: str = "",
) -> Incident:  # fmt: skip
    """Join ``gone`` to ``into``, which is returned as it is then. Raises ``CannotJoin``."""
    _check(tx, gone, into, why)
    first, last = sorted((into, gone), key=lambda one: one.first_received_at)
    newer = replace(last.report, correction=False, withdrawal=False)
    facts, revisions = combining.combine(first.report, newer, another=True)
    again = catalogue.classify(rules, facts, subject=into.title)
    items = tuple(dict.fromkeys((*into.items, *gone.items, *(m.item for m in again.items))))
    pair = {gone.number, into.number}
    rest = (d for d in (*into.review, *gone.review) if not ((found := _SAME.search(d.because)) and found[1] in pair))
    whole = replace(
        into,
        report=facts,
        state="open" if into.state == "below_threshold" and (items or gone.state != "below_threshold") else into.state,
        items=items,
        kinds=tuple(dict.fromkeys((*into.kinds, *gone.kinds))),
        why={**{m.item: m.why for m in again.items}, **gone.why, **into.why},
        review=tuple(d for d in dict.fromkeys(rest) if d.item is None or d.item not in items),
        missing=again.missing,
        sensitive=into.sensitive or gone.sensitive,
        severity=_graver(rules, whole=again.severity, known=into.severity or gone.severity, facts=facts),
        event_class=into.event_class or gone.event_class,
        needs_person=into.needs_person if proposed(into) == [] or not items else None,
    )
    for id_ in incidents.messages_of(tx, gone.id):
        row = messages.get(tx, id_)
        messages.set_state(tx, id_, row.state, incident=into.id)
        incidents.link(tx, into.id, id_, row.carrier_id, row.sender, row.received_at)
    whole = incidents.update(tx, whole)
    incidents.update(tx, replace(gone, state="merged", next_step="", needs_person=None), merged_into=into.id)
    _stop(tx, gone, into, by, now)
    told = {"why": why, "means": means or None, "undoes": undoes or None}
    journal.emit(tx, Event(at=now, event="merged", incident=gone.number, by=by, data={"into": into.number, **told}))
    journal.emit(tx, Event(at=now, event="merged", incident=into.number, by=by, data={"from": gone.number, **told}))
    for revision in revisions:
        journal.emit(tx, Event(at=now, event="revised", incident=into.number, by=by, data={"field": revision.field}))
    return whole


def split(tx: Tx, gone: Incident, *, why: str, by: str, now: datetime, means: str = "", undoes: str = "") -> Incident:
    """Part ``gone`` again from what it was joined to: it is open, with its own facts and messages. The other's figures are left
    to a person, who is told. Raises ``CannotJoin``."""
    into = incidents.merged_into(tx, gone.id) if gone.state == "merged" else None
    if into is None:
        raise CannotJoin(
            _("{number} is {state}; only an incident that was merged can be split off").format(
                number=display_number(gone.number), state=_(gone.state)
            )
        )
    if not why.strip():
        raise CannotJoin(_("a reason is needed"))
    other = incidents.get(tx, into)
    for id_ in incidents.messages_of(tx, gone.id):
        messages.set_state(tx, id_, messages.get(tx, id_).state, incident=gone.id)
    opened = incidents.update(tx, replace(gone, state="open"))
    told = Doubt(item=None, because=f"{gone.number} 已拆出，请核对数字")
    incidents.update(tx, replace(other, review=tuple(dict.fromkeys((*other.review, told)))))
    said = {"why": why, "means": means or None, "undoes": undoes or None}
    journal.emit(tx, Event(at=now, event="split", incident=gone.number, by=by, data={"from": other.number, **said}))
    journal.emit(tx, Event(at=now, event="split", incident=other.number, by=by, data={"into": gone.number, **said}))
    return opened


def _check(tx: Tx, gone: Incident, into: Incident, why: str) -> None:
    if gone.id == into.id:
        raise CannotJoin(_("{number} cannot be merged with itself").format(number=display_number(gone.number)))
    for one in (gone, into):
        if one.state == "merged" and (further := incidents.merged_into(tx, one.id)) is not None:
            there = display_number(incidents.get(tx, further).number)
            text = _("{number} was merged into {into} before")
            raise CannotJoin(text.format(number=display_number(one.number), into=there))
        if one.state not in OPEN:
            text = _("{number} is {state}; only open incidents can be merged")
            raise CannotJoin(text.format(number=display_number(one.number), state=_(one.state)))
    if not why.strip():
        raise CannotJoin(_("a reason is needed"))


def _graver(rules: Catalogue, *, whole: Severity | None, known: Severity | None, facts: Report) -> Severity | None:
    """The degree of all that is known: a text need not say again what kind of accident it was."""
    if whole is not None or known is None or rules.severity is None:
        return whole
    return rules.severity.grade(facts)


def _stop(tx: Tx, gone: Incident, into: Incident, by: str, now: datetime) -> None:
    """Stop what waits of ``gone`` for those offices that have ``into``, or will have it."""
    rows = deliveries.rows(tx, incident=into.id, limit=10_000)
    served = {row.destination for row in rows if row.state in ("waiting", "sending", "delivered", "acknowledged")}
    stopped: list[str] = []
    for office in sorted(served):
        stopped += deliveries.stop(tx, incident=gone.id, destination=office, why="merged")
    if stopped:
        data = {"deliveries": stopped, "why": "merged"}
        journal.emit(tx, Event(at=now, event="queued_stopped", incident=gone.number, by=by, data=data))

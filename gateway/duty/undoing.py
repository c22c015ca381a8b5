"""Acts that take back an act: looked up on record, judged by ``gateway.core.duty.undoing``, carried out as acts of their own."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, get_type_hints

import msgspec

from gateway.asked import incident_of
from gateway.audit import text as words
from gateway.core import events
from gateway.core.duty import clocking, instructing, judging, signing, undoing
from gateway.core.duty.undoing import Step
from gateway.core.model import Event, Incident, Report
from gateway.core.render import display_number
from gateway.duty import acts
from gateway.i18n import _
from gateway.store import Tx, journal, matters

if TYPE_CHECKING:
    from gateway.duty.acts import Act, Actor
    from gateway.operations import Live

MOST = 100_000
SHOWN = 20
NAMES = (*undoing.ACTS, "revised", "supervision_resumed", "waiver_withdrawn", "approval_withdrawn")
LAST = "last"
STAMP = 20
"""Characters of the time before a line of the record."""


def listed(live: Live, tx: Tx, number: str, person: str | None = None) -> list[dict[str, Any]]:
    """The last acts about an incident, the newest first: what can be taken back, and why the others cannot."""
    incident = incident_of(live, tx, number)
    found = undoing.steps(_entries(tx, incident), incident, _matter(tx, incident), person=person or "")
    names = {office.id: office.name for office in live.config.directory.offices}
    return [_shown(live, one, names) for one in found[:SHOWN]]


def _shown(live: Live, one: Step, names: dict[str, str]) -> dict[str, Any]:
    line = {"at": one.at.isoformat(), "event": one.event.event, "by": one.by, "data": events.public(one.event)}
    return {
        "entry": str(one.entry),
        "at": live.shown(one.at),
        "by": one.by,
        "event": one.event.event,
        "text": words.render(msgspec.json.encode(line), names=names)[STAMP:],
        "changes": [list(change) for change in one.changes],
        "undo": one.undo or None,
        "why": _(one.why).format(**{k: display_number(v) if k == "number" else v for k, v in one.values.items()}) or None,
    }


def undo(act: Act, incident: Incident, actor: Actor, entry: str, reason: str) -> Incident:
    """Take back the act at ``entry`` (its place in the journal, or ``last``: the newest that can be). Raises ``Refused``."""
    if not reason.strip():
        raise acts.Refused(_("a reason is needed"))
    entries = _entries(act.tx, incident)
    found = undoing.steps(entries, incident, _matter(act.tx, incident), person=actor.person)
    wanted = next((s for s in found if (s.undo if entry == LAST else str(s.entry) == entry)), None)
    if wanted is None:
        raise acts.Refused(_("there is no such act to take back"))
    if not wanted.undo:
        values = {k: display_number(v) if k == "number" else v for k, v in wanted.values.items()}
        raise acts.Refused(_("it cannot be taken back: {why}").format(why=_(wanted.why).format(**values)))
    return _carry_out(act, incident, actor, wanted, entries, reason)


def _carry_out(
    act: Act, incident: Incident, actor: Actor, step: Step, entries: Sequence[tuple[int, Event]], reason: str
) -> Incident:
    data = step.event.data
    if step.undo == "correct":
        return act.corrected(incident, actor, _restored(data["former"]["was"]), reason, undoes=step.ref)
    if step.undo == "reopen":
        return act.reopen(incident, actor, reason, undoes=step.ref)
    if step.undo == "close":
        return act.close(incident, actor, reason, undoes=step.ref)
    if step.undo == "split":
        return act.split(incident, actor, reason, undoes=step.ref)
    if step.undo == "merge":
        return act.merge(incident, actor, str(data["from"]), reason, undoes=step.ref)
    try:
        if step.undo == "done":
            act.allow(incident, actor, "undo")
            item = str(data["instruction"])
            return act.move(incident, lambda m, g: instructing.resume(m, g, item, actor.person, reason, step.ref), actor)
        if step.undo == "judge":
            act.allow(incident, actor, "undo")
            return act.move(incident, lambda m, g: judging.take_back(m, g, data, actor.person, reason, step.ref), actor)
        if step.undo == "waive":
            act.allow(incident, actor, "undo")
            clocks = undoing.freed(entries, step)
            return act.move(incident, lambda m, g: signing.unwaive(m, g, actor.person, reason, clocks, step.ref), actor)
        return act.move(incident, lambda m, g: signing.withdraw(m, g, actor.person, reason, step.ref), actor)
    except (instructing.NoSuchItem, judging.NotJudged, signing.NotTheirs, clocking.NotFreed) as refused:
        raise acts.Refused(str(refused)) from None


def _restored(was: dict[str, Any]) -> dict[str, Any]:
    """Facts as they stood before a correction, with what qualified them and what they rested on."""
    hints = get_type_hints(Report)
    return {name: msgspec.convert(value, hints[name]) for name, value in was.items()}


def _matter(tx: Tx, incident: Incident) -> Any:
    kept = matters.get(tx, incident.id)
    return kept.matter if kept is not None else None


def _entries(tx: Tx, incident: Incident) -> list[tuple[int, Event]]:
    return [(one.id, one.event) for one in journal.entries(tx, incident=incident.number, names=NAMES, limit=MOST)]


READS: dict[str, Callable[..., Any]] = {"undoable": listed}

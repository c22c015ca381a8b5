"""How an incident stands, for people and scripts: clocks with their minutes, who has it and who does not, what is still owed.

Pure: made of a matter, the rules and what the journal says of wordings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from gateway.core.duty import turn
from gateway.core.duty.clocking import answerable
from gateway.core.duty.matter import Given, Instruction, Matter, Offer, Running, Signing, Telling
from gateway.core.model import Event

MINUTE = timedelta(minutes=1)


def view(matter: Matter, given: Given, events: Iterable[Event] = ()) -> dict[str, Any]:
    """Everything about ``matter`` as it stands at ``given.now``. ``events`` of this incident hold the wordings."""
    words = _words(events)
    return {
        "start": _shown(given, matter.start),
        "estimated": matter.estimated,
        "level": matter.level,
        "responsible": list(matter.responsible),
        "clocks": [_clock(matter, one, given) for one in matter.clocks],
        "offices": [_office(one, given) for one in matter.offers],
        "tellings": [_telling(one, given) for one in matter.tellings],
        "signing": _signing(matter.signing, given, words),
        "instructions": [_instruction(one, given, words) for one in matter.instructions],
        "judgements": [
            {"kind": one.kind, "clock": one.clock, "title": _title(given, one.clock), "state": one.state}
            for one in matter.judgements
        ],
        "follow": {
            "reports": matter.follow.count + 1,
            "final": matter.follow.final,
            "next_at": _shown(given, matter.follow.ask_at),
        },
        "next_at": _shown(given, turn.next_at(matter, given)),
    }


def _clock(matter: Matter, one: Running, given: Given) -> dict[str, Any]:
    clock = given.clock(one.clock)
    # A clock that is not trusted judges nothing: such a limit may lie in the past and still count as running.
    late = one.state == "passed" or (one.state == "running" and one.due < given.now)
    return {
        "clock": one.clock,
        "title": _title(given, one.clock),
        "due": _shown(given, one.due),
        "state": one.state,
        "stopped_at": _shown(given, one.stopped_at),
        "minutes_left": minutes(one.due - given.now) if one.state == "running" and not late else None,
        "minutes_late": minutes((one.stopped_at or given.now) - one.due) if late else None,
        "minutes_taken": minutes(one.stopped_at - matter.start) if one.stopped_at else None,
        "judgement": one.judgement,
        "disputed": one.disputed,
        "responsible": list(answerable(matter, clock)) if clock else [],
    }


def _title(given: Given, clock: str) -> str:
    found = given.clock(clock)
    return found.title if found else clock


def _office(one: Offer, given: Given) -> dict[str, Any]:
    waits = one.waits
    return {
        "office": one.office,
        "name": given.directory.name(one.office),
        "duty": one.duty,
        "offered_at": _shown(given, one.offered_at),
        "round": one.round,
        "has_it": one.acknowledged_at is not None,
        "acknowledged_by": one.acknowledged_by or None,
        "acknowledged_at": _shown(given, one.acknowledged_at),
        "handed_to": given.directory.name(one.handed_to) if one.handed_to else None,
        "minutes": minutes((one.acknowledged_at or given.now) - one.offered_at) if waits or one.acknowledged_at else None,
        "called": [*one.tried, *(given.directory.name(office) for office in one.reached)],
    }


def _telling(one: Telling, given: Given) -> dict[str, Any]:
    return {
        "of": given.directory.name(one.of),
        "whom": given.directory.name(one.whom),
        "person": one.person or None,
        "by": one.by or None,
        "at": _shown(given, one.at),
        "waits": one.waits,
        "minutes": minutes((one.at or given.now) - one.since) if one.waits or one.at else None,
    }


def _signing(signing: Signing | None, given: Given, words: Mapping[tuple[str, str], str]) -> dict[str, Any] | None:
    if signing is None:
        return None
    titles = {level: signer.title if (signer := given.rules.signer(level)) else level for level in signing.chain}
    named = {one.level: one for one in signing.given}
    return {
        "chain": [
            {
                "level": level,
                "title": titles[level],
                "by": named[level].by if level in named else None,
                "at": _shown(given, named[level].at) if level in named else None,
                "wording": words.get(("approved", level), "") if level in named else None,
            }
            for level in signing.chain
        ],
        "state": "waived" if signing.waived else "sent" if signing.sent_at else "waits",
        "next": titles.get(signing.level) if signing.waits else None,
        "sent_at": _shown(given, signing.sent_at),
    }


def _instruction(one: Instruction, given: Given, words: Mapping[tuple[str, str], str]) -> dict[str, Any]:
    return {
        "id": one.id,
        "by": one.by,
        "owner": given.directory.name(one.owner),
        "wording": words.get(("instructed", one.id), ""),
        "due": _shown(given, one.due),
        "done_at": _shown(given, one.done_at),
        "result": words.get(("supervision_done", one.id)) if one.done_at else None,
        "minutes_left": minutes(one.due - given.now) if one.done_at is None else None,
    }


def _words(events: Iterable[Event]) -> dict[tuple[str, str], str]:
    """The wordings of signatures, instructions and results, by event and level or number; the latest stands."""
    found: dict[tuple[str, str], str] = {}
    for event in events:
        key = event.data.get("instruction") or event.data.get("level")
        if key and event.data.get("wording"):
            found[event.event, str(key)] = str(event.data["wording"])
    return found


def minutes(span: timedelta) -> int:
    """Whole minutes of a span; what is less than a minute past or to come is 0."""
    return int(span / MINUTE)


def _shown(given: Given, at: datetime | None) -> str | None:
    """An instant in the city's time, as every output has it."""
    return given.calendar.moment(at).local.isoformat(timespec="milliseconds") if at is not None else None

"""The register: incidents, their numbers and the messages that told of them.

Facts are columns (the desk has checked them for markings); the text of the last report lies sealed in the vault.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from gateway.core import lifecycle
from gateway.core.model import Incident
from gateway.store import precedence, vault
from gateway.store.errors import NotFound, Stale, Tampered
from gateway.store.ids import instant, micros
from gateway.store.prepared import Prepared
from gateway.store.tables import incident_messages, incidents
from gateway.store.tx import AnyRow, Tx, clean_or_none

if TYPE_CHECKING:
    from gateway.core.matching import Candidate

_NUMBER = re.compile(r"[〔\[(]?(\d{4})[〕\])-](\d{1,6})")
_TAIL = re.compile(r"\d{1,6}")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Incident).decode


_BY_ID = Prepared(sa.select(incidents).where(incidents.c.id == sa.bindparam("row")))
_BY_NUMBER = Prepared(sa.select(incidents).where(incidents.c.number == sa.bindparam("this")))
_BY_TAIL = Prepared(
    sa.select(incidents).where(incidents.c.number.like(sa.bindparam("like"))).order_by(incidents.c.number.desc()).limit(1)
)
_STATE = Prepared(sa.select(incidents.c.state).where(incidents.c.id == sa.bindparam("row")))
_MERGED_INTO = Prepared(sa.select(incidents.c.merged_into).where(incidents.c.id == sa.bindparam("row")))
_LATER = Prepared(
    sa.update(incidents)
    .where(incidents.c.id == sa.bindparam("row"), incidents.c.last_report_at < sa.bindparam("at"))
    .values(last_report_at=sa.bindparam("at"))
)
_TOLD = Prepared(
    sa.select(incident_messages.c.carrier_message_id, incident_messages.c.sender).where(
        incident_messages.c.incident == sa.bindparam("row")
    )
)
_CARRIED = Prepared(
    sa.select(incident_messages.c.incident)
    .where(incident_messages.c.carrier_message_id == sa.bindparam("carrier"))
    .order_by(incident_messages.c.message.desc())
    .limit(1)
)
_ZERO = 10**18
"""Added to an instant so that all since 1970 have the same number of digits, and texts the order of the instants."""
_AT = sa.cast(incidents.c.last_report_at + sa.literal_column(str(_ZERO)), sa.String)
_LATEST = (
    sa.select((_AT + " " + incidents.c.id + " " + incidents.c.stamp).label("line"))
    .where(incidents.c.last_report_at >= sa.bindparam("since"), incidents.c.state != "merged")
    .order_by(incidents.c.last_report_at.desc(), incidents.c.id.desc())
    .limit(sa.bindparam("most"))
    .subquery()
)
_OF_LATE = {
    postgres: Prepared(sa.select(getattr(sa.func, name)(_LATEST.c.line, sa.literal_column("','"))))
    for postgres, name in ((False, "group_concat"), (True, "string_agg"))
}
"""One text for all of them: hundreds of rows would cost a report more than its judging, and nearly all are as they were."""


def next_number(tx: Tx, year: int) -> str:
    """The next number of a calendar year, as ``2026-0123``; never given twice."""
    return f"{year:04d}-{tx.count_up(f'incident:{year:04d}'):04d}"


def insert(tx: Tx, incident: Incident) -> None:
    """Enter a new incident. Raises ``NotAllowed`` for a state in which none may begin."""
    if incident.state not in lifecycle.STARTS["incidents"]:
        raise lifecycle.NotAllowed(f"an incident does not begin as {incident.state!r}")
    received = micros(incident.first_received_at)
    tx.insert(
        incidents,
        {
            "id": incident.id,
            "number": incident.number,
            "first_received_at": received,
            "last_report_at": received,
            "revision": incident.revision,
            **_columns(tx, incident),
        },
    )
    vault.put(tx, incident.id, incident.report.text.encode("utf-8", "surrogatepass"))


def update(tx: Tx, incident: Incident, *, merged_into: str | None = None) -> Incident:
    """Write an incident that was read at ``incident.revision``; returns it with the next one.

    Raises ``NotFound``, ``Stale`` where it has changed since, ``NotAllowed`` for a step its state may not take.
    """
    state = tx.scalar(_STATE, {"row": incident.id})
    if state is None:
        raise NotFound(incident.id)
    lifecycle.check(lifecycle.INCIDENTS, state, incident.state)
    new = msgspec.structs.replace(incident, revision=incident.revision + 1)
    into = {"merged_into": merged_into} if merged_into or incident.state != "merged" else {}
    _write(tx, incident, {"revision": new.revision, **_columns(tx, new), **into})
    vault.replace(tx, new.id, new.report.text.encode("utf-8", "surrogatepass"))
    return new


def note_step(tx: Tx, incident: Incident, step: str) -> Incident:
    """Write only what comes next about an incident that was read at ``incident.revision``. Raises ``Stale``."""
    new = msgspec.structs.replace(incident, next_step=step)
    _write(tx, incident, _columns(tx, new))
    return new


def _write(tx: Tx, read: Incident, values: dict[str, Any]) -> None:
    if tx.run(_changed(*values), {**values, "row": read.id, "read": read.revision}) == 0:
        raise Stale(read.id)


@cache
def _changed(*columns: str) -> Prepared:
    as_read = (incidents.c.id == sa.bindparam("row"), incidents.c.revision == sa.bindparam("read"))
    return Prepared(sa.update(incidents).where(*as_read), columns)


def get(tx: Tx, id_or_number: str) -> Incident:
    """One incident by its id or as people write its number: 〔2026〕0123, 2026-0123, 0123, 123 (the newest such).
    Raises ``NotFound``."""
    given = id_or_number.strip()
    if found := _NUMBER.fullmatch(given):
        row = tx.one(_BY_NUMBER, {"this": f"{found[1]}-{int(found[2]):04d}"})
    elif _TAIL.fullmatch(given):
        row = tx.one(_BY_TAIL, {"like": f"____-{int(given):04d}"})
    else:
        row = tx.one(_BY_ID, {"row": given})
    if row is None:
        raise NotFound(id_or_number)
    return _opened(tx, [row])[0]


def rows(tx: Tx, *, states: Iterable[str] | None = None, since: datetime | None = None, limit: int = 100) -> list[Incident]:
    """The newest incidents first; ``since``: those with a report since then. One whose words cannot be opened has none."""
    asked = sa.select(incidents).order_by(incidents.c.id.desc()).limit(limit)
    if states is not None:
        asked = asked.where(incidents.c.state.in_(list(states)))
    if since is not None:
        asked = asked.where(incidents.c.last_report_at >= micros(since))
    return _readable(tx, tx.all(asked))


def merged_into(tx: Tx, incident: str) -> str | None:
    """The id of the incident that this one was merged into, if any."""
    return tx.scalar(_MERGED_INTO, {"row": incident})  # type: ignore[no-any-return]


def link(tx: Tx, incident: str, message_id: str, carrier_message_id: str | None, sender: str, at: datetime) -> None:
    """Note that a message told of an incident. Doing it again changes nothing."""
    new = tx.insert_new(
        incident_messages,
        {
            "incident": incident,
            "message": message_id,
            "carrier_message_id": clean_or_none(carrier_message_id),
            "sender": clean_or_none(sender),
            "at": micros(at),
        },
    )
    if new:
        tx.run(_LATER, {"row": incident, "at": micros(at)})
        precedence.lift(tx, incident, message_id)


def messages_of(tx: Tx, incident: str) -> list[str]:
    """The ids of the messages that told of an incident, in order."""
    asked = sa.select(incident_messages.c.message).where(incident_messages.c.incident == incident)
    return [row.message for row in tx.all(asked.order_by(incident_messages.c.message))]


def by_carrier_id(tx: Tx, carrier_message_id: str) -> str | None:
    """The incident that the message of that carrier's id (Message-ID …) told of; the newest, if any."""
    return tx.scalar(_CARRIED, {"carrier": carrier_message_id})  # type: ignore[no-any-return]


def candidates(
    tx: Tx, since: datetime, *, limit: int = 500, on_unread: Callable[[str], None] = lambda number: None
) -> list[Candidate]:
    """Incidents that a new report may belong to: a report since then and not merged; the newest ``limit``, newest first. One
    whose words cannot be opened has none, and stops no report: ``on_unread`` is given its number, each time."""
    listed = tx.scalar(_OF_LATE[tx.postgres], {"since": micros(since), "most": limit})
    # A further report may be linked under the same stamp: then the row's own time has changed, which stands in the line too.
    lines = sorted(listed.split(","), reverse=True) if listed else []
    known: dict[str, Candidate] = tx.cache.get("candidates", {})
    unread: set[str] = set()
    made = {line: known.get(line) or _candidate(tx, unread.add, *line.split()) for line in lines}
    for number in sorted(unread):
        on_unread(number)
    # Put behind what else is kept, for it is wanted at every report. What could not be opened is not kept: whoever says so may be
    # undone, and must come to say it again.
    tx.cache.pop("candidates", None)
    tx.cache["candidates"] = {line: one for line, one in made.items() if one.incident.number not in unread} if unread else made
    return list(made.values())


def _candidate(tx: Tx, on_unread: Callable[[str], None], at: str, id_: str, stamp: str) -> Candidate:
    from gateway.core.matching import Candidate

    incident = _known(tx, id_, stamp) or _readable(tx, tx.all(_BY_ID, {"row": id_}), on_unread)[0]
    told = tx.all(_TOLD, {"row": id_})
    return Candidate(
        incident=incident,
        message_ids=frozenset(one.carrier_message_id for one in told if one.carrier_message_id),
        senders=frozenset(one.sender for one in told),
        last_report_at=instant(int(at) - _ZERO),
    )


class _Written:
    """One writing of an incident, named for good by its stamp; decoded when it is asked for, if it ever is."""

    __slots__ = ("_held", "stamp")

    def __init__(self, stamp: str, facts: str | bytes, text: str) -> None:
        self.stamp = stamp
        self._held: Incident | tuple[str | bytes, str] = facts, text

    @property
    def incident(self) -> Incident:
        held = self._held  # once: readers have threads of their own
        if isinstance(held, tuple):
            facts, text = held
            bare = _decode(facts)
            held = self._held = msgspec.structs.replace(bare, report=msgspec.structs.replace(bare.report, text=text))
        return held


def _known(tx: Tx, id_: str, stamp: str) -> Incident | None:
    """An incident as it was written under that stamp; None where another writing was kept since."""
    kept: _Written | None = tx.cache.get(id_)
    return kept.incident if kept is not None and kept.stamp == stamp else None


def _columns(tx: Tx, incident: Incident) -> dict[str, Any]:
    bare = msgspec.structs.replace(incident, report=msgspec.structs.replace(incident.report, text=""))
    facts, stamp = _encode(bare), tx.new_id()
    tx.cache[incident.id] = _Written(stamp, facts, incident.report.text)
    return {"title": incident.title, "state": incident.state, "facts": facts.decode(), "stamp": stamp}


def _readable(
    tx: Tx, found: Sequence[AnyRow], on_unread: Callable[[str], None] = lambda number: None
) -> list[Incident]:
    """As ``_opened``, where one among many must not cost the others: what cannot be opened is there with its facts alone, and is
    not kept."""
    try:
        return _opened(tx, found)
    except Tampered:
        if len(found) > 1:
            return [_readable(tx, [row], on_unread)[0] for row in found]
        incident = _decode(found[0].facts)
        on_unread(incident.number)
        return [incident]


def _opened(tx: Tx, found: Sequence[AnyRow]) -> list[Incident]:
    """Rows as incidents with their texts; a text whose key is gone is empty. The last writing of each is cached."""
    known = {row.stamp: kept for row in found if (kept := _known(tx, row.id, row.stamp)) is not None}
    missing = [row for row in found if row.stamp not in known]
    texts = vault.many(tx, [row.id for row in missing]) if missing else {}
    for row in missing:
        text = texts.get(row.id, b"").decode("utf-8", "surrogatepass")
        written = tx.cache[row.id] = _Written(row.stamp, row.facts, text)
        known[row.stamp] = written.incident
    return [known[row.stamp] for row in found]

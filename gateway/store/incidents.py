"""The register: incidents, their numbers and the messages that told of them.

Facts are columns (the desk has checked them for markings); the text of the last report lies sealed in the vault.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import sqlalchemy as sa

from gateway.core import lifecycle
from gateway.core.model import Incident
from gateway.store import vault
from gateway.store.errors import NotFound, Stale
from gateway.store.ids import instant, micros
from gateway.store.tables import incident_messages, incidents
from gateway.store.tx import AnyRow, Tx, clean_or_none

if TYPE_CHECKING:
    from gateway.core.matching import Candidate

_NUMBER = re.compile(r"[〔\[(]?(\d{4})[〕\])-](\d{1,6})")
_TAIL = re.compile(r"\d{1,6}")
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Incident).decode


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
    at = tx.one(sa.select(incidents.c.state, incidents.c.revision).where(incidents.c.id == incident.id))
    if at is None:
        raise NotFound(incident.id)
    lifecycle.check(lifecycle.INCIDENTS, at.state, incident.state)
    new = msgspec.structs.replace(incident, revision=incident.revision + 1)
    statement = sa.update(incidents).where(incidents.c.id == incident.id, incidents.c.revision == incident.revision)
    into = {"merged_into": merged_into} if merged_into or incident.state != "merged" else {}
    if tx.run(statement.values(revision=new.revision, **_columns(tx, new), **into)).rowcount == 0:
        raise Stale(incident.id)
    vault.replace(tx, new.id, new.report.text.encode("utf-8", "surrogatepass"))
    return new


def get(tx: Tx, id_or_number: str) -> Incident:
    """One incident by its id or as people write its number: 〔2026〕0123, 2026-0123, 0123, 123 (the newest such).
    Raises ``NotFound``."""
    asked = sa.select(incidents).limit(1)
    given = id_or_number.strip()
    if found := _NUMBER.fullmatch(given):
        asked = asked.where(incidents.c.number == f"{found[1]}-{int(found[2]):04d}")
    elif _TAIL.fullmatch(given):
        asked = asked.where(incidents.c.number.like(f"____-{int(given):04d}")).order_by(incidents.c.number.desc())
    else:
        asked = asked.where(incidents.c.id == given)
    row = tx.one(asked)
    if row is None:
        raise NotFound(id_or_number)
    return _opened(tx, [row])[0]


def rows(tx: Tx, *, states: Iterable[str] | None = None, since: datetime | None = None, limit: int = 100) -> list[Incident]:
    """The newest incidents first; ``since`` asks for those with a report since then."""
    asked = sa.select(incidents).order_by(incidents.c.id.desc()).limit(limit)
    if states is not None:
        asked = asked.where(incidents.c.state.in_(list(states)))
    if since is not None:
        asked = asked.where(incidents.c.last_report_at >= micros(since))
    return _opened(tx, tx.all(asked))


def merged_into(tx: Tx, incident: str) -> str | None:
    """The id of the incident that this one was merged into, if any."""
    return tx.scalar(sa.select(incidents.c.merged_into).where(incidents.c.id == incident))  # type: ignore[no-any-return]


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
        later = sa.update(incidents).where(incidents.c.id == incident, incidents.c.last_report_at < micros(at))
        tx.run(later.values(last_report_at=micros(at)))


def messages_of(tx: Tx, incident: str) -> list[str]:
    """The ids of the messages that told of an incident, in order."""
    asked = sa.select(incident_messages.c.message).where(incident_messages.c.incident == incident)
    return [row.message for row in tx.all(asked.order_by(incident_messages.c.message))]


def by_carrier_id(tx: Tx, carrier_message_id: str) -> str | None:
    """The incident that the message of that carrier's id (Message-ID …) told of; the newest, if any."""
    asked = sa.select(incident_messages.c.incident).where(incident_messages.c.carrier_message_id == carrier_message_id)
    return tx.scalar(asked.order_by(incident_messages.c.message.desc()).limit(1))  # type: ignore[no-any-return]


def candidates(tx: Tx, since: datetime, *, limit: int = 500) -> list[Candidate]:
    """Incidents that a new report may belong to: a report since then and not merged; the newest ``limit`` of them."""
    from gateway.core.matching import Candidate

    # The stamp names one writing of an incident for good: what was opened or linked under it need not be asked again.
    asked = (
        sa.select(incidents.c.id, incidents.c.stamp, incidents.c.last_report_at)
        .where(incidents.c.last_report_at >= micros(since), incidents.c.state != "merged")
        .order_by(incidents.c.last_report_at.desc(), incidents.c.id.desc())
        .limit(limit)
    )
    found = tx.all(asked)
    unknown = [row.id for row in found if row.stamp not in tx.cache]
    if unknown:
        _opened(tx, tx.all(sa.select(incidents).where(incidents.c.id.in_(unknown))))
    _linked(tx, {row.id: row.stamp for row in found if ("links", row.stamp) not in tx.cache})
    return [
        Candidate(
            incident=tx.cache[row.stamp],
            message_ids=tx.cache["links", row.stamp][0],
            senders=tx.cache["links", row.stamp][1],
            last_report_at=instant(row.last_report_at),
        )
        for row in found
    ]


def _linked(tx: Tx, stamps: dict[str, str]) -> None:
    """Put who told of these incidents, and under which carrier's ids, into the cache."""
    named: dict[str, set[str]] = defaultdict(set)
    senders: dict[str, set[str]] = defaultdict(set)
    if stamps:
        for one in tx.all(sa.select(incident_messages).where(incident_messages.c.incident.in_(list(stamps)))):
            senders[one.incident].add(one.sender)
            if one.carrier_message_id:
                named[one.incident].add(one.carrier_message_id)
    for incident, stamp in stamps.items():
        tx.cache["links", stamp] = (frozenset(named[incident]), frozenset(senders[incident]))


def _columns(tx: Tx, incident: Incident) -> dict[str, Any]:
    bare = msgspec.structs.replace(incident, report=msgspec.structs.replace(incident.report, text=""))
    return {
        "title": incident.title,
        "state": incident.state,
        "facts": _encode(bare).decode(),
        "stamp": tx.new_id(),
    }


def _opened(tx: Tx, found: Sequence[AnyRow]) -> list[Incident]:
    """Rows as incidents with their texts; a text whose key is gone is empty. Cached by the stamp of each writing."""
    missing = [row for row in found if row.stamp not in tx.cache]
    if missing:
        texts = vault.many(tx, [row.id for row in missing])
        for row in missing:
            bare = _decode(row.facts)
            text = texts.get(row.id, b"").decode("utf-8", "surrogatepass")
            whole = msgspec.structs.replace(bare, report=msgspec.structs.replace(bare.report, text=text))
            tx.cache[row.stamp] = whole
    return [tx.cache[row.stamp] for row in found]

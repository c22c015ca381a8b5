"""What figures are made from: incidents with their matters, reports with their senders, first acknowledgements. Read row by row;
no text is opened, so no key is needed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import msgspec
import sqlalchemy as sa

from gateway.core.duty.matter import Matter
from gateway.core.figures.model import Case
from gateway.core.model import IncidentState, Severity
from gateway.store import journal
from gateway.store.ids import instant, micros
from gateway.store.tables import events, incident_messages, incidents, matters
from gateway.store.tx import Tx


class _Place(msgspec.Struct):
    county: str | None = None


class _Report(msgspec.Struct):
    place: _Place | None = None


class _Facts(msgspec.Struct):
    items: tuple[str, ...] = ()
    sensitive: bool = False
    severity: Severity | None = None
    report: _Report = msgspec.field(default_factory=_Report)


_facts = msgspec.json.Decoder(_Facts).decode
_matter = msgspec.json.Decoder(Matter).decode


def cases(tx: Tx, since: datetime, first_of: dict[str, datetime]) -> Iterator[Case]:
    """Every incident with a report since then, in order of its id. ``first_of`` are the first acknowledgements by number."""
    columns = (incidents.c.id, incidents.c.number, incidents.c.title, incidents.c.state, incidents.c.first_received_at)
    asked = (
        sa.select(*columns, incidents.c.facts, matters.c.state.label("matter"))
        .join(matters, matters.c.incident == incidents.c.id, isouter=True)
        .where(incidents.c.last_report_at >= micros(since))
        .order_by(incidents.c.id)
    )
    for row in tx.stream(asked):
        facts = _facts(row.facts)
        state: IncidentState = row.state
        yield Case(
            number=row.number,
            title=row.title,
            state=state,
            first_at=instant(row.first_received_at),
            items=facts.items,
            county=(facts.report.place.county or "") if facts.report.place else "",
            level=(facts.severity.level or "") if facts.severity else "",
            sensitive=facts.sensitive,
            matter=_matter(row.matter) if row.matter is not None else None,
            acknowledged_at=first_of.get(row.number),
        )


def told(tx: Tx, start: datetime, end: datetime) -> Iterator[tuple[str, datetime, str]]:
    """Every report of [start, end): its sender, when it came, the incident it told of."""
    asked = (
        sa.select(incident_messages.c.sender, incident_messages.c.at, incidents.c.number)
        .join(incidents, incidents.c.id == incident_messages.c.incident)
        .where(incident_messages.c.at >= micros(start), incident_messages.c.at < micros(end))
        .order_by(incident_messages.c.message)
    )
    for row in tx.stream(asked):
        yield row.sender, instant(row.at), row.number


def acknowledged(tx: Tx, since: datetime) -> dict[str, datetime]:
    """When each incident was first acknowledged, of all that was written since then; the journal's ids are in order of time."""
    asked = sa.select(events.c.incident, sa.func.min(events.c.at).label("at")).where(
        events.c.id > journal.begin_of(tx, since), events.c.event == "acknowledged", events.c.incident.is_not(None)
    )
    return {row.incident: instant(row.at) for row in tx.all(asked.group_by(events.c.incident))}

"""What waits for a person's look: what could not be decided, what may belong together, who is not known, what is sealed away."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from starlette.responses import Response

from gateway import joining, wording
from gateway.console.call import Call, Page
from gateway.core.model import Event
from gateway.store import Tx, incidents, journal, messages, proposals

HOURS = 24
MOST = 200
STATES = ("open", "followed_up", "below_threshold")


def pages() -> Iterable[Page]:
    """The queue, and apart from it what is sealed: looking at that goes on record."""
    yield Page("GET", "/review", "review", queue)
    yield Page("GET", "/review/sealed", "review", sealed)


async def queue(call: Call) -> Response:
    """What is to be decided."""
    now = call.desk.live.now()
    directory = call.desk.config.directory

    def read(tx: Tx) -> dict[str, Any]:
        found = incidents.rows(tx, states=STATES, since=now - timedelta(days=30), limit=5000)
        recent = messages.rows(tx, limit=MOST)
        strangers = [
            (row, incidents.get(tx, row.incident).number if row.incident else None)
            for row in recent
            if row.received_at > now - timedelta(hours=HOURS)
            and row.state not in ("quarantined", "ignored", "duplicate")
            and directory.unit(row.sender) is None
            and not directory.persons(row.sender)
        ]
        return {
            "persons": [(one, one.needs_person) for one in found if one.needs_person][:MOST],
            "matches": [(one, may) for one in found if (may := joining.proposed(one))][:MOST],
            "strangers": strangers,
            "unread": messages.rows(tx, states=["needs_person"], limit=MOST),
            "sealed": messages.counts(tx).get("quarantined", 0),
            "changes": proposals.every(tx) if call.may("agree") else [],
        }

    return await call.page("review.html", **await call.desk.store.read(read), shown=call.desk.live.shown, hours=HOURS)


async def sealed(call: Call) -> Response:
    """Who sent what is marked, when, and how large it is: never more, and the look is on record."""
    now = call.desk.live.now()

    def look(tx: Tx) -> list[messages.MessageRow]:
        rows = messages.rows(tx, states=["quarantined"], limit=MOST)
        data = {"what": "marked messages", "account": call.user.account.name, "count": len(rows), "means": "console"}
        journal.emit(tx, Event(at=now, event="looked", by=call.user.name, data=data))
        return rows

    rows = await call.desk.store.write(look)
    units = {row.id: (unit.name if (unit := call.desk.config.directory.unit(row.sender)) else "") for row in rows}
    return await call.page("sealed.html", rows=rows, units=units, shown=call.desk.live.shown, phone=wording.phone)

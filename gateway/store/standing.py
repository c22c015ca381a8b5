"""Every open incident with its matter, for a board that is looked at all day: only what has changed since is read again.

Nothing here opens a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import msgspec
import sqlalchemy as sa

from gateway.core.duty.matter import Matter
from gateway.core.model import Incident
from gateway.store.tables import deliveries, incidents, matters
from gateway.store.tx import Tx

STATES = ("open", "followed_up")
CHUNK = 500
_facts = msgspec.json.Decoder(Incident).decode
_matter = msgspec.json.Decoder(Matter).decode
_MARKS = (
    sa.select(incidents.c.id, incidents.c.stamp, matters.c.revision)
    .outerjoin(matters, matters.c.incident == incidents.c.id)
    .where(incidents.c.state.in_(STATES))
    .order_by(incidents.c.id)
)


@dataclass(slots=True)
class Standing:
    """What was read the last time. One reader at a time."""

    _known: dict[str, tuple[str, int | None, Incident, Matter | None]] = field(default_factory=dict)

    def read(self, tx: Tx) -> list[tuple[Incident, Matter | None]]:
        """Every open incident, in the order in which they were opened."""
        marks = {row.id: (row.stamp, row.revision) for row in tx.all(_MARKS)}
        changed = [id_ for id_, mark in marks.items() if id_ not in self._known or self._known[id_][:2] != mark]
        fresh = dict(self._changed(tx, changed, marks))
        self._known = {id_: fresh.get(id_) or self._known[id_] for id_ in marks if id_ in fresh or id_ in self._known}
        return [(incident, matter) for _stamp, _revision, incident, matter in self._known.values()]

    def _changed(
        self, tx: Tx, ids: Sequence[str], marks: dict[str, tuple[str, int | None]]
    ) -> Iterable[tuple[str, tuple[str, int | None, Incident, Matter | None]]]:
        for start in range(0, len(ids), CHUNK):
            asked = (
                sa.select(incidents.c.id, incidents.c.facts, matters.c.state)
                .outerjoin(matters, matters.c.incident == incidents.c.id)
                .where(incidents.c.id.in_(ids[start : start + CHUNK]))
            )
            for row in tx.all(asked):
                yield row.id, (*marks[row.id], _facts(row.facts), _matter(row.state) if row.state else None)


def not_through(tx: Tx) -> dict[str, int]:
    """How many deliveries of each transport were tried and are not through."""
    asked = sa.select(deliveries.c.transport, sa.func.count()).where(deliveries.c.state == "waiting", deliveries.c.attempts > 0)
    return {str(name): int(count) for name, count in tx.all(asked.group_by(deliveries.c.transport))}

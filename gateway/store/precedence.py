"""Whose message is read first, and whose deliveries go out first.

Told from the carrier's frame alone, before anything is read: what a registered sender sent goes before what anybody may send.
Within each class the order is that of acceptance; the other class has workers and places of its own, so that neither waits for
the end of the other.
"""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy as sa

from gateway.store.prepared import Prepared
from gateway.store.tables import deliveries, incident_messages, messages
from gateway.store.tx import Tx

FIRST, LATER = 0, 1
"""From a sender whom the directory knows; from anybody else."""
CLASSES = (FIRST, LATER)
Known = Callable[[str], bool]
"""Whether the directory knows a sender, as the carrier names it."""
_OF_MESSAGE = Prepared(sa.select(messages.c.precedence).where(messages.c.id == sa.bindparam("row")))
_OF_INCIDENT = Prepared(
    sa.select(sa.func.min(messages.c.precedence))
    .select_from(incident_messages.join(messages, messages.c.id == incident_messages.c.message))
    .where(incident_messages.c.incident == sa.bindparam("row"))
)
_RAISE = Prepared(
    sa.update(deliveries)
    .where(
        deliveries.c.incident == sa.bindparam("of"),
        deliveries.c.precedence != FIRST,
        sa.or_(deliveries.c.state.concat("") == "waiting", deliveries.c.state.concat("") == "sending"),
    )
    .values(precedence=FIRST)
)


def everybody(sender: str) -> bool:
    """Dry runs, and whoever has no directory: all are of one class."""
    return True


def of_sender(sender: str, known: Known) -> int:
    """The class of a message."""
    return FIRST if known(sender) else LATER


def of(tx: Tx, message: str | None, incident: str | None) -> int:
    """The class of what is sent about an incident because of a message: the best of that message and of all that told of the
    incident before."""
    found = tx.scalar(_OF_INCIDENT, {"row": incident}) if incident else None
    if message and found != FIRST:
        own = tx.scalar(_OF_MESSAGE, {"row": message})
        found = own if found is None else min(found, LATER if own is None else own)
    return FIRST if found is None else int(found)


def lift(tx: Tx, incident: str, message: str) -> None:
    """``message`` tells of ``incident``: where a registered sender sent it, what is queued about it goes first as well. Order
    holds within an incident, so it would else hold up the new."""
    if tx.scalar(_OF_MESSAGE, {"row": message}) == FIRST:
        tx.run(_RAISE, {"of": incident})

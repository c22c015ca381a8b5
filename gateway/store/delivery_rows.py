"""How a delivery looks outside the data base."""

from __future__ import annotations

from datetime import datetime

import msgspec
import sqlalchemy as sa

from gateway.core.model import Address, DeliveryState
from gateway.store.ids import instant, instant_or_none
from gateway.store.tables import deliveries
from gateway.store.tx import AnyRow


class DeliveryRow(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery as the register shows it. ``ways`` are the addresses left to try; ``refs`` the peer's ids of it."""

    id: str
    incident: str | None = None
    message: str | None = None
    destination: str
    duty: str = "receive"
    transport: str
    address: str
    state: DeliveryState = "waiting"
    attempts: int = 0
    created_at: datetime
    next_try_at: datetime
    delivered_at: datetime | None = None
    acknowledged_by: str | None = None
    acknowledged_at: datetime | None = None
    why: str | None = None
    refs: tuple[str, ...] = ()
    fallback_of: str | None = None
    ways: tuple[Address, ...] = ()
    cleared: bool = False
    precedence: int = 0


class Content(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery says: sealed under a key of its own."""

    subject: str
    text: str
    short_text: str = ""
    headers: dict[str, str] = {}
    paper: dict[str, str] = {}


_refs = msgspec.json.Decoder(tuple[str, ...]).decode
_ways = msgspec.json.Decoder(tuple[Address, ...]).decode
COLUMNS = tuple(deliveries.c[name] for name in DeliveryRow.__struct_fields__)
UNFINISHED = ("waiting", "sending")
"""The states of what is still queued."""
IT = deliveries.c.id == sa.bindparam("delivery")
bare_state = deliveries.c.state.concat("")
"""The state of what is looked for by other columns: asked by name, SQLite may look through all that was ever delivered, by the
index of states; which of two indexes that know nothing of their rows it takes hangs on the order in which they were made."""
IS_UNFINISHED = sa.or_(*(bare_state == state for state in UNFINISHED))


def row(found: AnyRow) -> DeliveryRow:
    """A row that begins with ``COLUMNS`` as a ``DeliveryRow``."""
    values = dict(zip(DeliveryRow.__struct_fields__, found, strict=False))
    values["created_at"] = instant(values["created_at"])
    values["next_try_at"] = instant(values["next_try_at"])
    values["delivered_at"] = instant_or_none(values["delivered_at"])
    values["acknowledged_at"] = instant_or_none(values["acknowledged_at"])
    values["refs"] = _refs(values["refs"])
    values["ways"] = _ways(values["ways"])
    return DeliveryRow(**values)

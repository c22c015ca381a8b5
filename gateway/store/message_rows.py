"""How a message lies in the data base, and how one is put there: sealed, and linked to an equal earlier one."""

from __future__ import annotations

from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from gateway.core.model import Channel, MessageState, RawMessage
from gateway.store import vault
from gateway.store.ids import instant, micros
from gateway.store.prepared import Prepared
from gateway.store.seal import Envelope
from gateway.store.tables import messages
from gateway.store.tables import vault as sealed_texts
from gateway.store.tx import AnyRow, Tx, clean, clean_or_none

FIRST = 0
"""The class of messages that is read first (precedence.py)."""
REPEAT_WINDOW = timedelta(hours=6)
"""Equal bytes from the same sender without a carrier's id count as the same message for so long."""


class Accepted(msgspec.Struct, frozen=True, kw_only=True):
    """What intake answers. ``id`` is the message's (or, for a part that completes nothing yet, the part's) id;
    ``message`` the message that is now there to be read, if any."""

    id: str
    duplicate_of: str | None = None
    message: str | None = None


class MessageRow(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the register shows it; its content is with ``raw``."""

    id: str
    channel: Channel
    via: str
    received_at: datetime
    accepted_at: datetime
    sender: str
    recipient: str
    carrier_id: str | None
    state: MessageState
    incident: str | None
    duplicate_of: str | None
    why: str | None
    title: str | None
    size: int
    content_type: str
    revision: int


COLUMNS = tuple(messages.c[name] for name in MessageRow.__struct_fields__)


_EARLIER = Prepared(
    sa.select(messages.c.id)
    .join(sealed_texts, sealed_texts.c.id == messages.c.id)
    .where(
        sa.literal_column("substr(messages.digest, 1, 12)") == sa.bindparam("head"),
        # By the column itself SQLite would put its value into the line above, and know of no index then.
        sa.literal_column("messages.digest || ''") == sa.bindparam("digest"),
        messages.c.accepted_at > sa.bindparam("after"),
    )
    .order_by(sa.literal_column("messages.id || ''"))  # by the column itself SQLite would walk through all messages in order
    .limit(1)
)
"""The first message of the same bytes that has bytes of its own. Digests have no order, so that each accept touches another page
of their index: it holds their heads alone, a fifth of the size."""


def put(
    tx: Tx,
    raw: RawMessage,
    now: datetime,
    *,
    repeat_window: timedelta,
    part_group: str | None = None,
    precedence: int = FIRST,
) -> Accepted:
    """Seal and store a whole message. An equal earlier one (same way, sender, carrier's id and bytes) is linked, not read
    again. ``part_group`` names the parts that it was joined of."""
    digest = _digest(tx, raw)
    after = -1 if raw.carrier_id else micros(now - repeat_window)
    first: str | None = tx.scalar(_EARLIER, {"head": digest[:12], "digest": digest, "after": after})
    row = tx.new_id()
    tx.insert(
        messages,
        {
            "id": row,
            "channel": raw.channel,
            "via": raw.via,
            "received_at": micros(raw.received_at),
            "accepted_at": micros(now),
            "sender": clean(raw.sender),
            "recipient": clean(raw.recipient),
            "carrier_id": clean_or_none(raw.carrier_id),
            "content_type": clean(raw.content_type),
            "size": len(raw.body),
            "state": "accepted" if first is None else "duplicate",
            "duplicate_of": first,
            "digest": digest,
            "part_group": part_group,
            "precedence": precedence,
            "revision": 1,
        },
    )
    if first is not None:
        return Accepted(id=row, duplicate_of=first, message=row)
    # A linked copy keeps no bytes of its own: they are the first one's, and go with it should that be quarantined.
    vault.put(tx, row, packed(raw))
    return Accepted(id=row, message=row)


def packed(raw: RawMessage) -> bytes:
    """Body and remarks of a message or part, to be sealed."""
    envelope = Envelope(body=raw.body, meta={clean(key): clean(value) for key, value in raw.meta.items()})
    return msgspec.msgpack.encode(envelope)


def _digest(tx: Tx, raw: RawMessage) -> str:
    named = (raw.via, clean(raw.sender), clean(raw.carrier_id or ""))
    return tx.keys.digest("message", *(text.encode() for text in named), raw.body)


def row(found: AnyRow) -> MessageRow:
    """A row of ``COLUMNS`` as a ``MessageRow``."""
    values = dict(zip(MessageRow.__struct_fields__, found, strict=True))
    values["received_at"] = instant(values["received_at"])
    values["accepted_at"] = instant(values["accepted_at"])
    return MessageRow(**values)

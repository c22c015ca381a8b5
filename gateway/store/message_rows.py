"""How a message lies in the data base, and how one is put there: sealed, and linked to an equal earlier one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core.model import Channel, MessageState, RawMessage
from gateway.store import vault
from gateway.store.ids import instant, micros
from gateway.store.keys import StoreKeys
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
    id_: str | None = None,
) -> Accepted:
    """Seal and store a whole message. An equal earlier one (same way, sender, carrier's id and bytes) is linked, not read
    again. ``part_group`` names the parts that it was joined of; ``id_`` was given at the door."""
    values = _row_of(tx.keys, id_ or tx.new_id(), raw, now, precedence) | {"part_group": part_group}
    row, digest = values["id"], values["digest"]
    after = _behind(raw, now, repeat_window)
    first: str | None = tx.scalar(_EARLIER, {"head": digest[:12], "digest": digest, "after": after})
    if first is not None:
        values |= {"state": "duplicate", "duplicate_of": first}
    tx.insert(messages, values)
    if first is not None:
        return Accepted(id=row, duplicate_of=first, message=row)
    # A linked copy keeps no bytes of its own: they are the first one's, and go with it should that be quarantined.
    vault.put(tx, row, packed(raw))
    return Accepted(id=row, message=row)


@dataclass(frozen=True, slots=True)
class Parcel:
    """A whole message as it will lie in the data base, if no equal one lies there: its row, and its bytes sealed as the vault has
    them. An equal one is the same if it was accepted after the instant ``behind``, in microseconds."""

    row: dict[str, Any]
    text: dict[str, Any]
    behind: int

    @property
    def id(self) -> str:
        """The message's id."""
        return str(self.row["id"])


def parcel(
    keys: StoreKeys, id_: str, raw: RawMessage, now: datetime, *, repeat_window: timedelta, precedence: int = FIRST
) -> Parcel:
    """All of the work on a message that needs no transaction, so that none waits for it."""
    text = vault.sealed_row(keys, id_, packed(raw))
    return Parcel(_row_of(keys, id_, raw, now, precedence), text, _behind(raw, now, repeat_window))


def put_all(tx: Tx, parcels: Sequence[Parcel]) -> list[Accepted]:
    """As ``put`` for messages in parcels, by a few statements for all of them."""
    # What is older than every window is nobody's copy: a text that comes each day has as many rows as days.
    after = min((parcel.behind for parcel in parcels if not parcel.row["carrier_id"]), default=_NEVER)
    there = _earlier_of(tx, {str(parcel.row["digest"]) for parcel in parcels}, after)
    made, rows, texts = [], [], []
    for parcel in parcels:
        row, same = parcel.row, there[parcel.row["digest"]]
        first = min((id_ for id_, at in same if at > parcel.behind), default=None)
        if first is None:
            same.append((parcel.id, row["accepted_at"]))
            texts.append(parcel.text)
        else:
            row = {**row, "state": "duplicate", "duplicate_of": first}
        rows.append(row)
        made.append(Accepted(id=parcel.id, duplicate_of=first, message=parcel.id))
    tx.insert(messages, rows)
    tx.insert(sealed_texts, texts)
    return made


def _earlier_of(tx: Tx, digests: set[str], after: int) -> dict[str, list[tuple[str, int]]]:
    """The messages of these digests that have bytes of their own, and were accepted behind ``after`` or have a carrier's id:
    their ids, and when they were accepted."""
    found: dict[str, list[tuple[str, int]]] = {digest: [] for digest in digests}
    listed = sorted(digests)
    for begin in range(0, len(listed), _SIZES[-1]):
        heads = [digest[:12] for digest in listed[begin : begin + _SIZES[-1]]]
        size = next(size for size in _SIZES if size >= len(heads))
        named: dict[str, Any] = {f"head{n}": head for n, head in enumerate(heads + heads[:1] * (size - len(heads)))}
        named["after"] = after
        for id_, digest, at in tx.all(_any_earlier(size), named):
            if digest in found:
                found[digest].append((id_, at))
    return found


_SIZES = (1, 2, 4, 8, 16, 32, 64)
_NEVER = (1 << 63) - 1


@cache
def _any_earlier(size: int) -> Prepared:
    heads = sa.literal_column("substr(messages.digest, 1, 12)").in_([sa.bindparam(f"head{n}") for n in range(size)])
    late = sa.or_(messages.c.accepted_at > sa.bindparam("after"), messages.c.carrier_id != sa.literal_column("''"))
    asked = sa.select(messages.c.id, messages.c.digest, messages.c.accepted_at)
    return Prepared(asked.join(sealed_texts, sealed_texts.c.id == messages.c.id).where(heads, late))


def _behind(raw: RawMessage, now: datetime, repeat_window: timedelta) -> int:
    """With the carrier's own id an equal message is always the same one."""
    return -1 if raw.carrier_id else micros(now - repeat_window)


def _row_of(keys: StoreKeys, id_: str, raw: RawMessage, now: datetime, precedence: int) -> dict[str, Any]:
    return {
        "id": id_,
        "channel": raw.channel,
        "via": raw.via,
        "received_at": micros(raw.received_at),
        "accepted_at": micros(now),
        "sender": clean(raw.sender),
        "recipient": clean(raw.recipient),
        "carrier_id": clean_or_none(raw.carrier_id),
        "content_type": clean(raw.content_type),
        "size": len(raw.body),
        "state": "accepted",
        "duplicate_of": None,
        "digest": _digest(keys, raw),
        "part_group": None,
        "precedence": precedence,
        "revision": 1,
    }


def packed(raw: RawMessage) -> bytes:
    """Body and remarks of a message or part, to be sealed."""
    envelope = Envelope(body=raw.body, meta={clean(key): clean(value) for key, value in raw.meta.items()})
    return msgspec.msgpack.encode(envelope)


def _digest(keys: StoreKeys, raw: RawMessage) -> str:
    named = (raw.via, clean(raw.sender), clean(raw.carrier_id or ""))
    return keys.digest("message", *(text.encode() for text in named), raw.body)


def row(found: AnyRow) -> MessageRow:
    """A row of ``COLUMNS`` as a ``MessageRow``."""
    values = dict(zip(MessageRow.__struct_fields__, found, strict=True))
    values["received_at"] = instant(values["received_at"])
    values["accepted_at"] = instant(values["accepted_at"])
    return MessageRow(**values)

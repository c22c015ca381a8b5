"""Long messages in parts: every part is sealed and stored as it comes, and the last one makes the message.

The body of a joined message is a JSON list of the parts' bodies in base64, in order, with null for one that is missing;
its content type is the parts' own. What is incomplete is released as partial after a time; a part that comes later still
makes a new message with all parts, whose ``meta`` names the first (``completes``). Where the first was quarantined, its
parts stay closed: the new message holds the late ones alone and ``meta`` says so (``sealed_parts``).
"""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

import msgspec
import sqlalchemy as sa

from gateway.core.errors import Malformed
from gateway.core.model import RawMessage
from gateway.store import message_rows, vault
from gateway.store.ids import instant, micros
from gateway.store.message_rows import REPEAT_WINDOW, Accepted
from gateway.store.precedence import Known, everybody, of_sender
from gateway.store.seal import Envelope
from gateway.store.tables import part_groups, parts
from gateway.store.tx import AnyRow, Tx, clean, clean_or_none

LATE = timedelta(hours=72)
"""A part that comes later than this after its last companion starts a message of its own: references are used again."""


class Released(msgspec.Struct, frozen=True, kw_only=True):
    """An incomplete message that was released: ``have`` of ``total`` parts; ``completes`` an earlier release of it."""

    id: str
    channel: str
    via: str
    have: int
    total: int
    completes: str | None


def accept_part(
    tx: Tx,
    raw: RawMessage,
    now: datetime,
    *,
    repeat_window: timedelta = REPEAT_WINDOW,
    known: Known = everybody,
    ids: tuple[str, str] | None = None,
) -> Accepted:
    """Seal and store one part; with the last one the message is made in the same transaction. ``ids`` are the part's and
    the message's, where they were given at the door.

    Raises ``Malformed`` where the part's numbers cannot be.
    """
    part = raw.part
    if part is None or not 1 <= part.number <= part.total <= 255:
        raise Malformed("a part counts from 1 to its total, which is at most 255")
    key = _digest(tx, "part group", raw, part.ref, str(part.total))
    digest = tx.keys.digest("part", key.encode(), str(part.number).encode(), raw.body)
    group = tx.one(sa.select(part_groups).where(part_groups.c.key == key).order_by(part_groups.c.id.desc()).limit(1))
    if group is not None and instant(group.last_at) < now - LATE:
        group = None
    if group is not None:
        same = tx.one(sa.select(parts).where(parts.c.group_id == group.id, parts.c.number == part.number))
        if same is not None and same.digest == digest and instant(same.accepted_at) > now - repeat_window:
            tx.run(sa.update(parts).where(parts.c.id == same.id).values(copies=same.copies + 1))
            return Accepted(id=same.id, duplicate_of=same.id, message=group.message)
        if same is not None:
            group = None  # the carrier used the reference again
    row, whole = ids or (tx.new_id(), None)
    group_id = row if group is None else str(group.id)
    if group is None:
        _new_group(tx, raw, group_id, key, now)
    tx.insert(
        parts,
        {
            "id": row,
            "group_id": group_id,
            "number": part.number,
            "digest": digest,
            "received_at": micros(raw.received_at),
            "accepted_at": micros(now),
            "carrier_id": clean_or_none(raw.carrier_id),
            "content_type": clean(raw.content_type),
            "copies": 1,
        },
    )
    vault.put(tx, row, message_rows.packed(raw))
    counted = sa.update(part_groups).where(part_groups.c.id == group_id)
    tx.run(counted.values(have=part_groups.c.have + 1, last_at=micros(now)))
    have = tx.scalar(sa.select(part_groups.c.have).where(part_groups.c.id == group_id))
    if have < part.total:
        return Accepted(id=row)
    made = _join(tx, group_id, now, repeat_window, known, whole)
    return Accepted(id=made.id, duplicate_of=made.duplicate_of, message=made.id)


def release_partial(tx: Tx, older_than: datetime, now: datetime, *, limit: int = 64, known: Known = everybody) -> list[Released]:
    """Make messages of what has waited since ``older_than`` for its missing parts; ``meta`` says partial=1."""
    waiting = (
        sa.select(part_groups)
        .where(part_groups.c.state.in_(("open", "partial")), part_groups.c.last_at <= micros(older_than))
        .where(part_groups.c.have > part_groups.c.released)
        .order_by(part_groups.c.id)
        .limit(limit)
    )
    made = []
    for group in tx.all(waiting):
        joined = _join(tx, group.id, now, timedelta(0), known)
        made.append(
            Released(
                id=joined.id,
                channel=group.channel,
                via=group.via,
                have=group.have,
                total=group.total,
                completes=group.message,
            )
        )
    return made


def _new_group(tx: Tx, raw: RawMessage, group_id: str, key: str, now: datetime) -> None:
    assert raw.part is not None
    tx.insert(
        part_groups,
        {
            "id": group_id,
            "key": key,
            "total": raw.part.total,
            "have": 0,
            "released": 0,
            "state": "open",
            "last_at": micros(now),
            "message": None,
            "channel": raw.channel,
            "via": raw.via,
            "sender": clean(raw.sender),
            "recipient": clean(raw.recipient),
        },
    )


def _join(
    tx: Tx, group_id: str, now: datetime, repeat_window: timedelta, known: Known, id_: str | None = None
) -> Accepted:
    """Make the message of a group as far as it has come."""
    group = tx.one(sa.select(part_groups).where(part_groups.c.id == group_id))
    assert group is not None
    found = tx.all(sa.select(parts).where(parts.c.group_id == group_id).order_by(parts.c.number))
    texts = vault.many(tx, [row.id for row in found])
    opened = {row.number: msgspec.msgpack.decode(texts[row.id], type=Envelope) for row in found if row.id in texts}
    bodies: list[str | None] = [
        base64.b64encode(opened[number].body).decode() if number in opened else None for number in range(1, group.total + 1)
    ]
    meta: dict[str, str] = {}
    for envelope in opened.values():
        meta.update(envelope.meta)
    meta["parts"] = str(group.total)
    whole = len(found) == group.total
    if len(opened) < group.total:
        meta["partial"] = "1"
    if len(opened) < len(found):
        meta["sealed_parts"] = str(len(found) - len(opened))
    if group.message is not None:
        meta["completes"] = group.message
    raw = RawMessage(
        channel=group.channel,
        via=group.via,
        received_at=instant(min(row.received_at for row in found)),
        sender=group.sender,
        recipient=group.recipient,
        body=msgspec.json.encode(bodies),
        content_type=found[0].content_type,
        meta=meta,
    )
    precedence = of_sender(group.sender, known)
    made = message_rows.put(
        tx, raw, now, repeat_window=repeat_window, part_group=group_id, precedence=precedence, id_=id_
    )  # fmt: skip
    _joined(tx, group, made.id, whole)
    return made


def _joined(tx: Tx, group: AnyRow, message: str, whole: bool) -> None:
    tx.run(
        sa.update(part_groups)
        .where(part_groups.c.id == group.id)
        .values(message=message, state="whole" if whole else "partial", released=part_groups.c.have)
    )


def _digest(tx: Tx, purpose: str, raw: RawMessage, *more: str) -> str:
    named = (raw.via, clean(raw.sender), clean(raw.recipient), *(clean(text) for text in more))
    return tx.keys.digest(purpose, *(text.encode() for text in named))

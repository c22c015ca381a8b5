"""What came in: every message sealed at once, a second copy linked to the first, quarantine."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core import lifecycle
from gateway.core.model import MessageState, RawMessage
from gateway.store import message_rows, vault
from gateway.store.errors import KeyGone, NotFound, Stale
from gateway.store.ids import floor, micros
from gateway.store.message_rows import COLUMNS, REPEAT_WINDOW, Accepted, MessageRow, Parcel, parcel, put_all
from gateway.store.message_rows import row as _row
from gateway.store.parts import Released, accept_part, release_partial
from gateway.store.precedence import Known, everybody, of_sender
from gateway.store.prepared import Prepared
from gateway.store.seal import Envelope, Exported, pack_keys
from gateway.store.tables import messages, parts
from gateway.store.tables import vault as sealed_texts
from gateway.store.tx import Tx, clean, clean_or_none

__all__ = [
    "REPEAT_WINDOW", "Accepted", "MessageRow", "Parcel", "Released", "accept", "accept_part", "content_seen", "counts", "export",
    "get", "parcel", "pending", "put_all", "quarantine", "raw", "release_partial", "remember_content", "rows", "set_state",
]  # fmt: skip


_GET = Prepared(sa.select(*COLUMNS).where(messages.c.id == sa.bindparam("row")))
_WAITING = sa.select(*COLUMNS).where(messages.c.state == "accepted").order_by(messages.c.id).limit(sa.bindparam("most"))
_PENDING = Prepared(_WAITING)
_PENDING_OF = Prepared(_WAITING.where(messages.c.channel == sa.bindparam("channel")))
_PENDING_IN = Prepared(
    _WAITING.where(messages.c.channel == sa.bindparam("channel"), messages.c.precedence == sa.bindparam("precedence"))
)


def accept(
    tx: Tx,
    raw: RawMessage,
    now: datetime,
    *,
    repeat_window: timedelta = REPEAT_WINDOW,
    known: Known = everybody,
    ids: tuple[str, str] | None = None,
) -> Accepted:
    """Seal and store a message or a part of one. An equal earlier one is linked, not read again. ``known`` says whose messages
    go first; ``ids`` were given at the door: the message's or the part's, and that of what a last part may make.

    Raises ``Malformed`` for a part whose numbers cannot be.
    """
    if raw.part is not None:
        return accept_part(tx, raw, now, repeat_window=repeat_window, known=known, ids=ids)
    precedence, id_ = of_sender(raw.sender, known), ids[0] if ids else None
    return message_rows.put(tx, raw, now, repeat_window=repeat_window, precedence=precedence, id_=id_)


def get(tx: Tx, row: str) -> MessageRow:
    """One message. Raises ``NotFound``."""
    found = tx.one(_GET, {"row": row})
    if found is None:
        raise NotFound(row)
    return _row(found)


def rows(
    tx: Tx,
    *,
    states: Iterable[str] | None = None,
    incident: str | None = None,
    channel: str | None = None,
    via: str | None = None,
    before: str | None = None,
    limit: int = 100,
) -> list[MessageRow]:
    """The newest messages first; ``before`` is an id to go on from."""
    given = {"incident": incident, "channel": channel, "via": via, "before": before}
    given = {name: value for name, value in given.items() if value is not None}
    asked: Any = _listed(*given)
    if states is not None:
        asked = asked.statement.where(messages.c.state.in_(list(states)))
    return [_row(found) for found in tx.all(asked, {**given, "most": limit})]


@cache
def _listed(*named: str) -> Prepared:
    there = [messages.c[name] == sa.bindparam(name) for name in named if name != "before"]
    if "before" in named:
        there.append(messages.c.id < sa.bindparam("before"))
    return Prepared(sa.select(*COLUMNS).where(*there).order_by(messages.c.id.desc()).limit(sa.bindparam("most")))


def pending(tx: Tx, channel: str | None = None, limit: int = 64, precedence: int | None = None) -> list[MessageRow]:
    """Accepted messages that nobody has read, in the order in which they were accepted; all classes, or one of them."""
    if channel is not None and precedence is not None:
        return [_row(one) for one in tx.all(_PENDING_IN, {"most": limit, "channel": channel, "precedence": precedence})]
    if channel is None:
        return [_row(found) for found in tx.all(_PENDING, {"most": limit})]
    return [_row(found) for found in tx.all(_PENDING_OF, {"most": limit, "channel": channel})]


def counts(tx: Tx) -> dict[str, int]:
    """How many messages are in each state."""
    asked = sa.select(messages.c.state, sa.func.count()).group_by(messages.c.state)
    return {str(state): int(count) for state, count in tx.all(asked)}


def backlog(tx: Tx, via: str) -> int:
    """How many messages of a channel are accepted and not yet read."""
    asked = sa.select(sa.func.count()).where(messages.c.via == via, messages.c.state == "accepted")
    return int(tx.scalar(asked) or 0)


def came_since(tx: Tx, via: str, since: datetime) -> int:
    """How many messages came by a channel since then."""
    asked = sa.select(sa.func.count()).where(messages.c.id >= floor(since), messages.c.via == via)
    return int(tx.scalar(asked) or 0)


def raw(tx: Tx, row: str) -> RawMessage:
    """The message as it came. Raises ``NotFound``; ``KeyGone`` after quarantine; ``Tampered``."""
    found = get(tx, row)
    try:
        sealed = vault.get(tx, row)
    except NotFound:
        if found.duplicate_of is None:
            raise
        sealed = vault.get(tx, found.duplicate_of)
    envelope = msgspec.msgpack.decode(sealed, type=Envelope)
    return RawMessage(
        channel=found.channel,
        via=found.via,
        received_at=found.received_at,
        sender=found.sender,
        recipient=found.recipient,
        carrier_id=found.carrier_id,
        content_type=found.content_type,
        body=envelope.body,
        meta=envelope.meta,
    )


def set_state(
    tx: Tx,
    row: str,
    state: MessageState,
    *,
    incident: str | None = None,
    duplicate_of: str | None = None,
    why: str | None = None,
    carrier_id: str | None = None,
    title: str | None = None,
    revision: int | None = None,
) -> None:
    """Move a message; what is None stays as it was. Raises ``NotFound``, ``NotAllowed`` and, where the row is no longer
    at ``revision``, ``Stale``."""
    found = get(tx, row)
    lifecycle.check(lifecycle.MESSAGES, found.state, state)
    given: dict[str, Any] = {
        "incident": incident,
        "duplicate_of": duplicate_of,
        "why": clean_or_none(why),
        "carrier_id": clean_or_none(carrier_id),
        "title": clean_or_none(title),
    }
    at = found.revision if revision is None else revision
    values = {name: value for name, value in given.items() if value is not None}
    values |= {"state": state, "revision": at + 1}
    if tx.run(_changed(*values), {**values, "row": row, "read": at}) == 0:
        raise Stale(row)


@cache
def _changed(*columns: str) -> Prepared:
    as_read = (messages.c.id == sa.bindparam("row"), messages.c.revision == sa.bindparam("read"))
    return Prepared(sa.update(messages).where(*as_read), columns)


def content_seen(tx: Tx, text: str, sender: str, since: datetime) -> str | None:
    """The first message of ``sender`` received since then whose remembered text is ``text``, if any."""
    said = {"content": _content(tx, text), "by": clean(sender), "since": micros(since)}
    return tx.scalar(_SEEN, said)  # type: ignore[no-any-return]


_SEEN = Prepared(
    sa.select(messages.c.id)
    .where(
        messages.c.content_digest == sa.bindparam("content"),
        messages.c.sender == sa.bindparam("by"),
        messages.c.received_at >= sa.bindparam("since"),
    )
    .order_by(messages.c.id)
    .limit(1)
)


def note_sender(tx: Tx, row: str, sender: str) -> None:
    """Keep who really sent a message where the carrier named only a go-between, such as a fax server."""
    tx.run(_set("sender"), {"row": row, "sender": clean(sender)})


def remember_content(tx: Tx, row: str, text: str) -> None:
    """Keep a keyed digest of a message's canonical text, for ``content_seen``."""
    tx.run(_set("content_digest"), {"row": row, "content_digest": _content(tx, text)})


@cache
def _set(column: str) -> Prepared:
    return Prepared(sa.update(messages).where(messages.c.id == sa.bindparam("row")), (column,))


def _content(tx: Tx, text: str) -> str:
    return tx.keys.digest("content", text.encode("utf-8", "backslashreplace"))


def quarantine(tx: Tx, row: str, bureau_public: bytes, *, why: str | None = None) -> None:
    """Seal the keys of a message, of its parts and of what was released of them earlier to the bureau's public key (32
    bytes), and delete the store's copies. The message's state becomes quarantined, its title and digest of the text go.
    """
    if get(tx, row).state == "quarantined":
        return
    family = _family(tx, row)
    held = vault.keys(tx, [*family, *_parts_of(tx, family)])
    packed = pack_keys(bureau_public, held)
    vault.destroy(tx, held)
    blank = {"bureau_key": packed, "title": None, "content_digest": None}
    for member in family:
        found = get(tx, member)
        if member == row or found.state != "quarantined":
            set_state(tx, member, "quarantined", why=why)
        tx.run(sa.update(messages).where(messages.c.id == member).values(**blank))


def _family(tx: Tx, row: str) -> list[str]:
    """The message, where its bytes lie if it is a linked copy, what links to it, and its other forms if it was joined."""
    bare = messages.c.id.not_in(sa.select(sealed_texts.c.id))
    root: str = tx.scalar(sa.select(messages.c.duplicate_of).where(messages.c.id == row, bare)) or row
    group = tx.scalar(sa.select(messages.c.part_group).where(messages.c.id == root))
    forms = {root}
    if group is not None:
        forms.update(one.id for one in tx.all(sa.select(messages.c.id).where(messages.c.part_group == group)))
    copies = tx.all(sa.select(messages.c.id).where(messages.c.duplicate_of.in_(forms), bare))
    return sorted({row, *forms, *(one.id for one in copies)})


def _parts_of(tx: Tx, family: Sequence[str]) -> list[str]:
    groups = sa.select(messages.c.part_group).where(messages.c.id.in_(family))
    return [one.id for one in tx.all(sa.select(parts.c.id).where(parts.c.group_id.in_(groups)))]


def export(tx: Tx, row: str) -> bytes:
    """A quarantined message as a file for ``gateway unseal`` on the bureau's machine. Raises ``NotFound`` or, where it is
    not quarantined, ``KeyGone``."""
    found = get(tx, row)
    packed = tx.scalar(sa.select(messages.c.bureau_key).where(messages.c.id == row))
    if packed is None:
        raise KeyGone(f"{row} is not quarantined")
    family = _family(tx, row)
    sealed = vault.sealed(tx, [*family, *_parts_of(tx, family)])
    source = row if row in sealed else found.duplicate_of or row
    return msgspec.json.encode(
        Exported(
            id=source,
            channel=found.channel,
            via=found.via,
            received_at=found.received_at.isoformat(),
            sender=found.sender,
            content_type=found.content_type,
            bureau_key=base64.b64encode(packed).decode(),
            sealed={name: base64.b64encode(data).decode() for name, data in sealed.items()},
        )
    )

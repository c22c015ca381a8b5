"""What goes out: a queue of deliveries, leased for each attempt, in order per (destination, incident).

Every change is conditional on the attempt, so a sender that lost its lease changes nothing that another has taken up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core import lifecycle
from gateway.core.model import Delivery, DeliveryState
from gateway.store import receipts, vault
from gateway.store.delivery_rows import COLUMNS, IS_UNFINISHED, IT, UNFINISHED, Content, DeliveryRow, row
from gateway.store.errors import NotFound
from gateway.store.ids import instant, instant_or_none, micros, micros_or_none
from gateway.store.matters import NEXT_ACT
from gateway.store.precedence import CLASSES, FIRST, LATER
from gateway.store.prepared import Prepared
from gateway.store.receipts import by_ref, park_receipt
from gateway.store.seal import seal, unseal
from gateway.store.stopping import acknowledge, hold, retry, stop, stop_pressing
from gateway.store.tables import deliveries
from gateway.store.tx import Tx, clean, clean_or_none

__all__ = [
    "Content", "DeliveryRow", "acknowledge", "by_ref", "claim_all", "content", "due", "get", "hold", "insert", "insert_all",
    "known", "lease", "next_due", "next_of_all", "offered", "park_receipt", "release_stale", "retry", "row", "rows", "sent_to",
    "settle", "stop", "stop_pressing",
]  # fmt: skip

UNORDERED = ("escalate", "remind", "answer")
"""What presses, reminds or answers stands in no queue behind reports that do not get through, and holds up none."""
_TABLE = lifecycle.DELIVERIES
_GET = Prepared(sa.select(*COLUMNS).where(IT))
_PLACE = Prepared(sa.select(deliveries.c.position).where(IT))


def insert(tx: Tx, delivery: DeliveryRow, what: Content) -> None:
    """Queue a delivery. One with ``fallback_of`` keeps the place in the queue of the one it replaces."""
    insert_all(tx, [(delivery, what)])


def insert_all(tx: Tx, queued: Sequence[tuple[DeliveryRow, Content]]) -> None:
    """Queue deliveries, each with what it says."""
    tx.insert(deliveries, [_values(tx, delivery) for delivery, _what in queued])
    vault.put_all(tx, {delivery.id: msgspec.msgpack.encode(what) for delivery, what in queued})


def _values(tx: Tx, delivery: DeliveryRow) -> dict[str, Any]:
    if delivery.state not in lifecycle.STARTS["deliveries"]:
        raise lifecycle.NotAllowed(f"a delivery does not begin as {delivery.state!r}")
    place = delivery.id
    if delivery.fallback_of is not None:
        place = tx.scalar(_PLACE, {"delivery": delivery.fallback_of}) or place
    values = msgspec.structs.asdict(delivery)
    values |= {
        "address": clean(delivery.address),
        "why": clean_or_none(delivery.why),
        "created_at": micros(delivery.created_at),
        "next_try_at": micros(delivery.next_try_at),
        "delivered_at": micros_or_none(delivery.delivered_at),
        "acknowledged_at": micros_or_none(delivery.acknowledged_at),
        "refs": _json(delivery.refs),
        "ways": _json(delivery.ways),
        "position": place,
    }
    return values


def content(tx: Tx, delivery: str) -> Content:
    """What a delivery says. Raises ``NotFound``, ``KeyGone`` or ``Tampered``."""
    return msgspec.msgpack.decode(vault.get(tx, delivery), type=Content)


def get(tx: Tx, delivery: str) -> DeliveryRow:
    """One delivery. Raises ``NotFound``."""
    found = tx.one(_GET, {"delivery": delivery})
    if found is None:
        raise NotFound(delivery)
    return row(found)


def known(tx: Tx, delivery: str) -> DeliveryRow | None:
    """One delivery, or None where there is none of that id."""
    try:
        return get(tx, delivery) if delivery else None
    except NotFound:
        return None


def rows(
    tx: Tx,
    *,
    states: Iterable[str] | None = None,
    incident: str | None = None,
    destination: str | None = None,
    message: str | None = None,
    limit: int = 100,
) -> list[DeliveryRow]:
    """The newest deliveries first."""
    given = {"incident": incident, "destination": destination, "message": message}
    given = {name: value for name, value in given.items() if value is not None}
    asked: Any = _listed(*given)
    if states is not None:
        asked = asked.statement.where(deliveries.c.state.in_(list(states)))
    return [row(found) for found in tx.all(asked, {**given, "most": limit})]


@cache
def _listed(*named: str) -> Prepared:
    there = (deliveries.c[name] == sa.bindparam(name) for name in named)
    return Prepared(sa.select(*COLUMNS).where(*there).order_by(deliveries.c.id.desc()).limit(sa.bindparam("most")))


def offered(tx: Tx, incident: str, destination: str) -> bool:
    """Whether anything about an incident was ever queued for a destination."""
    return tx.one(_OFFERED, {"of": incident, "there": destination}) is not None


_OFFERED = Prepared(
    sa.select(deliveries.c.id)
    .where(deliveries.c.incident == sa.bindparam("of"), deliveries.c.destination == sa.bindparam("there"))
    .limit(1)
)


def sent_to(tx: Tx, address: str, duty: str, since: datetime) -> int:
    """How many deliveries with that duty were queued for an address since then."""
    return int(tx.scalar(_SENT_TO, {"to": clean(address), "as": duty, "since": micros(since)}) or 0)


_SENT_TO = Prepared(
    sa.select(sa.func.count()).where(
        deliveries.c.address == sa.bindparam("to"),
        deliveries.c.duty == sa.bindparam("as"),
        deliveries.c.created_at >= sa.bindparam("since"),
    )
)


def _held_up() -> Any:
    """True of a delivery that must wait for an earlier unfinished one to the same destination about the same incident."""
    earlier = deliveries.alias("earlier")
    return (
        sa.select(sa.literal(1))
        .where(
            earlier.c.destination == deliveries.c.destination,
            earlier.c.incident == deliveries.c.incident,
            earlier.c.position < deliveries.c.position,
            # Written out: a list of values would be put into the statement anew at each of its very many runs.
            sa.or_(*(earlier.c.state == state for state in UNFINISHED)),
            *(earlier.c.duty != duty for duty in UNORDERED),
            *(deliveries.c.duty != duty for duty in UNORDERED),
        )
        .exists()
    )


HELD_UP = _held_up()
"""Of a delivery: it waits for another one."""


_DUE = Prepared(
    sa.select(*COLUMNS)
    .where(
        deliveries.c.state == "waiting",
        deliveries.c.precedence == sa.bindparam("class"),
        deliveries.c.next_try_at <= sa.bindparam("at"),
        ~HELD_UP,
    )
    .order_by(deliveries.c.next_try_at, deliveries.c.id)
    .limit(sa.bindparam("most"))
)
_NEXT_SENT = (
    *(
        sa.select(sa.func.min(deliveries.c.next_try_at))
        .where(deliveries.c.state == "waiting", deliveries.c.precedence == one, ~HELD_UP)
        .scalar_subquery()
        for one in CLASSES
    ),
    sa.select(sa.func.min(deliveries.c.lease_until)).where(deliveries.c.state == "sending").scalar_subquery(),
)
_NEXT = Prepared(sa.select(*_NEXT_SENT))
_NEXT_OF_ALL = Prepared(sa.select(*_NEXT_SENT, NEXT_ACT.scalar_subquery()))


def next_of_all(tx: Tx) -> tuple[datetime | None, datetime | None]:
    """As ``next_due``, and beside it when the next thing is due about an incident (``matters.next_at``), in one question."""
    *sends, act = tx.all(_NEXT_OF_ALL)[0]
    found = [at for at in sends if at is not None]
    return (instant(min(found)) if found else None), instant_or_none(act)


def due(tx: Tx, now: datetime, limit: int = 64, later: int | None = None) -> list[DeliveryRow]:
    """What may be sent now, longest due first: what registered senders told of before the rest, of which there are ``later`` at
    most, and a quarter where that many may be, lest it wait for ever."""
    rest = limit if later is None else later
    others = tx.all(_DUE, {"at": micros(now), "class": LATER, "most": min(rest, limit)}) if rest > 0 else []
    kept = limit - min(len(others), limit // 4)
    first = tx.all(_DUE, {"at": micros(now), "class": FIRST, "most": kept})
    return [row(found) for found in (*first, *others)][:limit]


def next_due(tx: Tx) -> datetime | None:
    """The next instant at which something is to be done: a delivery falls due or a lease runs out."""
    found = [at for at in tx.all(_NEXT)[0] if at is not None]
    return instant(min(found)) if found else None


_LEASED = {
    "state": lifecycle.step(_TABLE, "waiting", "lease"),
    "attempts": deliveries.c.attempts + 1,
    "lease_owner": sa.bindparam("owner"),
    "lease_until": sa.bindparam("until"),
}
_MAY_GO = (deliveries.c.state == "waiting", deliveries.c.next_try_at <= sa.bindparam("at"), ~HELD_UP)
_TAKE = sa.update(deliveries).where(*_MAY_GO).values(_LEASED).returning(*COLUMNS, deliveries.c.progress)
_CLAIM_ALL = Prepared(_TAKE)
_CLAIM = Prepared(_TAKE.where(IT))


def claim_all(tx: Tx, owner: str, until: datetime, now: datetime) -> list[DeliveryRow]:
    """Take everything that may be sent now for one attempt until then, as ``lease`` does, without what it says; in the order of
    ``due``."""
    found = [row(one) for one in tx.all(_CLAIM_ALL, {"owner": owner, "until": micros(until), "at": micros(now)})]
    return sorted(found, key=lambda one: (one.next_try_at, one.id))


def lease(tx: Tx, delivery: str, owner: str, until: datetime, now: datetime) -> Delivery | None:
    """Take a due delivery for one attempt until then; None where another has it or it is no longer to be sent."""
    found = tx.one(_CLAIM, {"delivery": delivery, "owner": owner, "until": micros(until), "at": micros(now)})
    if found is None:
        return None
    key = vault.keys(tx, [delivery])[delivery]
    what = content(tx, delivery)
    progress: dict[str, Any] = {}
    if found.progress is not None:
        progress = msgspec.json.decode(unseal(key, bytes(found.progress), _progress(delivery)))
    return Delivery(
        id=delivery,
        incident=found.incident,
        destination=found.destination,
        transport=found.transport,
        address=found.address,
        subject=what.subject,
        text=what.text,
        short_text=what.short_text,
        attempt=found.attempts,
        cleared=found.cleared,
        progress=progress,
        headers=what.headers,
        paper=what.paper,
    )


_OURS = (IT, deliveries.c.attempts == sa.bindparam("attempt"))
_THERE: dict[str, Any] = {
    "delivered_at": sa.bindparam("at"),
    "refs": sa.bindparam("said"),
    # What an earlier attempt got through says nothing of a later one: a new attempt begins with the first part.
    "progress": None,
    "lease_owner": None,
    "lease_until": None,
}
_YES = Prepared(
    sa.update(deliveries).where(*_OURS, IS_UNFINISHED).values({**_THERE, "state": "delivered", "why": sa.bindparam("because")})
)
_STOPPED_UNSENT = (deliveries.c.state == "stopped", deliveries.c.delivered_at.is_(None))
_YES_AFTER_ALL = Prepared(sa.update(deliveries).where(*_OURS, *_STOPPED_UNSENT).values(_THERE))
"""The yes to a delivery that was stopped meanwhile, which it stays."""


@cache
def _not_yet(*columns: str) -> Prepared:
    return Prepared(sa.update(deliveries).where(*_OURS, deliveries.c.state == "sending"), columns)


def settle(
    tx: Tx,
    delivery: str,
    attempt: int,
    state: DeliveryState,
    *,
    next_try_at: datetime | None = None,
    why: str | None = None,
    refs: tuple[str, ...] = (),
    via: str | None = None,
    progress: dict[str, Any] | None = None,
    delivered_at: datetime | None = None,
) -> bool:
    """Say how an attempt ended: delivered, waiting (with ``next_try_at``) or refused. False where it is no longer ours.

    ``refs`` are noted under ``via``, the carrier's name (default: the transport's), and early receipts taken up. A yes
    that comes after the lease ran out, or after the delivery was stopped, still counts as a fact.
    """
    if state not in ("delivered", "waiting", "refused"):
        raise lifecycle.NotAllowed(f"an attempt does not end as {state!r}")
    if state == "waiting" and next_try_at is None:
        raise ValueError("a delivery that waits needs the time of its next try")
    mine = {"delivery": delivery, "attempt": attempt}
    values: dict[str, Any] = {"why": clean_or_none(why), "lease_owner": None, "lease_until": None}
    if progress is not None:
        key = vault.keys(tx, [delivery])[delivery]
        values["progress"] = seal(key, msgspec.json.encode(progress), _progress(delivery))
    if state == "waiting":
        values["next_try_at"] = micros_or_none(next_try_at)
    if state != "delivered":
        values["state"] = state
        return tx.run(_not_yet(*values), {**values, **mine}) > 0
    at = delivered_at or tx.now()
    said = {**mine, "at": micros(at), "said": _json(refs)}
    changed = tx.run(_YES, {**said, "because": values["why"]}) > 0 or tx.run(_YES_AFTER_ALL, said) > 0
    if changed and refs:
        name = via or tx.scalar(sa.select(deliveries.c.transport).where(deliveries.c.id == delivery))
        receipts.store_refs(tx, name, refs, delivery, attempt, at)
    return changed


def release_stale(tx: Tx, owner: str | None, now: datetime) -> list[str]:
    """Give back what was leased and never settled: leases that ran out and, at start, all of ``owner``'s own."""
    lost = deliveries.c.lease_until < micros(now)
    if owner is not None:
        lost = lost | (deliveries.c.lease_owner == owner)
    found = [one.id for one in tx.all(sa.select(deliveries.c.id).where(deliveries.c.state == "sending", lost))]
    back = sa.update(deliveries).where(deliveries.c.id.in_(found), deliveries.c.state == "sending", lost)
    free = {"state": "waiting", "next_try_at": micros(now), "lease_owner": None, "lease_until": None}
    if found:
        tx.run(back.values(**free))
    return found


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _progress(delivery: str) -> str:
    return f"{delivery}/progress"

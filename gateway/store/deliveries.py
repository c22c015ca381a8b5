"""What goes out: a queue of deliveries, leased for each attempt, in order per (destination, incident).

Every change is conditional on the attempt, so a sender that lost its lease changes nothing that another has taken up.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from gateway.core import lifecycle
from gateway.core.model import Delivery, DeliveryState
from gateway.store import receipts, vault
from gateway.store.delivery_rows import COLUMNS, Content, DeliveryRow, row
from gateway.store.errors import NotFound
from gateway.store.ids import instant, micros, micros_or_none
from gateway.store.receipts import by_ref, park_receipt
from gateway.store.seal import seal, unseal
from gateway.store.tables import deliveries
from gateway.store.tx import Tx, clean, clean_or_none

__all__ = [
    "Content", "DeliveryRow", "acknowledge", "by_ref", "content", "due", "get", "hold", "insert", "lease", "next_due",
    "park_receipt", "release_stale", "retry", "rows", "settle", "stop",
]  # fmt: skip

_UNFINISHED = ("waiting", "sending")
_TABLE = lifecycle.DELIVERIES


def insert(tx: Tx, delivery: DeliveryRow, what: Content) -> None:
    """Queue a delivery. One with ``fallback_of`` keeps the place in the queue of the one it replaces."""
    if delivery.state not in lifecycle.STARTS["deliveries"]:
        raise lifecycle.NotAllowed(f"a delivery does not begin as {delivery.state!r}")
    place = delivery.id
    if delivery.fallback_of is not None:
        replaced = sa.select(deliveries.c.position).where(deliveries.c.id == delivery.fallback_of)
        place = tx.scalar(replaced) or place
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
    tx.insert(deliveries, values)
    vault.put(tx, delivery.id, msgspec.msgpack.encode(what))


def content(tx: Tx, delivery: str) -> Content:
    """What a delivery says. Raises ``NotFound``, ``KeyGone`` or ``Tampered``."""
    return msgspec.msgpack.decode(vault.get(tx, delivery), type=Content)


def get(tx: Tx, delivery: str) -> DeliveryRow:
    """One delivery. Raises ``NotFound``."""
    found = tx.one(sa.select(*COLUMNS).where(deliveries.c.id == delivery))
    if found is None:
        raise NotFound(delivery)
    return row(found)


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
    asked = sa.select(*COLUMNS).order_by(deliveries.c.id.desc()).limit(limit)
    if states is not None:
        asked = asked.where(deliveries.c.state.in_(list(states)))
    given = ((deliveries.c.incident, incident), (deliveries.c.destination, destination), (deliveries.c.message, message))
    for column, value in given:
        if value is not None:
            asked = asked.where(column == value)
    return [row(found) for found in tx.all(asked)]


def _held_up() -> Any:
    """True of a delivery that must wait for an earlier unfinished one to the same destination about the same incident."""
    earlier = deliveries.alias("earlier")
    return (
        sa.select(sa.literal(1))
        .where(
            earlier.c.destination == deliveries.c.destination,
            earlier.c.incident == deliveries.c.incident,
            earlier.c.position < deliveries.c.position,
            earlier.c.state.in_(_UNFINISHED),
        )
        .exists()
    )


_HELD_UP = _held_up()


def due(tx: Tx, now: datetime, limit: int = 64) -> list[DeliveryRow]:
    """What may be sent now, longest due first."""
    asked = (
        sa.select(*COLUMNS)
        .where(deliveries.c.state == "waiting", deliveries.c.next_try_at <= micros(now), ~_HELD_UP)
        .order_by(deliveries.c.next_try_at, deliveries.c.id)
        .limit(limit)
    )
    return [row(found) for found in tx.all(asked)]


def next_due(tx: Tx) -> datetime | None:
    """The next instant at which something is to be done: a delivery falls due or a lease runs out."""
    waiting = sa.select(sa.func.min(deliveries.c.next_try_at)).where(deliveries.c.state == "waiting", ~_HELD_UP)
    leased = sa.select(sa.func.min(deliveries.c.lease_until)).where(deliveries.c.state == "sending")
    found = [at for at in (tx.scalar(waiting), tx.scalar(leased)) if at is not None]
    return instant(min(found)) if found else None


def lease(tx: Tx, delivery: str, owner: str, until: datetime, now: datetime) -> Delivery | None:
    """Take a due delivery for one attempt until then; None where another has it or it is no longer to be sent."""
    found = tx.one(sa.select(deliveries).where(deliveries.c.id == delivery))
    if found is None or found.state != "waiting" or found.next_try_at > micros(now):
        return None
    attempt = found.attempts + 1
    statement = sa.update(deliveries).where(
        deliveries.c.id == delivery, deliveries.c.state == "waiting", deliveries.c.attempts == found.attempts, ~_HELD_UP
    )
    leased = {
        "state": lifecycle.step(_TABLE, "waiting", "lease"),
        "attempts": attempt,
        "lease_owner": owner,
        "lease_until": micros(until),
    }
    if tx.run(statement.values(**leased)).rowcount == 0:
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
        attempt=attempt,
        cleared=found.cleared,
        progress=progress,
        headers=what.headers,
    )


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
    mine = (deliveries.c.id == delivery, deliveries.c.attempts == attempt)
    values: dict[str, Any] = {"why": clean_or_none(why), "lease_owner": None, "lease_until": None}
    if progress is not None:
        key = vault.keys(tx, [delivery])[delivery]
        values["progress"] = seal(key, msgspec.json.encode(progress), _progress(delivery))
    if state == "waiting":
        values["next_try_at"] = micros_or_none(next_try_at)
    if state != "delivered":
        done = sa.update(deliveries).where(*mine, deliveries.c.state == "sending")
        return tx.run(done.values(state=state, **values)).rowcount > 0
    at = delivered_at or tx.now()
    # What an earlier attempt got through says nothing of a later one: a new attempt begins with the first part.
    values |= {"delivered_at": micros(at), "refs": _json(refs), "progress": None}
    yes = sa.update(deliveries).where(*mine, deliveries.c.state.in_(_UNFINISHED)).values(state="delivered", **values)
    changed = tx.run(yes).rowcount > 0
    if not changed:
        kept = {name: value for name, value in values.items() if name != "why"}
        stopped = sa.update(deliveries).where(*mine, deliveries.c.state == "stopped", deliveries.c.delivered_at.is_(None))
        changed = tx.run(stopped.values(**kept)).rowcount > 0
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


def acknowledge(tx: Tx, incident: str, destination: str, by: str, now: datetime) -> list[DeliveryRow]:
    """A named person has it (签收): what was delivered there is acknowledged, what is queued for there is stopped.

    Returns the deliveries that changed, as they are now.
    """
    there = (deliveries.c.incident == incident, deliveries.c.destination == destination)
    named = {"acknowledged_by": clean(by), "acknowledged_at": micros(now)}
    changed = [one.id for one in tx.all(sa.select(deliveries.c.id).where(*there, deliveries.c.state == "delivered"))]
    tx.run(
        sa.update(deliveries).where(deliveries.c.id.in_(changed)).values(state=_next("delivered", "acknowledge"), **named)
    )
    changed += stop(tx, incident=incident, destination=destination, why="acknowledged")
    asked = sa.select(*COLUMNS).where(deliveries.c.id.in_(changed)).order_by(deliveries.c.id)
    return [row(found) for found in tx.all(asked)]


def stop(
    tx: Tx,
    *,
    incident: str | None = None,
    destination: str | None = None,
    delivery: str | None = None,
    why: str,
) -> list[str]:
    """Stop what is queued for an incident, a destination or both, or one delivery; returns the ids that were stopped."""
    given = ((deliveries.c.incident, incident), (deliveries.c.destination, destination), (deliveries.c.id, delivery))
    asked = [column == value for column, value in given if value is not None]
    if not asked:
        raise ValueError("stop needs an incident, a destination or a delivery")
    queued = (*asked, deliveries.c.state.in_(_UNFINISHED))
    found = [one.id for one in tx.all(sa.select(deliveries.c.id).where(*queued))]
    if found:
        statement = sa.update(deliveries).where(deliveries.c.id.in_(found), deliveries.c.state.in_(_UNFINISHED))
        tx.run(statement.values(state=_next("waiting", "stop"), why=clean(why)))
    return found


def retry(tx: Tx, delivery: str, now: datetime) -> bool:
    """Send again what was refused or stopped, or what waits, now; False where there is nothing to send again."""
    again = sa.update(deliveries).where(deliveries.c.id == delivery)
    again = again.where(deliveries.c.state.in_(("waiting", "refused", "stopped")))
    return tx.run(again.values(state="waiting", next_try_at=micros(now), delivered_at=None, progress=None)).rowcount > 0


def hold(tx: Tx, delivery: str, now: datetime) -> bool:
    """Stop one delivery that waits, until ``retry``; False where it does not wait."""
    held = sa.update(deliveries).where(deliveries.c.id == delivery, deliveries.c.state == "waiting")
    return tx.run(held.values(state=_next("waiting", "stop"), why="held", next_try_at=micros(now))).rowcount > 0


def _next(state: str, event: str) -> str:
    return lifecycle.step(_TABLE, state, event)


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()


def _progress(delivery: str) -> str:
    return f"{delivery}/progress"

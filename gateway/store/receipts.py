"""A carrier's receipts, matched to deliveries by (way, reference). One that comes before its delivery's references are
stored is parked and taken up when they are. A receipt says nothing of anybody having read anything."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec
import sqlalchemy as sa

from gateway.core.outcomes import Receipt
from gateway.store.delivery_rows import COLUMNS, DeliveryRow, row
from gateway.store.errors import Tampered
from gateway.store.ids import micros
from gateway.store.tables import deliveries, delivery_refs, parked_receipts
from gateway.store.tx import AnyRow, Tx, clean


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """What a receipt did: ``new`` False for one that had come before or for an earlier attempt; ``delivery`` as it is now."""

    what: Literal["parked", "matched"]
    new: bool
    delivery: DeliveryRow | None = None


def take(tx: Tx, receipt: Receipt, now: datetime) -> Matched:
    """Match a receipt to its delivery, or park it. A failure sends a delivered delivery back to waiting, due now."""
    found = _ref(tx, receipt.via, receipt.ref)
    if found is None:
        return Matched(what="parked", new=park_receipt(tx, receipt, now))
    return apply(tx, found, receipt.state, receipt.detail, now)


def park_receipt(tx: Tx, receipt: Receipt, now: datetime) -> bool:
    """Keep a receipt whose delivery is not known yet; False where the same one was parked already."""
    named = (parked_receipts.c.via == receipt.via, parked_receipts.c.ref == clean(receipt.ref))
    if tx.one(sa.select(parked_receipts.c.id).where(*named, parked_receipts.c.state == receipt.state)) is not None:
        return False
    tx.insert(
        parked_receipts,
        {
            "id": tx.new_id(),
            "via": receipt.via,
            "ref": clean(receipt.ref),
            "state": receipt.state,
            "detail": clean(receipt.detail)[:200],
            "at": micros(now),
        },
    )
    return True


def promised(tx: Tx, via: str, refs: tuple[str, ...]) -> str | None:
    """Who has it, where an acknowledgement of one of ``refs`` came before our own note of the yes."""
    named = (parked_receipts.c.via == via, parked_receipts.c.ref.in_([clean(one) for one in refs]))
    asked = sa.select(parked_receipts.c.detail).where(*named, parked_receipts.c.state == "acknowledged")
    return tx.scalar(asked.order_by(parked_receipts.c.id).limit(1))  # type: ignore[no-any-return]


def forget_parked(tx: Tx, older_than: datetime) -> int:
    """Drop receipts that nobody asked for since then; returns how many."""
    return tx.run(sa.delete(parked_receipts).where(parked_receipts.c.at < micros(older_than)))


def by_ref(tx: Tx, via: str, ref: str) -> DeliveryRow | None:
    """The newest delivery that the carrier knows by ``ref``, written exactly so."""
    found = _ref(tx, via, ref)
    return None if found is None else _delivery(tx, found.delivery)


def store_refs(tx: Tx, via: str, refs: tuple[str, ...], delivery: str, attempt: int, now: datetime) -> None:
    """Note the peer's ids of a delivery and take up the receipts that were here before them."""
    for ref in dict.fromkeys(clean(one) for one in refs):
        tx.put(
            delivery_refs,
            {"via": via, "ref": ref, "delivery": delivery, "attempt": attempt, "state": None, "at": None},
            key=("via", "ref", "delivery"),
        )
    waiting = sa.select(parked_receipts).where(
        parked_receipts.c.via == via, parked_receipts.c.ref.in_([clean(one) for one in refs])
    )
    for parked in tx.all(waiting.order_by(parked_receipts.c.id)):
        tx.run(sa.delete(parked_receipts).where(parked_receipts.c.id == parked.id))
        found = _ref(tx, via, parked.ref)
        if found is not None:
            apply(tx, found, parked.state, parked.detail, now)


def apply(tx: Tx, ref: AnyRow, state: str, detail: str, now: datetime) -> Matched:
    """Give a receipt to its delivery. Only a failure of the attempt that stands as delivered changes its state."""
    if ref.state in (state, "failed", "acknowledged"):
        return Matched(what="matched", new=False, delivery=_delivery(tx, ref.delivery))
    named = (delivery_refs.c.via == ref.via, delivery_refs.c.ref == ref.ref, delivery_refs.c.delivery == ref.delivery)
    tx.run(sa.update(delivery_refs).where(*named).values(state=state, at=micros(now)))
    changed = 1
    if state == "failed":
        stands = sa.update(deliveries).where(
            deliveries.c.id == ref.delivery, deliveries.c.state == "delivered", deliveries.c.attempts == ref.attempt
        )
        back = {"state": "waiting", "next_try_at": micros(now), "delivered_at": None, "why": clean(detail)[:200]}
        changed = tx.run(stands.values(**back))
    return Matched(what="matched", new=changed > 0, delivery=_delivery(tx, ref.delivery))


def states(tx: Tx, delivery: str) -> dict[str, str | None]:
    """What the carrier said of each part of a delivery, by reference; None where it has said nothing."""
    asked = sa.select(delivery_refs.c.ref, delivery_refs.c.state).where(delivery_refs.c.delivery == delivery)
    return {found.ref: found.state for found in tx.all(asked.order_by(delivery_refs.c.attempt, delivery_refs.c.ref))}


def _ref(tx: Tx, via: str, ref: str) -> AnyRow | None:
    asked = sa.select(delivery_refs).where(delivery_refs.c.via == via, delivery_refs.c.ref == clean(ref))
    return tx.one(asked.order_by(delivery_refs.c.delivery.desc()).limit(1))


def _delivery(tx: Tx, delivery: str) -> DeliveryRow:
    found = tx.one(sa.select(*COLUMNS).where(deliveries.c.id == delivery))
    if found is None:
        raise Tampered(f"a reference names the delivery {delivery}, which is not there")
    return row(found)

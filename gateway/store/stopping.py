"""What ends or renews a delivery beside its attempts: a named person has it, nobody need have it any more, somebody holds it or
sends it again."""

from __future__ import annotations

from datetime import datetime
from functools import cache
from typing import Any

import sqlalchemy as sa

from gateway.core import lifecycle
from gateway.store.delivery_rows import COLUMNS, IS_UNFINISHED, DeliveryRow, bare_state, row
from gateway.store.ids import micros
from gateway.store.prepared import Prepared
from gateway.store.tables import deliveries
from gateway.store.tx import Tx, clean

PRESSING = ("escalate", "remind")
"""What calls or reminds somebody."""
ASKING = ("remind", "answer")
"""What an acknowledgement does not answer."""


def _next(state: str, event: str) -> str:
    return lifecycle.step(lifecycle.DELIVERIES, state, event)


_STOPPED = {"state": _next("waiting", "stop"), "why": sa.bindparam("because")}


def acknowledge(
    tx: Tx, incident: str, destination: str, by: str, now: datetime, *, until: str | None = None
) -> list[DeliveryRow]:
    """A named person has it (签收): what was delivered there is acknowledged, what is queued for there is stopped.
    Questions to that office go on: who has it may still have to say whom it told.

    With ``until``, a delivery's id, only what had been queued up to that one. Returns the deliveries that changed, as
    they are now.
    """
    delivered, queued = _settled(until is not None)
    there = {"of": incident, "there": destination, "until": until}
    changed = [
        *tx.all(delivered, {**there, "who": clean(by), "at": micros(now)}),
        *tx.all(queued, {**there, "because": "acknowledged"}),
    ]
    return sorted((row(one) for one in changed), key=lambda one: one.id)


@cache
def _settled(until: bool) -> tuple[Prepared, Prepared]:
    """What an acknowledgement does to what was delivered, and to what is queued."""
    there = [deliveries.c.incident == sa.bindparam("of"), deliveries.c.destination == sa.bindparam("there")]
    there += [deliveries.c.duty != duty for duty in ASKING]
    if until:
        last = deliveries.alias("last")
        place = sa.select(last.c.position).where(last.c.id == sa.bindparam("until")).scalar_subquery()
        there.append(deliveries.c.position <= place)
    named: dict[str, Any] = {"acknowledged_by": sa.bindparam("who"), "acknowledged_at": sa.bindparam("at")}
    taken = sa.update(deliveries).where(*there, bare_state == "delivered").returning(*COLUMNS)
    queued = sa.update(deliveries).where(*there, IS_UNFINISHED).returning(*COLUMNS)
    return Prepared(taken.values(state=_next("delivered", "acknowledge"), **named)), Prepared(queued.values(_STOPPED))


def stop(
    tx: Tx,
    *,
    incident: str | None = None,
    destination: str | None = None,
    delivery: str | None = None,
    why: str,
) -> list[str]:
    """Stop what is queued for an incident, a destination or both, or one delivery; returns the ids that were stopped."""
    given = {"incident": incident, "destination": destination, "id": delivery}
    given = {name: value for name, value in given.items() if value is not None}
    if not given:
        raise ValueError("stop needs an incident, a destination or a delivery")
    named = {f"the_{name}": value for name, value in given.items()}
    return sorted(one.id for one in tx.all(_stop(*given), {**named, "because": clean(why)}))


@cache
def _stop(*named: str) -> Prepared:
    there = (deliveries.c[name] == sa.bindparam(f"the_{name}") for name in named)
    return Prepared(sa.update(deliveries).where(*there, IS_UNFINISHED).values(_STOPPED).returning(deliveries.c.id))


def retry(tx: Tx, delivery: str, now: datetime) -> bool:
    """Send again what was refused or stopped, or what waits, now; False where there is nothing to send again."""
    again = sa.update(deliveries).where(deliveries.c.id == delivery)
    again = again.where(deliveries.c.state.in_(("waiting", "refused", "stopped")))
    return tx.run(again.values(state="waiting", next_try_at=micros(now), delivered_at=None, progress=None)) > 0


def hold(tx: Tx, delivery: str, now: datetime) -> bool:
    """Stop one delivery that waits, until ``retry``; False where it does not wait."""
    held = sa.update(deliveries).where(deliveries.c.id == delivery, deliveries.c.state == "waiting")
    return tx.run(held.values(state=_next("waiting", "stop"), why="held", next_try_at=micros(now))) > 0


def stop_pressing(tx: Tx, incident: str, why: str) -> list[str]:
    """Nobody need be called or reminded of this incident any more; returns the ids that were stopped."""
    return sorted(one.id for one in tx.all(_STOP_PRESSING, {"of": incident, "because": clean(why)}))


_STOP_PRESSING = Prepared(
    sa.update(deliveries)
    .where(deliveries.c.incident == sa.bindparam("of"), bare_state == "waiting")
    .where(sa.or_(*(deliveries.c.duty == duty for duty in PRESSING)))
    .values(_STOPPED)
    .returning(deliveries.c.id)
)

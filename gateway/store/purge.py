"""Retention's hands: finds what is due and destroys its keys. The rows, the register and the record stay.

Only what nobody works with any more: messages that were ignored, copies with bytes of their own, and whole incidents that
are over and have nothing left to send. Quarantined content is not here to be destroyed: its key left for the bureau.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from gateway.store import vault
from gateway.store.ids import instant, micros
from gateway.store.tables import chores, deliveries, incidents, messages, parts
from gateway.store.tables import vault as sealed_texts
from gateway.store.tx import Tx

WORKED_WITH = ("accepted", "read", "needs_person")
AT_WORK = ("waiting", "sending")


def messages_due(tx: Tx, state: str, before: datetime, *, after: str = "", limit: int = 200) -> list[str]:
    """Ids of messages in ``state`` (ignored, duplicate) accepted before then that still have content of their own; those
    behind ``after``. One whose bytes stand for a copy that somebody works with is left out."""
    copy = messages.alias("copy")
    used = sa.select(copy.c.id).where(copy.c.duplicate_of == messages.c.id, copy.c.state.in_(WORKED_WITH))
    asked = (
        sa.select(messages.c.id)
        .join(sealed_texts, sealed_texts.c.id == messages.c.id)
        .where(
            messages.c.state == state,
            messages.c.accepted_at < micros(before),
            messages.c.purged_at.is_(None),
            messages.c.id > after,
            sealed_texts.c.wrapped.is_not(None),
            ~used.exists(),
        )
        .order_by(messages.c.id)
        .limit(limit)
    )
    return [row.id for row in tx.all(asked)]


def incidents_due(tx: Tx, states: Sequence[str], before: datetime, *, after: str = "", limit: int = 50) -> list[str]:
    """Ids of incidents in ``states`` without a report since then, of which nothing is on its way out any more."""
    out = sa.select(deliveries.c.id).where(deliveries.c.incident == incidents.c.id, deliveries.c.state.in_(AT_WORK))
    unread = sa.select(messages.c.id).where(messages.c.incident == incidents.c.id, messages.c.state == "needs_person")
    asked = (
        sa.select(incidents.c.id)
        .where(
            incidents.c.state.in_(list(states)),
            incidents.c.last_report_at < micros(before),
            sa.or_(incidents.c.purged_at.is_(None), incidents.c.purged_at < incidents.c.last_report_at),
            incidents.c.id > after,
            ~out.exists(),
            ~unread.exists(),
        )
        .order_by(incidents.c.id)
        .limit(limit)
    )
    return [row.id for row in tx.all(asked)]


def papers_due(tx: Tx, before: datetime, *, after: str = "", limit: int = 200) -> list[str]:
    """Ids of deliveries about no incident and no message (briefs, boards, reminders) made before then, of which the text is still
    there and nothing is on its way; those behind ``after``."""
    asked = (
        sa.select(deliveries.c.id)
        .join(sealed_texts, sealed_texts.c.id == deliveries.c.id)
        .where(
            deliveries.c.incident.is_(None),
            deliveries.c.message.is_(None),
            deliveries.c.state.not_in(AT_WORK),
            deliveries.c.created_at < micros(before),
            deliveries.c.id > after,
            sealed_texts.c.wrapped.is_not(None),
        )
        .order_by(deliveries.c.id)
        .limit(limit)
    )
    return [row.id for row in tx.all(asked)]


def destroy_papers(tx: Tx, rows: Sequence[str]) -> None:
    """Destroy the keys of the texts of deliveries."""
    vault.destroy(tx, rows)


def messages_of(tx: Tx, incident: str) -> list[str]:
    """The read messages of an incident whose content is still there."""
    asked = sa.select(messages.c.id).where(
        messages.c.incident == incident, messages.c.state.in_(("read", "duplicate")), messages.c.purged_at.is_(None)
    )
    return [row.id for row in tx.all(asked.order_by(messages.c.id))]


def destroy_messages(tx: Tx, rows: Sequence[str], rule: str, now: datetime) -> None:
    """Destroy the keys of messages, of the parts they were joined of and of what went out about them alone."""
    groups = sa.select(messages.c.part_group).where(messages.c.id.in_(rows), messages.c.part_group.is_not(None))
    gone = [row.id for row in tx.all(sa.select(parts.c.id).where(parts.c.group_id.in_(groups)))]
    notices = sa.select(deliveries.c.id).where(
        deliveries.c.message.in_(rows), deliveries.c.incident.is_(None), deliveries.c.state.not_in(AT_WORK)
    )
    gone += [row.id for row in tx.all(notices)]
    vault.destroy(tx, [*rows, *gone])
    blank = {"purged_at": micros(now), "purge_rule": rule, "title": None, "content_digest": None}
    tx.run(sa.update(messages).where(messages.c.id.in_(rows)).values(**blank))


def destroy_incident(tx: Tx, incident: str, now: datetime) -> int:
    """Destroy the keys of an incident's text and of its deliveries' texts; returns how many deliveries."""
    sent = [row.id for row in tx.all(sa.select(deliveries.c.id).where(deliveries.c.incident == incident))]
    vault.destroy(tx, [incident, *sent])
    # A new stamp: what memory holds of it goes by the old one, and is not shown again.
    values = {"purged_at": micros(now), "stamp": tx.new_id(), "revision": incidents.c.revision + 1}
    tx.run(sa.update(incidents).where(incidents.c.id == incident).values(**values))
    return len(sent)


def purged(tx: Tx, row: str) -> tuple[datetime, str] | None:
    """When the content of a message, or of the first copy that held its bytes, was destroyed, and by which rule."""
    found = tx.one(sa.select(messages.c.purged_at, messages.c.purge_rule, messages.c.duplicate_of).where(messages.c.id == row))
    if found is None:
        return None
    if found.purged_at is not None:
        return instant(found.purged_at), found.purge_rule
    return purged(tx, found.duplicate_of) if found.duplicate_of else None


def next_at(tx: Tx, chore: str) -> datetime | None:
    """When a chore is due next; None where that was never noted."""
    found = tx.scalar(sa.select(chores.c.next_at).where(chores.c.name == chore))
    return None if found is None else instant(found)


def note_next(tx: Tx, chore: str, at: datetime, done: datetime | None) -> None:
    """Note when a chore is due next and, where it was done, when."""
    last = {} if done is None else {"last_at": micros(done)}
    tx.put(chores, {"name": chore, "next_at": micros(at), **last}, key=("name",))


def number(tx: Tx, incident: str) -> str | None:
    """The number of an incident."""
    return tx.scalar(sa.select(incidents.c.number).where(incidents.c.id == incident))  # type: ignore[no-any-return]

"""Retention (留存): content whose time is over is destroyed by destroying its key. Rows, register and record stay whole.

``rules`` is what conf asks for, ``destroy`` one pass in small transactions; the daemon runs one a day (``gateway.chores``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway.core.model import Event
from gateway.settings_care import RetentionSection
from gateway.store import Store, Tx, journal, purge

CHORE = "retention"
MOST = 200
"""Messages destroyed in one transaction, so that no receipt waits for long."""


class Rule(Struct, frozen=True, kw_only=True):
    """One rule: ``of`` messages or incidents in ``states``, ``days`` after they came in or were last told of; or of papers, which
    are deliveries about no incident and no message, ``days`` after they were made."""

    name: str
    of: str
    states: tuple[str, ...]
    days: int


def rules(asked: RetentionSection) -> tuple[Rule, ...]:
    """The rules in force."""
    every = (
        Rule(name="closed", of="incidents", states=("closed",), days=asked.closed_days),
        Rule(name="below", of="incidents", states=("below_threshold", "drill", "merged"), days=asked.below_days),
        Rule(name="ignored", of="messages", states=("ignored",), days=asked.ignored_days),
        Rule(name="duplicate", of="messages", states=("duplicate",), days=asked.duplicate_days),
        Rule(name="paper", of="papers", states=(), days=asked.paper_days),
    )
    return tuple(rule for rule in every if rule.days)


def next_pass(now: datetime, hour: int, zone: str) -> datetime:
    """The next time of day at which the pass is due, behind ``now``."""
    local = now.astimezone(ZoneInfo(zone))
    due = local.replace(hour=hour, minute=0, second=0, microsecond=0)
    while due <= local:
        due = (due + timedelta(days=1)).replace(hour=hour)
    return due


def destroy(
    store: Store, asked: RetentionSection, now: datetime, *, dry_run: bool = False, go_on: Callable[[], bool] = lambda: True
) -> dict[str, int]:
    """Destroy what is due at ``now``, or only count it; messages by rule. Blocks; ends between two transactions when ``go_on``
    says no. Raises ``StorageTrouble``."""
    found: Counter[str] = Counter()
    for rule in rules(asked):
        before, after = now - timedelta(days=rule.days), ""
        while go_on():

            def one(tx: Tx, rule: Rule = rule, after: str = after, before: datetime = before) -> tuple[int, str | None]:
                return step(tx, rule, before, after, now, dry_run=dry_run)

            done, last = store.read_now(one) if dry_run else store.write_now(one)
            found[rule.name] += done
            if last is None:
                break
            after = last
    if not dry_run and found.total():
        store.scrub()
    return dict(found)


def step(
    tx: Tx, rule: Rule, before: datetime, after: str, now: datetime, *, dry_run: bool = False, by: str | None = None
) -> tuple[int, str | None]:
    """One transaction's worth, behind the id ``after``; how many messages, and where to go on (None: at the end)."""
    if rule.of == "messages":
        rows = purge.messages_due(tx, rule.states[0], before, after=after, limit=MOST)
        if rows and not dry_run:
            purge.destroy_messages(tx, rows, rule.name, now)
            _note(tx, rule, rows, now, by)
        return len(rows), rows[-1] if rows else None
    if rule.of == "papers":
        rows = purge.papers_due(tx, before, after=after, limit=MOST)
        if rows and not dry_run:
            purge.destroy_papers(tx, rows)
            data = {"rule": rule.name, "days": rule.days, "deliveries": len(rows)}
            journal.emit(tx, Event(at=now, event="purged", by=by, data=data))
        return len(rows), rows[-1] if rows else None
    count, last = 0, None
    for last in purge.incidents_due(tx, rule.states, before, after=after):
        rows = purge.messages_of(tx, last)
        count += len(rows)
        if dry_run:
            continue
        purge.destroy_messages(tx, rows, rule.name, now)
        sent = purge.destroy_incident(tx, last, now)
        _note(tx, rule, rows, now, by)
        data = {"rule": rule.name, "days": rule.days, "deliveries": sent}
        journal.emit(tx, Event(at=now, event="purged", incident=purge.number(tx, last), by=by, data=data))
    return count, last


def _note(tx: Tx, rule: Rule, rows: list[str], now: datetime, by: str | None) -> None:
    for row in rows:
        journal.emit(tx, Event(at=now, event="purged", message=row, by=by, data={"rule": rule.name, "days": rule.days}))

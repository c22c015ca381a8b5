"""What units owe and whether it came (零报告): reminds before a period ends, records the breach after it, and shows the accounts.

One note in the store says up to which instant everything was done: what fell due while the gateway was down is done at its
next start, and nothing twice. What is decided is in ``gateway.core.obligations``.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct

from gateway import alarms
from gateway.core import render
from gateway.core.directory import Unit
from gateway.core.model import Address, Event
from gateway.core.obligations import (
    Account,
    Period,
    Rule,
    Sent,
    accounts,
    current,
    lag,
    observed,
    owed,
    parties,
    periods,
    remind_at,
)
from gateway.i18n import _
from gateway.settings import Config
from gateway.store import Store, Tx, deliveries, journal, notes, sent

log = logging.getLogger(__name__)

NOTE = "obligations"
NOTED = timedelta(days=1)
"""A note older than this is moved on though nothing fell due."""
SILENT, LATE = "零报告", "动态信息迟报"
"""What a breach is called on record."""


class Done(Struct, frozen=True, kw_only=True):
    """``since``: when obligations were first known here; ``until``: everything due up to then was done."""

    since: datetime
    until: datetime


class Work(Struct, frozen=True):
    """What is due: the accounts of one rule and period, to remind of or to judge."""

    rule: Rule
    period: Period
    judge: bool


async def tend(store: Store, config: Config, now: datetime) -> int:
    """Do what fell due since the last time; returns how many reminders and breaches that were. Raises ``StorageTrouble``."""
    rules = config.obligations.rules()
    if not rules:
        return 0
    done = await store.read(lambda tx: notes.get(tx, NOTE, Done))
    if done is None:
        await store.write(lambda tx: _begin(tx, now))
        return 0
    due = list(work(config, done, now))
    if not due:
        if now - done.until > NOTED:
            await store.write(lambda tx: _advance(tx, done, now))
        return 0
    if any(one.judge for one in due):
        last = max(one.period.end for one in due if one.judge)
        if await store.read(lambda tx: sent.unread_before(tx, last)):
            log.info(_("obligations are judged as soon as the desk has read what came in before the end of the period"))
            return 0
    reckoned = [(one, await store.read(lambda tx, one=one: _accounts(tx, config, one.rule, one.period, now))) for one in due]  # type: ignore[misc]
    return await store.write(lambda tx: _carry_out(tx, config, done, reckoned, now))


def work(config: Config, done: Done, now: datetime) -> Iterator[Work]:
    """What fell due in (``done.until``, ``now``]: a reminder while its period lasts, a judgement after it."""
    conf, zone = config.obligations, ZoneInfo(config.timezone)
    back = timedelta(days=1, hours=conf.judge_hours)
    for whole in periods(done.until - back, now + timedelta(days=conf.remind_days), zone):
        judged = whole.end + timedelta(hours=conf.judge_hours)
        reminded = remind_at(whole, conf.remind_days, conf.remind_hour)
        for rule in conf.rules():
            if not observed(rule, whole, done.since):
                continue
            if done.until < judged <= now and (owed(rule, whole) or (rule.within and whole.month)):
                yield Work(rule, whole, True)
            if conf.remind_days and owed(rule, whole) and done.until < reminded <= now < whole.end:
                yield Work(rule, whole, False)


def shown(tx: Tx, config: Config, whole: Sequence[Period], now: datetime) -> list[Account]:
    """The accounts of every rule in the periods asked for; what a rule does not ask for in one is left out."""
    rules = config.obligations.rules()
    return [
        account
        for one in whole
        for rule in rules
        if owed(rule, one) or rule.within
        for account in _accounts(tx, config, rule, one, now)
    ]


def of_rules(tx: Tx, config: Config, rules: Sequence[Rule], whole: Period, now: datetime) -> list[Account]:
    """The accounts of these rules in a period."""
    return [account for rule in rules for account in _accounts(tx, config, rule, whole, now)]


def observed_from(tx: Tx, now: datetime) -> datetime:
    """Since when obligations are known here; ``now`` where they are not yet."""
    done = notes.get(tx, NOTE, Done)
    return done.since if done is not None else now


def asked(config: Config, now: datetime) -> tuple[Period, ...]:
    """The periods that are shown where none is asked for: the month and the year that go on."""
    return current(now, ZoneInfo(config.timezone))


def _accounts(tx: Tx, config: Config, rule: Rule, whole: Period, now: datetime) -> list[Account]:
    return accounts(rule, parties(rule, config.directory), _sent(tx, config, whole), whole, now)


def _sent(tx: Tx, config: Config, whole: Period) -> Iterator[Sent]:
    directory, zone = config.directory, ZoneInfo(config.timezone)
    for one in sent.came(tx, whole.start, whole.end):
        unit = directory.unit(one.sender)
        if unit is not None:
            person = directory.informant(one.sender)
            name = person.name if person else ""
            yield Sent(unit=unit.name, person=name, at=one.at, sort=one.sort, lag=lag(one.occurred, one.at, zone))


def _begin(tx: Tx, now: datetime) -> None:
    notes.lock(tx, NOTE)
    if notes.get(tx, NOTE, Done) is None:
        notes.put(tx, NOTE, Done(since=now, until=now))


def _advance(tx: Tx, done: Done, now: datetime) -> bool:
    """Move the note on, unless somebody else did."""
    notes.lock(tx, NOTE)
    if notes.get(tx, NOTE, Done) != done:
        return False
    notes.put(tx, NOTE, Done(since=done.since, until=now))
    return True


def _carry_out(tx: Tx, config: Config, done: Done, reckoned: Sequence[tuple[Work, list[Account]]], now: datetime) -> int:
    if not _advance(tx, done, now):
        return 0
    count = 0
    for one, found in reckoned:
        for account in found:
            if one.judge:
                count += _judge(tx, account, late=one.period.month, now=now)
            elif account.missing:
                count += _remind(tx, config, account, one.period, now)
    return count


def _judge(tx: Tx, account: Account, *, late: bool, now: datetime) -> int:
    """Record what was not sent and, of a month, what came too late."""
    found = []
    if account.state == "missing":
        found.append((SILENT, f"{account.rule} {account.period}: {account.sent}/{account.owed}"))
    if late and account.late:
        found.append((LATE, f"{account.rule} {account.period}: {account.late}"))
    for what, why in found:
        data = {"what": what, "responsible": [_name(account)], "unit": account.unit, "why": why}
        journal.emit(tx, Event(at=now, event="breach", data=data))
    return len(found)


def _remind(tx: Tx, config: Config, account: Account, whole: Period, now: datetime) -> int:
    ways = ways_to(config, account)
    if not ways:
        why = _("no way leads to {name}, which has to be reminded").format(name=_name(account))
        journal.emit(tx, Event(at=now, event="alarm", data=alarms.fields("conf", why, name=_name(account))))
        return 0
    last = whole.end - timedelta(days=1)
    values = {
        "unit": account.unit, "person": account.person, "city": config.city, "period": account.period,
        "obligation": account.rule, "owed": str(account.owed), "sent": str(account.sent), "missing": str(account.missing),
        "due": f"{last:%Y-%m-%d}",
    }  # fmt: skip
    texts = {name: render.fill(config.templates[f"obligation.{name}"], values) for name in ("subject", "txt", "sms")}
    row = deliveries.DeliveryRow(
        id=tx.new_id(), incident=None, message=None, destination=_name(account)[:64], duty="owed", transport=ways[0].transport,
        address=ways[0].address, created_at=now, next_try_at=now, ways=ways[1:],
    )  # fmt: skip
    content = deliveries.Content(subject=texts["subject"], text=texts["txt"], short_text=texts["sms"])
    deliveries.insert(tx, row, content)
    data = {"of": _name(account), "what": [account.rule], "how": "reminder", "unit": account.unit}
    journal.emit(tx, Event(at=now, event="asked", delivery=row.id, data=data))
    return 1


def ways_to(config: Config, account: Account) -> tuple[Address, ...]:
    """The ways to whoever owes: the telephones and addresses of its informants (of the one who owes), then the unit's mail."""
    unit = next((one for one in config.directory.units if one.name == account.unit), Unit(name=account.unit))
    by, usable = config.reply_transports, {one.name for one in config.transports}
    people = [one for one in unit.informants if account.person in ("", one.name)]
    found = [Address(transport=by["sms"], address=one.phone) for one in people if one.phone]
    found += [Address(transport=by["email"], address=one.mail) for one in people if one.mail]
    if unit.mail:
        found.append(Address(transport=by["email"], address=unit.mail))
    return tuple(way for way in dict.fromkeys(found) if way.transport in usable)


def view(account: Account, at: Any) -> dict[str, Any]:
    """One account for an output; ``at`` shows an instant."""
    return {
        "rule": account.rule, "unit": account.unit, "person": account.person or None, "period": account.period,
        "due": at(account.due), "owed": account.owed, "sent": account.sent, "missing": account.missing, "late": account.late,
        "state": account.state,
    }  # fmt: skip


def _name(account: Account) -> str:
    return f"{account.unit} {account.person}".strip()

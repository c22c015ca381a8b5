"""Figures of a period from the store: reads what is needed in one transaction and hands it to ``gateway.core.figures``."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import msgspec

from gateway import obligations
from gateway.core.figures import Figures, Told, reckon
from gateway.core.figures.model import Case
from gateway.core.figures.period import by_month, months, years
from gateway.core.obligations import Account, Period, Rule, observed
from gateway.settings import Config
from gateway.store import Tx
from gateway.store import figures as stored


class Gathered(msgspec.Struct, frozen=True, kw_only=True):
    """The figures, and what papers tell besides: the incidents by number, the accounts of what units owe."""

    figures: Figures
    cases: dict[str, Case]
    accounts: tuple[Account, ...]
    months: tuple[Figures, ...] = ()
    """The figures of each month of the period that has begun, where they were asked for."""


def gather(tx: Tx, config: Config, whole: Period, now: datetime, *, monthly: bool = False) -> Gathered:
    """Everything about ``whole``, as of ``now``; with ``monthly`` also month by month."""
    # A clock's limit may lie in the period though the first report came before it or long after.
    longest = max((clock.minutes for clock in config.clocks), default=0)
    since = whole.start - timedelta(minutes=longest)
    cases = list(stored.cases(tx, since, stored.acknowledged(tx, since)))
    accounts = tuple(owed(tx, config, whole, now))
    units = {unit.name: unit.county for unit in config.directory.units if unit.role == "unit"}
    told = list(_told(tx, config, whole))
    made = reckon(whole, cases, told, accounts, config.clocks, rate_clock=rate_clock(config), names=units, now=now)
    each: tuple[Figures, ...] = ()
    if monthly:
        begun = [one for one in months(whole) if one.start <= now]
        heaps = by_month(begun, cases)
        each = tuple(
            reckon(
                one, heaps[one.name], [report for report in told if one.start <= report.at < one.end],
                tuple(owed(tx, config, one, now)), config.clocks, rate_clock=rate_clock(config), names=units, now=now,
            )
            for one in begun
        )  # fmt: skip
    return Gathered(figures=made, cases={case.number: case for case in cases}, accounts=accounts, months=each)


def rate_clock(config: Config) -> str:
    """The clock that makes a first report late: the one whose silence is judged, else the unit's first."""
    named = [clock.id for clock in config.clocks if clock.id == config.duty_rules.silent_clock]
    return next(iter([*named, *(clock.id for clock in config.clocks if clock.responsible == "unit")]), "")


def _told(tx: Tx, config: Config, whole: Period) -> Iterator[Told]:
    known: dict[str, str] = {}
    for sender, at, number in stored.told(tx, whole.start, whole.end):
        if sender not in known:
            unit = config.directory.unit(sender)
            known[sender] = unit.name if unit is not None else ""
        yield Told(unit=known[sender], at=at, number=number)


def owed(tx: Tx, config: Config, whole: Period, now: datetime) -> Iterator[Account]:
    """What was owed in the months of ``whole``; where a rule has a number for the year, that of each whole year instead."""
    rules = config.obligations.rules()
    yearly = tuple(years(whole))
    for one in yearly:
        yield from _accounts(tx, config, [rule for rule in rules if rule.yearly], one, now)
    for one in months(whole):
        inside = any(year.start <= one.start and one.end <= year.end for year in yearly)
        yield from _accounts(tx, config, [rule for rule in rules if rule.monthly and not (inside and rule.yearly)], one, now)


def _accounts(tx: Tx, config: Config, rules: list[Rule], one: Period, now: datetime) -> Iterator[Account]:
    """As far as they are observed: nobody owed anything before the gateway knew of it."""
    seen = obligations.observed_from(tx, now)
    wanted = [rule for rule in rules if observed(rule, one, seen)]
    if wanted and one.start <= now:
        yield from obligations.of_rules(tx, config, wanted, one, now)


def view(found: Gathered) -> dict[str, Any]:
    """The figures as JSON: instants with the city's offset, every number with the incidents behind it."""
    shown: dict[str, Any] = msgspec.to_builtins(found.figures)
    return {**shown, "empty": found.figures.empty, "obligations": [obligations.view(a, _iso) for a in found.accounts]}


def _iso(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds")


def now(config: Config) -> datetime:
    """The present instant with the city's offset."""
    return datetime.now(ZoneInfo(config.timezone))

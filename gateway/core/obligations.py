"""What units owe beside the reports of their incidents (零报告): so many good reports a month and a year, and a day-to-day item
within some hours. Pure: rules, what was sent, and a period make an account.

A period is a month ``2026-11`` or a year ``2026``, local time, half open.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta, tzinfo
from typing import Literal

from msgspec import Struct

from gateway.core.directory import Directory, UnitRole
from gateway.core.model import Occurred

Sort = Literal["registered", "follow_up", "below_threshold", "drill", "needs_person"]
"""What became of a report: it opened an incident, followed one up, told of one below the threshold or of a drill, or a person
must read it. What was ignored or a copy is no report."""
State = Literal["met", "due", "missing", "nothing owed"]

_MONTH = re.compile(r"([0-9]{4})-(0[1-9]|1[0-2])")
_YEAR = re.compile(r"[0-9]{4}")
_SPAN = {"day": ("%Y-%m-%d", timedelta(days=1)), "hour": ("%Y-%m-%dT%H", timedelta(hours=1)),
         "minute": ("%Y-%m-%dT%H:%M", timedelta(0))}  # fmt: skip


class Rule(Struct, frozen=True, kw_only=True):
    """One obligation of conf/obligations.toml. ``units`` are names, ``roles`` roles of the directory; ``each`` says who owes it:
    the unit as a whole, or every registered informant. 0: nothing of the kind is owed. ``since``: not before that day."""

    name: str
    units: tuple[str, ...] = ()
    roles: tuple[UnitRole, ...] = ()
    each: Literal["unit", "informant"] = "unit"
    monthly: int = 0
    yearly: int = 0
    within: timedelta | None = None
    good: frozenset[str] = frozenset(("registered", "follow_up"))
    day_to_day: frozenset[str] = frozenset(("below_threshold",))
    since: date | None = None


class Period(Struct, frozen=True, order=True):
    """[start, end), and its name."""

    start: datetime
    end: datetime
    name: str

    @property
    def month(self) -> bool:
        """True of a month, False of a year."""
        return "-" in self.name


class Party(Struct, frozen=True, order=True):
    """Who owes: a unit, or one informant of it."""

    unit: str
    person: str = ""

    @property
    def name(self) -> str:
        """As it is shown."""
        return f"{self.unit} {self.person}".strip()


class Sent(Struct, frozen=True, kw_only=True):
    """One report that came in: from whom, when, what became of it, and how long after the event (None: not known)."""

    unit: str
    person: str = ""
    at: datetime
    sort: Sort
    lag: timedelta | None = None


class Account(Struct, frozen=True, kw_only=True):
    """How a party stands in a period. ``late`` counts day-to-day items that came later than the rule allows: not good ones."""

    rule: str
    unit: str
    person: str
    period: str
    due: datetime
    owed: int
    sent: int
    late: int
    state: State

    @property
    def missing(self) -> int:
        """How many are not there."""
        return max(0, self.owed - self.sent)


def period(text: str, zone: tzinfo) -> Period:
    """2026-11 or 2026 → its period. Raises ValueError for anything else."""
    if found := _MONTH.fullmatch(text):
        year, month = int(found[1]), int(found[2])
        after = (year + 1, 1) if month == 12 else (year, month + 1)
        if year:
            return Period(datetime(year, month, 1, tzinfo=zone), datetime(*after, 1, tzinfo=zone), text)
    if _YEAR.fullmatch(text) and 1 <= int(text) < 9999:
        return Period(datetime(int(text), 1, 1, tzinfo=zone), datetime(int(text) + 1, 1, 1, tzinfo=zone), text)
    raise ValueError(text)


def current(now: datetime, zone: tzinfo) -> tuple[Period, Period]:
    """The month and the year of ``now``."""
    local = now.astimezone(zone)
    return period(f"{local:%Y-%m}", zone), period(f"{local:%Y}", zone)


def periods(first: datetime, last: datetime, zone: tzinfo) -> Iterator[Period]:
    """Every month and year that touches [first, last], months before the year that ends with them."""
    start, until = first.astimezone(zone), last.astimezone(zone)
    for year in range(start.year, until.year + 1):
        for month in range(1, 13):
            if (start.year, start.month) <= (year, month) <= (until.year, until.month):
                yield period(f"{year:04d}-{month:02d}", zone)
        yield period(f"{year:04d}", zone)


def parties(rule: Rule, directory: Directory) -> list[Party]:
    """Who owes what ``rule`` asks for, in the order of the directory, each once."""
    found: dict[Party, None] = {}
    for unit in directory.units:
        if unit.name not in rule.units and unit.role not in rule.roles:
            continue
        if rule.each == "unit":
            found[Party(unit.name)] = None
        else:
            found.update((Party(unit.name, person.name), None) for person in unit.informants)
    return list(found)


def owed(rule: Rule, whole: Period) -> int:
    """How many good reports ``rule`` asks for in a period."""
    return rule.monthly if whole.month else rule.yearly


def observed(rule: Rule, whole: Period, since: datetime) -> bool:
    """Whether a period is judged: only one that the rule and the gateway (there since ``since``) saw from its first day on."""
    if rule.since is not None:
        return rule.since <= whole.start.date()
    return since <= whole.start


def accounts(rule: Rule, owing: Sequence[Party], sent: Iterable[Sent], whole: Period, now: datetime) -> list[Account]:
    """The account of each of ``owing`` in a period, as of ``now``."""
    heaps: Mapping[Party, list[Sent]] = defaultdict(list)
    for one in sent:
        if whole.start <= one.at < whole.end:
            heaps[Party(one.unit, one.person if rule.each == "informant" else "")].append(one)
    return [_account(rule, party, heaps.get(party, []), whole, now) for party in owing]


def _account(rule: Rule, party: Party, sent: Sequence[Sent], whole: Period, now: datetime) -> Account:
    late = [one for one in sent if is_late(rule, one)]
    good = sum(one.sort in rule.good and one not in late for one in sent)
    asked = owed(rule, whole)
    state: State = "nothing owed" if asked == 0 else "met" if good >= asked else "missing" if now >= whole.end else "due"
    return Account(
        rule=rule.name, unit=party.unit, person=party.person, period=whole.name, due=whole.end, owed=asked, sent=good,
        late=len(late), state=state,
    )  # fmt: skip


def is_late(rule: Rule, one: Sent) -> bool:
    """Whether a day-to-day item came later than the rule allows. Exactly at the limit is in time."""
    return rule.within is not None and one.sort in rule.day_to_day and one.lag is not None and one.lag > rule.within


def lag(occurred: Occurred | None, at: datetime, zone: tzinfo) -> timedelta | None:
    """How long after an event a report of it came, at least: a day that is known without the hour counts from its end. None
    where not even the day is known; never below zero."""
    form, span = _SPAN.get(occurred.precision if occurred else "", ("", timedelta(0)))
    if occurred is None or not form:
        return None
    try:
        local = datetime.strptime(occurred.value, form).replace(tzinfo=zone)
    except ValueError:
        return None
    return max(timedelta(0), at - (local + span))


def remind_at(whole: Period, days: int, hour: int) -> datetime:
    """When those who have not sent are reminded: ``days`` before the period's last day is over, at ``hour`` local."""
    return (whole.end - timedelta(days=days)).replace(hour=hour)

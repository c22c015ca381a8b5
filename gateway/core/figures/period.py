"""Periods of figures: a month 2026-09, a quarter 2026Q3, a year 2026, or from one day to another. Local time, half open."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime, timedelta, tzinfo

from gateway.core.figures.model import Case
from gateway.core.obligations import Period
from gateway.core.obligations import period as month_or_year

_QUARTER = re.compile(r"([0-9]{4})[Qq]([1-4])")
LAST = 9998
"""The last year whose end has a date."""
LONGEST = timedelta(days=366 * 10)


def named(text: str, zone: tzinfo) -> Period:
    """2026-09, 2026Q3 or 2026 → its period. Raises ValueError for anything else."""
    if found := _QUARTER.fullmatch(text):
        year, first = int(found[1]), int(found[2]) * 3 - 2
        if not 1 <= year < 9999:
            raise ValueError(text)
        after = (year + 1, 1) if first == 10 else (year, first + 3)
        return Period(datetime(year, first, 1, tzinfo=zone), datetime(*after, 1, tzinfo=zone), f"{year:04d}Q{found[2]}")
    return month_or_year(text, zone)


def between(first: date, last: date, zone: tzinfo) -> Period:
    """Both days and all between them. Raises ValueError where they run backwards or over ten years."""
    if not first <= last <= first + LONGEST or last.year >= 9999:
        raise ValueError(f"{first}/{last}")
    after = last + timedelta(days=1)
    return Period(_midnight(first, zone), _midnight(after, zone), f"{first.isoformat()}/{last.isoformat()}")


def title(whole: Period) -> str:
    """A period as it stands in a paper: 2026年9月, 2026年第三季度, 2026年, 2026年9月1日至15日 with both days in full."""
    if found := _QUARTER.fullmatch(whole.name):
        return f"{found[1]}年第{'一二三四'[int(found[2]) - 1]}季度"
    if "/" in whole.name:
        first, last = (date.fromisoformat(day) for day in whole.name.split("/"))
        return day_title(first) if first == last else f"{day_title(first)}至{day_title(last)}"
    year, _dash, month = whole.name.partition("-")
    return f"{int(year)}年{int(month)}月" if month else f"{int(year)}年"


def day_title(day: date) -> str:
    """2026-09-05 → 2026年9月5日, without leading zeros (GB/T 9704-2012, 7.3.5.4)."""
    return f"{day.year}年{day.month}月{day.day}日"


def months(whole: Period) -> Iterator[Period]:
    """The months that lie wholly in a period."""
    year, month = whole.start.year, whole.start.month
    while year <= LAST:
        one = month_or_year(f"{year:04d}-{month:02d}", whole.start.tzinfo or whole.end.tzinfo)  # type: ignore[arg-type]
        if one.end > whole.end:
            return
        if one.start >= whole.start:
            yield one
        year, month = (year + 1, 1) if month == 12 else (year, month + 1)


def by_month(whole: Sequence[Period], cases: Iterable[Case]) -> dict[str, list[Case]]:
    """The cases that may count in each of these months, by its name: by their first report or by the limit of a clock."""
    found: dict[str, list[Case]] = {one.name: [] for one in whole}
    if not whole:
        return found
    ends = [one.end for one in whole]
    for case in cases:
        instants = (case.first_at, *(clock.due for clock in (case.matter.clocks if case.matter else ())))
        for place in {bisect_right(ends, at) for at in instants if whole[0].start <= at < ends[-1]}:
            found[whole[place].name].append(case)
    return found


def years(whole: Period) -> Iterator[Period]:
    """The years that lie wholly in a period."""
    for year in range(whole.start.year, min(whole.end.year, LAST) + 1):
        one = month_or_year(f"{year:04d}", whole.start.tzinfo)  # type: ignore[arg-type]
        if one.start >= whole.start and one.end <= whole.end:
            yield one


def _midnight(day: date, zone: tzinfo) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=zone)

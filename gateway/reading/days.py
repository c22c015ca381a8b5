"""Days that a text names in part: 周五, 5日, 3月5日 without a year. Always the last such day that is not after today."""

from __future__ import annotations

from datetime import date, timedelta


def weekday(day: int, week: str, today: date) -> date:
    """The weekday ``day`` (Monday is 0) of the week that ``week`` names (上, 上上, 本), else the last one."""
    monday = today - timedelta(days=today.weekday())
    if week.startswith("上"):
        return monday + timedelta(days=day - (14 if week.startswith("上上") else 7))
    found = monday + timedelta(days=day)
    return found if found <= today or week else found - timedelta(days=7)


def day_of_month(day: int | None, today: date, context: date | None, month: str = "") -> date | None:
    """The 5日 nearest to the day the text speaks of that is not after today; today's own month or the one before."""
    if day is None:
        return None
    near = context or today
    first = today.replace(day=1)
    before = (first - timedelta(days=1)).replace(day=1)
    if month.startswith("上"):
        return valid(before.year, before.month, day)
    if month and month != "当月":
        return valid(first.year, first.month, day)
    around = {
        (d.year, d.month) for d in (near, near.replace(day=1) - timedelta(days=1), near.replace(day=28) + timedelta(days=5))
    }
    days = [d for year, number in around if (d := valid(year, number, day)) and d <= today]
    return min(days, key=lambda d: abs((d - near).days), default=None)


def past(year: int | None, month: int | None, day: int | None, today: date) -> date | None:
    """The date, in the last year in which it was not after today; what lies in the coming weeks is a plan, and None."""
    if month is None or day is None:
        return None
    if year is not None:
        return valid(year, month, day)
    this = valid(today.year, month, day)
    if this is None:
        return valid(today.year - 1, month, day)
    if this <= today:
        return this
    return None if (this - today).days <= 31 else valid(today.year - 1, month, day)


def valid(year: int, month: int, day: int) -> date | None:
    """The date, or None where the calendar has none such."""
    try:
        return date(year, month, day)
    except ValueError:
        return None

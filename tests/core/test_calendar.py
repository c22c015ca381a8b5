"""Each minute belongs to exactly one side: boundaries, holidays, shifted working weekends, years nobody knows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core.calendar import Calendar

HOURS = ((510, 720), (870, 1080))
CALENDAR = Calendar(
    timezone="Asia/Shanghai",
    hours=HOURS,
    years=frozenset({2026}),
    holidays={date(2026, 10, day): "国庆节" for day in range(1, 8)},
    workdays={date(2026, 10, 10): "国庆节"},
)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text + "+08:00")


@pytest.mark.parametrize(
    ("moment", "working", "why"),
    [
        ("2026-03-05T08:29:59.999999", False, "上班前"),
        ("2026-03-05T08:30:00", True, "工作时间"),
        ("2026-03-05T11:59:59.999999", True, "工作时间"),
        ("2026-03-05T12:00:00", False, "午休"),
        ("2026-03-05T14:29:59", False, "午休"),
        ("2026-03-05T14:30:00", True, "工作时间"),
        ("2026-03-05T17:59:59", True, "工作时间"),
        ("2026-03-05T18:00:00", False, "下班后"),
        ("2026-03-05T00:00:00", False, "上班前"),
        ("2026-03-07T10:00:00", False, "周末"),
        ("2026-10-01T10:00:00", False, "国庆节"),
        ("2026-10-07T23:59:59", False, "国庆节"),
        ("2026-10-08T08:30:00", True, "工作时间"),
        ("2026-10-10T10:00:00", True, "工作时间（国庆节调休上班）"),
        ("2026-10-10T12:00:00", False, "午休（国庆节调休上班）"),
        ("2026-10-11T10:00:00", False, "周末"),
    ],
)
def test_sides(moment: str, working: bool, why: str) -> None:
    found = CALENDAR.moment(at(moment))
    assert (found.working, found.why, found.known) == (working, why, True)


def test_the_citys_own_time_decides_whatever_the_offset() -> None:
    found = CALENDAR.moment(datetime(2026, 3, 5, 0, 30, tzinfo=UTC))
    assert found.working
    assert found.local == at("2026-03-05T08:30:00")
    assert found.local.utcoffset() == timedelta(hours=8)


def test_year_turn_follows_the_citys_own_time() -> None:
    assert CALENDAR.moment(datetime(2026, 12, 31, 15, 59, tzinfo=UTC)).known
    assert not CALENDAR.moment(datetime(2026, 12, 31, 16, 0, tzinfo=UTC)).known


def test_unknown_year_is_out_of_hours_and_says_so() -> None:
    found = CALENDAR.moment(at("2027-03-03T10:00:00"))
    assert (found.working, found.known) == (False, False)
    assert "2027" in found.why


def test_naive_instant_is_refused() -> None:
    with pytest.raises(ValueError, match="offset"):
        CALENDAR.moment(datetime(2026, 3, 5, 10, 0))


def test_a_day_may_end_at_midnight() -> None:
    night = Calendar(timezone="Asia/Shanghai", hours=((0, 1440),), years=frozenset({2026}))
    assert night.moment(at("2026-03-05T23:59:59")).working
    assert night.moment(at("2026-03-06T00:00:00")).working


@given(st.integers(0, 366 * 24 * 60 - 1), st.integers(0, 59))
def test_each_minute_is_on_exactly_one_side(minute: int, second: int) -> None:
    start = at("2026-01-01T00:00:00") + timedelta(minutes=minute)
    found = CALENDAR.moment(start + timedelta(seconds=second))
    assert found.working == CALENDAR.moment(start).working
    day, clock = start.date(), start.hour * 60 + start.minute
    open_day = day in CALENDAR.workdays or (day not in CALENDAR.holidays and day.weekday() < 5)
    expected = open_day and (510 <= clock < 720 or 870 <= clock < 1080) and day.year == 2026
    assert found.working == expected
    assert found.why

"""The clocks: exact to the instant, one function for the deadline, stopped only by what stops them."""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.core import clocks
from gateway.core.model import Occurred
from gateway.core.parsing import ParseFaults
from tests.core.example import conf

ZONE = "Asia/Shanghai"
START = datetime(2026, 3, 5, 22, 30, tzinfo=ZoneInfo(ZONE))
CLOCKS = {clock.id: clock for clock in clocks.parse(conf("clocks"))}
MINUTE = timedelta(minutes=1)


def test_the_six_limits() -> None:
    assert {name: clock.minutes for name, clock in CLOCKS.items()} == {
        "initial": 30, "phone": 60, "written": 120, "province": 240, "centre": 360, "missed": 1440,
    }  # fmt: skip
    assert {name for name, clock in CLOCKS.items() if clock.responsible == "office"} == {"province", "centre"}


@pytest.mark.parametrize("name", CLOCKS)
def test_exactly_at_the_limit_is_in_time(name: str) -> None:
    clock = CLOCKS[name]
    limit = clocks.due(clock, START)
    channel = "upward" if clock.stopped_by == "upward" else "email"
    assert clocks.state_of(clock, START, False, [], limit).state == "running"
    assert clocks.state_of(clock, START, False, [], limit + timedelta(microseconds=1)).state == "passed"
    assert clocks.state_of(clock, START, False, [(limit, channel)], limit).state == "stopped"
    late = limit + timedelta(microseconds=1)
    stopped = clocks.state_of(clock, START, False, [(late, channel)], late + MINUTE)
    assert (stopped.state, stopped.stopped_at, stopped.due) == ("passed", late, limit)


@pytest.mark.parametrize(
    ("channel", "stops"),
    [
        ("sms", {"initial", "missed"}),
        ("phone", {"initial", "phone", "missed"}),
        ("fax", {"initial", "phone", "written", "missed"}),
        ("email", {"initial", "phone", "written", "missed"}),
        ("upward", {"initial", "province", "centre", "missed"}),
    ],
)
def test_what_stops_what(channel: str, stops: set[str]) -> None:
    at = START + 5 * MINUTE
    states = {name: clocks.state_of(clock, START, False, [(at, channel)], at + MINUTE).state for name, clock in CLOCKS.items()}
    assert {name for name, state in states.items() if state == "stopped"} == stops


def test_a_receipt_in_the_future_stops_nothing() -> None:
    later = START + 10 * MINUTE
    assert clocks.state_of(CLOCKS["initial"], START, False, [(later, "sms")], START + MINUTE).state == "running"


@pytest.mark.parametrize(
    ("value", "precision", "expected", "estimated"),
    [
        ("2026-03-05T22:30", "minute", START, False),
        ("2026-03-05T22", "hour", START - 30 * MINUTE, True),
        ("2026-03-05", "day", START.replace(hour=0, minute=0), True),
        ("2026-03", "month", START.replace(day=1, hour=0, minute=0), True),
        ("2026", "year", START.replace(month=1, day=1, hour=0, minute=0), True),
        ("2026-03-07T09:00", "minute", START + 60 * MINUTE, True),
        ("nonsense", "minute", START + 60 * MINUTE, True),
    ],
)
def test_anchor(value: str, precision: str, expected: datetime, estimated: bool) -> None:
    occurred = Occurred(value=value, precision=precision)  # type: ignore[arg-type]
    assert clocks.anchor(occurred, START + 60 * MINUTE, ZONE) == (expected, estimated)


def test_unknown_time_counts_from_the_first_receipt() -> None:
    assert clocks.anchor(None, START, ZONE) == (START, True)


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_a_passed_clock_stays_passed(first: int, more: int) -> None:
    clock = CLOCKS["written"]
    earlier = clocks.state_of(clock, START, False, [], START + first * MINUTE)
    later = clocks.state_of(clock, START, False, [], START + (first + more) * MINUTE)
    assert earlier.due == later.due
    assert not (earlier.state == "passed" and later.state != "passed")


@pytest.mark.parametrize(
    ("table", "key"),
    [
        ({"minutes": 0}, "minutes"), ({"minutes": True}, "minutes"), ({"stopped_by": "mail"}, "stopped_by"),
        ({"responsible": "nobody"}, "responsible"), ({"warn_minutes": 30}, "warn_minutes"), ({"id": ""}, "id"),
        ({"colour": 1}, "colour"),
    ],
)  # fmt: skip
def test_faults(table: dict[str, object], key: str) -> None:
    good = {"id": "x", "title": "x", "minutes": 30, "stopped_by": "any", "responsible": "unit"}
    with pytest.raises(ParseFaults) as caught:
        clocks.parse({"clock": [good | table]})
    assert [f.path for f in caught.value.faults] == [("clock", 0, key)]


def test_no_clock_is_a_fault() -> None:
    for data in ({}, None, {"clock": 1}):
        with pytest.raises(ParseFaults):
            clocks.parse(data)

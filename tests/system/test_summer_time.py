"""The daemon's instants are reckoned with in seconds, also in the hour when a city's clocks are put forward or back."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import explain, house
from gateway.conf_load import load
from gateway.core.calendar import fixed
from gateway.duty.timekeeper import Wall
from gateway.host import Host
from gateway.simulate import run

SHIPPED = Path(__file__).parents[2] / "conf"
BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("utc", [datetime(2026, 3, 29, 1, 0, 15, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, 15, tzinfo=UTC)])
@pytest.mark.parametrize("step", [timedelta(minutes=-2), timedelta(hours=-3), timedelta(hours=3)])
def test_a_span_before_or_after_now_is_so_long(utc: datetime, step: timedelta) -> None:
    now = fixed(utc.astimezone(BERLIN))
    assert now == utc
    assert (now + step).timestamp() - now.timestamp() == step.total_seconds()


ZONES = ["Europe/Berlin", "Asia/Shanghai", "Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Chatham"]
CHANGES = [datetime(2026, 3, 29, 1, tzinfo=UTC), datetime(2026, 10, 25, 1, tzinfo=UTC), datetime(2026, 4, 4, 15, tzinfo=UTC)]


@given(st.lists(st.tuples(st.sampled_from(ZONES), st.sampled_from(CHANGES), st.integers(-4_000_000, 4_000_000)), min_size=1))
def test_the_clock_of_the_daemon_has_such_instants(asked: list[tuple[str, datetime, int]]) -> None:
    """Whatever it was asked before, in that zone or in another, on either side of a change."""
    name, at = "", 0.0
    wall = Wall(lambda: name, lambda: at)
    for name, change, off in asked:
        at = change.timestamp() + off / 1000
        told, zone = wall(), datetime.fromtimestamp(at, ZoneInfo(name))
        assert told == zone.astimezone(UTC) and told.utcoffset() == zone.utcoffset() and not isinstance(told.tzinfo, ZoneInfo)


@pytest.mark.parametrize(
    ("change", "like"), [("2026-03-29T01:00:00+00:00", "Etc/GMT-1"), ("2026-10-25T01:00:00+00:00", "Etc/GMT-2")]
)
def test_nobody_is_reminded_sooner_or_later_for_it(tmp_path: Path, change: str, like: str) -> None:
    """The same night in Berlin, whose clocks are set at one o'clock UTC, and in a zone of that offset whose clocks are not."""
    at = datetime.fromisoformat(change)
    told = {"at": (at - timedelta(minutes=20)).isoformat(), "do": "receive", "channel": "sms", "sender": "+8613800000002",
            "text": "云台区云台镇一仓库起火，3人死亡，2人受伤。云台区政府办报告"}  # fmt: skip
    lines = [json.dumps(line) for line in (told, {"at": (at + timedelta(hours=3)).isoformat(), "do": "end"})]
    conf = Path(shutil.copytree(SHIPPED, tmp_path / "conf", ignore=shutil.ignore_patterns("state")))
    toml = conf / "gateway.toml"
    before = toml.read_text(encoding="utf-8")
    nights = []
    for zone in ("Europe/Berlin", like):
        toml.write_text(before.replace("Asia/Shanghai", zone), encoding="utf-8")
        made = house.build(load(conf, Host.load(conf)), bureau_public=explain.throwaway_key())
        events = [(datetime.fromisoformat(event["at"]).astimezone(UTC), event["event"]) for event in run(made, lines)]
        assert 20 < len(events) < 2000
        nights.append([event for event in events if event[1] in ("asked", "clock_due", "clock_passed", "escalated")])
    assert nights[0] == nights[1]
    assert len(nights[0]) > 5

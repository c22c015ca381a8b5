"""The daemon's instants are reckoned with in seconds, also in the hour when a city's clocks are put forward or back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from gateway import service

BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("utc", [datetime(2026, 3, 29, 1, 0, 15, tzinfo=UTC), datetime(2026, 10, 25, 1, 0, 15, tzinfo=UTC)])
@pytest.mark.parametrize("step", [timedelta(minutes=-2), timedelta(hours=-3), timedelta(hours=3)])
def test_a_span_before_or_after_now_is_so_long(utc: datetime, step: timedelta) -> None:
    now = service.fixed(utc.astimezone(BERLIN))
    assert now == utc
    assert (now + step).timestamp() - now.timestamp() == step.total_seconds()


def test_the_clock_of_the_daemon_has_such_instants() -> None:
    daemon = service.Service.__new__(service.Service)
    daemon.config = SimpleNamespace(timezone="Europe/Berlin")  # type: ignore[assignment]
    assert not isinstance(daemon._wall().tzinfo, ZoneInfo)
    assert daemon._wall().utcoffset() == datetime.now(BERLIN).utcoffset()

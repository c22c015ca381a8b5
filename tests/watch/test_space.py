"""Disk space: a forecast that one burst, a rotation or a clock does not fool, one alarm for each crossing, kept over a restart."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms import Alarms
from gateway.core import space
from gateway.core.space import Limits, Sample, Space
from gateway.doctor import checks, gather
from gateway.settings import Config
from gateway.space import SpaceWatch
from gateway.store import Store
from tests.watch.conftest import Clock, changed, events

GIB = 1 << 30
STEP = 600.0
DAY = 86_400.0
LIMITS = Limits(least_bytes=GIB, least_percent=2.0, horizon=timedelta(days=7), least_samples=12)


def line(free: list[float], step: float = STEP) -> list[Sample]:
    return [Sample(1.7e9 + number * step, round(one)) for number, one in enumerate(free)]


@given(st.integers(12, 400), st.floats(1, 1e7), st.floats(0, 2), st.floats(0, 0.2), st.integers(0, 99))
def test_a_steady_fall_is_foreseen(count: int, rate: float, share: float, noise: float, seed: int) -> None:
    """Free space falls by ``rate`` bytes a second, give or take; it is over in ``share`` times the time looked at."""
    some, back = random.Random(seed), (count - 1) * STEP
    left = rate * back * share
    found = space.full_in(
        line([left + rate * (back - n * STEP) + some.uniform(-noise, noise) * rate * STEP for n in range(count)]), 12
    )
    if share < 1.9:
        assert found is not None
        assert abs(found.total_seconds() - left / rate) <= 0.12 * left / rate + STEP


@given(st.lists(st.integers(0, 10 * GIB), max_size=11))
def test_too_few_samples_make_no_forecast(free: list[int]) -> None:
    assert space.full_in(line([*map(float, free)]), 12) is None


@given(st.lists(st.integers(0, GIB), min_size=12, max_size=300))
def test_what_never_falls_is_never_full(free: list[int]) -> None:
    assert space.full_in(line([*map(float, sorted(free))]), 12) is None


@given(st.integers(12, 300), st.data())
def test_one_burst_is_no_trend(count: int, data: st.DataObject) -> None:
    """A file of any size is written at any moment and stays, or is there for one sample: nothing else changes."""
    at, stays = data.draw(st.integers(0, count - 1)), data.draw(st.booleans())
    free = [50.0 * GIB] * count
    for number in range(at, count if stays else at + 1):
        free[number] -= data.draw(st.shared(st.floats(0, 49.9 * GIB), key="size"))
    assert space.full_in(line(free), 12) is None


@settings(max_examples=40)
@given(st.integers(6, 140), st.floats(1, 20), st.floats(0.5, 40), st.integers(0, 1000))
def test_what_is_rotated_again_and_again_is_no_trend(period: int, size: float, least: float, phase: int) -> None:
    """A log grows to ``size`` GiB and is deleted every ``period`` samples; ``least`` GiB are free beside it."""
    free = [(least + size * (1 - ((n + phase) % period) / period)) * GIB for n in range(1000)]
    assert space.full_in(line(free), 12) is None


def test_a_disk_that_fills_today_is_seen_through_a_calm_week() -> None:
    calm, fast = [100.0 * GIB] * 950, [100.0 * GIB - n * GIB for n in range(1, 61)]
    found = space.full_in(line(calm + fast), 12)
    assert found is not None and timedelta(hours=6) < found < timedelta(hours=8)


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, GIB)), max_size=40), st.floats(0, 1e6))
def test_samples_are_kept_in_order_and_not_from_the_future(rows: list[tuple[float, int]], now: float) -> None:
    samples: list[Sample] = []
    for at, free in [*rows, (now, 5)]:
        samples = space.kept(samples, Sample(at, free), timedelta(seconds=5e5))
    assert samples[-1] == Sample(now, 5)
    assert [one.at for one in samples] == sorted({one.at for one in samples})
    assert all(now - 5e5 <= one.at <= now for one in samples)


@given(st.lists(st.tuples(st.integers(0, 3 * GIB), st.none() | st.floats(0, 20)), max_size=40))
def test_a_trouble_is_said_once_and_is_over_once(looks: list[tuple[int, float | None]]) -> None:
    standing: dict[Any, int] = {}
    for free, days in looks:
        before = set(standing)
        end = None if days is None else timedelta(days=days)
        say, over, standing = space.judge(Space(free=free, total=100 * GIB, full_in=end), LIMITS, standing)
        assert set(say) == set(standing) - before and set(over) == before - set(standing)
        if free < 2 * GIB:  # 2 % of the disk
            assert "low" in standing
        if end is not None and end <= LIMITS.horizon:
            assert "filling" in standing
    for _look in range(space.CALM):
        _say, _over, standing = space.judge(Space(free=3 * GIB, total=100 * GIB), LIMITS, standing)
    assert standing == {}


def test_a_small_disk_is_asked_for_half() -> None:
    assert space.floor(GIB, LIMITS) == GIB // 2
    assert space.floor(1000 * GIB, LIMITS) == 20 * GIB


class Disks:
    """A watch over a store, and two file systems whose space is as told."""

    def __init__(self, open_store: Callable[[], Store], clock: Clock, config: Config) -> None:
        self.open_store, self.clock, self.config = open_store, clock, config
        self.free = {"state": 100 * GIB, "log": 100 * GIB}
        self.begin()

    def begin(self) -> None:
        """As after a start."""
        self.store = self.open_store()
        self.alarms = Alarms(self.store, self.clock)
        self.watch = SpaceWatch(self.store, self.alarms, config=lambda: self.config, clock=self.clock, measure=self.measure)

    def measure(self, path: Path) -> tuple[int, int, int]:
        name = "log" if path == self.config.audit_log.parent else "state"
        return ("state", "log").index(name), self.free[name], 200 * GIB

    async def look(self, minutes: float = 60, **less: int) -> list[tuple[str, str]]:
        """One look later; the alarms that it raised."""
        self.clock.on(minutes=minutes)
        self.free = {name: free - less.get(name, 0) for name, free in self.free.items()}
        before = len(events(self.store, "alarm"))
        await self.watch.look()
        await self.alarms.flush()
        return [(one.data["name"], one.data["why"]) for one in events(self.store, "alarm")[before:]]


@pytest.fixture
def disks(open_store: Callable[[], Store], clock: Clock, shipped: Config, tmp_path: Path) -> Disks:
    config = replace(
        changed(shipped, disk={"sample_minutes": 60.0}), state=tmp_path / "state", audit_log=tmp_path / "log" / "audit.jsonl"
    )
    return Disks(open_store, clock, config)


async def test_it_is_told_before_it_is_full_once_and_over_a_restart(disks: Disks) -> None:
    told: list[tuple[str, str]] = []
    for number in range(60):
        told += await disks.look(log=GIB)
        if number == 45:
            disks.begin()
    ((name, why),) = told
    assert name == "log"
    assert "full in" in why or "写满" in why
    assert disks.watch.spaces["state"].full_in is None
    end = disks.watch.spaces["log"].full_in
    assert end is not None and end < timedelta(days=7)
    disks.free["log"] += 50 * GIB
    told = [one for _number in range(170) for one in await disks.look()]
    assert told == [] and disks.watch.spaces["log"].full_in is None, "nothing grows any more"
    told = [one for _number in range(88) for one in await disks.look(log=GIB)]
    assert {name for name, _why in told} == {"log"} and len(told) == 2, "it fills again, and at last little is left"


async def test_too_little_is_told_at_once_without_any_history(disks: Disks) -> None:
    disks.free["state"] = GIB
    ((name, why),) = await disks.look()
    assert name == "state" and "1024 MiB" in why
    assert [await disks.look() for _number in range(20)] == [[]] * 20
    assert await disks.look(minutes=1, state=0) == []


async def test_between_two_samples_nothing_is_measured(disks: Disks) -> None:
    await disks.look()
    disks.free["state"] = 0
    assert await disks.look(minutes=30) == []
    assert len(await disks.look(minutes=30)) == 1


async def test_doctor_says_it_from_what_the_daemon_kept(disks: Disks, url: str) -> None:
    for _number in range(60):
        await disks.look(log=GIB)
    disks.config.audit_log.parent.mkdir(parents=True)
    config = replace(disks.config, store_url=url)
    (end,) = gather._ends(config).values()
    assert timedelta(hours=39) < end < timedelta(hours=41)
    found = checks._filling("/x", end, config.disk.horizon_days)
    assert found.state == "warn"

"""The daemon's sense of time, with the wall clock and CLOCK_BOOTTIME handed in."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import sqlalchemy as sa
from msgspec.structs import replace

from gateway import preparing, register
from gateway.alarms import Alarms
from gateway.core.duty.matter import Follow, Matter
from gateway.core.model import Message
from gateway.duty.timekeeper import TOLERANCE, Steady, Timekeeper, Trust
from gateway.explain import raw_message
from gateway.house import House
from gateway.intake import take_in
from gateway.store import Store, StoreKeys, Tx, incidents, journal, matters, messages, tables
from tests.duty.conftest import FIRE, UNIT, instant


class Clocks:
    """Both clocks of a host: they go on together, and the wall clock can be set."""

    def __init__(self) -> None:
        self.wall, self.since_boot = instant("09:10"), 1000.0

    def on(self, **amount: float) -> None:
        self.wall += timedelta(**amount)
        self.since_boot += timedelta(**amount).total_seconds()


class Daemon:
    """A timekeeper over a store, without its loop: ``round`` is what the loop does."""

    def __init__(self, house: House, url: str) -> None:
        self.clocks = Clocks()
        self.steady = Steady(lambda: self.clocks.wall, lambda: self.clocks.since_boot)
        self.store = Store.open(url, StoreKeys(bytes(range(32))), clock=self.steady)
        self.alarms = Alarms(self.store, self.steady)
        self.house = dataclasses.replace(house, trusted=self._trusted)
        self.woken = 0
        self.timekeeper = Timekeeper(self.store, self.house, clock=self.steady, alarms=self.alarms, wake_dispatch=self._wake)

    def _trusted(self) -> bool:
        return self.timekeeper.trusted()

    def _wake(self) -> None:
        self.woken += 1

    def report(self, text: str = FIRE.format(when="9时")) -> None:
        """A fire at 09:00, told at 09:10 by short message."""
        now = self.steady()
        line = {"channel": "sms", "sender": UNIT, "text": text, "received_at": now.isoformat()}
        accepted = self.store.write_now(lambda tx: take_in(tx, raw_message(line), now, 0.0))
        row = self.store.read_now(lambda tx: messages.get(tx, accepted.id))
        prepared = preparing.prepare(self.house, row, Message(text=str(line["text"])))
        self.store.write_now(lambda tx: register.take(tx, self.house, row, prepared, now))

    async def on(self, **amount: float) -> None:
        """Time goes on; then the daemon looks at its clocks and does what is due."""
        self.clocks.on(**amount)
        self.timekeeper._look()
        while await self.timekeeper.round():
            pass

    def events(self, *names: str) -> list[tuple[str, str]]:
        entries = self.store.read_now(lambda tx: journal.entries(tx, names=names, limit=1000))
        local = ((self.house.local(one.event.at), one.event) for one in entries)
        return [(f"{at:%H:%M}", str(event.data.get("clock") or event.data.get("step") or event.event)) for at, event in local]


@pytest_asyncio.fixture
async def daemon(house: House, tmp_path: Path) -> AsyncIterator[Daemon]:
    made = Daemon(house, f"sqlite:///{tmp_path}/store.db")
    yield made
    made.store.close()


@pytest.mark.parametrize(("leap", "good"), [(TOLERANCE, True), (-TOLERANCE, True), (TOLERANCE + 0.001, False), (-86_400.0, False)])
def test_a_wall_clock_is_believed_within_the_tolerance(leap: float, good: bool) -> None:
    trust = Trust(1_000_000.0, 50.0)
    assert trust.look(1_000_100.0, 150.0) and trust.look(1_000_200.0 + leap, 250.0) is good
    trust.confirm(1_000_300.0 + leap, 350.0)
    assert trust.look(1_000_400.0 + leap, 450.0)


def test_steady_time_follows_the_wall_clock_until_it_leaps() -> None:
    clocks = Clocks()
    steady = Steady(lambda: clocks.wall, lambda: clocks.since_boot)
    clocks.on(minutes=1)
    clocks.wall += timedelta(seconds=4)  # slewed a little
    assert steady() == instant("09:11:04") and steady.look() is None
    clocks.wall += timedelta(days=1)
    assert steady() == instant("09:11") and steady.look() == pytest.approx(86_404)
    assert steady.confirm() == pytest.approx(86_404)
    assert steady() == clocks.wall and steady.look() is None


@pytest.mark.parametrize("days", [1, -1])
async def test_when_the_clock_is_set_escalations_go_on_and_judgements_wait(daemon: Daemon, days: int) -> None:
    daemon.report()
    await daemon.on(minutes=1)
    daemon.clocks.wall += timedelta(days=days)
    await daemon.on(minutes=4)
    await daemon.on(minutes=15)
    assert [at for at, step in daemon.events("escalated") if step in ("other_way", "next", "leader", "office")][:3] == ["09:15"] * 3
    assert {at for at, _step in daemon.events("escalated")} >= {"09:15", "09:30"}
    await daemon.on(minutes=40)
    assert daemon.events("clock_passed") == [] and daemon.alarms.count > 0
    assert daemon.woken > 0
    assert (await daemon.timekeeper.confirm("operator"))["off_by"] == pytest.approx(days * 86_400)
    await daemon.on(minutes=1)
    # By a clock that was set back and confirmed the limit is still to come.
    assert [clock for _at, clock in daemon.events("clock_passed")][:1] == (["phone"] if days > 0 else [])


async def test_what_could_not_be_judged_is_judged_as_soon_as_the_clock_is_right_again(daemon: Daemon) -> None:
    daemon.report()
    daemon.clocks.wall += timedelta(hours=1)
    await daemon.on(minutes=51)
    assert daemon.events("clock_passed") == []
    daemon.clocks.wall -= timedelta(hours=1)
    await daemon.on(minutes=1)
    assert daemon.events("clock_passed") == [("10:02", "phone")]


async def test_a_matter_that_waits_only_for_a_judgement_is_not_lost_while_the_clock_is_not_believed(daemon: Daemon) -> None:
    daemon.report()
    number = daemon.store.read_now(lambda tx: incidents.get(tx, "0001").id)
    kept = daemon.store.read_now(lambda tx: matters.get(tx, number))
    assert kept is not None
    # Nothing else is left: everybody has it, nobody is to be told, asked or reminded.
    alone = replace(kept.matter, offers=(), tellings=(), signing=None, boundary=None, follow=replace(kept.matter.follow, ask_at=None))
    daemon.store.write_now(lambda tx: matters.put(tx, number, alone, daemon.steady(), kept.revision))
    daemon.clocks.wall -= timedelta(days=1)
    await daemon.on(minutes=51)
    assert daemon.store.read_now(matters.without_next_step) == []
    daemon.clocks.wall += timedelta(days=1)
    await daemon.on(minutes=2)
    assert [clock for _at, clock in daemon.events("clock_passed")] == ["phone"]


async def test_a_fault_in_one_matter_holds_up_no_other(daemon: Daemon, monkeypatch: pytest.MonkeyPatch) -> None:
    daemon.report()
    daemon.store.write_now(lambda tx: matters.put(tx, "0" * 26, _broken(), daemon.steady(), None))
    await daemon.on(minutes=5)
    assert len(daemon.events("escalated")) >= 3
    later = daemon.store.read_now(lambda tx: matters.due(tx, daemon.steady()))
    assert later == []


def _broken() -> Matter:
    at = instant("09:00")
    return Matter(number="2026-9999", first_at=at, start=at, follow=Follow(last_at=at))


async def test_the_loop_carries_out_what_is_due_and_ends_when_told(daemon: Daemon) -> None:
    daemon.report()
    daemon.clocks.on(minutes=6)
    daemon.timekeeper.start()
    for _ in range(200):
        await asyncio.sleep(0.01)
        if daemon.events("escalated"):
            break
    await daemon.timekeeper.stop()
    assert {at for at, _step in daemon.events("escalated")} == {"09:16"}


@pytest.mark.parametrize("asked", [lambda tx: matters.due(tx, instant("09:00")), matters.next_at])
def test_a_tick_asks_one_question_of_one_index(asked: Callable[[Tx], Any], tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/plan.db", StoreKeys(bytes(range(32))), clock=lambda: instant("09:00"))
    said: list[str] = []

    def explained(tx: Tx) -> list[str]:
        driver = tx.conn.connection.driver_connection
        driver.set_trace_callback(said.append)
        asked(tx)
        driver.set_trace_callback(None)
        (text,) = said
        return [row[-1] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}")]

    (plan,) = store.read_now(explained)
    store.close()
    assert plan.startswith("SEARCH matters USING") and "INDEX matters_next_at" in plan


async def test_an_incident_that_cannot_be_taken_over_does_not_keep_the_daemon_from_its_start(daemon: Daemon) -> None:
    daemon.report()
    daemon.report("白水县政府办：今日9时白水县一煤矿透水，3人死亡、2人被困。")
    bad, good = (one.id for one in reversed(daemon.store.read_now(incidents.rows)))

    def older(tx: Tx) -> None:
        tx.run(sa.delete(tables.matters))
        tx.run(sa.update(tables.vault).where(tables.vault.c.id == bad).values(sealed=b"\x01" * 60))

    daemon.store.write_now(older)
    daemon.store._cache.clear()
    await daemon.timekeeper.adopt()
    there = [daemon.store.read_now(lambda tx, one=one: matters.get(tx, one)) is not None for one in (bad, good)]
    assert there == [False, True]
    (alarm,) = daemon.alarms.unwritten()
    assert alarm.data["what"] == "desk" and "2026-0001" in alarm.data["why"]

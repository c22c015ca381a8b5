"""The watchdog is fed from the turns of work loops alone, and by nobody while one of them stands still."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import house as houses
from gateway import judging
from gateway.alarms import Alarms
from gateway.conf_load import load
from gateway.core.model import Message, RawMessage
from gateway.desk import Desk
from gateway.dispatch import Dispatcher
from gateway.heartbeat import WORK, Heartbeat, asked_interval, turn
from gateway.host import Host
from gateway.intake import take_in
from gateway.store import Store, StoreKeys
from gateway.trying import Backoff, Rules
from gateway.workers import START_SECONDS

ROOT = Path(__file__).parents[2]
CONFIG = load(ROOT / "conf", Host.load(ROOT / "conf"))

NAMES = st.sampled_from(["desk-sms", "desk-fax", "dispatch", "sealer"])
TURNS = st.lists(st.tuples(NAMES, st.floats(0, 100), st.floats(1, 200)), max_size=40)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def watched(seconds: int = 30) -> tuple[Heartbeat, Clock, list[str]]:
    said: list[str] = []
    clock = Clock()
    environ = {"WATCHDOG_USEC": str(seconds * 1_000_000), "WATCHDOG_PID": str(os.getpid())}
    return Heartbeat(said.append, clock=clock, environ=environ), clock, said


def feedings(said: list[str]) -> int:
    return said.count("WATCHDOG=1")


@given(TURNS)
def test_fed_if_and_only_if_every_promise_holds(turns: list[tuple[str, float, float]]) -> None:
    """Against a model that keeps every promise apart and looks at all of them at every turn."""
    heart, clock, said = watched()
    model: dict[str, float] = {}
    fed_at = float("-inf")
    for loop, passed, within in turns:
        clock.now += passed
        before = feedings(said)
        heart.here(loop, within)
        model[loop] = clock.now + within
        held = all(clock.now <= until for until in model.values())
        due = held and clock.now - fed_at >= 1.0
        assert feedings(said) - before == due
        if due:
            fed_at = clock.now


@given(TURNS)
def test_a_turn_never_mends_another_loops_promise(turns: list[tuple[str, float, float]]) -> None:
    promises: dict[str, float] = {}
    now = 0.0
    for loop, passed, within in turns:
        now += passed
        after = turn(promises, loop, now, within)
        assert {name: until for name, until in after.promises.items() if name != loop} == {
            name: until for name, until in promises.items() if name != loop
        }
        assert loop not in after.broken
        promises = dict(after.promises)


def test_a_loop_that_stands_still_is_named_and_nobody_feeds_until_it_is_back() -> None:
    heart, clock, said = watched()
    alarms: list[str] = []
    heart.on_broken = alarms.append
    heart.here("desk-fax", 20)
    heart.here("dispatch", 20)
    assert feedings(said) == 1
    clock.now += 21
    for _ in range(5):
        clock.now += 2
        heart.here("dispatch", 20)
    assert feedings(said) == 1
    assert heart.broken == ("desk-fax",)
    assert len(alarms) == 1, "said once"
    assert "desk-fax" in alarms[0]
    assert [line for line in said if "desk-fax" in line and line.startswith("STATUS=")]
    clock.now += 1
    heart.here("desk-fax", 20)
    assert feedings(said) == 2
    assert heart.broken == ()


def test_nothing_is_fed_between_turns() -> None:
    heart, clock, said = watched()
    heart.here("dispatch")
    clock.now += 3600
    assert feedings(said) == 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "77"}, 30.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "78"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
    ],
)
def test_what_systemd_asks(environ: dict[str, str], expected: float | None) -> None:
    assert asked_interval(environ, 77) == expected


# The rooms themselves: what each promises at work, and that a hang in each is a promise broken.


class Turns:
    """Records the promises of the rooms."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, float]] = []

    def here(self, loop: str, within: float = WORK) -> None:
        self.heard.append((loop, within))

    def longest(self, loop: str) -> float:
        return max((within for name, within in self.heard if name == loop), default=0.0)

    def count(self, loop: str) -> int:
        return sum(name == loop for name, _ in self.heard)


class Pool:
    """Workers that answer when they are told to."""

    size = 1

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.begun = asyncio.Event()
        self.go = asyncio.Event()

    async def judged(self, rules: judging.Rules, raw: RawMessage, *, channel: Any, flags: Any) -> judging.Judged:
        self.begun.set()
        await self.go.wait()
        return judging.judge(rules, raw, channel.read(raw), raw.meta, flags)


class Channel:
    def __init__(self, reads_in: str) -> None:
        self.reads_in = reads_in

    def read(self, raw: RawMessage) -> Any:
        return Message(text=raw.body.decode())


NOW = datetime(2026, 3, 5, 10, 0, tzinfo=UTC)


class Room:
    """A desk on a real store, with workers of the test's own."""

    def __init__(self, folder: Path) -> None:
        keys = StoreKeys.generate(folder / "key")
        self.path = folder / "gateway.db"
        self.store = Store.open(f"sqlite:///{self.path}", keys, clock=lambda: NOW, busy_ms=50)
        self.pools = {"parse": Pool(20.0), "ocr": Pool(180.0)}
        self.turns = Turns()
        self.alarms = Alarms(self.store, lambda: NOW)
        channels = {"fax": Channel("ocr"), "mail": Channel("parse"), "sms": Channel("inline")}
        self.desk = Desk(
            self.store, houses.build(CONFIG, bureau_public=bytes(32)), channels, self.pools,  # type: ignore[arg-type]
            clock=lambda: NOW, alarms=self.alarms, wake_dispatch=lambda: None,
        )  # fmt: skip
        self.desk.here = self.turns.here

    def put(self, channel: Any, via: str, count: int = 1) -> None:
        for number in range(count):
            raw = RawMessage(
                channel=channel, via=via, received_at=NOW, sender="clerk@gateway.test",
                body=f"今日，石桥县一处民房起火，无人员伤亡。{via} {number}".encode(),
                content_type="text",
            )  # fmt: skip
            self.store.write_now(lambda tx, raw=raw: take_in(tx, raw, NOW, 60.0))

    async def until(self, look: Any) -> None:
        async with asyncio.timeout(10):
            while not look():
                await asyncio.sleep(0.001)


@pytest.fixture
def room(tmp_path: Path) -> Any:
    made = Room(tmp_path)
    yield made
    made.store.close()


async def test_a_lane_with_the_reader_of_faxes_may_take_as_long_as_that(room: Room) -> None:
    room.put("fax", "fax")
    room.desk.start()
    await asyncio.wait_for(room.pools["ocr"].begun.wait(), 10)
    assert room.turns.longest("desk-fax") == WORK + 180.0 + START_SECONDS
    room.pools["ocr"].go.set()
    await room.until(lambda: room.turns.heard[-1] and room.turns.count("desk-fax") >= 4)
    await room.desk.stop(5)


async def test_eight_mails_wait_for_each_other_and_what_is_read_inline_for_nobody(room: Room) -> None:
    room.put("email", "mail", 8)
    room.put("sms", "sms", 8)
    room.desk.start()
    await asyncio.wait_for(room.pools["parse"].begun.wait(), 10)
    await room.until(lambda: room.turns.count("desk-sms") > 9)
    assert room.turns.longest("desk-email") == WORK + 8 * (20.0 + START_SECONDS)
    assert room.turns.longest("desk-sms") == WORK
    room.pools["parse"].go.set()
    await room.desk.stop(5)


async def test_a_writer_that_hangs_ends_the_turns_of_every_loop_that_writes(room: Room) -> None:
    """No answer at all, unlike storage trouble, which is an answer."""
    hold, held = threading.Event(), threading.Event()

    def stuck(_tx: Any) -> None:
        held.set()
        hold.wait(10)

    blocked = asyncio.create_task(room.store.write(stuck))
    await room.until(held.is_set)
    room.desk.start()
    await room.until(lambda: room.turns.count("desk-sms") > 0)
    for _ in range(200):
        room.desk.wake()
        await asyncio.sleep(0.001)
    assert room.turns.count("desk-parts") == 1, "it waits for its write"
    assert room.turns.count("desk-sms") > 1, "a lane with nothing to write goes on"
    hold.set()
    await blocked
    await room.desk.stop(5)


async def test_storage_trouble_is_no_hang(room: Room) -> None:
    other = sqlite3.connect(room.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    room.desk.start()
    await room.until(lambda: room.alarms.count > 0)
    assert room.turns.count("desk-parts") >= 1
    other.execute("ROLLBACK")
    other.close()
    await room.desk.stop(5)


async def test_the_dispatcher_promises_the_time_of_one_try_when_all_its_hands_are_full(room: Room) -> None:
    rules = Rules(send_timeout=77.0, concurrency=1)
    dispatcher = Dispatcher(room.store, {}, backoff=Backoff(), rules=rules, owner="here", clock=lambda: NOW, alarms=room.alarms)
    dispatcher.here = room.turns.here
    flying = asyncio.create_task(asyncio.sleep(0.01))
    dispatcher._sending.add(flying)
    await dispatcher.step(NOW)
    assert room.turns.longest("dispatch") == 77.0 + WORK
    dispatcher._sending.clear()
    await dispatcher.start()
    await room.until(lambda: ("dispatch", WORK) in room.turns.heard)
    await dispatcher.stop(5)

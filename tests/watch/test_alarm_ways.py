"""Alarms leave for people by what did not fail: none is lost over a restart, a storm does not flood, no content leaves."""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from gateway.alarm_ways import AlarmWays
from gateway.alarms import KINDS, Alarms
from gateway.core import alarming
from gateway.core.alarming import Limits, Notice, WayOut
from gateway.core.errors import StorageTrouble
from gateway.core.outcomes import Refused, TryLater
from gateway.settings import Config
from gateway.settings_care import AlarmsSection
from gateway.store import Store, tables
from tests.watch.conftest import START, Carrier, Clock, changed, emit, events

LEADER, OPS = "+8613900000100", "ops@gateway.test"
WAYS = ({"transport": "sms", "address": LEADER, "name": "值班长"}, {"transport": "mail", "address": OPS, "name": "运维"})


class Room:
    """The ways of one run of the daemon."""

    def __init__(self, store: Store, clock: Clock, shipped: Config, **section: Any) -> None:
        self.sms, self.mail = Carrier(carrier="sms"), Carrier()
        conf = changed(shipped, alarms=AlarmsSection(**{"ways": WAYS, **section}))
        self.alarms = Alarms(store, clock)
        self.ways = AlarmWays(store, self.alarms, {"sms": self.sms, "mail": self.mail}, config=lambda: conf, clock=clock)
        try:
            store.write_now(self.ways._open)
        except StorageTrouble:
            assert isinstance(store, Broken)

    @property
    def told(self) -> tuple[int, int]:
        return len(self.sms.sent), len(self.mail.sent)


async def test_every_committed_alarm_leaves_by_every_way_without_its_content(store: Store, clock: Clock, shipped: Config) -> None:
    room = Room(store, clock, shipped)
    emit(store, clock, "routing", incident="2026-0123", office="committee_office", plugin="秘密会议记录")
    await room.ways.look()
    assert [(one.address, one.incident) for one in room.sms.sent + room.mail.sent] == [(LEADER, None), (OPS, None)]
    text = room.sms.texts[0]
    assert text == room.mail.sent[0].text
    assert "路由异常" in text and "〔2026〕0123" in text and "市委办信息科" in text and "runbook/routing.md" in text
    assert "看不得的内容" not in text, "a remark may be a plugin's"
    assert "秘密会议记录" not in text, "no name that conf does not give"
    (sent,) = events(store, "alarm_sent")
    assert (sent.data["what"], sent.data["to"], sent.data["failed"]) == ("routing", ["值班长", "运维"], [])
    await room.ways.look()
    assert room.told == (1, 1)


async def test_an_alarm_about_a_way_leaves_by_the_others(store: Store, clock: Clock, shipped: Config) -> None:
    room = Room(store, clock, shipped)
    emit(store, clock, "canary", name="x", via="sms", transport="sms")
    await room.ways.look()
    assert room.told == (0, 1)
    emit(store, clock, "delivery", transport="mail", destination="committee_office")
    await room.ways.look()
    assert room.told == (1, 1)
    emit(store, clock, "desk", via="sms")
    await room.ways.look()
    assert room.told == (2, 2), "an alarm about the desk says nothing against the carrier"


async def test_a_way_that_fails_is_passed_over_and_the_last_resort_is_the_way_that_is_in_doubt(
    store: Store, clock: Clock, shipped: Config, caplog: pytest.LogCaptureFixture
) -> None:
    room = Room(store, clock, shipped)
    room.mail.answer = ConnectionError("host")
    emit(store, clock, "canary", via="sms", transport="sms")
    await room.ways.look()
    assert room.told == (1, 0), "better by the doubtful way than by none"
    assert "运维" in caplog.text
    assert events(store, "alarm_sent")[0].data["failed"] == ["运维"]


async def test_what_no_way_took_is_owed_until_one_does_also_over_a_restart(
    open_store: Callable[[], Store], clock: Clock, shipped: Config
) -> None:
    room = Room(open_store(), clock, shipped)
    room.sms.answer, room.mail.answer = TryLater("busy"), Refused("no")
    emit(room.ways._store, clock, "idle", incident="2026-0001")
    await room.ways.look()
    assert (room.told, events(room.ways._store, "alarm_sent")) == ((0, 0), [])
    store = open_store()
    room = Room(store, clock, shipped)
    await room.ways.look()
    assert room.told == (0, 0), "not before its time"
    clock.on(seconds=61)
    await room.ways.look()
    assert room.told == (1, 1)
    clock.on(hours=1)
    await room.ways.look()
    assert room.told == (1, 1)


async def test_alarms_written_while_nobody_looked_leave_after_the_restart_once(
    open_store: Callable[[], Store], clock: Clock, shipped: Config
) -> None:
    first = open_store()
    Room(first, clock, shipped)
    emit(first, clock, "secrecy")
    emit(first, clock, "routing")
    store = open_store()
    room = Room(store, clock, shipped)
    await room.ways.look()
    assert sorted(KINDS[w].zh in "".join(room.sms.texts) for w in ("secrecy", "routing")) == [True, True]
    store = open_store()
    again = Room(store, clock, shipped)
    await again.ways.look()
    assert again.told == (0, 0)


async def test_a_crash_between_claim_and_send_sends_again(open_store: Callable[[], Store], clock: Clock, shipped: Config) -> None:
    store = open_store()
    room = Room(store, clock, shipped)
    emit(store, clock, "secrecy")
    (lost,) = store.write_now(lambda tx: room.ways._claim(tx, clock()))
    store = open_store()
    room = Room(store, clock, shipped)
    await room.ways.look()
    assert room.told == (0, 0), "it is leased"
    clock.on(minutes=4)
    await room.ways.look()
    assert [one.id for one in room.sms.sent] == [f"{lost.id}-sms"], "under the same id"


async def test_old_alarms_of_a_store_that_never_had_ways_stay_where_they_are(store: Store, clock: Clock, shipped: Config) -> None:
    emit(store, clock, "secrecy")
    room = Room(store, clock, shipped)
    await room.ways.look()
    assert room.told == (0, 0)


async def test_without_ways_nothing_is_owed_and_nothing_old_leaves_when_there_are_some(
    open_store: Callable[[], Store], clock: Clock, shipped: Config, caplog: pytest.LogCaptureFixture
) -> None:
    store = open_store()
    room = Room(store, clock, shipped, ways=())
    emit(store, clock, "secrecy")
    for _ in range(3):
        await room.ways.look()
        clock.on(minutes=6)
    assert caplog.text == ""
    room = Room(open_store(), clock, shipped)
    await room.ways.look()
    assert room.told == (0, 0)


async def test_an_alarm_that_another_node_commits_late_is_not_passed_over(
    open_store: Callable[[], Store], url: str, clock: Clock, shipped: Config
) -> None:
    """Ids are given before the commit: the later id may be there first. SQLite has one writer and cannot do so."""
    if url.startswith("sqlite"):
        return
    store = open_store()
    room = Room(store, clock, shipped)
    slow = sa.create_engine(sa.make_url(url).set(drivername="postgresql+psycopg"))
    row = {"at": 0, "offset_minutes": 0, "event": "alarm", "data": '{"page":"runbook/secrecy.md","what":"secrecy","why":"x"}'}
    with slow.connect() as conn:
        with conn.begin():
            conn.execute(sa.insert(tables.events).values(txid=sa.text("pg_current_xact_id()::text::bigint"), **row))
            emit(store, clock, "routing")
            await room.ways.look()
            early = room.told
        await room.ways.look()
        await room.ways.look()
    slow.dispose()
    assert (early, room.told) == ((0, 0), (2, 2))


async def test_a_storm_does_not_flood_and_the_first_of_each_kind_leaves_at_once(
    store: Store, clock: Clock, shipped: Config
) -> None:
    room = Room(store, clock, shipped, repeat_minutes=30, burst=3)
    offices = [office.id for office in shipped.directory.offices][:9]
    for _ in range(20):
        for office in offices:
            emit(store, clock, "delivery", destination=office)
    emit(store, clock, "secrecy")
    await room.ways.look()
    assert room.told == (4, 4), "three of the storm and the other kind"
    assert KINDS["secrecy"].zh in room.sms.texts[-1]
    clock.on(minutes=30)
    await room.ways.look()
    assert room.told == (5, 5)
    assert "共 177 条" in room.sms.texts[-1]
    clock.on(minutes=31)
    await room.ways.look()
    emit(store, clock, "delivery", destination=offices[0])
    await room.ways.look()
    assert room.told == (6, 6), "after a quiet time the next is a first one again"


async def test_what_maintenance_keeps_does_not_leave(store: Store, clock: Clock, shipped: Config) -> None:
    room = Room(store, clock, shipped)
    emit(store, clock, "delivery", maintenance=True)
    await room.ways.look()
    assert room.told == (0, 0)


class Broken:
    """A store on a full disk."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.broken = True
        self.listeners: list[Any] = []

    async def write(self, fn: Any) -> Any:
        return await self._go(self._store.write, fn)

    async def read(self, fn: Any) -> Any:
        return await self._go(self._store.read, fn)

    async def _go(self, how: Any, fn: Any) -> Any:
        if self.broken:
            raise StorageTrouble("no space left on device")
        return await how(fn)

    def write_now(self, fn: Any) -> Any:
        if self.broken:
            raise StorageTrouble("no space left on device")
        return self._store.write_now(fn)


async def test_trouble_of_the_store_leaves_without_the_store_and_once(store: Store, clock: Clock, shipped: Config) -> None:
    Room(store, clock, shipped)
    broken: Any = Broken(store)
    room = Room(broken, clock, shipped)
    room.alarms.raise_("storage", why="no space left on device", name="sms")
    room.alarms.raise_("secrecy", why="x")
    with pytest.raises(StorageTrouble):
        await room.ways.look()
    assert room.told == (1, 1)
    assert KINDS["storage"].zh in room.sms.texts[0], "at once"
    clock.on(seconds=11)
    with pytest.raises(StorageTrouble):
        await room.ways.look()
    assert KINDS["secrecy"].zh in room.sms.texts[1], "and what waits for the store in a while"
    broken.broken = False
    await room.ways.look()
    assert [one.data.get("direct") for one in events(store, "alarm")] == [True, True], "kept, as told already"
    await room.ways.look()
    assert room.told == (2, 2)


async def test_a_program_gets_the_text_and_has_its_time(store: Store, clock: Clock, shipped: Config, tmp_path: Path) -> None:
    out = tmp_path / "heard"
    siren = (sys.executable, "-c", f"import sys; open({str(out)!r}, 'w').write(sys.stdin.read())")
    room = Room(store, clock, shipped, ways=(), command=siren)
    emit(store, clock, "secrecy")
    await room.ways.look()
    assert KINDS["secrecy"].zh in out.read_text()
    for bad in (
        (sys.executable, "-c", "import time; time.sleep(60)"),
        (sys.executable, "-c", "raise SystemExit(3)"),
        ("/nowhere",),
    ):
        emit(store, clock, "secrecy")
        clock.on(hours=1)
        room = Room(store, clock, shipped, command=bad, command_seconds=0.5)
        await room.ways.look()
        assert room.told == (1, 1), "the other ways do not wait for it"
        assert events(store, "alarm_sent")[-1].data["failed"] == ["command"]


async def test_the_task_tells_what_is_raised_within_a_moment(store: Store, clock: Clock, shipped: Config) -> None:
    import asyncio

    room = Room(store, clock, shipped)
    await room.ways.start()
    try:
        room.alarms.raise_("secrecy", why="x")
        async with asyncio.timeout(10):
            while not room.sms.sent:
                await asyncio.sleep(0.02)
    finally:
        await room.ways.stop()


NOTICES = st.lists(st.tuples(st.floats(0, 600), st.sampled_from(["a", "b", "c", "d", "e"])), max_size=40).map(
    lambda drawn: [(START + timedelta(seconds=at), name) for at, name in sorted(drawn)]
)


@given(NOTICES, st.integers(1, 4), st.integers(10, 200))
def test_nothing_is_lost_and_nothing_floods(drawn: list[tuple[Any, str]], burst: int, repeat: int) -> None:
    """Every alarm is either told at once or counted in a later text; within one time no more leave than the burst and one sum."""
    limits = Limits(repeat=timedelta(seconds=repeat), burst=burst)
    spoken, left = None, []
    for at, name in [*drawn, (START + timedelta(seconds=5000), "")]:
        if spoken is not None:
            spoken, told = alarming.over(spoken, at, limits)
            if told is not None:
                left.append((at, told.count))
        if name:
            fresh = spoken is None
            spoken, leaves = alarming.admit(spoken, Notice(what="x", at=at, page="p", names=(name,)), at, limits)
            assert leaves or not fresh, "the first always leaves"
            if leaves:
                left.append((at, 1))
    assert sum(count for _at, count in left) == len(drawn)
    for at, _count in left:
        assert sum(at <= other < at + limits.repeat for other, _c in left) <= 2 * (burst + 1)


@given(st.lists(st.sampled_from(["sms", "mail", "fax"]), max_size=4), st.sets(st.sampled_from(["sms", "mail", "fax"])))
def test_every_way_is_either_free_or_the_last_resort(names: list[str], about: set[str]) -> None:
    ways = [WayOut(name=f"{n}{name}", transport=name, depends=frozenset((name,))) for n, name in enumerate(names)]
    free, rest = alarming.choose([*ways, WayOut(name="command")], about)
    assert {way.transport for way in free} & about == set()
    assert {way.transport for way in rest} <= about
    assert len(free) + len(rest) == len(ways) + 1

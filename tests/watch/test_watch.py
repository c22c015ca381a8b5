"""The watchdog sees what stands still, says it once, again after its time, and when it is not covered any more."""

from __future__ import annotations

from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway import maintenance
from gateway.alarms import Alarms
from gateway.core import watch
from gateway.core.model import RawMessage
from gateway.core.watch import Finding, Heap, Limits, Said, Seen
from gateway.intake import take_in
from gateway.reload import Way
from gateway.settings import Config
from gateway.store import Store, deliveries, journal, messages, watching
from gateway.store import maintenance as windows
from gateway.watch import Watch
from tests.watch.conftest import START, Clock, changed, events, opened, queued

MINUTE = timedelta(minutes=1)
LIMITS = Limits(
    lease=MINUTE, late_try=MINUTE, undelivered=MINUTE, unread=MINUTE, parts=MINUTE, down=5 * MINUTE, seal=5 * MINUTE, repeat=30 * MINUTE
)  # fmt: skip


class Room:
    """A watch over a store, with channels and transports that say what they are told to."""

    def __init__(self, store: Store, clock: Clock, shipped: Config, **parts: Any) -> None:
        self.states = {one.name: "up" for one in shipped.channels}
        self.reached: dict[str, Any] = {"mail": None}
        config = changed(shipped, **parts)
        self.alarms = Alarms(store, clock)
        self.clock, self.store = clock, store
        ways: Any = SimpleNamespace(
            channels={name: SimpleNamespace(health=lambda name=name: SimpleNamespace(state=self.states[name])) for name in self.states},
            transports={"mail": SimpleNamespace(probe=self._probe), "sms": SimpleNamespace()},
            failed={},
        )  # fmt: skip
        self.failed = ways.failed
        self.watch = Watch(store, self.alarms, ways, config=lambda: config, clock=clock)

    async def _probe(self) -> str | None:
        if isinstance(self.reached["mail"], Exception):
            raise self.reached["mail"]
        return self.reached["mail"]

    async def look(self) -> list[tuple[str, dict[str, Any]]]:
        """One look; the alarms that it raised."""
        before = len(events(self.store, "alarm"))
        await self.watch.look()
        await self.alarms.flush()
        return [(one.data["what"], {**one.data, "incident": one.incident, "delivery": one.delivery, "message": one.message})
                for one in events(self.store, "alarm")[before:]]  # fmt: skip

    def seal(self) -> None:
        """The audit log is up to date."""
        rows = self.store.read_now(journal.unsealed)
        last = self.store.read_now(journal.last_sealed)
        seq = last.seq if last and last.seq else 0
        sealed = [journal.Sealed(id=one.id, seq=seq + n, prev="0" * 64, hash="0" * 64) for n, one in enumerate(rows, 1)]
        self.store.write_now(lambda tx: journal.mark_sealed(tx, sealed))


@pytest.fixture
def room(store: Store, clock: Clock, shipped: Config) -> Room:
    return Room(store, clock, shipped)


async def test_a_quiet_house_raises_nothing(room: Room) -> None:
    opened(room.store, room.clock)
    assert await room.look() == []


async def test_a_send_whose_lease_ran_out(room: Room) -> None:
    id_ = queued(room.store, room.clock)
    until = room.clock() + timedelta(seconds=90)
    room.store.write_now(lambda tx: deliveries.lease(tx, id_, "gone", until, room.clock()))
    room.clock.on(seconds=149)
    assert await room.look() == []
    room.clock.on(seconds=2)
    ((what, data),) = await room.look()
    assert (what, data["transport"], data["count"], data["delivery"], data["page"]) == (
        "stuck",
        "sms",
        1,
        id_,
        "runbook/stuck.md",
    )


async def test_a_try_that_was_due_and_not_made_but_not_one_that_waits_for_another(room: Room) -> None:
    incident = opened(room.store, room.clock)
    first = queued(room.store, room.clock, incident=incident.id, next_try_at=room.clock() + timedelta(minutes=14))
    queued(room.store, room.clock, incident=incident.id)
    room.clock.on(minutes=10)
    assert await room.look() == [], "the second is held up by the first, which is in backoff"
    room.clock.on(minutes=4, seconds=50)
    assert await room.look() == []
    room.store.write_now(lambda tx: deliveries.stop(tx, delivery=first, why="x"))
    ((what, data),) = await room.look()
    assert (what, data["count"]) == ("stuck", 1)


async def test_what_found_no_way_for_long_by_transport(room: Room) -> None:
    for transport in ("sms", "sms", "mail"):
        queued(room.store, room.clock, transport, next_try_at=room.clock() + timedelta(hours=2))
    room.clock.on(minutes=16)
    found = await room.look()
    assert [(what, data["transport"], data["count"]) for what, data in found] == [("stuck", "mail", 1), ("stuck", "sms", 2)]
    assert await room.look() == [], "said once"
    room.clock.on(minutes=30)
    room.seal()
    assert len(await room.look()) == 2, "and again while it stands"


async def test_messages_and_parts_that_no_lane_took(room: Room) -> None:
    from gateway.core.model import Part

    def take(body: bytes, part: Part | None = None) -> str:
        raw = RawMessage(channel="sms", via="sms", received_at=room.clock(), sender="1", body=body, content_type="x", part=part)
        return room.store.write_now(lambda tx: take_in(tx, raw, room.clock(), 60)).id

    first = take(b"a")
    take(b"b")
    take(b"c", Part(ref="r", number=1, total=2))
    room.clock.on(seconds=301)
    room.seal()
    ((what, data),) = await room.look()
    assert (what, data["via"], data["count"], data["message"]) == ("unread", "sms", 2, first)
    room.store.write_now(lambda tx: messages.set_state(tx, first, "ignored"))
    room.clock.on(seconds=601)
    room.seal()
    ((what, data),) = await room.look()
    assert (what, data["count"], data["why"]) == ("unread", 1, data["why"])
    assert "长信息" in data["why"], "parts that nobody released; the other message was said before"


async def test_the_record_lags_behind(room: Room) -> None:
    opened(room.store, room.clock)
    room.store.write_now(lambda tx: maintenance.begin(tx, room.clock(), minutes=1, why="x", by="op"))
    room.clock.on(seconds=299)
    assert await room.look() == []
    room.clock.on(seconds=1)
    assert [what for what, _data in await room.look()] == ["sealer"]


async def test_an_open_incident_without_a_next_step(room: Room) -> None:
    lost = [opened(room.store, room.clock, "").number, opened(room.store, room.clock, "", "followed_up").number]
    opened(room.store, room.clock, "等待签收")
    opened(room.store, room.clock, "", "closed")
    assert room.store.read_now(lambda tx: watching.idle_incidents(tx, room.clock())) == lost
    found = await room.look()
    assert [(what, data["incident"]) for what, data in found] == [("idle", number) for number in lost]
    room.clock.on(seconds=30)
    late = opened(room.store, room.clock, next_hours=0).number
    room.clock.on(minutes=5)
    assert late not in [data["incident"] for _what, data in await room.look()], "it may be in hand"
    room.clock.on(seconds=1)
    assert [data["incident"] for what, data in await room.look() if what == "idle"] == [late], "it was due and nobody did it"
    third = opened(room.store, room.clock, "").number
    assert [data["incident"] for what, data in await room.look() if what == "idle"] == [third], (
        "a new one is said though others stand"
    )


async def test_a_channel_and_a_transport_that_stay_down(room: Room) -> None:
    await room.look()
    room.states["sms"] = "connecting"
    room.reached["mail"] = "no mail server"
    room.failed[Way("transport", "sms")] = "x"
    room.clock.on(minutes=5)
    assert await room.look() == []
    room.clock.on(minutes=4)
    room.states["sms"] = "up"
    assert await room.look() == []
    room.states["sms"] = "down"
    room.clock.on(minutes=1)
    found = await room.look()
    assert {(what, data.get("via") or data.get("transport")) for what, data in found} == {
        ("transport", "mail"),
        ("transport", "sms"),
    }
    room.clock.on(minutes=5)
    room.seal()
    assert [what for what, _data in await room.look()] == ["channel"], "it was up in between: counted anew"
    room.reached["mail"] = None
    room.failed.clear()
    room.clock.on(minutes=5)
    await room.look()
    room.reached["mail"] = OSError("x")
    room.clock.on(minutes=5)
    await room.look()
    room.clock.on(minutes=5)
    assert ("transport", "mail") in [(what, data.get("transport")) for what, data in await room.look()], (
        "a new trouble is said anew"
    )


async def test_maintenance_keeps_it_and_it_is_raised_when_it_still_stands_after(room: Room) -> None:
    room.store.write_now(lambda tx: maintenance.begin(tx, room.clock(), minutes=60, why="割接", by="op", channel="sms"))
    room.alarms.windows = room.store.read_now(windows.standing)
    queued(room.store, room.clock, next_try_at=room.clock() + timedelta(hours=9))
    room.clock.on(minutes=20)
    room.seal()
    ((what, data),) = await room.look()
    assert (what, data["maintenance"]) == ("stuck", True)
    room.clock.on(minutes=35)
    room.seal()
    assert await room.look() == [], "kept once"
    room.clock.on(minutes=5)
    await maintenance.tend(room.store, room.alarms, {}, room.clock())
    room.seal()
    ((what, data),) = await room.look()
    assert (what, data.get("maintenance")) == ("stuck", None)


KEYS = st.lists(st.integers(0, 5), unique=True, max_size=6)


@given(st.lists(st.tuples(st.integers(0, 3000), KEYS, KEYS), max_size=12))
def test_trouble_is_said_at_once_and_never_twice_within_its_time(looks: list[tuple[int, list[int], list[int]]]) -> None:
    said: dict[str, Said] = {}
    told: dict[str, Any] = {}
    now = START
    for seconds, standing, covered_ones in looks:
        now += timedelta(seconds=seconds)
        found = [Finding(kind="idle", case="idle", data={}, incident=f"2026-{n:04d}") for n in standing]
        covered = {found[i].key for i, n in enumerate(standing) if n in covered_ones}
        tell, said = watch.news(found, said, covered, now, LIMITS.repeat)
        for one in found:
            aloud = told.get(one.key)
            if one.key not in covered and (aloud is None or now - aloud >= LIMITS.repeat):
                assert one in tell, "said at once, and again after its time"
            if one in tell and one.key not in covered:
                assert aloud is None or now - aloud >= LIMITS.repeat
                told[one.key] = now
        told = {key: at for key, at in told.items() if key in {one.key for one in found}}
        assert set(said) == {one.key for one in found}


@given(st.integers(0, 10_000), st.integers(1, 500))
def test_a_finding_is_known_again_whatever_its_count(minutes: int, count: int) -> None:
    def seen(number: int, oldest: str) -> Finding:
        heap = Heap(name="sms", count=number, oldest=oldest, since=START)
        return watch.findings(Seen(undelivered=(heap,)), LIMITS, START + timedelta(minutes=minutes))[0]

    assert seen(count, "A").key == seen(count + 1, "B").key
    assert seen(count, "A").minutes == minutes


@given(st.lists(st.tuples(st.integers(0, 900), st.booleans()), max_size=30))
def test_down_counts_from_the_first_look_that_found_it_so(looks: list[tuple[int, bool]]) -> None:
    now, since, down = START, None, {}
    for seconds, up in looks:
        now += timedelta(seconds=seconds)
        down = watch.standing(down, {("channel", "sms"): up}, now)
        since = None if up else since or now
        assert down == ({} if since is None else {("channel", "sms"): since})
        found = watch.findings(Seen(down=down), LIMITS, now)
        assert bool(found) == (since is not None and now - since >= LIMITS.down)

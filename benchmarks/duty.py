"""The duty's figures: ``python -m benchmarks.duty`` (a part of ``make bench``); ``--days 30`` is the month alone.

- A month and a year of 50 incidents a day through ``gateway simulate``: time, memory, and that no open incident ever lacks a next
  step. The year is broken off after ten minutes (``--most``).
- 100,000 open clocks, 1,000 of which fall due within one minute, on a SQLite file: how late each is carried out, while running
  and right after a start.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import itertools
import json
import logging
import random
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import sqlalchemy as sa
from msgspec import Struct, field
from msgspec.structs import replace

from gateway import explain, house, preparing, register
from gateway.alarms import Alarms
from gateway.conf_load import load
from gateway.core.duty.clocking import INSTANT
from gateway.core.model import Message
from gateway.duty.timekeeper import Steady, Timekeeper
from gateway.explain import raw_message
from gateway.host import Host
from gateway.house import House
from gateway.intake import take_in
from gateway.simulate import Simulator, shown
from gateway.store import Store, StoreKeys, Tx, incidents, journal, matters, messages, tables

ROOT = Path(__file__).parent.parent
encode = json.JSONEncoder(ensure_ascii=False).encode
BEGIN = datetime.fromisoformat("2026-03-01T00:00:00+08:00")
UNITS = (
    ("青山区", "+8613800000008", "青山区委办"),
    ("云台区", "+8613800000002", "云台区政府办"),
    ("石桥县", "+8613800000003", "石桥县政府办"),
    ("白水县", "+8613800000001", "白水县委办"),
    ("平安县", "+8613800000005", "平安县安监局"),
    ("柳河县", "+8613800000004", "柳河县政府办"),
)
DESKS = ("市委机要局", "市政府值班室", "市委办信息科", "市政府办秘书二科")
PERSONS = {
    "市委机要局": "何值班",
    "市政府值班室": "李值班",
    "市委办信息科": "王科长",
    "市政府办秘书二科": "赵科长",
    "市委政务值班室": "罗值班",
}


def say(name: str, value: str) -> None:
    """One line of the table."""
    print(f"| {name} | {value} |", flush=True)


def built() -> House:
    """The example configuration."""
    conf = ROOT / "conf"
    return house.build(load(conf, Host.load(conf)), bureau_public=explain.throwaway_key())


def scenario(made: House, days: int, per_day: int, seed: int = 1) -> Iterator[dict[str, Any]]:
    """Incidents at any hour. Seven in ten go as they should; of the others the offices are slow, or nobody answers for hours;
    where the final report never comes a person closes after two days. Whoever is sent one says so in the end."""
    dice, order = random.Random(seed), itertools.count()
    waiting: list[tuple[datetime, int, dict[str, Any]]] = []
    reported = sorted(BEGIN + timedelta(seconds=dice.randrange(days * 86_400)) for _ in range(days * per_day))
    in_year: Counter[int] = Counter()
    for n, at in enumerate(reported):
        in_year[at.year] += 1
        number = f"{at.year}-{in_year[at.year]:04d}"
        while waiting and waiting[0][0] <= at:
            yield heapq.heappop(waiting)[2]
        for when, line in _course(made, dice, n, number, at):
            heapq.heappush(waiting, (when, next(order), {"at": when.isoformat(), **line}))
    while waiting:
        yield heapq.heappop(waiting)[2]


def _course(made: House, dice: random.Random, n: int, number: str, at: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
    county, sender, unit = UNITS[n % len(UNITS)]
    happened = at - timedelta(minutes=dice.randrange(1, 40))
    when = f"{happened.month}月{happened.day}日{happened.hour}时{happened.minute:02d}分"
    text = f"{when}，{county}第{n}号仓库起火，1人死亡、{dice.randrange(1, 9)}人受伤，原因正在调查，已组织扑救。{unit}报告"
    yield at, {"do": "receive", "channel": "sms", "sender": sender, "text": text}
    fate = dice.random()
    pause = timedelta(minutes=2 if fate < 0.7 else 12 if fate < 0.9 else 240)
    yield from _taken(made, number, at + pause)
    for minutes, by in ((40, "秦副市长"), (55, "金书记")):
        yield at + pause + timedelta(minutes=minutes), {"do": "approve", "incident": number, "by": by, "text": "同意"}
    further = f"续报（{number}）：{county}第{n}号仓库火灾明火已扑灭，直接经济损失{dice.randrange(1, 90)}万元。{unit}"
    last = f"终报（{number}）：{county}第{n}号仓库火灾处置完毕，善后工作结束。{unit}"
    reports = [(at + timedelta(minutes=100), "fax", further), (at + pause + timedelta(hours=6), "sms", last)]
    over = reports[-1][0] if fate < 0.97 else at + timedelta(hours=48)
    told = {when: (channel, text) for when, channel, text in reports[: 2 if fate < 0.97 else 1]}
    held, taken = made.config.calendar.moment(at).working, False
    for when in sorted((*told, *_edges(made, at, over))):
        working = made.config.calendar.moment(when).working
        if when in told:
            channel, text = told[when]
            yield when, {"do": "receive", "channel": channel, "sender": sender, "text": text}
        # Offices that open take over what came at night; those that stand in for them only what nobody has.
        elif not working and (taken or when >= at + pause):
            continue
        if working != held:
            held, taken = working, True
            yield from _taken(made, number, when + timedelta(minutes=4))
    if fate >= 0.97:
        yield over, {"do": "close", "incident": number, "by": "高秘书长", "reason": "无终报，经核已处置完毕"}


def _edges(made: House, start: datetime, end: datetime) -> Iterator[datetime]:
    """When working hours begin or end in between."""
    edge = made.config.calendar.next_change(start)
    while edge is not None and edge < end:
        yield edge
        edge = made.config.calendar.next_change(edge)


def _taken(made: House, number: str, at: datetime) -> Iterator[tuple[datetime, dict[str, Any]]]:
    """Whoever is on duty then says that they have it, and whom they told."""
    working = made.config.calendar.moment(at).working
    desks = DESKS[2:] if working else DESKS[:2]
    for office in (*desks, "市委政务值班室"):
        yield at, {"do": "acknowledge", "incident": number, "destination": office, "by": PERSONS[office]}
    for office, section, leader in zip(desks, ("王科长", "赵科长"), ("高秘书长", "方秘书长"), strict=True):
        for person in (leader,) if working else (section, leader):
            line = {"do": "notify", "incident": number, "office": office, "person": person, "by": PERSONS[office]}
            yield at + timedelta(minutes=1), line


class Played(Struct):
    """What came of a scenario. ``without``: how many times an open incident was found without a next step, looked for at the
    end of each day; ``still_open``: incidents open at the end."""

    seconds: float = 0.0
    processor: float = 0.0
    until: str = ""
    seen: Counter[str] = field(default_factory=Counter)
    without: int = 0
    still_open: int = 0

    def tell(self, simulator: Simulator, made: House) -> None:
        """Count what happened since the last time, each event as the command writes it."""
        for event in simulator.events():
            self.seen[event.event] += 1
            encode(shown(made, event))

    def look(self, simulator: Simulator) -> None:
        """Look for what lacks a next step."""
        self.without += len(simulator.read(matters.without_next_step))
        self.still_open = len(simulator.read(lambda tx: incidents.rows(tx, states=["open", "followed_up"], limit=100_000)))


def simulated(made: House, days: int, per_day: int, most: float) -> Played:
    """Play ``days``; after ``most`` seconds the day in hand is the last."""
    simulator, played = Simulator(made), Played()
    began, worked = time.perf_counter(), time.process_time()
    try:
        for line in scenario(made, days, per_day):
            if line["at"][:10] != played.until:
                played.look(simulator)
                if time.perf_counter() - began > most:
                    break
                played.until = line["at"][:10]
            simulator.step(line)
            played.tell(simulator, made)
        else:
            simulator.go_on(simulator.now + timedelta(hours=48))
            played.tell(simulator, made)
        played.look(simulator)
    finally:
        simulator.close()
    played.seconds, played.processor = time.perf_counter() - began, time.process_time() - worked
    return played


class Keeping:
    """A timekeeper over a store full of open incidents, each with six clocks; ``due`` of them have one that passes within the
    next minute."""

    def __init__(self, made: House, folder: Path, many: int) -> None:
        self.made, self.url = made, f"sqlite:///{folder}/store.db"
        self.store = self._open()
        self.zone = ZoneInfo(made.config.timezone)
        now = datetime.now(self.zone)
        line = {"channel": "fax", "sender": "0999-6112346", "text": _told(now), "received_at": now.isoformat()}
        accepted = self.store.write_now(lambda tx: take_in(tx, raw_message(line), now, 0.0))
        row = self.store.read_now(lambda tx: messages.get(tx, accepted.id))
        prepared = preparing.prepare(made, row, Message(text=str(line["text"])))
        taken = self.store.write_now(lambda tx: register.take(tx, made, row, prepared, now))
        assert taken.incident is not None
        self.first = taken.incident.id
        self.store.write_now(lambda tx: self._fill(tx, many, now))

    def _open(self) -> Store:
        return Store.open(self.url, StoreKeys(bytes(32)), clock=lambda: datetime.now(UTC))

    def _fill(self, tx: Tx, many: int, now: datetime) -> None:
        """The same incident many times over; nothing is due about any for a day."""
        kept = matters.get(tx, self.first)
        assert kept is not None
        far = now + timedelta(days=1)
        clocks = tuple(replace(one, due=far, state="running", stopped_at=None, warned=True) for one in kept.matter.clocks)
        calm = replace(kept.matter, clocks=clocks, offers=(), tellings=(), signing=None, boundary=None)
        self.calm = replace(calm, follow=replace(calm.follow, ask_at=far))
        row = tx.one(sa.select(tables.incidents).where(tables.incidents.c.id == self.first))
        assert row is not None
        one = incidents.get(tx, self.first)
        for start in range(0, many, 5000):
            numbers = range(start, min(many, start + 5000))
            same = []
            for n in numbers:
                named = {"id": f"{n:026d}", "number": f"2025-{n:05d}"}
                facts = msgspec.json.encode(replace(one, report=replace(one.report, text=""), next_step="待续报一或终报", **named))
                same.append({**row._mapping, **named, "stamp": f"{n:026d}", "facts": facts.decode()})
            tx.insert(tables.incidents, same)
            state = msgspec.json.encode(self.calm).decode()
            at = int(far.timestamp() * 1_000_000)
            tx.insert(tables.matters, [{"incident": new["id"], "next_at": at, "state": state, "revision": 1} for new in same])

    def fall_due(self, first: int, due: int) -> None:
        """So many incidents from the ``first`` on have a clock that passes within the minute that begins in two seconds."""
        begin = datetime.now(self.zone) + timedelta(seconds=2)

        def write(tx: Tx) -> None:
            for n in range(due):
                limit = begin + timedelta(seconds=60 * n / due)
                clocks = (replace(self.calm.clocks[0], due=limit), *self.calm.clocks[1:])
                kept = matters.get(tx, f"{first + n:026d}")
                assert kept is not None
                matters.put(tx, kept.incident, replace(self.calm, clocks=clocks), limit + INSTANT, kept.revision)

        self.store.write_now(write)

    async def a_minute(self) -> list[float]:
        """Run the timekeeper until the minute is over; by how many seconds each clock was judged late, sorted."""
        steady = Steady(lambda: datetime.now(self.zone))
        alarms = Alarms(self.store, steady)
        keeper = Timekeeper(self.store, self.made, clock=steady, alarms=alarms, wake_dispatch=lambda: None)
        before = self.store.read_now(lambda tx: tx.scalar(sa.select(sa.func.max(tables.events.c.id)))) or 0
        keeper.start()
        await asyncio.sleep(65)
        await keeper.stop()
        found = self.store.read_now(lambda tx: journal.entries(tx, names=["clock_passed"], after=before, limit=100_000))
        return sorted((one.event.at - datetime.fromisoformat(one.event.data["due"])).total_seconds() for one in found)

    def restart(self) -> None:
        """What is in memory is gone."""
        self.store.close()
        self.store = self._open()


def _told(at: datetime) -> str:
    return f"石桥县政府办：{at.month}月{at.day}日{at.hour}时{at.minute:02d}分，石桥县城关镇一居民楼起火，1人死亡，明火已扑灭。"


def keep_clocks(made: House, clocks: int, due: int) -> None:
    """How late the clocks are that fall due in one minute, while running and right after a restart."""
    with tempfile.TemporaryDirectory() as folder:
        keeping = Keeping(made, Path(folder), clocks // len(made.config.clocks))
        for name, first in (("running", 0), ("after a restart", due)):
            keeping.fall_due(first, due)
            if first:
                keeping.restart()
            late = asyncio.run(keeping.a_minute())
            assert len(late) == due, f"{len(late)} of {due} clocks were judged"
            shown = f"p50 {late[due // 2]:.3f} s, p99 {late[due * 99 // 100]:.3f} s, at most {late[-1]:.3f} s"
            say(f"{clocks} open clocks, {due} due in a minute, {name}", shown)
        keeping.store.close()


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--days", type=int, help="simulate so many days alone")
    asked.add_argument("--most", type=float, default=600, help="seconds after which a simulation is broken off")
    given = asked.parse_args()
    logging.getLogger("gateway").addHandler(logging.NullHandler())
    logging.getLogger("gateway").propagate = False
    made = built()
    for days in (given.days,) if given.days else (30, 365):
        played = simulated(made, days, 50, given.most)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        took = f"{played.seconds:.1f} s ({played.processor:.1f} s of processor), {memory:.0f} MB at most, until {played.until}"
        many = f"{sum(played.seen.values())} events, {played.seen['registered']} incidents, {played.seen['delivered']} deliveries"
        say(f"{days} simulated days of 50 incidents", f"{took}; {many}")
        say("open incidents without a next step; still open", f"{played.without}; {played.still_open}")
    if not given.days:
        keep_clocks(made, 100_000, 1000)


if __name__ == "__main__":
    main()

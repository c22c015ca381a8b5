"""The ways in and out that a reload moves, over a real store; and that there is one reload at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway import ways
from gateway.alarms import Alarms
from gateway.faults import ConfError, Fault
from gateway.reload import Way
from gateway.reloader import Reloader
from gateway.secrets import Secrets
from gateway.settings import Config
from gateway.store import Store, StoreKeys, journal
from gateway.ways import Ways
from tests.toys import Toy, conf, toy


class Sleeper:
    """A sleep that lasts until it is let go."""

    def __init__(self) -> None:
        self.asked: list[float] = []
        self._go = asyncio.Event()

    async def __call__(self, seconds: float) -> None:
        self.asked.append(seconds)
        self._go.clear()
        await self._go.wait()

    async def over(self) -> None:
        self._go.set()
        for _turn in range(20):
            await asyncio.sleep(0)


class House:
    """Ways over a real store, with secrets in a folder."""

    def __init__(self, folder: Path, config: Config) -> None:
        self.secrets = folder / "secrets"
        self.secrets.mkdir(mode=0o700)
        self.at = datetime(2026, 3, 6, tzinfo=UTC)
        self.store = Store.open(f"sqlite:///{folder / 'g.db'}", StoreKeys(os.urandom(32)), clock=lambda: self.at)
        self.alarms = Alarms(self.store, lambda: self.at)
        self.up: list[Way] = []
        self.sleep = Sleeper()
        self.ways = Ways(config, Secrets(self.secrets, None), self.alarms, now=lambda: self.at, on_error=lambda error: None,
                         on_up=self._up, sleep=self.sleep)  # fmt: skip

    async def _up(self, way: Way) -> None:
        self.up.append(way)

    def secret(self, name: str, value: str) -> None:
        path = self.secrets / name
        path.write_text(value)
        path.chmod(0o600)

    async def alarmed(self) -> list[str]:
        await self.alarms.flush()
        return [e.event.data["why"] for e in self.store.read_now(journal.entries) if e.event.event == "alarm"]


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    Toy.taken, Toy.log = set(), []
    made = House(tmp_path, conf(toy("a"), toy("b", port=2, on="a", secret="pin"), transports=(toy("a", port=3),)))
    yield made
    await made.ways.stop("channel")
    await made.ways.stop("transport")
    made.store.close()


async def test_a_taken_port_is_an_alarm_and_the_channel_comes_up_by_itself(house: House) -> None:
    Toy.taken = {1}
    house.secret("pin", "1234")
    assert await house.ways.start("channel") == ["a"]
    assert Toy.log == ["-a", "+b"], "the other one works"
    await asyncio.sleep(0)
    for _again in range(3):
        await house.sleep.over()
    assert house.sleep.asked == [1.0, 2.0, 4.0, 8.0]
    assert ["port 1 is taken" in why for why in await house.alarmed()] == [True], "the same reason is said once"
    Toy.taken = set()
    await house.sleep.over()
    assert Toy.log[-1] == "+a" and house.up == [Way("channel", "a")] and house.ways.failed == {}
    house.at += timedelta(seconds=60)


async def test_one_that_hangs_in_its_start_keeps_nobody_waiting(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    house.secret("pin", "1234")
    monkeypatch.setattr(ways, "PATIENCE", 0.01)
    begun = asyncio.Event()

    async def hangs(_intake: Any = None) -> None:
        begun.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(house.ways.channels["a"], "start", hangs)
    assert await house.ways.start("channel") == ["a"]
    assert begun.is_set() and Toy.log == ["+b"] and house.ways.waiting
    await house.ways.stop("channel")
    assert not house.ways.waiting and sorted(Toy.log[1:]) == ["-a", "-b"], "and it can be stopped"


async def test_waiting_to_start_ends_with_the_stop(house: House) -> None:
    Toy.taken = {1}
    house.secret("pin", "1234")
    await house.ways.start("channel")
    await house.ways.stop("channel", ["a"])
    Toy.taken = set()
    await house.sleep.over()
    assert "+a" not in Toy.log


async def test_a_way_whose_secret_changed_is_stale(house: House) -> None:
    house.secret("pin", "1234")
    await house.ways.start("channel")
    assert house.ways.stale() == set()
    house.secret("pin", "4321")
    assert house.ways.stale() == {Way("channel", "b")}
    (house.secrets / "pin").unlink()
    assert house.ways.stale() == {Way("channel", "b")}


async def test_what_a_way_asked_for_is_known(house: House) -> None:
    house.secret("pin", "1234")
    await house.ways.start("channel")
    assert {way: set(asked) for way, asked in house.ways.uses().items()} == {Way("channel", "b"): {"a"}}


async def test_a_dropped_channel_can_still_be_read(house: House) -> None:
    reader = house.ways.channels["a"]
    house.ways.drop(Way("channel", "a"))
    assert "a" not in house.ways.channels and house.ways.readers["a"] is reader
    assert "a" in house.ways.transports, "a transport of the same name is another thing"


async def test_a_replaced_transport_is_stopped_when_what_it_sends_is_through(house: House) -> None:
    sent = asyncio.Event()
    sending = asyncio.create_task(sent.wait())
    house.ways.retire("a", house.ways.transports["a"], {sending}, within=30)
    for _turn in range(5):
        await asyncio.sleep(0)
    assert Toy.log == []
    sent.set()
    for _turn in range(10):
        await asyncio.sleep(0)
    assert Toy.log == ["-a"]


class Slow(Reloader):
    """Waits until it is let go, and does what it is told to."""

    def __init__(self, service: Any) -> None:
        super().__init__(service)
        self.runs: list[str] = []
        self.go = asyncio.Event()
        self.fail: Exception | None = None

    async def _reload(self, by: str) -> dict[str, Any]:
        self.runs.append(by)
        await self.go.wait()
        if self.fail is not None:
            raise self.fail
        return {"reloaded": True}


class Told:
    """As much of a service as an answer needs."""

    def __init__(self, house: House) -> None:
        self.store, self.alarms, self.said = house.store, house.alarms, []
        self.now = lambda: house.at
        self.on_error = lambda error: None

    def notify(self, state: str) -> None:
        self.said.append(state.partition("=")[0])


async def turns(count: int = 20) -> None:
    for _turn in range(count):
        await asyncio.sleep(0)


async def test_signals_during_a_reload_ask_for_one_more(house: House) -> None:
    reloader = Slow(Told(house))
    running = asyncio.create_task(reloader.run())
    reloader.signal()
    await turns()
    assert reloader.runs == ["SIGHUP"]
    for _again in range(3):
        reloader.signal()
    asked = asyncio.create_task(reloader.reload("clerk"))
    await turns()
    assert reloader.runs == ["SIGHUP"], "one at a time"
    reloader.go.set()
    await turns(50)
    assert sorted(reloader.runs) == ["SIGHUP", "SIGHUP", "clerk"] and (await asked)["reloaded"]
    await reloader.stop(1)
    assert not (await reloader.reload("late"))["reloaded"] and "late" not in reloader.runs
    running.cancel()


async def test_systemd_hears_of_a_reload_and_of_its_end_also_where_it_is_refused(house: House) -> None:
    service = Told(house)
    reloader = Slow(service)
    reloader.go.set()
    reloader.fail = ConfError([Fault("clocks.toml", 3, "clock", "is no clock"), Fault("roster.csv", 2, "to", "is no time")])
    answer = await reloader.reload("root")
    assert service.said == ["RELOADING", "READY"]
    assert [(one["file"], one["line"], one["key"]) for one in answer["faults"]] == [
        ("clocks.toml", 3, "clock"),
        ("roster.csv", 2, "to"),
    ]
    refused = [e.event for e in house.store.read_now(journal.entries) if e.event.event == "reload_refused"]
    assert [(e.by, e.data["faults"], list(e.data["files"])) for e in refused] == [("root", 2, ["clocks.toml", "roster.csv"])]
    reloader.fail = RuntimeError("nobody foresaw it")
    answer = await reloader.reload("root")
    assert not answer["reloaded"] and "RuntimeError" in answer["error"] and service.said[-1] == "READY"

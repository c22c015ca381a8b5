"""The comparison of two configurations, the ways in and out that it moves, and files that are still being written."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import pytest
import pytest_asyncio
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway import ways
from gateway.alarms import Alarms
from gateway.api import Settings
from gateway.conf_book import Book
from gateway.conf_files import SETTLE_SECONDS, Unsteady, steady
from gateway.faults import ConfError, Fault
from gateway.reload import LIVE, NAMES, RESTART, WAYS, Moves, Plan, Way, effective, plan
from gateway.reloader import Reloader
from gateway.secrets import Secrets
from gateway.settings import Config, Configured
from gateway.store import Store, StoreKeys, journal
from gateway.ways import Ways

SHIPPED = Path(__file__).parent.parent / "conf"
CONFIG = Book(SHIPPED).load()
FIELDS = {field.name for field in dataclasses.fields(Config)}


class Other:
    """Equal to nothing else: stands for a changed value of any field."""


class Toy:
    """A way that notes what is done with it; it starts unless its port is taken."""

    kind: ClassVar[str] = "toy"
    channel: ClassVar[str] = "sms"
    taken: ClassVar[set[int]] = set()
    log: ClassVar[list[str]] = []

    class Settings(Settings):
        port: int = 1
        on: str = ""
        secret: str = ""

    def __init__(self, name: str, settings: Any, services: Any) -> None:
        self.name, self.settings, self.services = name, settings, services

    async def start(self, _intake: Any = None) -> None:
        if self.settings.on:
            self.services.channel(self.settings.on)
        if self.settings.secret:
            self.services.secret(self.settings.secret)
        if self.settings.port in self.taken:
            raise OSError(98, f"port {self.settings.port} is taken")
        self.log.append(f"+{self.name}")

    async def stop(self) -> None:
        self.log.append(f"-{self.name}")


def toy(name: str, where: str = "x:1", **keys: Any) -> Configured:
    made = {f.name: "in-process" for f in dataclasses.fields(Configured) if f.default is dataclasses.MISSING}
    return Configured(**{**made, "name": name, "kind": "toy", "cls": Toy, "settings": Toy.Settings(**keys), "where": where})


def conf(*channels: Configured, transports: tuple[Configured, ...] = ()) -> Config:
    return dataclasses.replace(CONFIG, channels=channels, transports=transports)


# --- the comparison


def test_every_field_of_config_is_in_one_table() -> None:
    tables = [*LIVE, *RESTART, *WAYS, *NAMES]
    assert sorted(tables) == sorted(FIELDS), "say in gateway/reload.py what a reload does with each field of Config"


@pytest.mark.parametrize("name", sorted(FIELDS - {*WAYS, *NAMES, "limits"}))
def test_a_changed_field_is_in_the_plan(name: str) -> None:
    found = plan(CONFIG, dataclasses.replace(CONFIG, **{name: Other()}))
    assert (*found.parts, *found.restart) == ({**LIVE, **RESTART}[name],)
    assert found.channels.start == found.transports.start == ()


def test_a_limit_is_taken_over_and_the_one_that_carriers_are_told_starts_every_channel_anew() -> None:
    def limits(**keys: int) -> Config:
        return dataclasses.replace(CONFIG, limits=CONFIG.limits.model_copy(update=keys))

    assert plan(CONFIG, limits(parse_workers=3)) == Plan(
        parts=("limits",), channels=Moves(kept=plan(CONFIG, CONFIG).channels.kept), transports=plan(CONFIG, CONFIG).transports
    )
    moves = plan(CONFIG, limits(max_message_bytes=2048)).channels
    assert moves.changed == tuple(c.name for c in CONFIG.channels) and moves.kept == ()


def test_the_same_conf_read_twice_asks_for_nothing() -> None:
    again = plan(CONFIG, Book(SHIPPED).load())
    assert again.changed == again.restart == ()
    assert set(again.channels.kept) == {c.name for c in CONFIG.channels}


def test_what_waits_for_a_restart_stays_as_it_was() -> None:
    new = dataclasses.replace(CONFIG, state=Path("/elsewhere"), city="白水市", digest="d" * 64)
    kept = effective(CONFIG, new)
    assert (kept.state, kept.city, kept.digest) == (CONFIG.state, "白水市", "d" * 64)
    assert plan(kept, new).restart == ("gateway.state",), "the next reload says it again"


NAME = st.sampled_from("abcdef")
TOYS = st.dictionaries(NAME, st.integers(1, 3), max_size=5)


def toys(ports: dict[str, int]) -> tuple[Configured, ...]:
    return tuple(toy(name, where=f"{name}:{port}", port=port) for name, port in ports.items())


@settings(max_examples=80, deadline=None)
@given(TOYS, TOYS, st.randoms())
def test_each_way_is_in_exactly_one_list(before: dict[str, int], after: dict[str, int], random: Any) -> None:
    shuffled = list(toys(after))
    random.shuffle(shuffled)
    moves = plan(conf(*toys(before)), conf(*shuffled)).channels
    listed = [*moves.added, *moves.removed, *moves.changed, *moves.follow, *moves.kept]
    assert sorted(listed) == sorted({**before, **after})
    assert set(moves.kept) == {n for n, port in before.items() if after.get(n) == port}
    assert set(moves.changed) == {n for n, port in before.items() if n in after and after[n] != port}


@settings(max_examples=40, deadline=None)
@given(TOYS, st.randoms())
def test_order_and_place_do_not_count(ports: dict[str, int], random: Any) -> None:
    other = [dataclasses.replace(one, where="elsewhere:9") for one in toys(ports)]
    random.shuffle(other)
    found = plan(conf(*toys(ports)), conf(*other))
    assert found.changed == () and set(found.channels.kept) == set(ports)


def test_those_that_use_a_replaced_channel_follow_it_and_so_on() -> None:
    before = conf(toy("mail"), toy("fax"), toy("copy"), toy("sms"), transports=(toy("out"), toy("sms")))
    after = conf(toy("mail", port=2), toy("fax"), toy("copy"), toy("sms"), transports=(toy("out"), toy("sms")))
    uses = {Way("channel", "fax"): {"mail"}, Way("channel", "copy"): {"fax"}, Way("transport", "out"): {"copy"},
            Way("transport", "sms"): {"sms"}}  # fmt: skip
    found = plan(before, after, uses=uses)
    assert found.channels == Moves(changed=("mail",), follow=("fax", "copy"), kept=("sms",))
    assert found.transports == Moves(follow=("out",), kept=("sms",))


def test_a_changed_secret_counts_as_a_change_of_its_way_alone() -> None:
    same = conf(toy("a"), toy("b"), transports=(toy("a"),))
    found = plan(same, same, stale={Way("channel", "a")})
    assert found.channels == Moves(changed=("a",), kept=("b",)) and found.transports == Moves(kept=("a",))


# --- ways in and out


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


# --- one reload at a time


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


# --- files that are being written


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the shipped conf that was written long ago."""
    made = Path(shutil.copytree(SHIPPED, tmp_path / "conf", ignore=shutil.ignore_patterns("__pycache__")))
    for path in made.rglob("*"):
        os.utime(path, (1, 1))
    return made


def test_a_file_that_changes_while_others_are_read_is_read_again(folder: Path) -> None:
    whole = (folder / "clocks.toml").read_bytes()
    (folder / "clocks.toml").write_bytes(whole[:100])
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds
        if len(slept) == 2:
            (folder / "clocks.toml").write_bytes(whole)
            os.utime(folder / "clocks.toml", (1, 2))

    os.utime(folder / "clocks.toml", (0, 0))
    assert steady(folder, clock=lambda: now[0], sleep=sleep)["clocks.toml"] == whole
    assert SETTLE_SECONDS <= sum(slept) < 1


def test_a_file_that_never_settles_is_named(folder: Path) -> None:
    now, count = [1e9], [0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        count[0] += 1
        os.utime(folder / "directory.toml", (now[0], now[0]))

    os.utime(folder / "directory.toml", (now[0], now[0]))
    with pytest.raises(Unsteady) as raised:
        steady(folder, clock=lambda: now[0], sleep=sleep)
    assert raised.value.names == ("directory.toml",) and 50 < count[0] < 500


def test_what_did_not_change_is_not_made_anew(folder: Path) -> None:
    book = Book(folder)
    first = book.load()
    (folder / "clocks.toml").write_text((folder / "clocks.toml").read_text() + "\n# a remark\n")
    os.utime(folder / "clocks.toml", (2, 2))
    second = book.load()
    assert second.catalogue is first.catalogue and second.words is first.words
    assert second.digest != first.digest and plan(first, second).changed == ()


def test_changed_code_of_a_plugin_waits_for_a_restart_and_new_code_is_loaded(folder: Path) -> None:
    source = (
        "from gateway.api import Settings, hookimpl\n\nclass {0}:\n    kind = '{0}'\n    Settings = Settings\n    mark = {1}\n"
        "    def __init__(self, name, settings): pass\n    def route(self, incident, moment, directory): return []\n\n"
        "@hookimpl\ndef routers(): return [{0}]\n"
    )
    (folder / "plugins.d").mkdir()
    (folder / "plugins.d" / "one.py").write_text(source.format("one", 1))
    (folder / "routes.d" / "zz.toml").write_text('[router.first]\nkind = "one"\n')
    for path in folder.rglob("*"):
        os.utime(path, (1, 1))
    book = Book(folder)
    first = book.load()
    (folder / "plugins.d" / "one.py").write_text(source.format("one", 2))
    (folder / "plugins.d" / "two.py").write_text(source.format("two", 1))
    (folder / "routes.d" / "zz.toml").write_text('[router.first]\nkind = "one"\n[router.second]\nkind = "two"\n')
    for path in folder.rglob("*"):
        os.utime(path, (2, 2))
    second = book.load()
    assert book.waiting == ("plugins.d/one.py",)
    assert [c.cls.mark for c in second.routers if c.name in ("first", "second")] == [1, 1]
    assert plan(first, second).parts == ("routers",)


def test_a_refused_conf_leaves_the_book_as_it_was(folder: Path) -> None:
    book = Book(folder)
    first = book.load()
    (folder / "catalogue.toml").write_text("[[item]\n")
    (folder / "directory.toml").write_text("office = 3\n")
    for name in ("catalogue.toml", "directory.toml"):
        os.utime(folder / name, (2, 2))
    with pytest.raises(ConfError) as raised:
        book.load()
    assert {fault.file for fault in raised.value.faults} >= {"catalogue.toml", "directory.toml"}
    shutil.copytree(SHIPPED, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    assert plan(first, book.load()).changed == ()


def test_a_byte_order_mark_is_taken(folder: Path) -> None:
    for name in ("gateway.toml", "roster.csv", "templates/report.txt"):
        (folder / name).write_bytes(b"\xef\xbb\xbf" + (SHIPPED / name).read_bytes())
    assert plan(CONFIG, Book(folder).load()).parts == ()


def test_a_broken_plugin_is_named_before_what_follows_from_it(folder: Path) -> None:
    (folder / "plugins.d").mkdir()
    (folder / "plugins.d" / "pager.py").write_text("import nothing_of_that_name\n")
    (folder / "channels.d" / "aa.toml").write_text('[transport.pager]\nkind = "to_pager"\n')
    with pytest.raises(ConfError) as raised:
        Book(folder).load()
    assert [fault.file for fault in raised.value.faults] == ["plugins.d/pager.py", "channels.d/aa.toml"]

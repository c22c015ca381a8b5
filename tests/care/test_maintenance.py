"""Maintenance: kept, not raised; it ends by itself; what still stands then is raised. Time goes on when told to."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from gateway import init, maintenance
from gateway.alarms import Alarms
from gateway.asked import OperationError
from gateway.chores import Chores
from gateway.cli import cli
from gateway.conf_load import load
from gateway.core.model import Event
from gateway.host import Host
from gateway.operations import Live, perform_now
from gateway.settings_care import RetentionSection
from gateway.store import Store, StoreKeys, journal, purge, tables

ROOT = Path(__file__).parents[2]
CONF = load(ROOT / "conf", Host.load())


class Clock:
    def __init__(self) -> None:
        self.at = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.at

    def on(self, **amount: float) -> None:
        self.at += timedelta(**amount)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(url: str, clock: Clock) -> Iterator[Callable[[], Store]]:
    opened: list[Store] = []

    def make() -> Store:
        opened.append(Store.open(url, StoreKeys(bytes(32)), clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


def house(store: Store, clock: Clock, channels: dict[str, Any] | None = None, **days: int) -> tuple[Alarms, Chores]:
    """A daemon's alarms and chores, as after a start."""
    told = Alarms(store, clock)
    config = replace(CONF, retention=RetentionSection(**days))
    return told, Chores(store, told, channels or {}, config=lambda: config, clock=clock)


def begin(store: Store, clock: Clock, minutes: int = 30, channel: str | None = None) -> None:
    store.write_now(lambda tx: maintenance.begin(tx, clock(), minutes=minutes, why="割接", by="op", channel=channel))


def written(store: Store, *names: str) -> list[Event]:
    return [entry.event for entry in store.read_now(lambda tx: journal.entries(tx, names=names or ["alarm"]))]


async def test_kept_then_raised_when_it_still_stands(open_store: Any, clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    store = open_store()
    told, chores = house(store, clock)
    begin(store, clock)
    await chores.look()
    with caplog.at_level(logging.INFO):
        told.raise_("start", why="port taken", plugin="sms")
        told.raise_("storage", why="disk full")
        await told.flush()
    assert [(e.data["what"], e.data.get("maintenance", False)) for e in written(store)] == [("start", True), ("storage", False)]
    assert [r.levelname for r in caplog.records if "what=start" in r.message] == ["INFO"]
    assert [r.levelname for r in caplog.records if "what=storage" in r.message] == ["ERROR"]
    assert told.count == 1
    clock.on(minutes=29, seconds=59)
    await chores.look()
    assert len(written(store)) == 2
    clock.on(seconds=1)
    await chores.look()
    last = written(store)[-1]
    assert (last.data["what"], last.data["plugin"], "maintenance" in last.data) == ("start", "sms", False)
    assert [(e.data["state"], e.by) for e in written(store, "maintenance")] == [("started", "op"), ("ended", None)]
    await chores.look()
    assert len(written(store)) == 3, "said once"


async def test_trouble_that_is_over_is_not_raised(open_store: Any, clock: Clock) -> None:
    store = open_store()
    up = SimpleNamespace(health=lambda: SimpleNamespace(state="up"))
    told, chores = house(store, clock, {"sms": up})
    begin(store, clock)
    await chores.look()
    told.raise_("plugin", why="no bind", plugin="sms", channel="sms")
    told.raise_("delivery", why="no way left", delivery="D1", destination="duty")
    clock.on(minutes=31)
    await chores.look()
    assert [e.data.get("maintenance") for e in written(store)] == [True, True], "sms is up, and there is no such delivery"


async def test_a_delivery_that_is_still_refused_is_raised(open_store: Any, clock: Clock) -> None:
    store = open_store()
    told, chores = house(store, clock)
    begin(store, clock)
    await chores.look()
    row = dict.fromkeys(("destination", "duty", "transport", "address", "refs", "ways"), "")
    values = {**row, "id": "D1", "state": "refused", "attempts": 1, "created_at": 1, "next_try_at": 1, "cleared": False}
    values |= {"refs": "[]", "ways": "[]", "position": "D1"}
    store.write_now(lambda tx: tx.run(sa.insert(tables.deliveries), values))
    told.raise_("delivery", why="no way left", delivery="D1", destination="duty")
    clock.on(minutes=31)
    await chores.look()
    assert [(e.delivery, e.data.get("maintenance", False)) for e in written(store)] == [("D1", True), ("D1", False)]


async def test_it_outlives_a_restart_and_ends_while_the_daemon_was_down(open_store: Any, clock: Clock) -> None:
    store = open_store()
    told, chores = house(store, clock)
    begin(store, clock)
    await chores.look()
    told.raise_("channel", why="carrier gone", via="sms")
    await told.flush()
    store.close()
    store = open_store()
    told, chores = house(store, clock)
    await chores.start()
    told.raise_("channel", why="carrier gone", via="sms")
    await told.flush()
    await chores.stop()
    assert [e.data.get("maintenance") for e in written(store)] == [True, True], "known before the first alarm of the new run"
    store.close()
    clock.on(hours=5)
    store = open_store()
    told, chores = house(store, clock)
    await chores.start()
    await chores.stop()
    assert [e.data.get("maintenance", False) for e in written(store)] == [True, True, False]


async def test_one_channel_alone_and_ended_by_hand(open_store: Any, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store()
    monkeypatch.setattr(Live, "now", lambda self: clock())
    live = Live(config=CONF, store=store)
    told, chores = house(store, clock)
    with pytest.raises(OperationError, match=r"no channel or transport|没有"):
        perform_now(live, "maintenance_on", {"minutes": 5, "why": "x", "channel": "telex"}, "op")
    with pytest.raises(OperationError):
        perform_now(live, "maintenance_on", {"minutes": 0, "why": "x"}, "op")
    perform_now(live, "maintenance_on", {"minutes": 60, "why": "割接", "channel": "sms"}, "op")
    assert [one["channel"] for one in perform_now(live, "maintenance", {}, "op")] == ["sms"]
    await chores.look()
    told.raise_("plugin", why="no bind", plugin="sms")
    told.raise_("plugin", why="spool gone", plugin="phone")
    clock.on(minutes=1)
    perform_now(live, "maintenance_off", {}, "chief")
    assert perform_now(live, "maintenance", {}, "op") == []
    await chores.look()
    shown = [(e.data["plugin"], e.data.get("maintenance", False)) for e in written(store)]
    assert shown == [("sms", True), ("phone", False), ("sms", False)]
    assert [(e.data["state"], e.by) for e in written(store, "maintenance")] == [("started", "op"), ("ended", "chief")]


def test_the_command_says_what_goes_on_and_what_has_ended(tmp_path: Path) -> None:
    init.write(tmp_path / "conf", demo=True, base_port=26900)

    def said(*words: str) -> str:
        made = CliRunner(env={"GATEWAY_LANG": "en"}).invoke(cli, ["--conf", str(tmp_path / "conf"), "maintenance", *words])
        assert made.exit_code == 0, made.output
        return made.output

    assert "no maintenance goes on" in said()
    assert re.search(
        r"all +\d+ \w+ 20\d\d \d\d:\d\d +\d+ \w+ 20\d\d \d\d:\d\d +works", said("on", "--minutes", "5", "--why", "works")
    )
    assert "works" in said()
    assert said("off") == "maintenance ended: 1\n"
    assert "no maintenance goes on" in said("off")


async def test_retention_runs_once_a_day_and_at_once_after_down_time(open_store: Any, clock: Clock) -> None:
    store = open_store()
    _told, chores = house(store, clock, ignored_days=30)

    def due() -> datetime | None:
        return store.read_now(lambda tx: purge.next_at(tx, "retention"))

    await chores.look()
    first = due()
    assert first == datetime.fromisoformat("2026-03-06T03:00:00+08:00"), "the first look only sets the time"
    clock.on(days=9)
    await chores.look()
    assert due() == datetime.fromisoformat("2026-03-15T03:00:00+08:00"), "missed passes are one pass"

"""The figures: what the store and the journal say, with labels that are few and hold nothing of anybody's report."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway import house as houses
from gateway import preparing, register
from gateway.alarms import Alarms
from gateway.conf_load import load
from gateway.core.errors import StorageTrouble
from gateway.core.model import Event, Message, RawMessage
from gateway.core.space import Space
from gateway.explain import throwaway_key
from gateway.host import Host
from gateway.intake import take_in
from gateway.metrics import Metrics
from gateway.settings_web import HttpSection
from gateway.store import Store, StoreKeys, journal, messages
from gateway.web import Web
from tests.system.gate import Gate, Sink, mail, send_mail

ROOT = Path(__file__).parents[2]
CONFIG = load(ROOT / "conf", Host.load(ROOT / "conf"))
NOW = datetime(2026, 3, 6, 2, 0, tzinfo=UTC)
CRASH = "云台区政府办报告：今日9时10分，云台区清水湾路口两车相撞，造成2人死亡、3人受伤。"
CANARY = "赤松岭七三一九"


class House:
    """A store in memory with its figures; time stands still unless moved."""

    def __init__(self) -> None:
        self.at, self.ticks = NOW, 0.0
        self.store = Store.open("sqlite://", StoreKeys(os.urandom(32)), clock=lambda: self.at)
        self.alarms = Alarms(self.store, lambda: self.at)
        self.up = {"sms": "up", "mail": "connecting"}
        self.metrics = Metrics(
            self.store, config=lambda: CONFIG, alarms=self.alarms, channels=lambda: self.up,
            clock=lambda: self.at, tick=lambda: self.ticks,
        )  # fmt: skip
        self.metrics.spaces = lambda: {"state": Space(free=5, total=9)}

    def take(self, text: str, *, sender: str = "13800000003", whole: bool = True) -> None:
        raw = RawMessage(
            channel="sms", via="sms", received_at=self.at, sender=sender, body=text.encode(), content_type="text/plain"
        )
        accepted = self.store.write_now(lambda tx: take_in(tx, raw, self.at, 60))
        if whole:
            house = houses.build(CONFIG, bureau_public=throwaway_key())
            row = self.store.read_now(lambda tx: messages.get(tx, accepted.id))
            prepared = preparing.prepare(house, row, Message(text=text))
            self.store.write_now(lambda tx: register.take(tx, house, row, prepared, self.at))

    def emit(self, name: str, **data: Any) -> None:
        self.store.write_now(lambda tx: journal.emit(tx, Event(at=self.at, event=name, data=data)))

    async def read(self) -> dict[tuple[str, ...], float]:
        self.ticks += 10
        return figures((await self.metrics.exposition())[0].decode())


def figures(text: str) -> dict[tuple[str, ...], float]:
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    made.store.close()


async def test_an_empty_house_shows_honest_zeros(house: House) -> None:
    found = await house.read()
    assert found["gateway_messages_accepted_total", "sms", "sms"] == 0
    assert found["gateway_queue_age_seconds", "desk"] == 0 and found["gateway_sealed_lag_events",] == 0
    assert found["gateway_channel_up", "sms"] == 1 and found["gateway_channel_up", "mail"] == 0
    assert found["gateway_clocks_passed_total", "initial"] == 0 and found["gateway_store_readable",] == 1


async def test_disks_say_how_long_they_last(house: House) -> None:
    house.metrics.spaces = lambda: {
        "state": Space(free=5, total=9), "log": Space(free=1, total=9, full_in=timedelta(hours=2)),
    }  # fmt: skip
    found = await house.read()
    assert (found["gateway_disk_free_bytes", "state"], found["gateway_disk_free_bytes", "log"]) == (5, 1)
    assert (found["gateway_disk_full_seconds", "state"], found["gateway_disk_full_seconds", "log"]) == (float("inf"), 7200)


async def test_what_came_in_is_counted_and_queues_age(house: House) -> None:
    house.take(CRASH, whole=False)
    house.at += timedelta(seconds=30)
    found = await house.read()
    assert found["gateway_messages_accepted_total", "sms", "sms"] == 1
    assert found["gateway_queue_age_seconds", "desk"] == 30 and found["gateway_messages", "accepted"] == 1
    assert found["gateway_sealed_lag_events",] == 1 and found["gateway_sealed_lag_seconds",] == 30
    house.take(CRASH, whole=False)
    assert (await house.read())["gateway_messages_duplicate_total", "sms"] == 1


async def test_clocks_of_open_incidents_run_and_pass(house: House) -> None:
    house.take(CRASH)
    first = await house.read()
    clocks = [clock.id for clock in CONFIG.clocks]
    assert first["gateway_incidents", "open"] == 1 and first["gateway_incidents_registered_total",] == 1
    assert sum(first["gateway_clocks_open", clock] for clock in clocks) > 0
    assert first["gateway_clocks_overdue", "initial"] == 1, "told 50 minutes after it happened"
    written = next(clock for clock in CONFIG.clocks if clock.id == "written")
    assert first["gateway_clocks_open", "written"] == 1
    house.at += timedelta(minutes=written.minutes)
    later = await house.read()
    assert (later["gateway_clocks_open", "written"], later["gateway_clocks_overdue", "written"]) == (0, 1)
    house.emit("clock_passed", clock="written", due=house.at, judgement="迟报")
    assert (await house.read())["gateway_clocks_passed_total", "written"] == 1


async def test_attempts_and_alarms_are_counted_by_closed_words(house: House) -> None:
    house.emit("delivered", destination="x", transport="mail")
    house.emit("delivery_failed", destination="x", transport="mail", why="later")
    house.emit("delivery_failed", destination="x", transport="sms", why="no", final=True)
    house.emit("delivered", destination="x", transport="carrier-pigeon-13800000003")
    house.emit("alarm", what="storage", why="full")
    house.emit("alarm", what="13800000003", why="odd")
    house.alarms.raise_("desk", why="not written yet")
    found = await house.read()
    assert found["gateway_delivery_attempts_total", "delivered", "mail"] == 1
    assert found["gateway_delivery_attempts_total", "failed", "mail"] == 1
    assert found["gateway_delivery_attempts_total", "refused", "sms"] == 1
    assert found["gateway_delivery_attempts_total", "delivered", "other"] == 1
    assert (found["gateway_alarms_total", "storage"], found["gateway_alarms_total", "other"]) == (1, 1)
    assert found["gateway_alarms_raised_total",] == 1
    assert not [key for key in found if any("1380" in label for label in key)]


async def test_the_store_is_asked_at_most_once_in_the_time_of_conf(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    read = house.store.read
    monkeypatch.setattr(house.store, "read", lambda fn: asked.append(1) or read(fn))
    for _ in range(5):
        await house.metrics.exposition()
    assert len(asked) == 1
    house.ticks += CONFIG.http.scrape_seconds
    await house.metrics.exposition()
    assert len(asked) == 2


async def test_a_store_that_cannot_be_read_is_told_and_nothing_is_counted_twice(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.take(CRASH, whole=False)
    await house.read()

    async def trouble(fn: Any) -> Any:
        raise StorageTrouble("disk")

    with monkeypatch.context() as patched:
        patched.setattr(house.store, "read", trouble)
        found = await house.read()
        assert found["gateway_store_readable",] == 0 and found["gateway_messages_accepted_total", "sms", "sms"] == 1
        answer = await Web(house.metrics).health(SimpleNamespace())  # type: ignore[arg-type]
        assert answer.status_code == 503
    found = await house.read()
    assert found["gateway_store_readable",] == 1 and found["gateway_messages_accepted_total", "sms", "sms"] == 1


async def test_a_long_journal_is_read_in_pieces(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.metrics.BATCH", 3)
    monkeypatch.setattr("gateway.metrics.BATCHES", 2)
    for _ in range(10):
        house.emit("escalated", destination="x", to="y")
    assert [(await house.read())["gateway_escalations_total",] for _ in range(3)] == [6, 10, 10]


async def test_port_0_is_no_server(house: House) -> None:
    web = Web(house.metrics)
    assert await web.start(HttpSection(port=0)) is False and web.port == 0
    await web.stop()


def test_a_running_daemon_is_scraped(gate: Gate, sink: Sink) -> None:
    gate.start()
    send_mail(gate.base, mail(f"{CRASH}代号{CANARY}，联系电话13877776666。"))
    where = f"http://127.0.0.1:{gate.base + 3}"

    def scraped() -> str:
        with urllib.request.urlopen(f"{where}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"].startswith("text/plain; version=")
            return answer.read().decode()

    def delivered() -> bool:
        return figures(scraped()).get(("gateway_delivery_attempts_total", "delivered", "mail"), 0) > 0

    gate.until(delivered, "a delivery is counted")
    text = scraped()
    found = figures(text)
    assert found["gateway_messages_accepted_total", "email", "mail"] == 1
    assert found["gateway_accept_seconds_count",] == 1 and found["gateway_incidents", "open"] == 1
    assert found["gateway_channel_up", "mail"] == 1 and found["process_open_fds",] > 0
    labels = [
        value for family in text_string_to_metric_families(text) for sample in family.samples for value in sample.labels.values()
    ]
    assert CANARY not in text and not re.search(r"\d{7}", " ".join(labels)) and all(len(value) <= 32 for value in labels)
    with urllib.request.urlopen(f"{where}/health", timeout=10) as answer:
        assert json.loads(answer.read())["status"] == "up"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(f"{where}/nothing", timeout=10)
    assert set(panels_names()) <= {name for name, *_ in found} | {f"{name}_bucket" for name, *_ in found}


def panels_names() -> Iterator[str]:
    for expression in expressions(json.loads((ROOT / "docs" / "grafana.json").read_text("utf-8"))):
        yield from re.findall(r"\b(?:gateway|process)_[a-z_]+", expression)


def expressions(node: Any) -> Iterator[str]:
    """Every query of a dashboard, wherever it stands."""
    if isinstance(node, dict):
        if isinstance(node.get("expr"), str):
            yield node["expr"]
        for value in node.values():
            yield from expressions(value)
    elif isinstance(node, list):
        for value in node:
            yield from expressions(value)


async def test_the_dashboard_asks_only_for_figures_that_exist(house: House) -> None:
    house.metrics.accept_seconds.observe(0.01)
    known = {name for name, *_ in await house.read()}
    named = set(panels_names())
    assert len(named) >= 15 and named <= known, named - known


async def test_every_figure_is_in_the_docs(house: House) -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    families = text_string_to_metric_families((await house.metrics.exposition())[0].decode())
    missing = [f.name for f in families if f.name.startswith("gateway_") and re.sub("_(total|created)$", "", f.name) not in page]
    assert not missing


async def test_a_socket_of_systemd_is_served_whatever_conf_says(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    given = socket.create_server(("127.0.0.1", 0))
    given.setblocking(False)
    monkeypatch.setattr("gateway.activation.inherited", lambda name: given if name == "console" else None)
    web = Web(house.metrics)
    assert await web.start(HttpSection(port=0)) is True
    reader, writer = await asyncio.open_connection("127.0.0.1", web.port)
    writer.write(b"GET /metrics HTTP/1.0\r\n\r\n")
    await writer.drain()
    answer = await reader.read()
    assert answer.startswith(b"HTTP/1.") and b"gateway_build_info" in answer
    writer.close()
    await web.stop()
    assert web.port == 0

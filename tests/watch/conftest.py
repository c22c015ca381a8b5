"""A store on each back end, a clock that goes on when told to, and the parts of a daemon that the watch speaks to."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from gateway.alarms import Alarms
from gateway.conf_load import load
from gateway.core.duty.matter import Follow, Matter
from gateway.core.model import Event, Incident, Report
from gateway.core.outcomes import Delivered
from gateway.host import Host
from gateway.settings import Config
from gateway.store import Store, StoreKeys, deliveries, incidents, journal, matters

ROOT = Path(__file__).parents[2]
START = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)


class Clock:
    def __init__(self, at: datetime = START) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at

    def on(self, **amount: float) -> None:
        self.at += timedelta(**amount)


class Carrier:
    """A transport that keeps what it was given; ``answer`` may be an outcome or an error."""

    def __init__(self, answer: Any = None, carrier: str | None = None) -> None:
        self.answer = answer
        self.sent: list[Any] = []
        if carrier:
            self.receipts_from = carrier

    async def send(self, delivery: Any) -> Any:
        if isinstance(self.answer, BaseException):
            raise self.answer
        if self.answer is not None:
            return self.answer
        self.sent.append(delivery)
        return Delivered(("1",))

    @property
    def texts(self) -> list[str]:
        return [one.short_text for one in self.sent]


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def open_store(url: str, clock: Clock) -> Iterator[Callable[[], Store]]:
    """Opens the store; again is as after a restart."""
    opened: list[Store] = []

    def make() -> Store:
        while opened:
            opened.pop().close()
        opened.append(Store.open(url, StoreKeys(bytes(32)), clock))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


@pytest.fixture(scope="session")
def shipped() -> Config:
    return load(ROOT / "conf", Host.load())


def changed(config: Config, **parts: Any) -> Config:
    """``config`` with other parts, and some keys of its sections: ``watchdog={"down_minutes": 1}``."""
    made = {
        name: getattr(config, name).model_copy(update=part) if isinstance(part, dict) else part for name, part in parts.items()
    }
    return replace(config, **made)


def alarms_of(store: Store, clock: Clock) -> Alarms:
    return Alarms(store, clock)


def events(store: Store, *names: str) -> list[Event]:
    return [entry.event for entry in store.read_now(lambda tx: journal.entries(tx, names=names or None, limit=10_000))]


def emit(store: Store, clock: Clock, what: str, incident: str | None = None, **data: Any) -> None:
    """An alarm written in a transaction, as the rooms do."""
    event = Event(at=clock(), event="alarm", incident=incident, data={"what": what, "why": "看不得的内容", **data})
    store.write_now(lambda tx: journal.emit(tx, event))


def opened(store: Store, clock: Clock, next_step: str = "等待签收", state: str = "open", *, next_hours: float = 99) -> Incident:
    """An incident; with a next step it has a matter that will do something."""

    def make(tx: Any) -> Incident:
        made = Incident(
            id=tx.new_id(), number=incidents.next_number(tx, 2026), title="t", state="open", items=(), kinds=(),
            report=Report(text='他说 "next_step":""'), first_received_at=clock(), next_step=next_step,
        )  # fmt: skip
        incidents.insert(tx, made)
        if next_step:
            matters.put(tx, made.id, a_matter(clock()), clock() + timedelta(hours=next_hours), None)
        if state != "open":
            made = incidents.update(tx, replace_struct(made, state=state))
        return made

    return store.write_now(make)


def a_matter(at: datetime) -> Matter:
    return Matter(number="2026-0001", first_at=at, start=at, follow=Follow(last_at=at))


def replace_struct(one: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(one, **changes)


def queued(store: Store, clock: Clock, transport: str = "sms", incident: str | None = None, **more: Any) -> str:
    def put(tx: Any) -> str:
        row = deliveries.DeliveryRow(
            id=tx.new_id(), incident=incident, destination="committee_office", transport=transport, address="a",
            created_at=clock(), next_try_at=more.get("next_try_at", clock()),
        )  # fmt: skip
        deliveries.insert(tx, row, deliveries.Content(subject="s", text="t", short_text="t"))
        return row.id

    return store.write_now(put)

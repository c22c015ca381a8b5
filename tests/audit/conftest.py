"""A store, its audit log, and events to put into it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import i18n
from gateway.audit.sealer import Sealer
from gateway.core.model import Event
from gateway.store import Store, StoreKeys, journal

AT = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """What the store refuses is told in the operator's language; the tests read English."""
    i18n.use("en")
    yield
    i18n.use("zh")


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    made = Store.open(url, StoreKeys(bytes(32)), lambda: AT)
    yield made
    made.close()


@pytest.fixture
def memory() -> Iterator[Store]:
    made = Store.open("sqlite://", StoreKeys(bytes(32)), lambda: AT)
    yield made
    made.close()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def make_sealer(log: Path) -> Iterator[Callable[..., Sealer]]:
    """A sealer on a store, as after a start of the daemon."""
    made: list[Sealer] = []

    def make(store: Store, **options: str) -> Sealer:
        made.append(Sealer(store, log, lambda: AT + timedelta(seconds=9), **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for sealer in made:
        sealer.close()


def emit(store: Store, count: int = 1, **more: object) -> None:
    """Write events into the journal."""
    values: dict[str, object] = {"at": AT, "event": "accepted", "data": {"via": "sms", "sender": "13800000001"}}
    event = Event(**(values | more))  # type: ignore[arg-type]

    def run(tx: object) -> None:
        for _ in range(count):
            journal.emit(tx, event)  # type: ignore[arg-type]

    store.write_now(run)


def drain(sealer: Sealer) -> int:
    """Seal until nothing is left."""
    total = 0
    while written := sealer.run_once():
        total += written
    return total

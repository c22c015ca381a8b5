"""One suite over both back ends: ``store`` comes once on SQLite and once on PostgreSQL."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from gateway import i18n
from gateway.core.model import RawMessage
from gateway.store import Store, StoreKeys

START = datetime(2026, 3, 5, 14, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    """What the store refuses is told in the operator's language; the tests read English."""
    i18n.use("en")
    yield
    i18n.use("zh")


class Clock:
    """Time that goes on when told to."""

    def __init__(self) -> None:
        self.at = START

    def __call__(self) -> datetime:
        return self.at

    def on(self, **amount: float) -> datetime:
        """Go on; returns the new instant."""
        self.at += timedelta(**amount)
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keys() -> StoreKeys:
    return StoreKeys(bytes(range(32)))


@pytest.fixture
def open_store(url: str, clock: Clock, keys: StoreKeys) -> Iterator[Callable[[], Store]]:
    """Opens the test's store, as often as wanted; what is open at the end is closed."""
    opened: list[Store] = []

    def make(**options: int) -> Store:
        opened.append(Store.open(url, keys, clock, **options))
        return opened[-1]

    yield make
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Callable[[], Store]) -> Store:
    return open_store()


def sms(body: bytes | str = "测试镇报告一起火情", **more: object) -> RawMessage:
    """A short message as a channel hands it in."""
    data = body.encode() if isinstance(body, str) else body
    values: dict[str, object] = {
        "channel": "sms",
        "via": "sms",
        "received_at": START,
        "sender": "13800000001",
        "recipient": "10690000",
        "body": data,
        "content_type": "text/plain",
    }
    return RawMessage(**(values | more))  # type: ignore[arg-type]

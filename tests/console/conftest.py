"""One console in memory for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway import i18n
from tests.console.room import Room
from tests.people.desk import CRASH


@pytest.fixture(autouse=True)
def _chinese() -> None:
    """The pages speak the operator's language, whatever a test before has chosen."""
    i18n.use("zh")


@pytest.fixture
def room() -> Iterator[Room]:
    """A console at night, with one crash that nobody has acknowledged."""
    made = Room()
    made.desk.take(CRASH)
    yield made
    assert made.errors == []
    made.desk.store.close()

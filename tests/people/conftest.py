"""One gateway in memory for each test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.people.desk import Desk


@pytest.fixture
def desk() -> Iterator[Desk]:
    made = Desk()
    yield made
    made.store.close()

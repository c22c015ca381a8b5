"""Fixtures for tests against a real daemon."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.gate import Gate, Sink


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A fresh demo configuration; the daemon is stopped at the end."""
    made = Gate(tmp_path)
    yield made
    made.stop()


@pytest.fixture
def sink(gate: Gate) -> Iterator[Sink]:
    """The mail sink that the demo configuration points to."""
    made = Sink(gate.base + 5)
    made.start()
    yield made
    made.stop()

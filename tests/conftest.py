"""Fixtures that every room uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from gateway import aio


@pytest_asyncio.fixture
async def reactor() -> AsyncIterator[Any]:
    """Twisted on this test's own asyncio loop, lent to ``gateway.aio``."""
    made = AsyncioSelectorReactor(asyncio.get_running_loop())
    aio.use(made)
    yield made
    aio.use(None)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Any]:
    """The one PostgreSQL cluster of a run, started where a test asks for it."""
    from tests.store.postgres import cluster

    with cluster() as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """The address of an empty data base, once of each kind: one suite over both back ends."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    server = request.getfixturevalue("postgres")
    made = server.url()
    yield made
    server.drop(made)

"""Fixtures that every room uses."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import uvloop
from hypothesis import settings
from twisted.internet.asyncioreactor import AsyncioSelectorReactor

from gateway import aio, i18n

# A run says the same of the same code, on a slow machine too; ``HYPOTHESIS_PROFILE=explore`` looks for what nobody has found yet.
settings.register_profile("same", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


def pytest_collection_finish() -> None:
    """Some six thousand collected tests are no garbage: walking over them again and again holds a test's loop for half a second at a time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Keep the processes of a run out of the way of a test that must be alone, before its time limit begins to count."""
    alone = item.get_closest_marker("alone") is not None
    # Whoever waits for the room keeps the gate: nobody slips in before one that must be alone.
    with open(__file__, "rb") as gate, open(item.config.rootpath / "pyproject.toml", "rb") as room:
        fcntl.flock(gate, fcntl.LOCK_EX)
        fcntl.flock(room, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        return (yield)


@pytest.fixture(autouse=True)
def _language() -> Iterator[None]:
    """Whatever language a test ends in, the next one begins in Chinese."""
    yield
    i18n.use("zh")


def pytest_asyncio_loop_factories() -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """The loop of the daemon, for every test that asks for one."""
    return {"uvloop": uvloop.new_event_loop}


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

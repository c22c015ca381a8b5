"""Fixtures that every room uses."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

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

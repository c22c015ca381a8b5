"""A daemon whose data base could not be synced tells of it before it ends."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from gateway import service


async def test_the_alarm_is_raised_before_the_process_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[str] = []
    told = asyncio.Event()

    def raise_(what: str, *, why: str) -> None:
        steps.append(f"{what}: {why}")
        told.set()

    loop = asyncio.get_running_loop()
    monkeypatch.setattr(service, "end_process", lambda why: steps.append(f"end: {why}"))
    monkeypatch.setattr(service.time, "sleep", lambda _seconds: asyncio.run_coroutine_threadsafe(told.wait(), loop).result(10))
    daemon = service.Service.__new__(service.Service)
    daemon.alarms = SimpleNamespace(raise_=raise_)  # type: ignore[assignment]
    await asyncio.to_thread(daemon._unsure, loop, "disk I/O error")
    assert [step.split(":")[0] for step in steps] == ["storage", "end"]
    assert all("disk I/O error" in step for step in steps)

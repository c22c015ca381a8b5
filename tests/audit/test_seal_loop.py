"""The daemon's turns of the sealer: when they come, and that a log that could not be written is tried again soon."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from gateway import sealing
from gateway.sealing import BATCH, PAUSE_SECONDS, AuditMismatch, Sealing


class Alarms:
    def __init__(self) -> None:
        self.raised: list[str] = []
        self.flushed = 0

    def raise_(self, what: str, **_data: object) -> None:
        self.raised.append(what)

    async def flush(self) -> None:
        self.flushed += 1


def turns(run_once: Callable[[], int], alarms: Alarms, carriers: int = 0) -> Sealing:
    store: Any = SimpleNamespace(listeners=[])
    sealer: Any = SimpleNamespace(run_once=run_once)
    return Sealing(store, sealer, alarms, lambda: carriers)  # type: ignore[arg-type]


async def test_intake_opens_again_without_a_commit_that_would_wake_the_sealer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "IDLE_SECONDS", 3600.0)
    monkeypatch.setattr(sealing, "RETRY_SECONDS", 0.0)
    outcomes = iter([OSError(28, "No space left on device"), OSError(5, "Input/output error"), 0])
    shut: list[str] = []

    def run_once() -> int:
        shut.append(ours.shut)
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    alarms = Alarms()
    ours = turns(run_once, alarms)
    ours.start()
    async with asyncio.timeout(10):
        while len(shut) < 3 or ours.shut:
            await asyncio.sleep(0)
    assert [bool(why) for why in shut] == [False, True, True], "shut from the first failure on"
    assert alarms.raised == ["sealer"] * 2
    await ours.stop()


@pytest.mark.parametrize(("carriers", "paused", "flushed"), [(2, 2, 3), (0, 0, 1)])
async def test_while_carriers_wait_the_sealer_takes_a_breath(
    monkeypatch: pytest.MonkeyPatch, carriers: int, paused: int, flushed: int
) -> None:
    pauses: list[float] = []
    left, alarms = iter([3, BATCH, 3, 0]), Alarms()
    loop = asyncio.get_running_loop()

    def run_once() -> int:
        if (sealed := next(left)) == 0:
            asyncio.run_coroutine_threadsafe(ours.stop(), loop).result(5)
        return sealed

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    ours = turns(run_once, alarms, carriers)
    monkeypatch.setattr(sealing.asyncio, "sleep", sleep)
    async with asyncio.timeout(10):
        await ours.run()
    assert pauses == [PAUSE_SECONDS] * paused, "none behind a turn that had all it could take"
    assert alarms.flushed == flushed, "what waited for the store is written behind each, and not only at the end"


async def test_what_was_taken_is_read_and_sent_before_its_lines_are_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    loop = asyncio.get_running_loop()

    def run_once() -> int:
        said.append("sealed")
        if len(said) > 1:
            asyncio.run_coroutine_threadsafe(ours.stop(), loop).result(5)
        (commit,) = ours._store.listeners
        commit()
        return 0

    async def sleep(seconds: float) -> None:
        said.append(seconds)

    ours = turns(run_once, Alarms())
    monkeypatch.setattr(sealing.asyncio, "sleep", sleep)
    async with asyncio.timeout(10):
        await ours.run()
    assert said == ["sealed", PAUSE_SECONDS, "sealed"]


async def test_a_changed_log_stops_no_report_also_when_it_could_not_be_written_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "RETRY_SECONDS", 0.0)
    outcomes = iter([OSError(28, "No space left on device"), AuditMismatch("changed"), ValueError("odd")])
    shut: list[str] = []
    loop, alarms = asyncio.get_running_loop(), Alarms()

    def run_once() -> int:
        shut.append(ours.shut)
        if len(shut) == 3:
            asyncio.run_coroutine_threadsafe(ours.stop(), loop).result(5)
        else:
            loop.call_soon_threadsafe(ours._committed.set)
        raise next(outcomes)

    ours = turns(run_once, alarms)
    async with asyncio.timeout(10):
        await ours.run()
    assert [bool(why) for why in shut] == [False, True, False] and not ours.shut
    assert alarms.raised == ["sealer"] * 3


async def test_no_fault_ends_the_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealing, "RETRY_SECONDS", 0.0)
    loop, alarms, faults = asyncio.get_running_loop(), Alarms(), []
    turned = 0

    async def flush() -> None:
        raise KeyError("odd")

    def run_once() -> int:
        nonlocal turned
        turned += 1
        if turned == 3:
            asyncio.run_coroutine_threadsafe(ours.stop(), loop).result(5)
        loop.call_soon_threadsafe(ours._committed.set)
        return 0

    alarms.flush = flush  # type: ignore[method-assign]
    ours = turns(run_once, alarms)
    ours.on_error = faults.append
    async with asyncio.timeout(10):
        await ours.run()
    assert turned == 3 and [type(fault) for fault in faults] == [KeyError] * 3

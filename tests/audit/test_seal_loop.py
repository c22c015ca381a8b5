"""The daemon's turn of the sealer: a log that could not be written is tried again soon, though nothing is committed meanwhile."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from gateway import service


class Alarms:
    raised: list[str] = []
    flushed = 0

    def raise_(self, what: str, **_data: object) -> None:
        self.raised.append(what)

    async def flush(self) -> None:
        self.flushed += 1


async def test_intake_opens_again_without_a_commit_that_would_wake_the_sealer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "SEAL_IDLE", 3600.0)
    monkeypatch.setattr(service, "SEAL_RETRY", 0.0)
    outcomes = iter([OSError(28, "No space left on device"), OSError(5, "Input/output error"), 0])
    states: list[str] = []
    daemon = service.Service.__new__(service.Service)

    def run_once() -> int:
        states.append(daemon._unsealed)
        outcome = next(outcomes)
        if isinstance(outcome, OSError):
            raise outcome
        return outcome

    daemon.store = SimpleNamespace(listeners=[])  # type: ignore[assignment]
    daemon.sealer = SimpleNamespace(run_once=run_once)  # type: ignore[assignment]
    daemon.heart = SimpleNamespace(here=lambda *_args: None)  # type: ignore[assignment]
    daemon.alarms = Alarms()  # type: ignore[assignment]
    daemon.intake = SimpleNamespace(in_hand=0)  # type: ignore[assignment]
    daemon._committed, daemon._stopping, daemon._unsealed = asyncio.Event(), asyncio.Event(), ""
    turning = asyncio.create_task(daemon._seal())
    async with asyncio.timeout(10):
        while len(states) < 3 or daemon._unsealed:
            await asyncio.sleep(0)
    assert [bool(state) for state in states] == [False, True, True], "shut from the first failure on"
    daemon._stopping.set()
    daemon._committed.set()
    await turning


@pytest.mark.parametrize(("in_hand", "paused", "flushed"), [(2, 2, 3), (0, 0, 1)])
async def test_while_carriers_wait_the_sealer_takes_a_breath(
    monkeypatch: pytest.MonkeyPatch, in_hand: int, paused: int, flushed: int
) -> None:
    pauses: list[float] = []
    turns = iter([3, service.BATCH, 3, 0])
    daemon = service.Service.__new__(service.Service)
    daemon.intake = SimpleNamespace(in_hand=in_hand)  # type: ignore[assignment]
    daemon.store = SimpleNamespace(listeners=[])  # type: ignore[assignment]
    daemon.heart = SimpleNamespace(here=lambda *_args: None)  # type: ignore[assignment]
    daemon.alarms = Alarms()  # type: ignore[assignment]
    daemon._committed, daemon._stopping, daemon._unsealed = asyncio.Event(), asyncio.Event(), ""
    loop = asyncio.get_running_loop()

    def run_once() -> int:
        if (sealed := next(turns)) == 0:
            daemon._stopping.set()
            loop.call_soon_threadsafe(daemon._committed.set)
        return sealed

    async def sleep(seconds: float) -> None:
        pauses.append(seconds)

    daemon.sealer = SimpleNamespace(run_once=run_once)  # type: ignore[assignment]
    monkeypatch.setattr(service.asyncio, "sleep", sleep)
    async with asyncio.timeout(10):
        await daemon._seal()
    assert pauses == [service.SEAL_PAUSE] * paused, "none behind a turn that had all it could take"
    assert daemon.alarms.flushed == flushed, "what waited for the store is written behind each, and not only at the end"  # type: ignore[attr-defined]


async def test_what_was_taken_is_read_and_sent_before_its_lines_are_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[object] = []
    daemon = service.Service.__new__(service.Service)
    daemon.intake = SimpleNamespace(in_hand=0)  # type: ignore[assignment]
    daemon.store = SimpleNamespace(listeners=[])  # type: ignore[assignment]
    daemon.heart = SimpleNamespace(here=lambda *_args: None)  # type: ignore[assignment]
    daemon.alarms = Alarms()  # type: ignore[assignment]
    daemon._committed, daemon._stopping, daemon._unsealed = asyncio.Event(), asyncio.Event(), ""
    loop = asyncio.get_running_loop()

    def run_once() -> int:
        said.append("sealed")
        if len(said) > 1:
            daemon._stopping.set()
        loop.call_soon_threadsafe(daemon._committed.set)
        return 0

    async def sleep(seconds: float) -> None:
        said.append(seconds)

    daemon.sealer = SimpleNamespace(run_once=run_once)  # type: ignore[assignment]
    monkeypatch.setattr(service.asyncio, "sleep", sleep)
    async with asyncio.timeout(10):
        await daemon._seal()
    assert said[:3] == ["sealed", service.SEAL_PAUSE, "sealed"]

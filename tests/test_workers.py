"""Worker processes: whatever a read does there, the daemon goes on and the next message is read."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from gateway import worker_main
from gateway.api import Message, RawMessage, Settings
from gateway.judging import Packed
from gateway.workers import Job, NoWorker, WorkerFailed, WorkerPool
from tests.channel_fakes import NOW
from tests.worker_channels import Odd

CHANNEL = Odd("odd", Settings())


def raw(order: str) -> RawMessage:
    return RawMessage(channel="email", via="odd", received_at=NOW, sender="", body=order.encode(), content_type="text/plain")


async def read(pool: WorkerPool, order: str) -> Message:
    return await pool.read(CHANNEL, raw(order))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    made = WorkerPool("parse", 1, 512, 1.0)
    yield made
    await made.stop()


async def test_a_read_answers_from_another_process(pool: WorkerPool) -> None:
    first, second = await read(pool, "a report"), await read(pool, "another")
    assert first.text == "a report"
    assert int(first.subject) != os.getpid()
    assert first.subject == second.subject, "one process serves many calls"


async def test_start_spawns_all_and_stop_ends_all() -> None:
    pool = WorkerPool("parse", 2, 512, 1.0)
    await pool.start()
    pids = pool.pids
    assert len(pids) == 2
    await pool.stop()
    assert not any(alive(pid) for pid in pids)
    with pytest.raises(WorkerFailed):
        await read(pool, "too late")


@pytest.mark.parametrize("order", ["hang", "spin"])
async def test_a_read_that_takes_too_long_is_killed_and_replaced(pool: WorkerPool, order: str) -> None:
    await pool.start()
    (pid,) = pool.pids
    began = time.monotonic()
    with pytest.raises(WorkerFailed, match="longer than 1 s"):
        await read(pool, order)
    assert time.monotonic() - began < 5
    assert not alive(pid)
    assert (await read(pool, "next")).text == "next"


async def test_memory_is_limited() -> None:
    pool = WorkerPool("parse", 1, 256, 20.0)
    try:
        with pytest.raises(WorkerFailed, match="memory"):
            await read(pool, "grow")
        assert (await read(pool, "next")).text == "next"
    finally:
        await pool.stop()


async def test_a_process_that_has_grown_is_replaced() -> None:
    pool = WorkerPool("parse", 1, 256, 5.0)
    try:
        first = await read(pool, "keep")
        assert (await read(pool, "next")).subject != first.subject
    finally:
        await pool.stop()


async def test_a_worker_that_exits_is_told_and_replaced(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match=r"exit 3"):
        await read(pool, "exit")
    assert (await read(pool, "next")).text == "next"


async def test_a_worker_killed_from_outside_between_calls_is_replaced(pool: WorkerPool) -> None:
    await pool.start()
    os.kill(pool.pids[0], signal.SIGKILL)
    await asyncio.sleep(0.1)
    assert (await read(pool, "next")).text == "next"


async def test_an_exception_is_told_by_its_kind_and_never_by_its_text(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed) as caught:
        await read(pool, "raise")
    assert str(caught.value) == "reading failed (RuntimeError)"


async def test_malformed_says_what_and_where(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="field 'from' is missing"):
        await read(pool, "malformed")


async def test_what_the_machine_lacked_is_told_apart_from_what_the_content_brought_about(pool: WorkerPool) -> None:
    with pytest.raises(NoWorker, match=r"reading failed \(OSError\)"):
        await read(pool, "lacking")
    with pytest.raises(WorkerFailed, match=r"reading failed \(OSError\)") as found:
        await read(pool, "odd file")
    assert not isinstance(found.value, NoWorker)
    assert (await read(pool, "a report")).text == "a report"


@pytest.mark.parametrize(("fault", "raised"), [(OSError(24, "Too many open files"), True), (OSError("odd"), False), (KeyError("x"), False)])
def test_what_a_machine_lacks_while_it_judges_is_no_fault_of_the_rules(
    monkeypatch: pytest.MonkeyPatch, fault: Exception, raised: bool
) -> None:
    def judge(*_args: object) -> object:
        raise fault

    monkeypatch.setattr(worker_main, "judge", judge)
    monkeypatch.setattr(worker_main, "_rules", {"r": None})
    job = Job(raw=raw("a report"), seconds=1.0, rules=Packed("r"), message=Message(text="a report"))
    if raised:
        with pytest.raises(OSError, match="Too many"):
            worker_main._done(job)
    else:
        assert worker_main._done(job).odd == type(fault).__name__


async def test_endless_recursion_ends(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="nested too deeply"):
        await read(pool, "deep")


async def test_what_a_library_prints_breaks_no_answer(pool: WorkerPool) -> None:
    assert (await read(pool, "print")).text == "print"
    assert (await read(pool, "next")).text == "next"


async def test_a_message_that_cannot_be_sent_is_a_failure_not_a_crash(pool: WorkerPool) -> None:
    with pytest.raises(WorkerFailed, match="cannot be handed over"):
        await read(pool, "surrogate")


async def test_it_holds_nothing_of_ours_that_may_be_inherited(pool: WorkerPool) -> None:
    with socket.create_server(("127.0.0.1", 0)) as kept:
        kept.set_inheritable(True)
        await pool.start()
        here = os.readlink(f"/proc/self/fd/{kept.fileno()}")
        there = [os.readlink(one) for one in Path(f"/proc/{pool.pids[0]}/fd").iterdir()]
    assert len(there) >= 3
    assert here not in there


async def test_no_core_files_and_no_credentials(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/gateway")
    assert (await read(pool, "limits")).text == "(0, 0) False"


async def test_two_workers_run_side_by_side_and_the_loop_stays_free() -> None:
    pool = WorkerPool("parse", 2, 512, 5.0)
    await pool.start()
    ticks = 0

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.01)
            ticks += 1

    ticker = asyncio.create_task(tick())
    try:
        began = time.monotonic()
        done = await asyncio.gather(*(read(pool, "sleep 0.4") for _ in range(4)))
        took = time.monotonic() - began
    finally:
        ticker.cancel()
        await pool.stop()
    assert 0.7 < took < 1.5, "four calls of 0.4 s on two workers"
    assert len({message.subject for message in done}) == 2
    assert ticks > 30


async def test_a_worker_is_replaced_after_its_share_of_calls() -> None:
    pool = WorkerPool("parse", 1, 512, 5.0, calls=2)
    try:
        pids = [(await read(pool, "x")).subject for _ in range(3)]
    finally:
        await pool.stop()
    assert pids[0] == pids[1] != pids[2]


async def test_a_cancelled_call_leaves_no_process_behind(pool: WorkerPool) -> None:
    await pool.start()
    (pid,) = pool.pids
    call = asyncio.create_task(read(pool, "hang"))
    await asyncio.sleep(0.1)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not alive(pid)
    assert (await read(pool, "next")).text == "next"


async def test_a_big_message_goes_through(pool: WorkerPool) -> None:
    order = "报" * 3_000_000
    assert (await read(pool, order)).text == order

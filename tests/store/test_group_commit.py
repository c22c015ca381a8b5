"""Many functions, few transactions; one bad function spoils nobody else's work."""

from __future__ import annotations

import asyncio
import threading
import time
from pathlib import Path

import pytest

from gateway.core.errors import StorageTrouble
from gateway.core.model import Event
from gateway.store import Store, StoreKeys, Tx, journal, messages, upkeep
from gateway.store import waiting as room
from gateway.store.line import OVERTAKEN, Line
from gateway.store.tables import meta
from tests.store.conftest import START, Clock, sms


async def test_many_accepts_share_few_transactions(store: Store, clock: Clock) -> None:
    before = store.commits
    made = await asyncio.gather(*(store.write(lambda tx, n=n: messages.accept(tx, sms(f"第{n}条"), clock())) for n in range(300)))
    assert len({one.id for one in made}) == 300
    assert len(store.read_now(lambda tx: messages.pending(tx, "sms", 1000))) == 300
    assert store.commits - before <= 100


async def test_answers_come_after_commit_only(store: Store, clock: Clock) -> None:
    accepted = await store.write(lambda tx: messages.accept(tx, sms(), clock()))
    # Another connection sees it at once.
    assert store.read_now(lambda tx: messages.get(tx, accepted.id)).state == "accepted"


async def test_own_exception_rolls_back_one_savepoint(store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    def bad(tx: Tx) -> None:
        messages.accept(tx, sms("坏的一条"), clock())
        journal.emit(tx, Event(at=clock(), event="accepted", data={"via": "sms"}))
        raise KeyError("wrong")

    monkeypatch.setattr(room, "LONGEST", 60.0)  # however slow the machine is
    hold = threading.Event()
    before = store.commits
    blocked = asyncio.ensure_future(store.write(lambda tx: hold.wait(5)))
    waiting = [
        asyncio.ensure_future(store.write(lambda tx: messages.accept(tx, sms("前一条"), clock()))),
        asyncio.ensure_future(store.write(bad)),
        asyncio.ensure_future(store.write(lambda tx: messages.accept(tx, sms("后一条"), clock()))),
    ]
    await asyncio.sleep(0)
    hold.set()
    await blocked
    results = await asyncio.gather(*waiting, return_exceptions=True)
    assert isinstance(results[1], KeyError)
    assert store.commits - before == 1, "all ran in one transaction"
    bodies = {store.read_now(lambda tx, row=row: messages.raw(tx, row.id)).body.decode() for row in store.read_now(messages.rows)}
    assert bodies == {"前一条", "后一条"}
    assert store.read_now(journal.entries) == []


async def test_statement_error_of_one_function_is_its_own(store: Store, clock: Clock) -> None:
    def twice(tx: Tx) -> None:
        tx.insert(meta, {"key": "same", "value": "1"})
        tx.insert(meta, {"key": "same", "value": "2"})

    results = await asyncio.gather(
        store.write(lambda tx: messages.accept(tx, sms("甲"), clock())),
        store.write(twice),
        store.write(lambda tx: messages.accept(tx, sms("乙"), clock())),
        return_exceptions=True,
    )
    assert [type(one).__name__ for one in results] == ["Accepted", "IntegrityError", "Accepted"]
    assert "same" not in str(results[1]).split("[SQL")[-1], "values stay out of exception texts"


async def test_batch_limit(store: Store, clock: Clock) -> None:
    hold = threading.Event()
    blocked = asyncio.ensure_future(store.write(lambda tx: hold.wait(5)))
    await asyncio.sleep(0.01)
    rest = [asyncio.ensure_future(store.write(lambda tx: None)) for _ in range(200)]
    await asyncio.sleep(0)
    before = store.commits
    hold.set()
    await asyncio.gather(blocked, *rest)
    assert store.commits - before >= 4, "no transaction takes more than 64 functions"


def test_write_now_and_read_now_need_no_loop(store: Store, clock: Clock) -> None:
    accepted = store.write_now(lambda tx: messages.accept(tx, sms(), clock()))
    assert store.read_now(lambda tx: messages.raw(tx, accepted.id)).body == sms().body
    with pytest.raises(RuntimeError, match="inside"):
        store.write_now(lambda tx: store.write_now(lambda tx: None))


async def test_closed_store_says_so(store: Store) -> None:
    store.close()
    with pytest.raises(StorageTrouble, match="closed"):
        await store.write(lambda tx: None)
    with pytest.raises(StorageTrouble, match="closed"):
        await store.read(lambda tx: None)


async def test_waiting_work_is_finished_at_close(store: Store, open_store, clock: Clock) -> None:  # type: ignore[no-untyped-def]
    waiting = [asyncio.ensure_future(store.write(lambda tx, n=n: messages.accept(tx, sms(f"{n}"), clock()))) for n in range(50)]
    await asyncio.sleep(0)
    await asyncio.to_thread(store.close)
    assert len(await asyncio.gather(*waiting)) == 50
    assert len(open_store().read_now(lambda tx: messages.pending(tx, None, 100))) == 50


async def test_cancelled_caller_harms_nobody(store: Store, clock: Clock) -> None:
    cancelled = asyncio.ensure_future(store.write(lambda tx: messages.accept(tx, sms("走了"), clock())))
    await asyncio.sleep(0)
    cancelled.cancel()
    other = await store.write(lambda tx: messages.accept(tx, sms("还在"), clock()))
    assert store.read_now(lambda tx: messages.get(tx, other.id)).state == "accepted"


async def test_events_are_announced_after_commit(store: Store) -> None:
    seen: list[int] = []
    store.listeners.append(lambda: seen.append(len(store.read_now(journal.entries))))
    await store.write(lambda tx: None)
    assert seen == []
    await store.write(lambda tx: journal.emit(tx, Event(at=START, event="started", data={"version": "1"})))
    assert seen == [1]


@pytest.mark.alone
def test_write_ahead_log_does_not_grow_for_ever(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db", keys, clock)
    longest, deadline = 0, time.monotonic() + 20
    written = 0
    while time.monotonic() < deadline:
        # A checkpoint may take longer than sixty large commits: then small ones ask for it until it comes.
        body = bytes([written % 256]) * (1_000_000 if written < 60 else 100)
        store.write_now(lambda tx, body=body: messages.accept(tx, sms(body), clock()))
        written += 1
        time.sleep(0 if written < 60 else 0.05)
        longest = max(longest, (tmp_path / "store.db-wal").stat().st_size)
        if longest > upkeep.WAL_BYTES:
            store._upkeep._last = 0.0  # type: ignore[union-attr]  # as if the least pause had gone by
            if (tmp_path / "store.db-wal").stat().st_size < longest:
                break
    else:
        raise AssertionError(f"{longest} bytes and never cut")
    store.close()


def test_memory_store_works_alike(clock: Clock, keys: StoreKeys) -> None:
    store = Store.open("sqlite://", keys, clock)
    accepted = store.write_now(lambda tx: messages.accept(tx, sms(), clock()))

    def bad(tx: Tx) -> None:
        messages.accept(tx, sms("坏"), clock())
        raise KeyError("bad")

    with pytest.raises(KeyError, match="bad"):
        store.write_now(bad)
    assert asyncio.run(store.write(lambda tx: len(messages.rows(tx)))) == 1
    assert asyncio.run(store.read(lambda tx: messages.raw(tx, accepted.id))).body == sms().body
    store.close()


def test_what_can_wait_is_overtaken_by_some_and_not_for_ever() -> None:
    line: Line[str] = Line()
    line.put("can wait", later=True)
    line.put("can wait, too", later=True)
    for number in range(200):
        line.put(str(number))
    served = line.drain()
    assert served[:3] == ["0", "1", "2"] and len(served) == 202
    assert served.index("can wait") < served.index("can wait, too") < OVERTAKEN + 4
    assert [one for one in served if one.isdigit()] == [str(number) for number in range(200)]

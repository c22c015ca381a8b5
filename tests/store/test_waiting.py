"""Who goes first at the writer, and for whom a transaction waits."""

from __future__ import annotations

import asyncio
import threading
import time
from typing import Any

import pytest

from gateway.store import Store, Tx, messages, waiting
from gateway.store.waiting import Job, Waiting
from tests.store.conftest import Clock, sms


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is."""
    monkeypatch.setattr(waiting, "LONGEST", 60.0)


def job(name: str, *, carrier: bool) -> Job:
    return Job(lambda tx: name, name, again=carrier)


def taken(room: Waiting) -> list[Any]:
    """What the next transaction is given."""
    assert room.first() is not None
    while room.another() is not None:
        pass
    return [one.future for one in room.taken]


def test_carriers_go_first_and_the_others_in_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SHARE", 60.0)
    room = Waiting()
    for name in ("a", "B", "c", "D", "e"):
        room.put(job(name, carrier=name.isupper()))
    assert taken(room) == ["B", "D", "a", "c", "e"]


def test_beside_carriers_one_of_the_others_gets_its_turn_and_more_as_long_as_there_is_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "SHARE", 0.0)
    room = Waiting()
    for name in ("a", "b", "C", "d"):
        room.put(job(name, carrier=name.isupper()))
    assert taken(room) == ["C", "a"]
    assert taken(room) == ["b", "d"], "without carriers they have the whole of it"


def test_the_carriers_that_were_answered_last_are_waited_for_and_nobody_else() -> None:
    room = Waiting()
    room.put(job("A", carrier=True))
    room.put(job("B", carrier=True))
    assert taken(room) == ["A", "B"]
    room.committed(100.0)
    room.put(job("A", carrier=True))
    assert room.first() is not None
    late = threading.Timer(0.05, room.put, [job("B", carrier=True)])
    late.start()
    found = room.another(patient=True)
    assert found is not None
    assert found.future == "B"
    assert room.another(patient=True) is None, "both are there: at once"
    late.join()
    room.committed(0.0)
    room.put(job("A", carrier=True))
    assert room.first() is not None
    assert room.another(patient=True) is None, "a commit that takes no time is not waited for"


@pytest.mark.parametrize("commits", [(100.0, 0.001), (0.001, 100.0)])
def test_a_commit_that_was_long_but_once_is_not_waited_for(commits: tuple[float, ...]) -> None:
    room = Waiting()
    for seconds in commits:
        for name in "AB":
            room.put(job(name, carrier=True))
        assert taken(room) == ["A", "B"]
        room.committed(seconds)
    room.put(job("A", carrier=True))
    assert room.first() is not None
    began = time.perf_counter()
    assert room.another(patient=True) is None
    assert time.perf_counter() - began < 0.5, "of the half of 100 seconds"


@pytest.mark.parametrize(("long", "waited"), [(0.0, 0.6), (60.0, 0.3)])
def test_half_of_a_long_commit_is_waited_for_and_a_quarter_of_a_short_one(
    monkeypatch: pytest.MonkeyPatch, long: float, waited: float
) -> None:
    monkeypatch.setattr(waiting, "LONG", long)
    room = Waiting()
    for name in "AB":
        room.put(job(name, carrier=True))
    assert taken(room) == ["A", "B"]
    room.committed(1.2)
    room.put(job("A", carrier=True))
    assert room.first() is not None
    began = time.perf_counter()
    assert room.another(patient=True) is None
    assert waited - 0.02 <= time.perf_counter() - began < waited + 0.25


def test_all_of_those_that_are_waited_for_have_half_of_a_commit_together() -> None:
    room = Waiting()
    for name in "ABCD":
        room.put(job(name, carrier=True))
    assert taken(room) == ["A", "B", "C", "D"]
    room.committed(0.4)
    room.put(job("A", carrier=True))
    assert room.first() is not None
    timers = [threading.Timer(0.15 * n, room.put, [job(f"late {n}", carrier=True)]) for n in (1, 2)]
    for one in timers:
        one.start()
    came = []
    while (found := room.another(patient=True)) is not None:
        came.append(found.future)
    for one in timers:
        one.join()
    assert came == ["late 1"], "0.2 s of waiting, not 0.2 s for each"


def test_at_the_end_what_waits_still_has_its_turn() -> None:
    room = Waiting()
    for name in ("a", "B"):
        room.put(job(name, carrier=name.isupper()))
    room.end()
    assert taken(room) == ["B", "a"]
    assert room.first() is None


def test_all_that_waits_is_given_up_together() -> None:
    room = Waiting()
    for name in ("A", "b", "C"):
        room.put(job(name, carrier=name.isupper()))
    assert room.first() is not None
    assert sorted(one.future for one in room.rest()) == ["A", "C", "b"]


async def test_of_those_that_share_a_savepoint_one_that_fails_undoes_its_own_work_alone(store: Store, clock: Clock) -> None:
    ran: list[int] = []

    def accept(tx: Tx, n: int) -> messages.Accepted:
        ran.append(n)
        made = messages.accept(tx, sms(f"第{n}条"), clock())
        if n == 2:
            raise KeyError("wrong")
        return made

    hold = threading.Event()
    blocked = asyncio.ensure_future(store.write(lambda tx: hold.wait(5)))
    asked = [asyncio.ensure_future(store.write(lambda tx, n=n: accept(tx, n), again=True)) for n in range(5)]
    await asyncio.sleep(0)
    hold.set()
    await blocked
    found = await asyncio.gather(*asked, return_exceptions=True)
    assert [type(one).__name__ for one in found] == ["Accepted", "Accepted", "KeyError", "Accepted", "Accepted"]
    assert len(ran) > 5, "they were run again, each alone"
    bodies = [store.read_now(lambda tx, row=row: messages.raw(tx, row.id)).body.decode() for row in store.read_now(messages.rows)]
    assert sorted(bodies) == ["第0条", "第1条", "第3条", "第4条"]
    assert {one.id for one in store.read_now(messages.rows)} == {one.id for n, one in enumerate(found) if n != 2}  # type: ignore[union-attr]

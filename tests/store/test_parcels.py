"""Messages that were hashed and sealed outside of the writer, and are written together: as if each had been taken in alone."""

from __future__ import annotations

import asyncio
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.alarms import Alarms
from gateway.core.model import Part, RawMessage
from gateway.explain import throwaway_key
from gateway.intake import AHEAD_BYTES, REMARK_BYTES, Intake, Ready
from gateway.store import Store, StoreKeys, Tx, journal, message_rows, messages
from tests.store.conftest import Clock, sms

HOUR = timedelta(hours=1)


def parcel(store: Store, raw: RawMessage, clock: Clock) -> messages.Parcel:
    return messages.parcel(store.keys, store.new_id(), raw, clock(), repeat_window=HOUR)


def put(store: Store, *parcels: messages.Parcel) -> list[messages.Accepted]:
    return store.write_now(lambda tx: messages.put_all(tx, parcels))


def intake(store: Store, clock: Clock) -> Intake:
    return Intake(
        store, clock=clock, max_bytes=1 << 20, repeat_seconds=3600, alarms=Alarms(store, clock), wake=lambda channel, of: None,
        take_receipt=lambda _tx, _receipt, _now: None, wake_dispatch=lambda: None,
    )  # fmt: skip


def test_a_parcel_comes_back_as_the_message_that_it_was(store: Store, clock: Clock) -> None:
    raw = sms(bytes(range(256)) * 20, sender="值班\ud800@x", carrier_id="7", meta={"提示": "有"})
    (made,) = put(store, parcel(store, raw, clock))
    back = store.read_now(lambda tx: messages.raw(tx, made.id))
    assert (back.body, back.meta, back.carrier_id, back.sender) == (raw.body, raw.meta, "7", "值班\\ud800@x")
    alone = store.write_now(lambda tx: messages.accept(tx, sms(), clock()))
    (row, other) = (store.read_now(lambda tx, id_=id_: messages.get(tx, id_)) for id_ in (made.id, alone.id))
    assert (row.state, row.revision, row.accepted_at) == (other.state, other.revision, other.accepted_at)


def test_copies_are_linked_to_what_was_there_and_to_one_another(store: Store, clock: Clock) -> None:
    (first,) = put(store, parcel(store, sms("甲"), clock))
    clock.on(minutes=5)
    found = put(store, *(parcel(store, sms(text), clock) for text in ("甲", "乙", "乙", "丙")))
    assert [one.duplicate_of for one in found] == [first.id, None, found[1].id, None]
    assert [store.read_now(lambda tx, one=one: messages.raw(tx, one.id)).body.decode() for one in found] == list("甲乙乙丙")
    states = [store.read_now(lambda tx, one=one: messages.get(tx, one.id)).state for one in found]
    assert states == ["duplicate", "accepted", "duplicate", "accepted"]


def test_the_window_is_the_same_to_the_instant(store: Store, clock: Clock) -> None:
    first, named = put(store, parcel(store, sms(), clock), parcel(store, sms(carrier_id="7"), clock))
    clock.on(hours=1, microseconds=-1)
    assert put(store, parcel(store, sms(), clock))[0].duplicate_of == first.id
    clock.on(microseconds=1)
    assert put(store, parcel(store, sms(), clock))[0].duplicate_of is None
    assert put(store, parcel(store, sms(carrier_id="7"), clock))[0].duplicate_of == named.id


def test_digests_of_one_head_are_no_copies(store: Store, clock: Clock) -> None:
    made = [parcel(store, sms(text), clock) for text in "甲乙"]
    for one, end in zip(made, "01", strict=True):
        one.row["digest"] = "0" * 63 + end
    put(store, made[0])
    assert put(store, made[1])[0].duplicate_of is None


@pytest.mark.parametrize("many", [1, 2, 3, 31, 32, 33, 64, 65, 150])
def test_any_number_of_them(store: Store, clock: Clock, many: int) -> None:
    found = put(store, *(parcel(store, sms(f"{n}"), clock) for n in range(many)))
    again = put(store, *(parcel(store, sms(f"{n}"), clock) for n in range(many)))
    assert [one.duplicate_of for one in again] == [one.id for one in found]
    bodies = {store.read_now(lambda tx, one=one: messages.raw(tx, one.id)).body.decode() for one in found}
    assert bodies == {f"{n}" for n in range(many)}


_SAID = st.tuples(st.sampled_from("甲乙"), st.sampled_from(["1", "2"]), st.sampled_from([None, "7"]), st.sampled_from([10, 60]))


@settings(max_examples=80, deadline=None)
@given(st.lists(_SAID, max_size=9), st.integers(1, 4), st.sets(st.integers(0, 8)))
def test_together_or_alone_the_same_are_copies_of_the_same(
    said: list[tuple[str, str, str | None, int]], size: int, gone: set[int]
) -> None:
    """With whatever windows, and where the bytes of some have gone to the bureau meanwhile: what has none is nobody's original."""
    clock, keys, bureau = Clock(), StoreKeys(bytes(32)), throwaway_key()
    alone, together = (Store.open("sqlite://", keys, clock) for _ in "12")
    made: tuple[list[messages.Accepted], list[messages.Accepted]] = ([], [])
    for begin in range(0, len(said), size):
        clock.on(minutes=25)
        some = [(sms(text, sender=sender, carrier_id=id_), timedelta(minutes=n)) for text, sender, id_, n in said[begin : begin + size]]
        made[0].extend(
            alone.write_now(lambda tx, raw=raw, window=window: messages.accept(tx, raw, clock(), repeat_window=window))
            for raw, window in some
        )
        parcels = [messages.parcel(keys, together.new_id(), raw, clock(), repeat_window=window) for raw, window in some]
        made[1].extend(put(together, *parcels))
        for n in gone & set(range(begin, min(begin + size, len(said)))):
            for store, kept in zip((alone, together), made, strict=True):
                if kept[n].duplicate_of is None:
                    store.write_now(lambda tx, id_=kept[n].id: messages.quarantine(tx, id_, bureau))
    numbers = []
    for store, kept in zip((alone, together), made, strict=True):
        order = {one.id: n for n, one in enumerate(kept)}
        numbers.append([None if one.duplicate_of is None else order[one.duplicate_of] for one in kept])
        store.close()
    assert numbers[0] == numbers[1]


async def test_a_message_with_many_remarks_is_not_made_ready_on_the_loop(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    door, ready = intake(store, clock), []
    real = Ready.of
    monkeypatch.setattr(Ready, "of", lambda *args: ready.append(args[1]) or real(*args))
    few, many = sms("甲", meta={"a": "1"}), sms("乙", meta={f"{n}": "" for n in range(AHEAD_BYTES // REMARK_BYTES)})
    taken = [await door.accept(raw) for raw in (few, many)]
    assert ready == [few]
    assert [len(store.read_now(lambda tx, one=one: messages.raw(tx, one.id)).meta) for one in taken] == [1, len(many.meta)]


async def test_what_comes_together_is_on_record_each_by_itself(store: Store, clock: Clock) -> None:
    door, hold = intake(store, clock), threading.Event()
    blocked = asyncio.ensure_future(store.write(lambda tx: hold.wait(10)))
    await asyncio.sleep(0.05)
    before = store.commits
    large = "长" * AHEAD_BYTES
    asked = [asyncio.ensure_future(door.accept(sms(text))) for text in ("甲", "乙", "甲", large, "丙", large)]
    await asyncio.sleep(0)
    hold.set()
    found = await asyncio.gather(blocked, *asked)
    made = [one for one in found[1:] if isinstance(one, messages.Accepted)]
    assert store.commits <= before + 2, "one transaction for all"
    assert [made.index(next(m for m in made if m.id == one.duplicate_of)) if one.duplicate_of else None for one in made] == [
        None, None, 0, None, None, 3,
    ]  # fmt: skip
    told = {entry.event.message: (entry.event.event, entry.event.data.get("of")) for entry in store.read_now(journal.entries)}
    assert told == {one.id: ("duplicate", one.duplicate_of) if one.duplicate_of else ("accepted", None) for one in made}


async def test_what_came_first_is_read_first_whatever_its_size_and_its_parts(store: Store, clock: Clock) -> None:
    door, hold = intake(store, clock), threading.Event()
    blocked = asyncio.ensure_future(store.write(lambda tx: hold.wait(10)))
    said = [sms("上", part=Part(ref="r", number=1, total=2)), sms("下", part=Part(ref="r", number=2, total=2)),
            sms("长" * AHEAD_BYTES), sms("更正")]  # fmt: skip
    asked = [asyncio.ensure_future(door.accept(raw)) for raw in said]
    await asyncio.sleep(0)
    hold.set()
    _held, _part, joined, large, small = await asyncio.gather(blocked, *asked)
    pending = store.read_now(lambda tx: messages.pending(tx, "sms"))
    assert [row.id for row in pending] == [joined.message, large.message, small.message]


def test_what_is_older_than_the_window_is_not_even_fetched(store: Store, clock: Clock) -> None:
    for text in ("零报告", "零报告", "零报告"):
        put(store, parcel(store, sms(text), clock))
        clock.on(days=1)
    (named,) = put(store, parcel(store, sms("零报告", carrier_id="7"), clock))
    clock.on(days=1)
    plain, again = parcel(store, sms("零报告"), clock), parcel(store, sms("零报告", carrier_id="7"), clock)
    digests = {one.row["digest"] for one in (plain, again)}
    there = store.read_now(lambda tx: message_rows._earlier_of(tx, digests, plain.behind))
    assert [id_ for id_, _at in there[again.row["digest"]]] == [named.id] and there[plain.row["digest"]] == []
    assert [one.duplicate_of for one in put(store, plain, again)] == [None, named.id]


async def test_one_that_fails_undoes_its_own_work_alone(store: Store, clock: Clock) -> None:
    door, hold = intake(store, clock), threading.Event()

    def wrong(tx: Tx) -> None:
        messages.accept(tx, sms("错"), clock())
        raise KeyError("wrong")

    blocked = asyncio.ensure_future(store.write(lambda tx: hold.wait(10)))
    asked = [asyncio.ensure_future(door.accept(sms(text))) for text in "甲乙"]
    failing = asyncio.ensure_future(store.write(wrong, again=True))
    more = [asyncio.ensure_future(door.accept(sms(text))) for text in "乙丙"]
    await asyncio.sleep(0)
    hold.set()
    found = await asyncio.gather(blocked, *asked, failing, *more, return_exceptions=True)
    assert [type(one).__name__ for one in found[1:]] == ["Accepted", "Accepted", "KeyError", "Accepted", "Accepted"]
    bodies = [store.read_now(lambda tx, row=row: messages.raw(tx, row.id)).body.decode() for row in store.read_now(messages.rows)]
    assert sorted(bodies) == sorted("甲乙乙丙")
    assert len(store.read_now(journal.entries)) == 4, "each once, though they were run twice"


def test_equal_ones_are_looked_for_by_the_heads_of_digests(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/plan.db", keys, clock)
    said: list[str] = []

    def explained(tx: Tx) -> list[str]:
        driver = tx.conn.connection.driver_connection
        driver.set_trace_callback(said.append)
        messages.put_all(tx, [parcel(store, sms(f"{n}"), clock) for n in range(5)])
        driver.set_trace_callback(None)
        (asked,) = [text for text in said if text.startswith("SELECT")]
        return [row[-1] for row in driver.execute(f"EXPLAIN QUERY PLAN {asked}")]

    plan = store.write_now(explained)
    store.close()
    assert plan[0].startswith("SEARCH messages USING INDEX messages_digest"), plan
    assert len([text for text in said if text.startswith("INSERT INTO messages")]) == 2, "five rows by two statements"

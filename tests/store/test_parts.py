"""Long messages: parts in any order, twice, too late or never."""

from __future__ import annotations

import base64
import random
from datetime import timedelta

import msgspec
import pytest

from gateway.core.errors import Malformed
from gateway.core.model import Part
from gateway.store import Store, messages
from tests.store.conftest import START, Clock, sms


def take(store: Store, clock: Clock, number: int, total: int = 3, ref: str = "7", **more: object) -> messages.Accepted:
    raw = sms(f"<{ref}:{number}>", part=Part(ref=ref, number=number, total=total), **more)
    return store.write_now(lambda tx: messages.accept(tx, raw, clock()))


def bodies(store: Store, row: str) -> list[str | None]:
    listed = msgspec.json.decode(store.read_now(lambda tx: messages.raw(tx, row)).body)
    return [None if one is None else base64.b64decode(one).decode() for one in listed]


@pytest.mark.parametrize("order", [(1, 2, 3), (3, 1, 2), (2, 3, 1), (3, 2, 1)])
def test_any_order(store: Store, clock: Clock, order: tuple[int, ...]) -> None:
    for number in order[:-1]:
        assert take(store, clock, number, received_at=START + timedelta(seconds=number)).message is None
        assert store.read_now(lambda tx: messages.pending(tx, None, 9)) == []
    last = take(store, clock, order[-1], received_at=START + timedelta(seconds=order[-1]))
    assert last.message == last.id and last.duplicate_of is None
    assert bodies(store, last.id) == ["<7:1>", "<7:2>", "<7:3>"]
    raw = store.read_now(lambda tx: messages.raw(tx, last.id))
    assert (raw.content_type, raw.sender, raw.via) == ("text/plain", "13800000001", "sms")
    assert raw.received_at == START + timedelta(seconds=1), "the instant of the first part decides the route"
    assert raw.meta == {"parts": "3"}


def test_doubled_parts_count_once(store: Store, clock: Clock) -> None:
    first = take(store, clock, 1)
    again = take(store, clock, 1)
    assert again.duplicate_of == first.id and again.message is None
    take(store, clock, 2)
    made = take(store, clock, 3)
    assert bodies(store, made.id) == ["<7:1>", "<7:2>", "<7:3>"]
    late_copy = take(store, clock, 2)
    assert late_copy.duplicate_of is not None and late_copy.message == made.id
    assert len(store.read_now(messages.rows)) == 1


def test_whole_message_again_under_another_reference_number(store: Store, clock: Clock) -> None:
    for number in (1, 2):
        take(store, clock, number, total=2)
    for number in (1, 2):
        raw = sms(f"<7:{number}>", part=Part(ref="8", number=number, total=2))
        last = store.write_now(lambda tx, raw=raw: messages.accept(tx, raw, clock.on(seconds=1)))
    assert last.duplicate_of is not None


def test_groups_do_not_mix(store: Store, clock: Clock) -> None:
    take(store, clock, 1, total=2)
    for other in ({"ref": "8"}, {"sender": "13800000009"}, {"via": "sms2"}, {"recipient": "1069"}, {"total": 3}):
        values: dict[str, object] = {"total": 2, **other}
        assert take(store, clock, 2, **values).message is None, other  # type: ignore[arg-type]
    assert take(store, clock, 2, total=2).message is not None


def test_partial_release_then_late_part(store: Store, clock: Clock) -> None:
    take(store, clock, 1)
    take(store, clock, 3)
    assert store.write_now(lambda tx: messages.release_partial(tx, clock() - timedelta(minutes=10), clock())) == []
    clock.on(minutes=11)
    (released,) = store.write_now(lambda tx: messages.release_partial(tx, clock() - timedelta(minutes=10), clock()))
    assert (released.have, released.total, released.completes, released.via) == (2, 3, None, "sms")
    assert bodies(store, released.id) == ["<7:1>", None, "<7:3>"]
    assert store.read_now(lambda tx: messages.raw(tx, released.id)).meta == {"parts": "3", "partial": "1"}
    assert store.write_now(lambda tx: messages.release_partial(tx, clock(), clock())) == [], "not released twice"
    whole = take(store, clock, 2)
    assert whole.message is not None
    assert bodies(store, whole.message) == ["<7:1>", "<7:2>", "<7:3>"]
    meta = store.read_now(lambda tx: messages.raw(tx, whole.message)).meta
    assert meta == {"parts": "3", "completes": released.id}
    assert {row.id for row in store.read_now(lambda tx: messages.pending(tx, None, 9))} == {released.id, whole.message}


def test_second_partial_release_tells_of_what_came_since(store: Store, clock: Clock) -> None:
    take(store, clock, 1, total=4)
    clock.on(hours=1)
    (first,) = store.write_now(lambda tx: messages.release_partial(tx, clock(), clock()))
    take(store, clock, 2, total=4)
    clock.on(hours=1)
    (second,) = store.write_now(lambda tx: messages.release_partial(tx, clock(), clock()))
    assert second.completes == first.id and bodies(store, second.id) == ["<7:1>", "<7:2>", None, None]


def test_reference_used_again(store: Store, clock: Clock) -> None:
    take(store, clock, 1, total=2)
    raw = sms("新的第一条", part=Part(ref="7", number=1, total=2))
    other = store.write_now(lambda tx: messages.accept(tx, raw, clock.on(minutes=1)))
    assert other.duplicate_of is None
    made = take(store, clock, 2, total=2)
    assert bodies(store, made.id) == ["新的第一条", "<7:2>"], "the newer group is the one that goes on"
    clock.on(hours=100)
    assert take(store, clock, 2, total=2).message is None, "after three days a reference is a new one"


@pytest.mark.parametrize(("number", "total"), [(0, 2), (3, 2), (1, 256), (-1, 1)])
def test_numbers_that_cannot_be(store: Store, clock: Clock, number: int, total: int) -> None:
    with pytest.raises(Malformed):
        take(store, clock, number, total)
    assert take(store, clock, 1, 1).message is not None


def test_shuffled_stream_loses_and_doubles_nothing(store: Store, clock: Clock) -> None:
    rng = random.Random(7)
    stream = [(str(ref), number) for ref in range(20) for number in range(1, 5)] * 2
    rng.shuffle(stream)
    made = [take(store, clock, number, 4, ref) for ref, number in stream]
    whole = {one.message for one in made if one.message and one.duplicate_of is None}
    assert len(whole) == 20
    assert sorted(bodies(store, row)[0] or "" for row in whole if row) == sorted(f"<{ref}:1>" for ref in range(20))

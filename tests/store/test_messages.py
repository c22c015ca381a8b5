"""What came in: sealed, linked when it comes again, kept as it was."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.lifecycle import NotAllowed
from gateway.core.model import RawMessage
from gateway.store import NotFound, Stale, Store, StoreKeys, Tx, message_rows, messages
from gateway.store.errors import Tampered
from gateway.store.tables import vault
from tests.store.conftest import START, Clock, sms


def test_what_was_accepted_comes_back_as_it_was(store: Store, clock: Clock) -> None:
    raw = RawMessage(
        channel="email",
        via="mail",
        received_at=START - timedelta(seconds=3),
        sender="值班@example.cn",
        recipient="report@gateway.test",
        body=bytes(range(256)) * 40,
        content_type="message/rfc822",
        carrier_id="<1@example.cn>",
        meta={"client": "192.0.2.1", "提示": "有"},
    )
    accepted = store.write_now(lambda tx: messages.accept(tx, raw, clock()))
    assert store.read_now(lambda tx: messages.raw(tx, accepted.id)) == raw
    row = store.read_now(lambda tx: messages.get(tx, accepted.id))
    assert (row.state, row.size, row.revision, row.accepted_at) == ("accepted", 10240, 1, START)


def test_pending_is_in_order_of_acceptance_even_at_one_instant(store: Store, clock: Clock) -> None:
    made = [store.write_now(lambda tx, n=n: messages.accept(tx, sms(f"{n}"), clock())).id for n in range(40)]
    assert [row.id for row in store.read_now(lambda tx: messages.pending(tx, "sms", 100))] == made
    assert store.read_now(lambda tx: messages.pending(tx, "email", 100)) == []
    assert [row.id for row in store.read_now(lambda tx: messages.rows(tx, limit=3))] == made[:-4:-1]
    older = store.read_now(lambda tx: messages.rows(tx, before=made[2]))
    assert [row.id for row in older] == [made[1], made[0]]


def test_second_copy_is_accepted_and_linked(store: Store, clock: Clock) -> None:
    first = store.write_now(lambda tx: messages.accept(tx, sms(), clock()))
    again = store.write_now(lambda tx: messages.accept(tx, sms(), clock.on(minutes=5)))
    assert again.duplicate_of == first.id and again.id != first.id
    row = store.read_now(lambda tx: messages.get(tx, again.id))
    assert (row.state, row.duplicate_of) == ("duplicate", first.id)
    assert [one.id for one in store.read_now(lambda tx: messages.pending(tx, None, 9))] == [first.id]
    assert store.read_now(lambda tx: messages.raw(tx, again.id)).body == sms().body


@pytest.mark.parametrize("other", [sms("另一条"), sms(sender="13800000002"), sms(via="sms2"), sms(carrier_id="7")], ids=range(4))
def test_what_differs_is_no_copy(store: Store, clock: Clock, other: RawMessage) -> None:
    store.write_now(lambda tx: messages.accept(tx, sms(), clock()))
    assert store.write_now(lambda tx: messages.accept(tx, other, clock())).duplicate_of is None


def test_repeat_window(store: Store, clock: Clock) -> None:
    window = timedelta(hours=1)

    def take(**more: object) -> messages.Accepted:
        return store.write_now(lambda tx: messages.accept(tx, sms(**more), clock(), repeat_window=window))

    first, named = take(), take(carrier_id="call-1")
    clock.on(minutes=59)
    assert take().duplicate_of == first.id
    clock.on(minutes=2)
    assert take().duplicate_of is None, "the window counts from the first copy, not from the last"
    clock.on(days=30)
    assert take(carrier_id="call-1").duplicate_of == named.id, "a carrier's id says it is the same, however late"


def test_same_text_in_other_bytes(store: Store, clock: Clock) -> None:
    first = store.write_now(lambda tx: messages.accept(tx, sms("甲"), clock())).id

    def look(tx: Tx, sender: str, since_hours: int) -> str | None:
        return messages.content_seen(tx, "江州某厂起火", sender, START - timedelta(hours=since_hours))

    assert store.read_now(lambda tx: look(tx, "13800000001", 1)) is None
    store.write_now(lambda tx: messages.remember_content(tx, first, "江州某厂起火"))
    assert store.read_now(lambda tx: look(tx, "13800000001", 1)) == first
    assert store.read_now(lambda tx: look(tx, "13800000002", 1)) is None
    assert store.read_now(lambda tx: look(tx, "13800000001", -1)) is None


def test_states(store: Store, clock: Clock) -> None:
    row = store.write_now(lambda tx: messages.accept(tx, sms(), clock())).id
    store.write_now(
        lambda tx: messages.set_state(tx, row, "needs_person", incident="I", why="无法识读", carrier_id="<2>", title="火情")
    )
    found = store.read_now(lambda tx: messages.get(tx, row))
    assert (found.state, found.incident, found.why, found.carrier_id, found.title, found.revision) == (
        "needs_person", "I", "无法识读", "<2>", "火情", 2,
    )  # fmt: skip
    store.write_now(lambda tx: messages.set_state(tx, row, "read"))
    assert store.read_now(lambda tx: messages.get(tx, row)).incident == "I", "what is not given stays"
    with pytest.raises(NotAllowed):
        store.write_now(lambda tx: messages.set_state(tx, row, "accepted"))
    with pytest.raises(Stale):
        store.write_now(lambda tx: messages.set_state(tx, row, "read", revision=1))
    with pytest.raises(NotFound):
        store.write_now(lambda tx: messages.set_state(tx, "nothing", "read"))
    assert store.read_now(messages.counts) == {"read": 1}


def test_text_is_nowhere_in_the_file(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db", keys, clock)
    store.write_now(lambda tx: messages.accept(tx, sms("绝不外泄之语", meta={"备注": "另一句话"}), clock()))
    files = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    store.close()
    files += b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert b"13800000001" in files, "the control: the sender is a column"
    assert "绝不外泄之语".encode() not in files and "另一句话".encode() not in files
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())


def test_changed_bytes_are_noticed(store: Store, clock: Clock) -> None:
    row = store.write_now(lambda tx: messages.accept(tx, sms("甲"), clock())).id
    other = store.write_now(lambda tx: messages.accept(tx, sms("乙"), clock())).id

    def swap(tx: Tx) -> None:
        theirs = tx.one(vault.select().where(vault.c.id == other))
        assert theirs is not None
        tx.run(vault.update().where(vault.c.id == row).values(wrapped=theirs.wrapped, sealed=theirs.sealed))

    store.write_now(swap)
    with pytest.raises(Tampered):
        store.read_now(lambda tx: messages.raw(tx, row))


@given(
    text=st.text(st.characters(codec=None), max_size=40),
    body=st.binary(max_size=200),
    key=st.text(st.characters(codec=None), max_size=9),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
def test_any_carrier_words_can_be_kept(store: Store, text: str, body: bytes, key: str) -> None:
    """NUL and lone surrogates come over the wire; neither data base can hold them as they are."""
    raw = sms(body, sender=text, recipient=text, carrier_id=text or None, content_type=text, meta={key: text})
    accepted = store.write_now(lambda tx: messages.accept(tx, raw, START))
    found = store.read_now(lambda tx: messages.raw(tx, accepted.id))
    assert found.body == body
    assert store.write_now(lambda tx: messages.accept(tx, raw, START)).duplicate_of is not None


def test_an_earlier_copy_is_looked_for_by_the_heads_of_digests(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/plan.db", keys, clock)
    said: list[str] = []

    def explained(tx: Tx) -> list[list[str]]:
        driver = tx.conn.connection.driver_connection
        driver.set_trace_callback(said.append)
        message_rows.put(tx, sms("火情"), START, repeat_window=timedelta(hours=1))
        driver.set_trace_callback(None)
        asked = [text for text in said if text.startswith("SELECT") and "messages.digest" in text]
        return [[row[-1] for row in driver.execute(f"EXPLAIN QUERY PLAN {text}")] for text in asked]

    (plan,) = store.write_now(explained)
    store.close()
    assert plan[0].startswith("SEARCH messages USING INDEX messages_digest"), plan

"""The queue out: leased by attempt, in order for each (destination, incident), stopped by an acknowledgement."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import permutations
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.core.duty.matter import Follow, Matter
from gateway.core.lifecycle import DELIVERIES, NotAllowed
from gateway.core.model import Address, Delivery
from gateway.core.outcomes import Receipt
from gateway.store import NotFound, Store, StoreKeys, Tx, deliveries, matters, receipts
from gateway.store.deliveries import Content, DeliveryRow
from tests.store.conftest import START, Clock

LEASE = timedelta(minutes=2)


def queue(store: Store, clock: Clock, destination: str = "duty", incident: str | None = "I1", **more: object) -> str:
    def run(tx: Tx) -> str:
        values: dict[str, object] = {
            "id": tx.new_id(),
            "incident": incident,
            "destination": destination,
            "transport": "mail",
            "address": "duty@example.cn",
            "created_at": clock(),
            "next_try_at": clock(),
        }
        row = DeliveryRow(**(values | more))  # type: ignore[arg-type]
        deliveries.insert(tx, row, Content(subject="标题", text="正文内容", short_text="短", headers={"X-A": "1"}))
        return row.id

    return store.write_now(run)


def lease(store: Store, clock: Clock, row: str, owner: str = "node1") -> Delivery | None:
    return store.write_now(lambda tx: deliveries.lease(tx, row, owner, clock() + LEASE, clock()))


def settle(store: Store, row: str, attempt: int, state: str, **more: object) -> bool:
    return store.write_now(lambda tx: deliveries.settle(tx, row, attempt, state, **more))  # type: ignore[arg-type]


def get(store: Store, row: str) -> DeliveryRow:
    return store.read_now(lambda tx: deliveries.get(tx, row))


def due(store: Store, clock: Clock) -> list[str]:
    return [row.id for row in store.read_now(lambda tx: deliveries.due(tx, clock()))]


def test_once_through(store: Store, clock: Clock) -> None:
    ways = (Address(transport="sms", address="13800000001"),)
    row = queue(store, clock, ways=ways, cleared=True, duty="inform", message="M1")
    assert due(store, clock) == [row]
    taken = lease(store, clock, row)
    assert taken == Delivery(
        id=row, incident="I1", destination="duty", transport="mail", address="duty@example.cn", subject="标题",
        text="正文内容", short_text="短", attempt=1, cleared=True, headers={"X-A": "1"},
    )  # fmt: skip
    assert due(store, clock) == [] and get(store, row).state == "sending"
    assert settle(store, row, 1, "delivered", refs=("0007",), delivered_at=clock.on(seconds=1))
    found = get(store, row)
    assert (found.state, found.refs, found.delivered_at, found.ways) == ("delivered", ("0007",), clock(), ways)
    assert not settle(store, row, 1, "refused"), "an attempt ends once"
    assert [one.id for one in store.read_now(lambda tx: deliveries.rows(tx, message="M1"))] == [row]


def test_lease_is_taken_once(store: Store, clock: Clock) -> None:
    row = queue(store, clock)
    assert lease(store, clock, row) is not None
    assert lease(store, clock, row, "node2") is None
    early = queue(store, clock, "other", next_try_at=clock() + timedelta(seconds=5))
    assert lease(store, clock, early) is None
    assert lease(store, clock, "nothing") is None


def test_what_is_next_of_deliveries_and_matters_in_one_question(store: Store, clock: Clock) -> None:
    assert store.read_now(deliveries.next_of_all) == (None, None)
    later = clock() + timedelta(minutes=3)
    matter = Matter(number="2026-0001", first_at=START, start=START, follow=Follow(last_at=START))
    store.write_now(lambda tx: matters.put(tx, "I1", matter, later, None))
    assert store.read_now(deliveries.next_of_all) == (None, later)
    row = queue(store, clock)
    for _each in ("waiting", "sending"):
        asked = store.read_now(lambda tx: (deliveries.next_due(tx), matters.next_at(tx)))
        assert store.read_now(deliveries.next_of_all) == asked and asked[0] is not None
        lease(store, clock, row)


def test_later_comes_back_with_progress(store: Store, clock: Clock) -> None:
    row = queue(store, clock)
    lease(store, clock, row)
    after = clock() + timedelta(seconds=30)
    assert settle(store, row, 1, "waiting", next_try_at=after, why="450 busy", progress={"part": 2, "甲": [1]})
    assert due(store, clock) == [] and store.read_now(deliveries.next_due) == after
    clock.on(seconds=30)
    again = lease(store, clock, row)
    assert again is not None and (again.attempt, again.progress) == (2, {"part": 2, "甲": [1]})
    assert get(store, row).why == "450 busy"
    with pytest.raises(ValueError, match="next try"):
        settle(store, row, 2, "waiting")
    with pytest.raises(NotAllowed):
        settle(store, row, 2, "acknowledged")


def test_lost_lease_changes_nothing_that_another_took(store: Store, clock: Clock) -> None:
    row = queue(store, clock)
    lease(store, clock, row)
    clock.on(minutes=3)
    assert store.read_now(deliveries.next_due) == START + LEASE
    assert store.write_now(lambda tx: deliveries.release_stale(tx, None, clock())) == [row]
    second = lease(store, clock, row, "node2")
    assert second is not None and second.attempt == 2 and second.id == row
    assert not settle(store, row, 1, "refused", why="too late")
    assert not settle(store, row, 1, "delivered")
    assert get(store, row).state == "sending"


def test_late_yes_before_the_next_attempt_still_counts(store: Store, clock: Clock) -> None:
    row = queue(store, clock)
    lease(store, clock, row)
    clock.on(minutes=3)
    store.write_now(lambda tx: deliveries.release_stale(tx, None, clock()))
    assert settle(store, row, 1, "delivered")
    assert get(store, row).state == "delivered" and lease(store, clock, row) is None


def test_own_leases_are_given_back_at_start(store: Store, clock: Clock) -> None:
    mine, theirs = queue(store, clock, "a"), queue(store, clock, "b")
    lease(store, clock, mine, "node1")
    lease(store, clock, theirs, "node2")
    assert store.write_now(lambda tx: deliveries.release_stale(tx, "node1", clock())) == [mine]
    assert get(store, theirs).state == "sending"


def test_order_holds_per_destination_and_incident(store: Store, clock: Clock) -> None:
    first = queue(store, clock)
    second = queue(store, clock)
    elsewhere, other = queue(store, clock, "other"), queue(store, clock, incident="I2")
    notice, notice2 = queue(store, clock, incident=None), queue(store, clock, incident=None)
    assert due(store, clock) == [first, elsewhere, other, notice, notice2]
    assert lease(store, clock, second) is None
    lease(store, clock, first)
    settle(store, first, 1, "waiting", next_try_at=clock() + timedelta(hours=1))
    assert second not in due(store, clock) and other in due(store, clock), "backoff holds up no other incident"
    for row in (elsewhere, other, notice, notice2):
        lease(store, clock, row)
        settle(store, row, 1, "delivered")
    assert store.read_now(deliveries.next_due) == clock() + timedelta(hours=1), "what is held up wakes nobody"
    clock.on(hours=1)
    lease(store, clock, first)
    settle(store, first, 2, "refused", why="550")
    assert due(store, clock) == [second]


def test_fallback_keeps_its_place(store: Store, clock: Clock) -> None:
    first = queue(store, clock)
    second = queue(store, clock)
    lease(store, clock, first)
    settle(store, first, 1, "refused")
    instead = queue(store, clock, fallback_of=first, transport="sms")
    further = queue(store, clock, fallback_of=instead, transport="fax")
    assert due(store, clock) == [instead, further] and second not in due(store, clock)


def test_acknowledgement_stops_what_is_queued(store: Store, clock: Clock) -> None:
    done = queue(store, clock)
    lease(store, clock, done)
    settle(store, done, 1, "delivered", delivered_at=clock())
    flying = queue(store, clock)
    lease(store, clock, flying)
    waiting = queue(store, clock)
    others = [queue(store, clock, "other"), queue(store, clock, incident="I2")]
    changed = store.write_now(lambda tx: deliveries.acknowledge(tx, "I1", "duty", "王某", clock.on(minutes=1)))
    assert {row.id: row.state for row in changed} == {done: "acknowledged", flying: "stopped", waiting: "stopped"}
    found = get(store, done)
    assert (found.acknowledged_by, found.acknowledged_at) == ("王某", clock())
    assert due(store, clock) == others
    assert settle(store, flying, 1, "delivered", delivered_at=clock()), "it went out all the same: a fact"
    assert (get(store, flying).state, get(store, flying).delivered_at) == ("stopped", clock())
    assert not settle(store, flying, 1, "delivered")
    assert store.write_now(lambda tx: deliveries.acknowledge(tx, "I1", "duty", "李某", clock())) == []
    assert get(store, done).acknowledged_by == "王某"


def test_stop_retry_and_hold(store: Store, clock: Clock) -> None:
    one, two = queue(store, clock), queue(store, clock, "other")
    assert store.write_now(lambda tx: deliveries.stop(tx, incident="I1", destination="duty", why="closed")) == [one]
    assert store.write_now(lambda tx: deliveries.hold(tx, two, clock()))
    assert not store.write_now(lambda tx: deliveries.hold(tx, two, clock()))
    assert due(store, clock) == []
    assert store.write_now(lambda tx: deliveries.retry(tx, one, clock()))
    assert due(store, clock) == [one]
    lease(store, clock, one)
    settle(store, one, 1, "delivered")
    assert not store.write_now(lambda tx: deliveries.retry(tx, one, clock()))
    with pytest.raises(ValueError, match="needs"):
        store.write_now(lambda tx: deliveries.stop(tx, why="everything"))
    with pytest.raises(NotFound):
        get(store, "nothing")
    with pytest.raises(NotAllowed):
        queue(store, clock, state="delivered")


def receive(store: Store, clock: Clock, ref: str, state: str, via: str = "smsc", detail: str = "") -> receipts.Matched:
    receipt = Receipt(via=via, ref=ref, state=state, detail=detail)  # type: ignore[arg-type]
    return store.write_now(lambda tx: receipts.take(tx, receipt, clock()))


def sent(store: Store, clock: Clock, refs: tuple[str, ...], attempt: int = 1, row: str | None = None) -> str:
    row = row or queue(store, clock)
    assert lease(store, clock, row) is not None
    assert settle(store, row, attempt, "delivered", refs=refs, via="smsc", delivered_at=clock())
    return row


def test_receipts_match_by_part(store: Store, clock: Clock) -> None:
    row = sent(store, clock, ("0012", "12"))
    matched = receive(store, clock, "0012", "delivered")
    assert (matched.what, matched.new, matched.delivery and matched.delivery.state) == ("matched", True, "delivered")
    assert not receive(store, clock, "0012", "delivered").new, "doubled"
    assert store.read_now(lambda tx: receipts.states(tx, row)) == {"0012": "delivered", "12": None}
    assert store.read_now(lambda tx: deliveries.by_ref(tx, "smsc", "12")) == get(store, row)
    assert store.read_now(lambda tx: deliveries.by_ref(tx, "smsc", "012")) is None
    assert store.read_now(lambda tx: deliveries.by_ref(tx, "other", "12")) is None


def test_failed_receipt_sends_it_back(store: Store, clock: Clock) -> None:
    row = sent(store, clock, ("a", "b"))
    clock.on(minutes=5)
    matched = receive(store, clock, "b", "failed", detail="EXPIRED")
    assert matched.new and get(store, row).state == "waiting" and get(store, row).why == "EXPIRED"
    assert due(store, clock) == [row]
    assert not receive(store, clock, "b", "failed").new
    sent(store, clock, ("c", "d"), attempt=2, row=row)
    assert not receive(store, clock, "a", "failed").new, "of the attempt before"
    assert get(store, row).state == "delivered"
    store.write_now(lambda tx: deliveries.acknowledge(tx, "I1", "duty", "王某", clock()))
    receive(store, clock, "c", "failed")
    assert get(store, row).state == "acknowledged", "a person has it, whatever the carrier says"


@pytest.mark.parametrize(("state", "expected"), [("delivered", "delivered"), ("failed", "waiting")])
def test_early_receipts_wait_for_their_delivery(store: Store, clock: Clock, state: str, expected: str) -> None:
    row = queue(store, clock)
    lease(store, clock, row)
    assert receive(store, clock, "77", state).what == "parked"
    assert not receive(store, clock, "77", state).new
    settle(store, row, 1, "delivered", refs=("77",), via="smsc", delivered_at=clock())
    assert get(store, row).state == expected
    assert store.read_now(lambda tx: receipts.states(tx, row)) == {"77": state}
    assert store.write_now(lambda tx: receipts.forget_parked(tx, clock() + LEASE)) == 0, "taken up, not left behind"


def test_parked_receipts_are_forgotten_in_time(store: Store, clock: Clock) -> None:
    receive(store, clock, "lost", "delivered")
    assert store.write_now(lambda tx: receipts.forget_parked(tx, START)) == 0
    assert store.write_now(lambda tx: receipts.forget_parked(tx, START + LEASE)) == 1


def test_texts_are_sealed(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db", keys, clock)
    row = queue(store, clock)
    lease(store, clock, row)
    settle(store, row, 1, "waiting", next_try_at=clock(), progress={"said": "正文内容"})
    store.close()
    data = (tmp_path / "store.db").read_bytes()
    assert b"duty@example.cn" in data and "正文内容".encode() not in data and "标题".encode() not in data


STEPS = st.lists(st.sampled_from(["lease", "yes", "later", "no", "ack", "stop", "retry", "stale", "bad", "good"]), max_size=14)


def action(step: str, at: DeliveryRow, clock: Clock) -> Callable[[Tx], object]:
    """One thing that may happen to a delivery."""
    row, attempt, ref = at.id, at.attempts, f"{at.id}{at.attempts}"
    bad, good = (Receipt(via="mail", ref=ref, state=state) for state in ("failed", "delivered"))
    actions: dict[str, Callable[[Tx], object]] = {
        "lease": lambda tx: deliveries.lease(tx, row, "n", clock() + LEASE, clock()),
        "yes": lambda tx: deliveries.settle(tx, row, attempt, "delivered", refs=(ref,)),
        "later": lambda tx: deliveries.settle(tx, row, attempt, "waiting", next_try_at=clock()),
        "no": lambda tx: deliveries.settle(tx, row, attempt, "refused"),
        "ack": lambda tx: deliveries.acknowledge(tx, at.incident or "", "duty", "王某", clock()),
        "stop": lambda tx: deliveries.stop(tx, delivery=row, why="stop"),
        "retry": lambda tx: deliveries.retry(tx, row, clock()),
        "stale": lambda tx: deliveries.release_stale(tx, "n", clock()),
        "bad": lambda tx: receipts.take(tx, bad, clock()),
        "good": lambda tx: receipts.take(tx, good, clock()),
    }
    return actions[step]


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_sequence_leaves_the_table(store: Store, clock: Clock, steps: list[str]) -> None:
    """Whatever happens in whatever order, each change is one that the table of states allows."""
    row = queue(store, clock, incident=store.new_id())
    state = "waiting"
    for step in steps:
        at = get(store, row)
        store.write_now(action(step, at, clock))
        new = get(store, row).state
        assert new == state or new in DELIVERIES[state].values(), (step, state, new)
        state = new


def asked(tx: Tx) -> list[str]:
    """What an acknowledgement asks, and stopping what is queued for an incident."""
    said: list[str] = []
    driver = tx.conn.connection.driver_connection
    driver.set_trace_callback(said.append)
    deliveries.acknowledge(tx, "i" * 26, "bureau", "何值班", START)
    deliveries.acknowledge(tx, "i" * 26, "bureau", "何值班", START, until="d" * 26)
    deliveries.stop_pressing(tx, "i" * 26, "closed")
    deliveries.stop(tx, incident="i" * 26, why="closed")
    driver.set_trace_callback(None)
    return said


def test_an_acknowledgement_looks_only_at_that_office_and_incident(keys: StoreKeys, clock: Clock) -> None:
    """In whatever order the indexes were made: SQLite, which knows nothing of what is in them, may take the first that fits."""
    store = Store.open("sqlite://", keys, clock)

    def plans(tx: Tx) -> set[str]:
        driver, found = tx.conn.connection.driver_connection, set()
        texts = asked(tx)
        assert len(texts) == 6
        made = dict(driver.execute("SELECT name, sql FROM sqlite_master WHERE tbl_name = 'deliveries' AND sql LIKE 'CREATE INDEX%'"))
        assert len(made) == 4
        for order in permutations(made):
            for name in made:
                driver.execute(f"DROP INDEX {name}")
            for name in order:
                driver.execute(made[name])
            found |= {row[-1] for text in texts for row in driver.execute(f"EXPLAIN QUERY PLAN {text}")}
        return found

    found = store.write_now(plans)
    store.close()
    assert found != set() and [plan for plan in found if "deliveries_due" in plan or "SCAN deliveries" in plan] == []

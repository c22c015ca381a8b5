"""Statements that are compiled once: the same answers and the same errors as those that are built on the spot."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import sqlalchemy as sa
from sqlalchemy import exc

from gateway.core.model import Event
from gateway.store import Store, StoreKeys, Tx, deliveries, journal
from gateway.store.prepared import _MOST_OCTETS, Compiled, Prepared
from gateway.store.tables import deliveries as table
from gateway.store.tables import meta, parked_receipts, vault
from tests.store.conftest import START, Clock
from tests.store.test_deliveries import queue

SECRET = "不该见诸任何日志的值"


def both(statement: sa.Select[*tuple[object, ...]]) -> tuple[sa.Select[*tuple[object, ...]], Prepared]:
    """A statement built on the spot, and the same prepared."""
    return statement, Prepared(statement)


def test_rows_are_those_of_the_statement_built_on_the_spot(store: Store, clock: Clock) -> None:
    row = queue(store, clock)
    spot, prepared = both(sa.select(table).where(table.c.id == sa.bindparam("row")))
    there, here = (store.read_now(lambda tx, s=s: tx.all(s, {"row": row})) for s in (spot, prepared))
    assert [tuple(one) for one in here] == [tuple(one) for one in there] != []
    assert here[0].destination == there[0].destination and here[0]._fields == tuple(table.c.keys())


@pytest.mark.parametrize("cleared", [True, False])
def test_flags_and_bytes_come_back_as_what_they_were(store: Store, clock: Clock, cleared: bool) -> None:
    row = queue(store, clock, cleared=cleared)
    assert store.read_now(lambda tx: deliveries.get(tx, row)).cleared is cleared
    sealed = store.read_now(lambda tx: tx.scalar(Prepared(sa.select(vault.c.sealed).where(vault.c.id == sa.bindparam("row"))), {"row": row}))
    assert isinstance(sealed, bytes)


def test_a_flag_of_another_kind_is_refused(store: Store) -> None:
    kept = Prepared(sa.select(table.c.id).where(table.c.cleared == sa.bindparam("so")))
    with pytest.raises((TypeError, exc.DBAPIError)):
        store.read_now(lambda tx: tx.all(kept, {"so": "ja"}))


def test_a_value_that_is_missing_is_an_error(store: Store) -> None:
    asked = Prepared(sa.select(meta).where(meta.c.key == sa.bindparam("name"), meta.c.value == sa.bindparam("is")))
    with pytest.raises(Exception, match="is"):
        store.read_now(lambda tx: tx.all(asked, {"name": "fingerprint"}))


def test_nothing_found_is_none(store: Store) -> None:
    asked = Prepared(sa.select(meta.c.value).where(meta.c.key == sa.bindparam("name")))
    assert store.read_now(lambda tx: (tx.one(asked, {"name": "?"}), tx.scalar(asked, {"name": "?"}))) == (None, None)


def test_run_says_how_many_rows_changed(store: Store) -> None:
    write = Prepared(sa.update(meta).where(meta.c.key == sa.bindparam("name")), ("value",))

    def many(tx: Tx) -> list[int]:
        tx.insert(meta, [{"key": name, "value": "1"} for name in "abc"])
        values = [{"name": name, "value": "2"} for name in "ab"]
        return [tx.run(write, values), tx.run(write, values[:1]), tx.run(write, {"name": "z", "value": "2"}), tx.run(write, [])]

    assert store.write_now(many) == [2, 1, 0, 0]
    found = store.read_now(lambda tx: tx.all(sa.select(meta).where(meta.c.key.in_(["a", "b", "c"])).order_by(meta.c.key)))
    assert [one.value for one in found] == ["2", "2", "1"]


def test_errors_are_those_of_sqlalchemy_without_a_value(store: Store) -> None:
    """What the store tells trouble from a function's own fault by is the same either way, and no value shows in it."""
    store.write_now(lambda tx: tx.insert(meta, {"key": "same", "value": SECRET}))
    with pytest.raises(exc.IntegrityError) as caught:
        store.write_now(lambda tx: tx.insert(meta, {"key": "same", "value": SECRET}))
    assert SECRET not in str(caught.value)


def test_each_back_end_gets_its_own_words(open_store: Callable[..., Store], keys: StoreKeys, clock: Clock) -> None:
    """One statement serves a store of either kind, one after the other."""
    asked = Prepared(sa.select(sa.func.count()).select_from(meta).where(meta.c.value != sa.bindparam("other")))
    memory = Store.open("sqlite://", keys, clock)
    counts = [one.read_now(lambda tx: tx.scalar(asked, {"other": ""})) for one in (memory, open_store(), memory)]
    memory.close()
    assert min(counts) > 0


def test_put_insert_new_and_count_up(store: Store) -> None:
    def write(tx: Tx) -> list[object]:
        first = tx.insert_new(meta, {"key": "k", "value": "1"})
        again = tx.insert_new(meta, {"key": "k", "value": "2"})
        tx.put(meta, {"key": "k", "value": "3"}, key=("key",))
        return [first, again, tx.scalar(sa.select(meta.c.value).where(meta.c.key == "k")), tx.count_up("c"), tx.count_up("c")]

    assert store.write_now(write) == [True, False, "3", 1, 2]


def test_what_is_prepared_and_what_is_not_are_one_transaction(store: Store) -> None:
    parked = {"id": "p" * 26, "via": "mail", "ref": "r", "state": "failed", "detail": "", "at": 1}

    def write(tx: Tx) -> int:
        tx.insert(parked_receipts, parked)
        tx.run(sa.update(parked_receipts).values(detail="seen"))
        raise KeyError(tx.scalar(sa.select(parked_receipts.c.detail)))

    with pytest.raises(KeyError, match="seen"):
        store.write_now(write)
    assert store.read_now(lambda tx: tx.all(sa.select(parked_receipts))) == []


def test_a_store_in_memory_undoes_what_failed_and_goes_on(keys: StoreKeys, clock: Clock) -> None:
    """Its one transaction never ends: each function is undone by itself, whether it failed or its storage did."""
    store = Store.open("sqlite://", keys, clock)

    def bad(tx: Tx, error: Exception) -> None:
        tx.insert(meta, {"key": "bad", "value": ""})
        journal.emit(tx, Event(at=START, event="started", data={"version": "1"}))
        raise error

    broken = exc.OperationalError("", None, Exception("disk I/O error"))
    for n in range(500):
        with pytest.raises(Exception, match=r"no such thing|disk I/O error"):
            store.write_now(lambda tx, n=n: bad(tx, KeyError("no such thing") if n % 2 else broken))
        store.write_now(lambda tx, n=n: tx.insert(meta, {"key": f"good{n}", "value": ""}))
    names = store.read_now(lambda tx: [one.key for one in tx.all(sa.select(meta.c.key))])
    events = store.read_now(journal.entries)
    store.close()
    assert "bad" not in names and sum(name.startswith("good") for name in names) == 500 and events == []


@pytest.mark.parametrize("many", [2, 3, 31, 32, 63, 64, 100])
def test_many_rows_are_inserted_as_each_would_be(store: Store, many: int) -> None:
    def write(tx: Tx) -> int:
        tx.insert(meta, [{"key": f"k{n:03}", "value": f"{n}"} for n in range(many)])
        return tx.run(_ONE_MORE, [{"key": f"m{n:03}", "value": f"{n}"} for n in range(many)])

    assert store.write_now(write) == many
    for begin in "km":
        found = store.read_now(lambda tx, begin=begin: tx.all(sa.select(meta).where(meta.c.key.like(f"{begin}%")).order_by(meta.c.key)))
        assert [(one.key, one.value) for one in found if one.key[1:].isdigit()] == [(f"{begin}{n:03}", f"{n}") for n in range(many)]


_ONE_MORE = Prepared(sa.insert(meta).inline(), ("key", "value"))


def test_of_many_rows_one_that_cannot_be_is_an_error_and_none_is_there(store: Store) -> None:
    rows = [{"key": f"k{n % 40}", "value": SECRET} for n in range(50)]
    with pytest.raises(exc.IntegrityError) as caught:
        store.write_now(lambda tx: tx.insert(meta, rows))
    assert SECRET not in str(caught.value)
    assert store.read_now(lambda tx: tx.all(sa.select(meta).where(meta.c.key.like("k%")))) == []


def test_rows_that_are_long_are_inserted_few_at_a_time(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one statement was given SQLite keeps."""
    held: list[int] = []
    real = Compiled._rows_text

    def told(self: Compiled, many: int) -> str:
        held.append(many)
        return real(self, many)

    monkeypatch.setattr(Compiled, "_rows_text", told)
    octet = _MOST_OCTETS // 8
    rows = [{"key": f"k{n:02}", "value": "x" * (octet if n < 16 else _MOST_OCTETS + 1 if n < 18 else 1)} for n in range(34)]
    store.write_now(lambda tx: tx.insert(meta, rows))
    there = store.read_now(lambda tx: tx.all(sa.select(meta).where(meta.c.key.like("k%")).order_by(meta.c.key)))
    assert [(one.key, len(one.value)) for one in there] == [(one["key"], len(one["value"])) for one in rows]
    if store.url.get_backend_name() == "sqlite":
        assert held == [4, 4, 4, 4, 1, 1, 16]

"""After a sync that failed nobody knows what of the data base is on the disk: what is done about it."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from pathlib import Path

import pytest

from gateway.core.errors import StorageTrouble
from gateway.store import Store, StoreKeys, messages, upkeep
from tests.store.conftest import Clock, sms


def failing(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("disk I/O error")
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "ends"), [(sqlite3.SQLITE_IOERR_FSYNC, True), (sqlite3.SQLITE_IOERR_WRITE, False), (sqlite3.SQLITE_BUSY, False)]
)
def test_the_process_ends_where_a_sync_of_the_data_base_failed(
    tmp_path: Path, clock: Clock, keys: StoreKeys, monkeypatch: pytest.MonkeyPatch, code: int, ends: bool
) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db", keys, clock)
    told: list[str] = []
    tried = threading.Event()
    store.unsure = told.append
    real = upkeep._checkpoint

    def checkpoint(cursor: object, mode: str) -> bool:
        if tried.is_set():
            return real(cursor, mode)
        tried.set()
        raise failing(code)

    monkeypatch.setattr(upkeep, "_checkpoint", checkpoint)
    store.write_now(lambda tx: messages.accept(tx, sms("一条"), clock()))
    store.write_now(lambda tx: tx.touched.add("scrub"))
    assert store.scrub(5), "it is tried again where the process goes on"
    assert tried.is_set()
    assert bool(told) is ends
    store.close()


def test_a_store_whose_wal_cannot_be_taken_in_is_not_opened(
    tmp_path: Path, clock: Clock, keys: StoreKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "TAKE_IN", "PRAGMA_that_fails")
    with pytest.raises(StorageTrouble, match="cannot open the store"):
        Store.open(f"sqlite:///{tmp_path}/store.db", keys, clock)


def test_what_another_process_left_in_the_wal_is_taken_in_and_synced_first(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    there, here = tmp_path / "there", tmp_path / "here"
    there.mkdir()
    store = Store.open(f"sqlite:///{there}/store.db", keys, clock)
    accepted = store.write_now(lambda tx: messages.accept(tx, sms("一条"), clock()))
    shutil.copytree(there, here)  # as a crash leaves it
    store.close()
    (here / "store.db-shm").unlink()
    assert (here / "store.db-wal").stat().st_size > 0
    other = sqlite3.connect(here / "store.db")  # while somebody has it open, no connection of ours that closes does it by itself
    other.execute("SELECT count(*) FROM messages").fetchall()
    store = Store.open(f"sqlite:///{here}/store.db", keys, clock)
    assert (here / "store.db-wal").stat().st_size == 0
    assert store.read_now(lambda tx: messages.raw(tx, accepted.id)).body.decode() == "一条"
    store.close()
    other.close()

"""When storage fails: everybody who waits is told, nothing is half written, and it goes on when storage is back."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from gateway.core.errors import StorageTrouble
from gateway.store import Store, StoreKeys, Tx, messages
from tests.store.conftest import Clock, sms
from tests.store.postgres import Cluster


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


def open_file(path: Path, clock: Clock, keys: StoreKeys) -> Store:
    return Store.open(f"sqlite:///{path}", keys, clock, busy_ms=100)


def take(store: Store, clock: Clock, text: str) -> messages.Accepted:
    return store.write_now(lambda tx: messages.accept(tx, sms(text), clock()))


async def test_locked_by_another(path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = open_file(path, clock, keys)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    waiting = [store.write(lambda tx, n=n: messages.accept(tx, sms(f"{n}"), clock())) for n in range(20)]
    results = await asyncio.wait_for(asyncio.gather(*waiting, return_exceptions=True), 5)
    assert {type(one) for one in results} == {StorageTrouble}
    assert "locked" in str(results[0])
    assert await store.read(messages.rows) == [], "readers go on"
    other.execute("ROLLBACK")
    other.close()
    assert (await store.write(lambda tx: messages.accept(tx, sms("好了"), clock()))).duplicate_of is None
    store.close()


async def test_full_in_the_middle(path: Path, clock: Clock, keys: StoreKeys) -> None:
    """The data base may grow no further: the batch in which it shows is rolled back whole."""
    store = open_file(path, clock, keys)
    kept = take(store, clock, "先到的")

    def limit(tx: Tx) -> None:
        pages = tx.conn.exec_driver_sql("PRAGMA page_count").scalar()
        tx.conn.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    store.write_now(limit)
    hold = threading.Event()
    jobs = [asyncio.ensure_future(store.write(lambda tx: hold.wait(5)))]
    await asyncio.sleep(0.05)
    jobs += [asyncio.ensure_future(store.write(lambda tx: messages.accept(tx, sms("小"), clock())))]
    jobs += [asyncio.ensure_future(store.write(lambda tx: messages.accept(tx, sms("大" * 100_000), clock())))]
    await asyncio.sleep(0)
    hold.set()
    results = await asyncio.gather(*jobs, return_exceptions=True)
    assert [type(one) for one in results] == [bool, StorageTrouble, StorageTrouble]
    assert "full" in str(results[1]) and "大" not in str(results[1])
    assert [row.id for row in store.read_now(messages.rows)] == [kept.id]
    # The connection was renewed, and with it the limit is gone.
    assert take(store, clock, "大" * 100_000).duplicate_of is None
    store.close()


CHILD = """
import os, resource, signal, sys
from datetime import datetime, UTC
from gateway import i18n
from gateway.core.errors import StorageTrouble
from gateway.core.model import RawMessage
from gateway.store import Store, StoreKeys, messages

how, path = sys.argv[1:]
Store.open("sqlite://", StoreKeys(bytes(32)), datetime.now).close()  # imports what it takes while we may read it
i18n.use("en")
if how == "readonly" and os.geteuid() == 0:
    os.setgid(65534); os.setuid(65534)
now = lambda: datetime(2026, 3, 5, tzinfo=UTC)
try:
    store = Store.open(f"sqlite:///{path}", StoreKeys(bytes(range(32))), now, busy_ms=100)
    if how == "disk":
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (600_000, 600_000))
    for n in range(200):
        raw = RawMessage(channel="sms", via="sms", received_at=now(), sender="1", body=b"%d" % n * 1000, content_type="t")
        print(store.write_now(lambda tx: messages.accept(tx, raw, now())).id, flush=True)
    sys.exit(3)
except StorageTrouble as trouble:
    print("trouble", trouble, flush=True)
    os._exit(0)
"""


def run_child(how: str, path: Path) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CHILD, how, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def test_disk_full(path: Path, clock: Clock, keys: StoreKeys) -> None:
    """No file of the process may grow: what was answered with an id is there, the rest was refused for now."""
    open_file(path, clock, keys).close()
    *given, trouble = run_child("disk", path)
    assert trouble.startswith("trouble") and 0 < len(given) < 200
    store = open_file(path, clock, keys)
    assert [row.id for row in store.read_now(lambda tx: messages.pending(tx, None, 999))] == given
    take(store, clock, "后来")
    store.close()


def test_read_only_file(clock: Clock, keys: StoreKeys) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "store.db")
        open_file(path, clock, keys).close()
        path.chmod(0o444)
        path.parent.chmod(0o555)
        (trouble,) = run_child("readonly", path)
        path.parent.chmod(0o755)
    assert trouble == f"trouble cannot open the store: PermissionError at {path}"


def test_malformed_file(path: Path, clock: Clock, keys: StoreKeys) -> None:
    store = open_file(path, clock, keys)
    for n in range(200):
        take(store, clock, f"{n}" * 500)
    store.close()
    with path.open("r+b") as file:
        file.seek(4096 * 3)
        file.write(b"\xff" * (path.stat().st_size - 4096 * 3))
    with pytest.raises(StorageTrouble):
        store = open_file(path, clock, keys)
        take(store, clock, "再来")


def test_lost_server(clock: Clock, keys: StoreKeys, postgres: Cluster) -> None:
    store = Store.open(postgres.url(), keys, clock)
    first = take(store, clock, "一")
    postgres.stop()
    with pytest.raises(StorageTrouble):
        take(store, clock, "二")
    with pytest.raises(StorageTrouble):
        store.read_now(messages.rows)
    postgres.start()
    second = take(store, clock, "三")
    assert {row.id for row in store.read_now(messages.rows)} == {first.id, second.id}
    store.close()


def test_idle_connection_that_died_costs_nobody_anything(clock: Clock, keys: StoreKeys, postgres: Cluster) -> None:
    store = Store.open(postgres.url(), keys, clock)
    take(store, clock, "一")
    with postgres.admin() as admin:
        admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND usename='owner'")
    store._writer._used -= 60  # type: ignore[union-attr]  # as if a minute had gone by
    assert take(store, clock, "二").duplicate_of is None
    store.close()


def test_password_stays_out_of_the_trouble(clock: Clock, keys: StoreKeys) -> None:
    with pytest.raises(StorageTrouble) as caught:
        Store.open("postgresql+psycopg://gateway:hunter2@127.0.0.1:1/none", keys, clock)
    assert "hunter2" not in str(caught.value)

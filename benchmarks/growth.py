"""What grows with the store, and what must not: ``python -m benchmarks.growth [accept|ready]``.

``accept``: processor time of one durable accept, 20 to a commit, in a store of 10 to ``MOST`` messages (default 1,000,000). The store is
filled by copying a stored message's rows in SQL, each copy with a digest of its own, so that every index has its size.
``ready``: a daemon's start, from exec until it answers, and its memory, with nothing, with ``QUEUED`` (default 100,000) deliveries that are
due and with as many messages that nobody has read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa

from benchmarks.run import report, rss
from benchmarks.smtp import used
from gateway.core.model import RawMessage
from gateway.intake import Ready, take_in
from gateway.store import Store, StoreKeys, Tx, deliveries, precedence
from gateway.store.upkeep import TAKE_IN
from gateway.store.waiting import Job
from gateway.store.writer import run_together
from tests.system.gate import Gate, mail, send_mail

MOST = int(os.environ.get("MOST", "1000000"))
QUEUED = int(os.environ.get("QUEUED", "100000"))
MAIL = 4096
BATCH, BATCHES = 20, 60
_NUMBERS = "WITH RECURSIVE n(i) AS (VALUES (:first) UNION ALL SELECT i + 1 FROM n WHERE i < :last)"
_COPIES = (
    "INSERT INTO {table} ({columns}) SELECT {values} FROM n, (SELECT * FROM {table} WHERE {key} = :like ORDER BY id LIMIT 1)"
)


def now() -> datetime:
    return datetime.now(UTC)


def raw(n: int) -> RawMessage:
    """A mail of 4 KB like no other."""
    body = f"Subject: {n}\r\n\r\n{report(n)}\r\n".encode().ljust(MAIL, b".")
    return RawMessage(
        channel="email", via="mail", received_at=now(), sender=f"s{n % 500}@gateway.test", recipient="report@gateway.test", body=body,
        content_type="message/rfc822", meta={"peer": "127.0.0.1", "helo": "x", "protocol": "SMTP"},
    )  # fmt: skip


def copy(tx: Tx, like: str, first: int, last: int) -> None:
    """Rows ``first`` to ``last`` like those of the message ``like``: read long ago, its body of no use, its event sealed."""
    fresh: dict[str, dict[str, str]] = {
        "messages": {"id": "printf('00%024d', n.i)", "digest": "lower(hex(randomblob(32)))", "state": "'read'"},
        "vault": {"id": "printf('00%024d', n.i)", "sealed": "randomblob(400)"},
        "events": {"id": "NULL", "message": "printf('00%024d', n.i)", "seq": "n.i", "prev": "'-'", "hash": "'-'"},
    }
    for table, given in fresh.items():
        names = [row.name for row in tx.all(sa.text(f"SELECT name FROM pragma_table_info('{table}')"))]
        columns = ", ".join(f'"{name}"' for name in names)
        values = ", ".join(given.get(name, f'"{name}"') for name in names)
        key = "message" if table == "events" else "id"
        asked = f"{_NUMBERS} {_COPIES.format(table=table, columns=columns, values=values, key=key)}"
        tx.run(sa.text(asked), {"first": first, "last": last, "like": like})


def accepts(store: Store, began: int) -> tuple[float, float]:
    """Milliseconds of processor time, and by the clock, that one accept takes; the median of the batches."""
    spent, taken = [], []
    with store._write_engine.connect() as conn:
        for batch in range(BATCHES):
            raws = [raw(began + batch * BATCH + n) for n in range(BATCH)]
            used, clock = time.process_time(), time.perf_counter()
            with conn.begin():
                tx = store._tx(conn)
                for done in run_together(tx, [Job(Ready.of(store, one, now(), 3600, precedence.FIRST), None) for one in raws]):
                    assert done.error is None, done.error
            spent.append((time.process_time() - used) * 1000 / BATCH)
            taken.append((time.perf_counter() - clock) * 1000 / BATCH)
    return statistics.median(spent), statistics.median(taken)


def accepting(folder: Path) -> None:
    """The curve."""
    store = Store.open(f"sqlite:///{folder / 'grown.db'}", StoreKeys(os.urandom(32)), clock=now)
    store.write_now(lambda tx: [take_in(tx, raw(n), now(), 3600) for n in range(10)])
    like = store.read_now(lambda tx: tx.scalar(sa.text("SELECT id FROM messages ORDER BY id LIMIT 1")))
    there, asked = 10, 0
    print("| messages stored | processor time of an accept, ms | by the clock, 20 to a commit, ms | data base, MiB |\n|---|---|---|---|")
    for size in (10, 1000, 10_000, 100_000, 1_000_000):
        if size > MOST:
            break
        while there < size:
            last = min(size, there + 50_000)
            store.write_now(lambda tx, there=there, last=last: copy(tx, like, there + 1, last))
            there = last
        with contextlib.closing(store._write_engine.raw_connection()) as conn:
            while conn.cursor().execute(TAKE_IN).fetchone()[0]:  # what was copied is no matter of those that come
                time.sleep(0.1)
        spent, taken = accepts(store, 10_000_000 + asked)
        asked += BATCH * BATCHES
        size_mib = (folder / "grown.db").stat().st_size / (1 << 20)
        print(f"| {size} | {spent:.3f} | {taken:.3f} | {size_mib:.0f} |", flush=True)
    store.close()


def peak(pid: int) -> float:
    """The most memory that a process has had, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1]) / 1024
    return 0.0


def started(gate: Gate, what: str) -> None:
    """Start, look, kill."""
    taken, spent = [], []
    for _each in range(3):
        began = time.perf_counter()
        gate.start()
        taken.append(time.perf_counter() - began)
        assert gate.process is not None
        ready = rss(gate.process.pid)
        spent.append(used([gate.process.pid]))
        time.sleep(5)
        most = peak(gate.process.pid)
        gate.process.kill()
        gate.process.wait()
        gate.process = None
    print(f"| {what} | {statistics.median(taken):.2f} | {statistics.median(spent):.2f} | {ready:.0f} | {most:.0f} |", flush=True)


def opened(gate: Gate) -> Store:
    """The store of a gate that does not run."""
    return Store.open(f"sqlite:///{gate.state / 'gateway.db'}", StoreKeys.load(gate.conf / "secrets" / "store-key"), clock=now)


def queued(store: Store, count: int) -> None:
    """As many deliveries as asked for, each like one of those that are there, in the queue of its own destination and incident."""

    def some(tx: Tx, first: int) -> None:
        models = deliveries.rows(tx, limit=100)
        what = {one.id: deliveries.content(tx, one.id) for one in models}
        made: list[Any] = []
        for n in range(first, min(count, first + 2000)):
            one = models[n % len(models)]
            bare = {"state": "waiting", "attempt": 0, "refs": (), "fallback_of": None, "delivered_at": None}
            bare = {name: value for name, value in bare.items() if name in one.__struct_fields__}
            like = msgspec.structs.replace(one, id=tx.new_id(), next_try_at=now() - timedelta(seconds=60), **bare)
            made.append((like, what[one.id]))
        deliveries.insert_all(tx, made)

    for first in range(0, count, 2000):
        store.write_now(lambda tx, first=first: some(tx, first))


def ready(folder: Path) -> None:
    """Starts with nothing, with deliveries and with messages queued."""
    print("\n| queued | exec to an answer, s, median of 3 | processor time, s | memory when ready, MiB | most in the 5 s after, MiB |")
    print("|---|---|---|---|---|")
    gate = Gate(folder)
    gate.start()
    for n in range(12):
        send_mail(gate.base, mail(report(n)))
    gate.until(lambda: len(gate.ask("deliveries", limit=200)) > 60, "deliveries")
    gate.stop()
    started(gate, "nothing but 12 reports")
    store = opened(gate)
    queued(store, QUEUED)
    store.close()
    started(gate, f"{QUEUED} deliveries that are due, nobody takes them")
    store = opened(gate)
    for first in range(0, QUEUED, 200):
        store.write_now(lambda tx, first=first: [take_in(tx, raw(first + n), now(), 3600) for n in range(200)])
    store.close()
    started(gate, f"the same and {QUEUED} mails of 4 KB that nobody has read")


if __name__ == "__main__":
    root = Path(tempfile.mkdtemp(prefix="growth-"))
    try:
        if "ready" not in sys.argv[1:]:
            accepting(root)
        if "accept" not in sys.argv[1:]:
            ready(root)
    finally:
        shutil.rmtree(root, ignore_errors=True)

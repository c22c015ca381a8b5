"""Backup of a store of SIZE MiB while it accepts: how long it takes, and what a receipt waits before and during it.

``python -m benchmarks.backup``; SIZE (MiB, default 1024), RATE (messages a second, default 200), LIMIT (MiB/s of the backup, default 0:
none). A writer in this process accepts SMS of 200 bytes at the rate; ``gateway backup`` runs in a process of its own.
"""

from __future__ import annotations

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from gateway import intake
from gateway.core.model import RawMessage
from gateway.store import Store, StoreKeys

SIZE = int(os.environ.get("SIZE", "1024"))
RATE = float(os.environ.get("RATE", "200"))
LIMIT = os.environ.get("LIMIT", "0")
BODY = 64 * 1024


def now() -> datetime:
    return datetime.now(UTC)


def fill(store: Store) -> None:
    """Mails of 64 KiB until the store has its size."""
    count = SIZE * (1 << 20) // BODY
    for start in range(0, count, 64):

        def some(tx: object, start: int = start) -> None:
            for n in range(start, min(start + 64, count)):
                raw = RawMessage(
                    channel="email", via="mail", received_at=now(), sender=f"s{n}@gateway.test",
                    body=os.urandom(BODY), content_type="message/rfc822", carrier_id=f"<{n}@x>",
                )  # fmt: skip
                intake.take_in(tx, raw, now(), 0)  # type: ignore[arg-type]

        store.write_now(some)


class Accepting(threading.Thread):
    """Accepts at RATE; ``waits`` are (moment, seconds until the receipt)."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store, self.waits, self.go = store, [], True
        self.waits: list[tuple[float, float]] = []

    def run(self) -> None:
        n, due = 0, time.monotonic()
        while self.go:
            n, due = n + 1, due + 1 / RATE
            raw = RawMessage(
                channel="sms", via="sms", received_at=now(), sender="13800000001",
                body=b"x" * 200, content_type="text/plain", carrier_id=f"{n}",
            )  # fmt: skip
            start = time.monotonic()
            self.store.write_now(lambda tx, raw=raw: intake.take_in(tx, raw, now(), 0))
            self.waits.append((start, time.monotonic() - start))
            time.sleep(max(0.0, due - time.monotonic()))


def shown(waits: list[float]) -> str:
    cut = statistics.quantiles(waits, n=100)
    return f"p50 {cut[49] * 1000:6.2f} ms   p99 {cut[98] * 1000:6.2f} ms   max {max(waits) * 1000:6.1f} ms   of {len(waits)}"


def main() -> None:
    folder = Path(tempfile.mkdtemp(prefix="backup-bench-"))
    try:
        gateway = [sys.executable, "-m", "gateway", "--conf", str(folder / "conf")]
        subprocess.run([*gateway[:3], "init", str(folder / "conf"), "--demo"], check=True, stdout=subprocess.DEVNULL)
        state = folder / "conf" / "state"
        state.mkdir()
        store = Store.open(f"sqlite:///{state}/gateway.db", StoreKeys.load(folder / "conf" / "secrets" / "store-key"), now)
        fill(store)
        store.scrub()
        size = (state / "gateway.db").stat().st_size
        accepting = Accepting(store)
        accepting.start()
        time.sleep(10)
        start = time.monotonic()
        done = subprocess.run([*gateway, "backup", str(folder / "b.tar"), "--rate", LIMIT], capture_output=True, check=False)
        end = time.monotonic()
        wal = Path(f"{state}/gateway.db-wal").stat().st_size
        accepting.go = False
        accepting.join()
        store.close()
        assert done.returncode == 0, done.stderr.decode()
        before = [took for at, took in accepting.waits if at < start]
        during = [took for at, took in accepting.waits if start <= at < end]
        print(
            f"store {size / (1 << 20):.0f} MiB, {RATE:.0f} messages/s, limit {LIMIT} MiB/s, {timedelta(seconds=round(end - start))}"
        )
        print(
            f"backup {end - start:6.1f} s   {size / (1 << 20) / (end - start):6.0f} MiB/s   -wal after it {wal / (1 << 20):.1f} MiB"
        )
        print(f"accept before   {shown(before)}")
        print(f"accept during   {shown(during)}")
        first, second = (statistics.quantiles(one, n=100) for one in (before, during))
        print(f"ratio           p50 {second[49] / first[49]:.2f}   p99 {second[98] / first[98]:.2f}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()

"""A sync of the data base fails once, as Linux tells it: the pages count as written and never are. Then the power is cut."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.disk import ROOT, Disk
from tests.faults.kinds import rule

pytestmark = pytest.mark.faults

KEEPER = """
import sqlite3, sys, threading
from datetime import UTC, datetime
from pathlib import Path
from gateway.core.model import RawMessage
from gateway.store import Store, StoreKeys, messages, upkeep
upkeep.EVERY = 3600.0
turned = threading.Event()
real = upkeep.Upkeep._work
def work(self, cursor):
    try:
        real(self, cursor)
    finally:
        threading.Timer(0.2, turned.set).start()
upkeep.Upkeep._work = work
store = Store.open(f"sqlite:///{sys.argv[1]}/gateway.db", StoreKeys.load(Path(sys.argv[2])), lambda: datetime.now(UTC))
reader = sqlite3.connect(f"{sys.argv[1]}/gateway.db", isolation_level=None)
number = 0
for line in sys.stdin:
    what = line.strip()
    if what == "take":
        for _ in range(30):
            number += 1
            raw = RawMessage(channel="sms", via="sms", received_at=datetime.now(UTC), sender=str(number), body=b"x" * 3000,
                             content_type="text/plain")
            store.write_now(lambda tx: messages.accept(tx, raw, datetime.now(UTC)))
    elif what == "hold":
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM messages").fetchall()
    elif what == "let go":
        reader.execute("COMMIT")
    elif what == "checkpoint":
        turned.clear()
        store._upkeep._wake.set()
        turned.wait(30)
    print(what, number, flush=True)
"""


def test_the_store_is_whole_after_a_failed_sync_and_a_power_cut(tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(
        [
            sys.executable,
            "-c",
            f"from pathlib import Path; from gateway.store import StoreKeys; StoreKeys.generate(Path({str(key)!r}))",
        ],
        cwd=ROOT,
        check=True,
    )
    disk = Disk(tmp_path)
    try:
        with subprocess.Popen(
            [sys.executable, "-c", KEEPER, str(disk.mount), str(key)],
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as keeper:
            acknowledged = 0

            def do(what: str) -> bool:
                """Whether the keeper lives on after it."""
                nonlocal acknowledged
                assert keeper.stdin is not None and keeper.stdout is not None
                try:
                    keeper.stdin.write(what + "\n")
                    keeper.stdin.flush()
                except BrokenPipeError:
                    return False
                answer = keeper.stdout.readline()
                if answer:
                    acknowledged = int(answer.split()[-1])
                return bool(answer)

            assert all(do(one) for one in ("take", "hold", "take", "checkpoint", "let go"))
            disk.rules(rule("fsync", "EIO", "gateway.db", forget=True))
            lives = do("checkpoint")
            disk.rules()
            if lives:  # a gateway that goes on as if nothing had been
                for one in ("take", "checkpoint", "take", "checkpoint", "take"):
                    do(one)
            keeper.kill()
        assert acknowledged >= 60
        disk.cut(1)
        with sqlite3.connect(disk.mount / "gateway.db") as after:
            assert after.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert after.execute("SELECT count(*) FROM messages").fetchone()[0] >= acknowledged
    finally:
        disk.close()

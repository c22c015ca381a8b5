"""kill -9 between any two steps: what was answered is there, what was begun is done again, nothing is there twice."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store import Store, StoreKeys, deliveries, incidents, journal, messages
from tests.store.conftest import Clock

CHILD = """
import os, sys
from datetime import datetime, timedelta, UTC
from gateway.core.model import Event, Incident, RawMessage, Report
from gateway.store import Store, StoreKeys, deliveries, incidents, journal, messages
from gateway.store.deliveries import Content, DeliveryRow

path, stop_at = sys.argv[1], int(sys.argv[2])
now = datetime(2026, 3, 5, tzinfo=UTC)
store = Store.open(f"sqlite:///{path}", StoreKeys(bytes(range(32))), lambda: now)
step = 0

def here(what):
    global step
    print(what, flush=True)
    if step == stop_at:
        os.kill(os.getpid(), 9)
    step += 1

raw = RawMessage(channel="sms", via="sms", received_at=now, sender="1", body=b"x", content_type="t", carrier_id="c-1")

def desk(tx):
    (row,) = messages.pending(tx)
    incident = Incident(id=tx.new_id(), number=incidents.next_number(tx, 2026), title="t", state="open", items=(), kinds=(),
                        report=Report(text="x"), first_received_at=now)
    incidents.insert(tx, incident)
    here("inside desk")
    messages.set_state(tx, row.id, "read", incident=incident.id)
    deliveries.insert(tx, DeliveryRow(id=tx.new_id(), incident=incident.id, destination="d", transport="mail", address="a",
                                      created_at=now, next_try_at=now), Content(subject="s", text="t"))
    journal.emit(tx, Event(at=now, event="registered", incident=incident.number, message=row.id))

here("start")
accepted = store.write_now(lambda tx: messages.accept(tx, raw, now))
here("accepted " + accepted.id)
if store.read_now(messages.pending):
    store.write_now(desk)
here("registered")
store.write_now(lambda tx: deliveries.release_stale(tx, "node", now))
for row in store.read_now(lambda tx: deliveries.due(tx, now)):
    leased = store.write_now(lambda tx: deliveries.lease(tx, row.id, "node", now + timedelta(minutes=1), now))
    here("leased")
    print("sent", leased.id, flush=True)
    here("before settling")
    store.write_now(lambda tx: deliveries.settle(tx, leased.id, leased.attempt, "delivered"))
here("done")
os.kill(os.getpid(), 9)
"""


def run(path: Path, stop_at: int) -> list[str]:
    done = subprocess.run([sys.executable, "-c", CHILD, str(path), str(stop_at)], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    return done.stdout.splitlines()


@pytest.mark.parametrize("stop_at", range(7))
def test_killed_anywhere(tmp_path: Path, clock: Clock, keys: StoreKeys, stop_at: int) -> None:
    path = tmp_path / "store.db"
    first = run(path, stop_at)
    second = run(path, 99)
    assert second[-1] == "done"
    store = Store.open(f"sqlite:///{path}", keys, clock)
    rows = store.read_now(messages.rows)
    answered = {line.split()[1] for line in first + second if line.startswith("accepted ")}
    assert answered <= {row.id for row in rows}, "whoever got an id is there"
    assert [row.state for row in rows].count("read") == 1
    assert {row.state for row in rows} <= {"read", "duplicate"}
    assert [one.number for one in store.read_now(incidents.rows)] == ["2026-0001"]
    (delivery,) = store.read_now(deliveries.rows)
    assert delivery.state == "delivered"
    sent = [line.split()[1] for line in first + second if line.startswith("sent ")]
    twice = first[-1] == "before settling"
    assert sent == [delivery.id] * (2 if twice else 1), "twice only between the peer's yes and our commit, with one id"
    assert [one.event.event for one in store.read_now(journal.entries)] == ["registered"]
    store.close()
    assert not os.path.exists(f"{path}-wal") or os.path.getsize(f"{path}-wal") == 0

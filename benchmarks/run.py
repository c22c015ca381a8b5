"""The figures of docs/figures.md, measured on a real daemon on loopback: ``make bench``. Nothing here gates a test.
``python -m benchmarks.run desk`` is the desk's throughput alone; ``COUNT=10000``."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway import explain, house
from gateway.alarms import Alarms
from gateway.conf_load import load
from gateway.core.model import RawMessage
from gateway.demo.smsc import DemoSmsc
from gateway.desk import Desk
from gateway.host import Host
from gateway.intake import take_in
from gateway.service import run_loop
from gateway.store import Store, StoreKeys, messages
from tests.system.gate import Gate, Sink

ROOT = Path(__file__).parent.parent
PLACES = ("青山区", "云台区", "石桥县", "白水县", "平安县", "柳河县")


def report(n: int) -> str:
    """A short report; each tells of another fire."""
    return f"{PLACES[n % 6]}政府办报告：今日{n % 8}时{n % 60:02d}分，{PLACES[n % 6]}第{n}号仓库起火，1人死亡、2人受伤。"


def say(name: str, value: str) -> None:
    """One line of the table."""
    print(f"| {name} | {value} |", flush=True)


def rss(pid: int) -> float:
    """Resident memory of a process, MiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def timed(work: Callable[[], Any]) -> float:
    """Seconds that ``work`` takes."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def check(gate: Gate) -> None:
    """``gateway check``, from a cold interpreter."""
    taken = [timed(lambda: gate.run_command("check")) for _ in range(5)]
    say("`gateway check`, median of 5", f"{statistics.median(taken):.2f} s")


def starting(gate: Gate) -> None:
    """From exec to an answer on the control socket, which comes after all channels listen."""
    taken = []
    for _ in range(3):
        taken.append(timed(gate.start))
        gate.stop()
    say("start to all channels listening, median of 3", f"{statistics.median(taken):.2f} s")


def memory(gate: Gate) -> None:
    """Idle memory of the main process."""
    gate.start()
    time.sleep(5)
    assert gate.process is not None
    say("idle memory of the main process", f"{rss(gate.process.pid):.0f} MiB")


async def sms(gate: Gate, smsc: DemoSmsc, count: int) -> None:
    """One SMS at a time on an idle machine: deliver_sm sent → first submit_sm seen at the SMSC."""
    whole, after = [], []
    for n in range(count):
        before, began = len(smsc.sent), time.perf_counter()
        await smsc.deliver("+8613800000001", "10690999", report(100_000 + n))
        accepted = time.perf_counter()
        while len(smsc.sent) == before:
            await asyncio.sleep(0.001)
        seen = time.perf_counter()
        whole.append((seen - began) * 1000)
        after.append((seen - accepted) * 1000)
        await asyncio.sleep(0.6)
    for name, taken in (
        ("accepted (deliver_sm_resp) → delivered at the SMSC", after),
        ("deliver_sm → delivered at the SMSC", whole),
    ):
        taken.sort()
        p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
        say(f"one SMS, {name}, {count} runs", f"p50 {statistics.median(taken):.0f} ms, p99 {p99:.0f} ms")


async def many(folder: Path, count: int) -> None:
    """``count`` messages through intake and the desk of one process, which sends nothing; nothing lost, memory flat."""
    config = load(ROOT / "conf", Host.load(ROOT / "conf"))
    now = datetime.now(UTC)
    store = Store.open(f"sqlite:///{folder / 'many.db'}", StoreKeys(os.urandom(32)), clock=lambda: datetime.now(UTC))
    alarms = Alarms(store, lambda: datetime.now(UTC))
    channel = next(c for c in config.channels if c.kind == "phone_transcript")
    made = {channel.name: channel.cls(channel.name, channel.settings, None)}
    desk = Desk(store, house.build(config, bureau_public=explain.throwaway_key()), made, {}, clock=lambda: datetime.now(UTC),
                alarms=alarms, wake_dispatch=lambda: None)  # fmt: skip
    desk.start()
    gauge, began, before = [rss(os.getpid())], time.perf_counter(), time.process_time()
    for first in range(0, count, 100):
        calls = [call(n) for n in range(first, min(count, first + 100))]
        raws = [RawMessage(channel="phone", via=channel.name, received_at=now, sender=f"0999-{n:07d}", body=body,
                           content_type="application/json", carrier_id=f"c{n}") for n, body in enumerate(calls, first)]  # fmt: skip
        await asyncio.gather(*(store.write(lambda tx, raw=raw: take_in(tx, raw, now, 3600)) for raw in raws))
        desk.wake()
        while len(await store.read(lambda tx: messages.pending(tx, "phone", 300))) >= 200:
            await asyncio.sleep(0.05)
        if first % 1000 == 0:
            gauge.append(rss(os.getpid()))
    while await store.read(lambda tx: messages.pending(tx, "phone", 1)):
        await asyncio.sleep(0.05)
    taken, spent = time.perf_counter() - began, time.process_time() - before
    found = await store.read(messages.counts)
    kept = sum(found.values())
    await desk.stop(10)
    store.close()
    say(f"{count} messages through intake and desk", f"{count / taken:.0f}/s; lost {count - kept}; states {found}")
    say("the same by processor time", f"{spent / count * 1000:.1f} ms a report: {count / spent:.0f}/s for each core")
    say(
        "memory at the start, at a tenth, half way, at the end",
        ", ".join(f"{gauge[n]:.0f}" for n in (0, len(gauge) // 10 + 1, len(gauge) // 2, -1)) + " MiB",
    )


def call(n: int) -> bytes:
    """A telephone transcript as it is posted."""
    told = {"call_id": f"c{n}", "caller": f"0999-{n:07d}", "called": "0999-110", "started_at": "2026-03-06T09:00:00+08:00",
            "segments": [{"speaker": "来电人", "start": 0, "end": 3, "text": report(n)}]}  # fmt: skip
    return json.dumps(told, ensure_ascii=False).encode()


async def intake(folder: Path, count: int) -> None:
    """Durable accepts in one process, 50 at a time, beside bare sqlite3 that commits 50 rows a transaction."""
    raw = RawMessage(channel="sms", via="sms", received_at=datetime.now(UTC), sender="+8613800000001", body=b"", content_type="t")
    store = Store.open(f"sqlite:///{folder / 'bench.db'}", StoreKeys(os.urandom(32)), clock=lambda: datetime.now(UTC))
    import msgspec

    async def lane(first: int) -> None:
        for n in range(first, count, 50):
            one = msgspec.structs.replace(raw, body=report(n).encode())
            await store.write(lambda tx, one=one: take_in(tx, one, datetime.now(UTC), 3600))

    began = time.perf_counter()
    await asyncio.gather(*(lane(first) for first in range(50)))
    ours = count / (time.perf_counter() - began)
    store.close()
    bare = sqlite3.connect(folder / "bare.db", isolation_level=None)
    bare.executescript(
        "pragma journal_mode=wal; pragma synchronous=full; create table m(id integer primary key, body blob, at real)"
    )
    began = time.perf_counter()
    for first in range(0, count, 50):
        bare.execute("begin immediate")
        bare.executemany(
            "insert into m(body, at) values(?, ?)", [(report(n).encode(), time.time()) for n in range(first, first + 50)]
        )
        bare.execute("commit")
    batches = count / (time.perf_counter() - began)
    began = time.perf_counter()
    for n in range(count):
        bare.execute("begin immediate")
        bare.execute("insert into m(body, at) values(?, ?)", (report(n).encode(), time.time()))
        bare.execute("commit")
    singly = count / (time.perf_counter() - began)
    say("durable accepts, 50 waiting (sealed, hashed, with event)", f"{ours:.0f}/s")
    say("beside bare sqlite3, plain rows, one commit each", f"{singly:.0f}/s: ratio {ours / singly:.2f}")
    say("beside bare sqlite3, plain rows, 50 to a commit", f"{batches:.0f}/s: ratio {ours / batches:.2f}")


async def main() -> None:
    """All figures, as a table."""
    count = int(os.environ.get("COUNT", "10000"))
    with tempfile.TemporaryDirectory() as name:
        if sys.argv[1:] == ["desk"]:
            await many(Path(name), count)
            return
        gate = Gate(Path(name))
        sink = Sink(gate.base + 5)
        sink.start()
        smsc = DemoSmsc("gateway", gate.secret("smpp-password"))
        await smsc.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
        print("| figure | measured |\n|---|---|")
        await asyncio.to_thread(check, gate)
        await asyncio.to_thread(starting, gate)
        await asyncio.to_thread(memory, gate)
        await smsc.wait_bound(20)
        await sms(gate, smsc, 100)
        await asyncio.to_thread(gate.stop)
        await intake(Path(name), count)
        await many(Path(name), count)
        print(subprocess.run([sys.executable, "-m", "gateway", "--conf", str(gate.conf), "audit", "verify"], check=True,
                             capture_output=True, text=True, env=gate.env).stdout)  # fmt: skip
        sink.stop()
        await smsc.stop()


if __name__ == "__main__":
    run_loop(main)

"""What a plugin in a process of its own costs, and what a bad one costs its neighbours: ``python -m benchmarks.plughost``.

First the price of one call (a transport that answers at once: the same class in-process and isolated, in turn). Then, for each
bad behaviour, the time in which another channel accepts mail: a second session beside the plugin at rest, then beside the
plugin that misbehaves again as soon as it is back. Both are taken in short turns, so that the machine's own moods fall on both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import smtplib
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from gateway.core.model import Delivery
from gateway.host import Host
from gateway.plughost.hub import hub
from gateway.settings import load
from tests.system.gate import Gate, Sink, mail

PLUGIN = Path(__file__).parent.parent / "tests" / "plughost" / "plugin.py"
BEHAVIOURS = ("raises", "hangs", "busy", "sleeps", "leaks", "exits", "segfault", "rubbish", "floods", "pipe", "forks", "prints")
TURNS = int(os.environ.get("TURNS", "4"))
MAILS = int(os.environ.get("MAILS", "100"))
PACE = 0.02


def prepared(conf: Path, port: int, **limits: float) -> None:
    """The bad plugin beside the example's own."""
    (conf / "plugins.d").mkdir(exist_ok=True)
    shutil.copy(PLUGIN, conf / "plugins.d" / "plugin.py")
    tables = f"[channel.bad]\nkind = 'bad_line'\nisolation = 'process'\nport = {port}\n[transport.bad]\nkind = 'bad_out'\n"
    (conf / "channels.d" / "bad.toml").write_text(tables)
    toml = conf / "gateway.toml"
    toml.write_text(toml.read_text().replace("[plugins]", "[plugins]\n" + "\n".join(f"{k} = {v}" for k, v in limits.items())))


def spread(taken: list[float]) -> tuple[float, float]:
    """p50 and p99 in milliseconds."""
    taken = sorted(taken)
    return statistics.median(taken) * 1000, taken[min(len(taken) - 1, int(len(taken) * 0.99))] * 1000


async def overhead(conf: Path, count: int) -> None:
    """One ``send``, isolated and in-process."""
    config = load(conf, Host.load(conf))
    found = next(t for t in config.transports if t.name == "bad")
    apart = found.cls(found.name, found.settings)
    from tests.plughost.plugin import BadTransport

    inside = BadTransport("bad", found.settings)
    delivery = Delivery(
        id="d", incident=None, destination="x", transport="bad", address="a", subject="s", text="起火" * 100, short_text=""
    )
    await apart.start()
    taken: dict[Any, list[float]] = {apart: [], inside: []}
    for _ in range(count):
        for one, times in taken.items():
            began = time.perf_counter()
            await one.send(delivery)
            times.append(time.perf_counter() - began)
    await apart.stop()
    (p50, p99), (q50, q99) = spread(taken[apart]), spread(taken[inside])
    print(f"| one call, isolated ({count} runs) | p50 {p50:.2f} ms, p99 {p99:.2f} ms |")
    print(f"| one call, in-process | p50 {q50:.3f} ms, p99 {q99:.3f} ms |")
    print(f"| overhead of isolation | p50 {p50 - q50:.2f} ms |", flush=True)


def accepts(smtp: smtplib.SMTP, count: int) -> list[float]:
    """Seconds from the end of a mail to its 250, at a steady pace."""
    taken = []
    for _ in range(count):
        data = mail(f"云台区政府办报告：{time.monotonic_ns()}号楼起火，2人受伤。")
        due = time.perf_counter() + PACE
        smtp.mail("zhiban@yuntai.gateway.test")
        smtp.rcpt("report@gateway.test")
        began = time.perf_counter()
        code, answer = smtp.data(data)
        taken.append(time.perf_counter() - began)
        assert code == 250, answer
        time.sleep(max(0.0, due - time.perf_counter()))
    return taken


class Misbehaving(threading.Thread):
    """Has the plugin do it, again and again, for as long as it is asked to."""

    def __init__(self, port: int, what: str) -> None:
        super().__init__(daemon=True)
        self.port, self.what, self.times, self.ended = port, what, 0, threading.Event()

    def run(self) -> None:
        while not self.ended.wait(0.2):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1) as wire:
                wire.settimeout(1)
                wire.sendall(f"do {self.what}\n".encode())
                self.times += wire.recv(100).startswith(b"DOING")


def neighbours(gate: Gate, port: int) -> None:
    """The table of behaviours."""
    print(
        "| behaviour | times | at rest p50 / p99 ms | beside it p50 / p99 ms | ratio of p99 |\n|---|---|---|---|---|", flush=True
    )
    for what in sys.argv[1:] or BEHAVIOURS:
        gate.start()
        rest: list[float] = []
        beside: list[float] = []
        times = 0
        for _ in range(TURNS):
            with smtplib.SMTP("127.0.0.1", gate.base, timeout=20) as smtp:  # one session ends at 1000 mails
                smtp.ehlo()
                accepts(smtp, 25)
                rest += accepts(smtp, MAILS)
                bad = Misbehaving(port, what)
                bad.start()
                beside += accepts(smtp, MAILS)
                bad.ended.set()
                bad.join(5)
                times += bad.times
            # What hangs or floods is ended, so that the next turn at rest is one.
            for pid in plugin_pids(gate):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, 9)
            time.sleep(1.0)
        (p50, p99), (q50, q99) = spread(rest), spread(beside)
        print(f"| {what} | {times} | {p50:.1f} / {p99:.1f} | {q50:.1f} / {q99:.1f} | {q99 / p99:.2f} |", flush=True)
        gate.stop()


def plugin_pids(gate: Gate) -> list[int]:
    """The plugin's processes of this daemon."""
    assert gate.process is not None
    found = []
    for task in Path(f"/proc/{gate.process.pid}/task").glob("*/children"):
        for pid in task.read_text().split():
            with contextlib.suppress(OSError):
                if b"plughost.main" in Path(f"/proc/{pid}/cmdline").read_bytes():
                    found.append(int(pid))
    return found


def main() -> None:
    """Both tables."""
    with tempfile.TemporaryDirectory() as name:
        gate = Gate(Path(name))
        port = gate.base + 8
        prepared(gate.conf, port, hang_seconds=2.0, restart_min=0.1, restart_max=0.5, failures=100)
        print("| figure | measured |\n|---|---|")
        asyncio.run(overhead(gate.conf, 2000))
        hub.close()
        sink = Sink(gate.base + 5)
        sink.start()
        neighbours(gate, port)
        sink.stop()


if __name__ == "__main__":
    main()

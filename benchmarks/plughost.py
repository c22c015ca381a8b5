"""What a plugin in a process of its own costs, and what a bad one costs its neighbours: ``python -m benchmarks.plughost``.

First the price of one call (a transport that answers at once: the same class in-process and isolated, in turn). Then, for each
bad behaviour, the time in which another channel accepts mail: a second session beside the plugin at rest, then beside the
plugin that misbehaves again as soon as it is back. Both are taken in short turns, so that the machine's own moods fall on both.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import signal
import smtplib
import socket
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from gateway.conf_load import load
from gateway.core.model import Delivery
from gateway.host import Host
from gateway.plughost.hub import hub
from tests.system.gate import Gate, Sink, mail, send_mail

PLUGIN = Path(__file__).parent.parent / "tests" / "plughost" / "plugin.py"
BEHAVIOURS = ("raises", "hangs", "busy", "sleeps", "leaks", "exits", "segfault", "rubbish", "floods", "pipe", "forks", "prints")
OUTWARD = ("hangs", "rubbish")
TURNS = int(os.environ.get("TURNS", "4"))
MAILS = int(os.environ.get("MAILS", "100"))
PACE = 0.02


def prepared(conf: Path, port: int, **limits: float) -> None:
    """The bad plugin beside the example's own. Every office is reached by it first and by mail where it fails; the text of a
    report goes out whole."""
    (conf / "plugins.d").mkdir(exist_ok=True)
    shutil.copy(PLUGIN, conf / "plugins.d" / "plugin.py")
    tables = f"[channel.bad]\nkind = 'bad_line'\nisolation = 'process'\nport = {port}\n[transport.bad]\nkind = 'bad_out'\n"
    (conf / "channels.d" / "bad.toml").write_text(tables)
    directory = conf / "directory.toml"
    way = r'^( +)(\{ transport = "mail")'
    directory.write_text(re.sub(way, r'\1{ transport = "bad", address = "x" },\n\1\2', directory.read_text(), flags=re.M))
    report = conf / "templates" / "report.txt"
    report.write_text(report.read_text() + "\n$text\n")
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
    """Has the plugin do it, again and again, for as long as it is asked to: in a connection of its channel, or, for what shows in
    an answer alone, while it sends a report that tells it to."""

    def __init__(self, gate: Gate, port: int, what: str, *, well: bool = False) -> None:
        super().__init__(daemon=True)
        self.gate, self.port, self.what, self.well = gate, port, what, well
        self.times, self.ended = 0, threading.Event()

    def run(self) -> None:
        """``well``: the same reports go out, and nothing is done; a channel is left alone."""
        while not self.ended.wait(1.0 if self.what in OUTWARD else 0.2):
            with contextlib.suppress(OSError):
                if self.what in OUTWARD:
                    self._send()
                elif not self.well:
                    self._connect()

    def _connect(self) -> None:
        with socket.create_connection(("127.0.0.1", self.port), 1) as wire:
            wire.settimeout(1)
            wire.sendall(f"do {self.what}\n".encode())
            self.times += wire.recv(100).startswith(b"DOING")

    def _send(self) -> None:
        told = "" if self.well else f"do {self.what}"
        send_mail(self.gate.base, mail(f"青山区政府办报告：{time.monotonic_ns()}号仓库爆炸，5人死亡。{told}"))
        self.times += 1


def beside(gate: Gate, port: int, what: str, turns: int, mails: int) -> tuple[list[float], list[float], int]:
    """Seconds of each accept with the plugin at rest and with it misbehaving, in turns, and how often it did it."""
    rest: list[float] = []
    bad: list[float] = []
    times, processes = 0, len(plugin_pids(gate))
    for _ in range(turns):
        with smtplib.SMTP("127.0.0.1", gate.base, timeout=20) as smtp:  # one session ends at 1000 mails
            smtp.ehlo()
            accepts(smtp, 20)
            for taken, well in ((rest, True), (bad, False)):
                doing = Misbehaving(gate, port, what, well=well)
                doing.start()
                taken.extend(accepts(smtp, mails))
                doing.ended.set()
                doing.join(5)
            times += doing.times
        # What hangs or floods is ended and what waits for it goes out otherwise, so that the next turn at rest is one.
        for pid in plugin_pids(gate):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        gate.until(lambda: answers(port) and len(plugin_pids(gate)) == processes and not waiting(gate), "the plugin rests", 60)
        time.sleep(1.0)
    return rest, bad, times


def waiting(gate: Gate) -> bool:
    """Whether a delivery is still to go out by the bad way."""
    return any(row["transport"] == "bad" and row["state"] in ("waiting", "sending") for row in gate.ask("deliveries"))


def answers(port: int) -> bool:
    """Whether the plugin's channel listens."""
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def neighbours(gate: Gate, port: int) -> None:
    """The table of behaviours."""
    print(
        "| behaviour | times | at rest p50 / p99 ms | beside it p50 / p99 ms | ratio of p99 |\n|---|---|---|---|---|", flush=True
    )
    for what in sys.argv[1:] or BEHAVIOURS:
        gate.start()
        rest, bad, times = beside(gate, port, what, TURNS, MAILS)
        (p50, p99), (q50, q99) = spread(rest), spread(bad)
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
        prepared(gate.conf, port, hang_seconds=2.0, call_seconds=4.0, restart_min=0.1, restart_max=0.5, failures=100)
        print("| figure | measured |\n|---|---|")
        asyncio.run(overhead(gate.conf, 2000))
        hub.close()
        sink = Sink(gate.base + 5)
        sink.start()
        neighbours(gate, port)
        sink.stop()


if __name__ == "__main__":
    main()

"""What a reload of 500 rules costs: how long it takes, and the longest that intake keeps anybody waiting meanwhile.

``python -m benchmarks.reload``: a real daemon on loopback; a mail client and a telephone client send one message after the
other, each timed from the last octet to the answer, first undisturbed, then over reloads of a changed catalogue.
"""

from __future__ import annotations

import smtplib
import socket
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from tests.system.gate import Gate, mail, post_phone

RULES = 500
TURNS = 20


def catalogue(shipped: str, rules: int, turn: int) -> str:
    """The shipped catalogue with further items up to ``rules``; ``turn`` makes each another one."""
    have = shipped.count("[[item]]")
    forms = (
        'any = [{{ all = [{{ term = "traffic" }}, {{ field = "deaths", at_least = {n} }}] }}, {{ term = "fire" }}]',
        'all = [{{ near = ["petition", "capital"] }}, {{ field = "participants", at_least = {n}, unstated = "no" }}]',
        'any = [{{ sum = ["deaths", "injured"], at_least = {n} }}, {{ all = [{{ term = "epidemic" }}, {{ none = [{{ term = "veterans" }}] }}] }}]',
    )
    items = [
        f'\n[[item]]\nid = "本市-{n}"\ntitle = "本市第{n}条"\ntext = "本市规定第{n}条（第{turn}版）：造成{n + 1}人以上死亡或者受伤的，应当报送。"\n'
        f'source = "江州市紧急信息报送办法第{n}条"\ncondition = {{ {forms[n % 3].format(n=n + 1)} }}\n'
        for n in range(rules - have)
    ]
    return shipped + "".join(items)


class Client(threading.Thread):
    """Sends one message after the other and keeps how long each answer took, in ms, with its instant."""

    def __init__(self, send: Callable[[int], None], pause: float) -> None:
        super().__init__(daemon=True)
        self.taken: list[tuple[float, float]] = []
        self._send = send
        self._pause = pause
        self._over = threading.Event()

    def run(self) -> None:
        n = 0
        while not self._over.wait(self._pause):
            began = time.perf_counter()
            self._send(n)
            self.taken.append((began, (time.perf_counter() - began) * 1000))
            n += 1

    def end(self) -> None:
        self._over.set()
        self.join()

    def between(self, start: float, end: float) -> list[float]:
        """The waits that overlap an interval."""
        return [ms for at, ms in self.taken if at + ms / 1000 >= start and at <= end]


def session_of(gate: Gate) -> smtplib.SMTP:
    """A session that sends each line at once."""
    session = smtplib.SMTP("127.0.0.1", gate.base, timeout=20)
    assert session.sock is not None
    session.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    session.ehlo()
    return session


def asker(gate: Gate) -> Callable[[int], None]:
    """Connection after connection, until the greeting: nothing is stored, so the longest wait is the longest pause of intake
    itself."""

    def ask(_n: int) -> None:
        with socket.create_connection(("127.0.0.1", gate.base), 20) as made:
            assert made.recv(100).startswith(b"220")

    return ask


def mailer(gate: Gate) -> Callable[[int], None]:
    """One session, one mail after the other."""
    session = session_of(gate)

    def send(n: int) -> None:
        session.sendmail(
            "zhiban@yuntai.gateway.test", ["report@gateway.test"], mail(f"今日测试第{n}号，一切正常，无事发生。", subject=f"{n}")
        )

    return send


def caller(gate: Gate) -> Callable[[int], None]:
    """One POST after the other."""
    token = gate.secret("phone-token")

    def send(n: int) -> None:
        told = {"call_id": f"c{n}", "caller": "0999-1234567", "called": "0999-110", "started_at": "2026-03-06T09:00:00+08:00",
                "segments": [{"speaker": "来电人", "start": 0, "end": 3, "text": f"第{n}号来电，一切正常。"}]}  # fmt: skip
        assert post_phone(gate.base + 2, token, told)[0] == 200

    return send


def line(name: str, taken: list[float]) -> str:
    """One row of the table."""
    taken = sorted(taken)
    p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    return f"| {name}, {len(taken)} | p50 {statistics.median(taken):.1f} ms, p99 {p99:.1f} ms, longest {taken[-1]:.1f} ms |"


def reloads(gate: Gate, shipped: str, rules: int, turns: range) -> tuple[list[float], list[tuple[float, float]]]:
    """Change the catalogue and reload, again and again: ms of each as the daemon says, and when it was."""
    taken, windows = [], []
    path = gate.conf / "catalogue.toml"
    for turn in turns:
        fresh = gate.conf / "catalogue.new"
        fresh.write_text(catalogue(shipped, rules, turn), "utf-8")
        fresh.rename(path)
        time.sleep(0.2)
        began = time.perf_counter()
        answer = gate.ask("reload")
        windows.append((began, time.perf_counter()))
        assert answer["reloaded"] and answer["changed"] == ["catalogue"], answer
        taken.append(answer["seconds"] * 1000)
        time.sleep(0.1)
    return taken, windows


def measure(rules: int = RULES, turns: int = TURNS) -> None:
    """Print the rows."""
    with tempfile.TemporaryDirectory() as name:
        gate = Gate(Path(name))
        shipped = (gate.conf / "catalogue.toml").read_text("utf-8")
        (gate.conf / "catalogue.toml").write_text(catalogue(shipped, rules, 0), "utf-8")
        gate.start()
        greeted = Client(asker(gate), 0.001)
        greeted.start()
        idle, windows = reloads(gate, shipped, rules, range(1, turns + 1))
        print(line(f"reload of {rules} catalogue items, gateway otherwise idle", idle))
        print(line("connection greeted (the loop alone) while that goes on", [ms for w in windows for ms in greeted.between(*w)]))
        senders = {"mail accepted": Client(mailer(gate), 0.02), "telephone call accepted": Client(caller(gate), 0.02)}
        for client in senders.values():
            client.start()
        time.sleep(3)
        quiet = (time.perf_counter() - 2.5, time.perf_counter())
        busy, windows = reloads(gate, shipped, rules, range(turns + 1, 2 * turns + 1))
        for client in (greeted, *senders.values()):
            client.end()
        gate.stop()
        print(line(f"reload of {rules} catalogue items while messages come in one after the other", busy))
        for what, client in {"connection greeted (the loop alone)": greeted, **senders}.items():
            print(line(f"{what}, without a reload", client.between(*quiet)))
            print(line(f"{what}, while a reload goes on", [ms for w in windows for ms in client.between(*w)]))


if __name__ == "__main__":
    measure()

"""A plugin in a process of its own, in a real daemon: whatever it does, the other ways in go on taking, nothing that was
accepted is lost, an alarm names the plugin, and it comes back. About 35 s for the whole table."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from benchmarks.plughost import answers, plugin_pids, prepared
from tests.system.gate import Gate, Sink, mail, post_phone, send_mail

LIMITS = {"hang_seconds": 2.5, "call_seconds": 5.0, "restart_min": 0.05, "restart_max": 0.2, "failures": 100, "memory_mb": 256}
LONGEST = 2.0
"""Seconds for one mail beside a bad plugin: less than the time that a plugin which hangs is given, so that waiting for it shows."""
RATE, BURST, CALLS = 10, 20, 16
"""Messages a second of one plugin, how many at once before that counts, and how many may be on their way in."""
BAD = {
    "raises": "raised KeyError (plugin",
    "busy": "did not answer ping within 2.5 s",
    "sleeps": "did not answer ping within 2.5 s",
    "leaks": "of memory",
    "exits": "its process ended (exit 7)",
    "segfault": "its process ended (signal 11)",
    "floods": "floods: over 10 messages a second",
    "notes": "many ",
    "pipe": "its process ended|closed its pipe|did not answer",
    "forks": "forked; the copy was ended",
    "prints": "writes to standard output",
    "bomb": "processes; allowed: 32|did not answer",
}

BAD_OUT = {
    "hangs": "did not answer send within 5 s",
    "rubbish": "answered nonsense to send (dict is no outcome)",
}
"""What shows in an answer alone: the daemon waits for a way out, and for no connection of a way in."""


class Bad:
    """The daemon with the bad plugin, and the plugin's own port."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.port = gate.base + 8
        self.taken: list[str] = []
        self.mails: list[Any] = []
        """What came to the offices by mail."""

    def said(self, since: int, behaviour: str) -> bool:
        """Whether an alarm that names the plugin has told of it."""
        words = (BAD | BAD_OUT)[behaviour].split("|")
        lines = [line for line in self.gate.log.read_text()[since:].splitlines() if "plugin=plugin" in line]
        return any(word in line for line in lines for word in words)

    def mail(self, text: str) -> None:
        """One mail by the other way in; it must not take long."""
        began = time.monotonic()
        answer = send_mail(self.gate.base, mail(text))
        assert time.monotonic() - began < LONGEST, "another way in stood still"
        self.taken.append(answer.decode().split()[-1])

    def line(self, text: str, answer: bool = True) -> str:
        with socket.create_connection(("127.0.0.1", self.port), 5) as wire:
            wire.settimeout(20)
            wire.sendall(text.encode() + b"\n")
            return wire.makefile().readline().strip() if answer else ""

    def works(self) -> bool:
        try:
            said = self.line(f"青山区政府办报告：{time.monotonic_ns()}号仓库起火，1人死亡。")
        except OSError:
            return False
        if said.startswith("OK "):
            self.taken.append(said[3:])
        return said.startswith("OK ")


@pytest.fixture(scope="module")
def bad(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bad]:
    gate = Gate(tmp_path_factory.mktemp("bad"))
    made = Bad(gate)
    prepared(gate.conf, made.port, **LIMITS)
    phone = gate.conf / "channels.d" / "phone.toml"
    phone.write_text(phone.read_text().replace('kind = "phone_transcript"', 'kind = "phone_transcript"\nisolation = "process"'))
    sink = Sink(gate.base + 5)
    sink.start()
    made.mails = sink.mails
    gate.start()
    try:
        yield made
    finally:
        gate.stop()
        sink.stop()


def test_a_bundled_channel_works_from_its_own_process(bad: Bad) -> None:
    call = {"call_id": "c1", "caller": "0999-1234567", "called": "0999-110", "started_at": "2026-03-06T09:00:00+08:00",
            "segments": [{"speaker": "a", "start": 0, "end": 1, "text": "白水县政府办报告：今日8时，白水县化工厂爆炸，2人死亡。"}]}  # fmt: skip
    # One that starts slowly keeps no other waiting, and so the daemon is up before it.
    bad.gate.until(lambda: answers(bad.gate.base + 2), "its channel listens")
    status, said = post_phone(bad.gate.base + 2, bad.gate.secret("phone-token"), call)
    assert status == 200, said
    shown = bad.gate.until(lambda: _state(bad, said["id"]) != "accepted" and _state(bad, said["id"]), "it is read")
    assert shown == "read"
    assert post_phone(bad.gate.base + 2, "wrong", call)[0] == 401


def _state(bad: Bad, ident: str) -> str:
    lines = bad.gate.run_command("messages", "--json").splitlines()
    return next(one["state"] for one in map(json.loads, lines) if one["id"] == ident)


@pytest.mark.parametrize("behaviour", BAD)
def test_a_bad_neighbour(bad: Bad, behaviour: str) -> None:
    bad.gate.until(bad.works, "the plugin's channel takes a message", 20)
    since, sent = len(bad.gate.log.read_text()), 0
    bad.line(f"do {behaviour}")
    deadline = time.monotonic() + 30
    while not bad.said(since, behaviour) or sent < 5:
        bad.mail(f"云台区政府办报告：{time.monotonic_ns()}号楼起火，2人受伤。")
        sent += 1
        assert time.monotonic() < deadline, f"no alarm names it:\n{bad.gate.log.read_text()[since:][-3000:]}"
        time.sleep(0.01)
    if behaviour in ("floods", "notes"):
        bad.gate.until(lambda: _ended(bad), "the flood ends with its process", 20)


def _ended(bad: Bad) -> bool:
    """End the flood as an operator could not: from inside."""
    try:
        bad.line("do exits", answer=False)
    except OSError:
        return True
    return bad.works()


@pytest.mark.parametrize("behaviour", BAD_OUT)
def test_a_bad_way_out(bad: Bad, behaviour: str) -> None:
    """Its alarm names it, other reports are taken meanwhile, and the report goes to its offices by the next way."""
    bad.gate.until(bad.works, "the plugin's channel takes a message", 20)
    since = len(bad.gate.log.read_text())
    bad.mail(f"青山区政府办报告：{time.monotonic_ns()}号仓库爆炸，5人死亡。do {behaviour}")

    def told() -> bool:
        bad.mail(f"云台区政府办报告：{time.monotonic_ns()}号楼起火，2人受伤。")
        return bad.said(since, behaviour)

    bad.gate.until(told, "an alarm names it")
    words = f"do {behaviour}".encode()
    bad.gate.until(lambda: any(words in m.get_payload(decode=True) for m in bad.mails), "the next way brings it", 60)


def test_a_flood_is_taken_at_its_rate_and_in_few_commits(bad: Bad) -> None:
    """What it takes from its neighbours is bounded in number, whatever the machine; ``benchmarks.plughost`` measures it as time."""
    bad.gate.until(bad.works, "the plugin's channel takes a message", 20)
    began = time.time()
    bad.line("do floods")
    bad.gate.until(lambda: len(_flooded(bad, began)) > BURST + 3 * RATE, "more than the burst is taken", 20)
    instants = _flooded(bad, began)
    bad.gate.until(lambda: _ended(bad), "the flood ends with its process", 20)
    span = instants[-1] - instants[0]
    assert len(instants) <= BURST + RATE * (span + 1) + CALLS
    # After the burst they come second by second, so that the others' commits are disturbed once in a second.
    later = [at for at in instants if at > instants[0] + 1]
    fifths = {int(at * 5) for at in later}
    assert len(fifths) <= 2 * (span + 1)


def _flooded(bad: Bad, since: float) -> list[float]:
    """The instants at which the flood's messages were stored, from the record."""
    rows = map(json.loads, (bad.gate.state / "audit.jsonl").read_text().rpartition("\n")[0].splitlines())
    found = (datetime.fromisoformat(row["at"]).timestamp() for row in rows if row["event"] == "accepted" and row["data"]["via"] == "bad")
    return sorted(at for at in found if at >= since)


def test_a_plugins_process_stands_back_for_the_daemon(bad: Bad) -> None:
    bad.gate.until(bad.works, "the plugin's channel takes a message", 20)
    own = os.getpriority(os.PRIO_PROCESS, bad.gate.process.pid)
    assert {os.getpriority(os.PRIO_PROCESS, pid) for pid in plugin_pids(bad.gate)} == {min(19, own + 19)}, "wholly, as it has loaded"


def test_nothing_that_was_accepted_is_lost(bad: Bad) -> None:
    bad.gate.until(bad.works, "the plugin's channel takes a message", 20)
    assert len(bad.taken) > 60
    shown = bad.gate.run_command("messages", "--json", "--limit", "100000")
    kept = {json.loads(line)["id"] for line in shown.splitlines()}
    assert set(bad.taken) <= kept


def test_no_word_of_the_plugins_output_is_in_the_log(bad: Bad) -> None:
    assert "a report's own words" not in bad.gate.log.read_text()


def test_the_process_ends_with_the_daemon(bad: Bad) -> None:
    bad.gate.until(bad.works, "the plugin's channel takes a message", 20)
    pids = [
        p for p in Path("/proc").glob("[0-9]*/cmdline") if b"plughost.main" in _read(p) and _parent(p) == bad.gate.process.pid
    ]
    assert pids
    bad.gate.process.kill()
    bad.gate.process.wait()
    bad.gate.until(lambda: not any(b"plughost.main" in _read(p) for p in pids), "it dies with the daemon", 5)


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _parent(path: Path) -> int:
    stat = _read(path.with_name("stat")).decode("utf-8", "replace")
    return int(stat.rpartition(")")[2].split()[1]) if stat else 0

"""A plugin in a process of its own, in a real daemon: whatever it does, the other ways in go on taking, nothing that was
accepted is lost, an alarm names the plugin, and it comes back. About 35 s for the whole table."""

from __future__ import annotations

import json
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.system.gate import Gate, mail, post_phone, send_mail

PLUGIN = Path(__file__).with_name("plugin.py")
LIMITS = {"hang_seconds": 1.5, "restart_min": 0.05, "restart_max": 0.2, "failures": 100, "memory_mb": 256}
LONGEST = 5.0
"""Seconds for one mail beside a bad plugin; the benchmark measures, this only has to tell a stall from none."""
BAD = {
    "raises": "raised KeyError (plugin",
    "busy": "did not answer ping within 1.5 s",
    "sleeps": "did not answer ping within 1.5 s",
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


class Bad:
    """The daemon with the bad plugin, and the plugin's own port."""

    def __init__(self, gate: Gate) -> None:
        self.gate = gate
        self.port = gate.base + 8
        self.taken: list[str] = []

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
    (gate.conf / "plugins.d").mkdir(exist_ok=True)
    shutil.copy(PLUGIN, gate.conf / "plugins.d" / "plugin.py")
    (gate.conf / "channels.d" / "bad.toml").write_text(
        f"[channel.bad]\nkind = 'bad_line'\nisolation = 'process'\nport = {made.port}\n"
    )
    toml = gate.conf / "gateway.toml"
    text = toml.read_text().replace("[plugins]", "[plugins]\n" + "\n".join(f"{k} = {v}" for k, v in LIMITS.items()))
    toml.write_text(text)
    phone = gate.conf / "channels.d" / "phone.toml"
    phone.write_text(phone.read_text().replace('kind = "phone_transcript"', 'kind = "phone_transcript"\nisolation = "process"'))
    gate.start()
    try:
        yield made
    finally:
        gate.stop()


def test_a_bundled_channel_works_from_its_own_process(bad: Bad) -> None:
    call = {"call_id": "c1", "caller": "0999-1234567", "called": "0999-110", "started_at": "2026-03-06T09:00:00+08:00",
            "segments": [{"speaker": "a", "start": 0, "end": 1, "text": "白水县政府办报告：今日8时，白水县化工厂爆炸，2人死亡。"}]}  # fmt: skip
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
    said = len(bad.gate.log.read_text())
    sent = len(mails := [])
    bad.line(f"do {behaviour}")
    words = BAD[behaviour].split("|")

    def told() -> bool:
        log = bad.gate.log.read_text()[said:]
        return any(word in line and "plugin=plugin" in line for line in log.splitlines() for word in words)

    deadline = time.monotonic() + 30
    while not told() or sent < 5:
        began = time.monotonic()
        mails.append(send_mail(bad.gate.base, mail(f"云台区政府办报告：{time.monotonic_ns()}号楼起火，2人受伤。")))
        assert time.monotonic() - began < LONGEST, "another way in stood still"
        sent += 1
        assert time.monotonic() < deadline, f"no alarm names it:\n{bad.gate.log.read_text()[said:][-3000:]}"
        time.sleep(0.01)
    bad.taken += [answer.decode().split()[-1] for answer in mails]
    if behaviour in ("floods", "notes"):
        bad.gate.until(lambda: _ended(bad), "the flood ends with its process", 20)


def _ended(bad: Bad) -> bool:
    """End the flood as an operator could not: from inside."""
    try:
        bad.line("do exits", answer=False)
    except OSError:
        return True
    return bad.works()


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

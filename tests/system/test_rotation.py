"""The audit log under logrotate (rename) while the daemon runs, and what ``audit verify`` says of a changed line."""

from __future__ import annotations

import json

from tests.system.gate import Gate, Sink, mail, send_mail

TEXT = "平安县安监局：今日7时15分，平安县红星煤矿发生冒顶，造成1人死亡、{0}人受伤，救援正在进行。"


def test_the_chain_goes_on_over_a_rename_and_a_restart(gate: Gate, sink: Sink) -> None:
    log = gate.state / "audit.jsonl"
    gate.start()
    send_mail(gate.base, mail(TEXT.format(2), subject="一"))
    gate.until(lambda: b"routed" in log.read_bytes(), "the first report is on record")
    log.rename(gate.state / "audit.jsonl.1")
    send_mail(gate.base, mail(TEXT.format(3), subject="二"))
    gate.until(lambda: log.exists() and b"accepted" in log.read_bytes(), "a new file is begun")
    gate.run_command("audit", "verify")
    gate.stop()
    gate.start()
    gate.stop()
    assert "in order" in gate.run_command("audit", "verify")
    lines = [
        json.loads(line) for name in ("audit.jsonl.1", "audit.jsonl") for line in (gate.state / name).read_text().splitlines()
    ]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert [line["prev"] for line in lines[1:]] == [line["hash"] for line in lines[:-1]]


def test_a_changed_line_and_a_cut_end_are_named(gate: Gate) -> None:
    log = gate.state / "audit.jsonl"
    for _ in range(3):
        gate.start()
        gate.stop()
    whole = log.read_bytes()
    lines = whole.splitlines(keepends=True)
    changed = lines[2].replace(b"gateway", b"gatewau", 1) if b"gateway" in lines[2] else lines[2].replace(b"at", b"ta", 1)
    log.write_bytes(b"".join([*lines[:2], changed, *lines[3:]]))
    assert "audit.jsonl:3:" in gate.run_command("audit", "verify", code=1)
    log.write_bytes(b"".join(lines[:-1]))
    assert "missing at the end" in gate.run_command("audit", "verify", code=1)
    log.write_bytes(whole)
    gate.run_command("audit", "verify")


def test_a_torn_last_line_is_written_again_at_start(gate: Gate) -> None:
    log = gate.state / "audit.jsonl"
    gate.start()
    gate.stop()
    log.write_bytes(log.read_bytes()[:-30])
    gate.start()
    gate.stop()
    gate.run_command("audit", "verify")

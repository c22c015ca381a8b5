"""The wall clock of a real daemon is set (libfaketime; CLOCK_BOOTTIME stays true): told, reports go on, judgements wait for a word."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from tests.faults.upsets import FAKETIME, LOOKS
from tests.system.gate import Gate, Sink, mail, send_mail

FIRE = "云台区政府办报告：今日{hour}时许，云台区文昌街{number}号一家具厂发生火灾，造成1人死亡、2人受伤，明火已扑灭。报告人：李军"


def events(gate: Gate, name: str) -> list[dict[str, Any]]:
    lines = (gate.state / "audit.jsonl").read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


def test_a_clock_that_is_set(gate: Gate, sink: Sink, tmp_path: Path) -> None:
    wall = tmp_path / "wall-clock"
    wall.write_text("+0")
    plain = dict(gate.env)
    gate.env |= {
        "LD_PRELOAD": str(Path(FAKETIME).with_name("libfaketimeMT.so.1")), "FAKETIME_TIMESTAMP_FILE": str(wall), "FAKETIME_CACHE_DURATION": "1", "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_RESET": "1",
    }  # fmt: skip
    gate.start()
    gate.env = plain
    new = tmp_path / "new"
    new.write_text("+1d")
    new.replace(wall)
    time.sleep(LOOKS)

    def told() -> list[dict[str, Any]]:
        return [one for one in events(gate, "alarm") if one["data"]["what"] == "clock"]

    gate.until(told, "the leap is told")
    hour = time.localtime().tm_hour
    send_mail(gate.base, mail(FIRE.format(hour=max(0, hour - 2), number=7), subject="火灾"))
    gate.until(lambda: [row for row in gate.ask("deliveries") if row["state"] == "delivered"], "a report goes on its way")
    assert events(gate, "clock_passed") == []
    said = gate.run_command("clock", "confirm")
    assert any(day in said for day in ("86399", "86400", "86401")), said
    gate.until(lambda: events(gate, "clock_passed"), "what was due is judged now")
    assert '"command":"clock confirm"' in (gate.state / "audit.jsonl").read_text("utf-8")

"""A real daemon takes an imported roster while it runs: in force at once, on record, and refused where it must be."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path

from tests.system.gate import Gate
from tests.system.test_reload import events

HEAD = "单位,姓名,起,止,顺序,角色,班次"


def handed_in(folder: Path, *lines: str) -> str:
    """A file as somebody hands it in."""
    path = folder / "值班表.csv"
    path.write_bytes("\r\n".join(("江州市值班表", HEAD, *lines)).encode("gb18030"))
    return str(path)


def test_a_running_daemon_uses_and_records_an_imported_roster(gate: Gate, tmp_path: Path) -> None:
    gate.start()
    before = gate.ask("status")["digest"]
    bad = handed_in(tmp_path, "市委机要局,何值班,2026-12-01 18:00,2026-02-30 08:30,1,,")
    assert "值班表.csv:3: 止: '2026-02-30 08:30': that month has no such day" in gate.run_command("roster", "import", bad, code=1)
    tomorrow = (datetime.now() + timedelta(days=1)).replace(hour=18, minute=0)
    span = f"{tomorrow:%Y-%m-%d %H:%M},{tomorrow + timedelta(hours=12):%Y-%m-%d %H:%M}"
    good = handed_in(tmp_path, f"市委机要局,何值班,{span},1,,夜班", f"市委机要局,卢局长,{span},1,带班领导,")
    assert gate.ask("status")["digest"] == before and not events(gate, "roster_imported")
    assert "tried only" in gate.run_command("roster", "import", good, "--dry-run")
    done = gate.run_command("roster", "import", good)
    assert "roster.csv is written and in force" in done
    noted = gate.until(lambda: events(gate, "roster_imported") and events(gate, "reloaded"), "both are on record")
    imported = events(gate, "roster_imported")[0]
    assert (imported["data"]["file"], imported["data"]["turns"], imported["data"]["how"]) == ("值班表.csv", 2, "merge")
    assert imported["by"] and int(imported["seq"]) < int(noted[0]["seq"])
    assert noted[0]["data"]["changed"] == ["roster"] and gate.ask("status")["digest"] == noted[0]["data"]["conf"] != before
    assert "nobody" not in gate.run_command("roster", "show", "--office", "confidential_bureau")
    # With nothing but this the other offices have nobody: told at once, and the daemon's daily look has not come yet.
    gate.run_command("roster", "import", good, "--replace")
    holes = [json.loads(line) for line in gate.run_command("roster", "show", "--json").splitlines()]
    assert {one["office"] for one in holes if one["hole"]} >= {"government_office", "committee_duty_room"}
    alarmed = [e for e in events(gate, "alarm") if e["data"]["what"] == "roster"]
    assert alarmed == [], "the start looked when all was covered"
    gate.run_command("audit", "verify")


def test_a_start_with_holes_raises_the_alarm_once(gate: Gate) -> None:
    lines = (gate.conf / "roster.csv").read_text("utf-8").splitlines()
    (gate.conf / "roster.csv").write_text("\n".join(line for line in lines if "duty_room" not in line), "utf-8")
    gate.start()

    def alarmed() -> list[str]:
        return sorted(e["data"]["office"] for e in events(gate, "alarm") if e["data"]["what"] == "roster")

    assert gate.until(lambda: len(alarmed()) == 2 and alarmed(), "both offices") == [
        "committee_duty_room",
        "government_duty_room",
    ]
    gate.stop()
    gate.start()
    assert len(alarmed()) == 2


def test_a_daemon_that_refuses_to_reload_is_told(gate: Gate, tmp_path: Path) -> None:
    gate.start()
    tomorrow = datetime.now() + timedelta(days=1)
    good = handed_in(tmp_path, f"市委机要局,何值班,{tomorrow:%Y-%m-%d} 18:00,{tomorrow:%Y-%m-%d} 20:00,1,,")
    # The reload alone needs the bureau's key: nothing that the import itself looks at is wrong.
    (key,) = (gate.conf / "secrets").glob("*public*")
    key.write_text("broken")
    told = gate.run_command("roster", "import", good, code=1)
    assert "roster.csv was written, but the daemon refused to reload: 1 faults; gateway check names them" in told

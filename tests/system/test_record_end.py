"""A running daemon and the end of its record: witnesses, proofs, and no intake while nothing can be put on record."""

from __future__ import annotations

import smtplib
import subprocess
import sys
from email.message import EmailMessage
from pathlib import Path

import pytest

from gateway.audit import outside
from tests.system.gate import Gate


def mail(gate: Gate, text: str) -> tuple[int, bytes]:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "baishui-office@gateway.test", "report@gateway.test", "火情"
    message.set_content(text)
    try:
        with smtplib.SMTP("127.0.0.1", gate.base, timeout=20) as smtp:
            smtp.send_message(message)
    except smtplib.SMTPResponseException as refusal:
        return refusal.smtp_code, refusal.smtp_error
    return 250, b""


@pytest.mark.parametrize("algorithm", ["sha256", "sm3"])
def test_a_witness_holds_the_head_and_finds_what_was_cut_off(tmp_path: Path, algorithm: str) -> None:
    gate = Gate(tmp_path)
    head = tmp_path / "elsewhere"
    conf = gate.conf / "gateway.toml"
    text = conf.read_text("utf-8").replace("[audit]", f'[audit]\nhash = "{algorithm}"', 1)
    conf.write_text(f'{text}\n[[witness]]\nname = "mount"\nfile = "{head}"\n', "utf-8")
    key = gate.run_command("audit", "keygen").strip()
    assert key == gate.run_command("audit", "keygen").strip(), "a key that is there is kept"
    gate.start()
    try:
        assert mail(gate, "今日9时20分，白水县幸福路一居民楼起火，1人死亡。白水县委办")[0] == 250
        gate.until(lambda: gate.ask("incidents"), "the incident")
    finally:
        gate.stop()
    log = gate.state / "audit.jsonl"
    shown = gate.run_command("audit", "verify", "--witness", str(head))
    assert "in order" in shown
    exported = tmp_path / "proof.json"
    exported.write_text(gate.run_command("audit", "export", "--incident", "1", "--since", str(head)), "utf-8")
    tool = [sys.executable, "-I", str(Path(outside.__file__)), "--key", key]
    checked = subprocess.run([*tool, "--proof", str(exported)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0 and "lines are in the signed tree" in checked.stdout, checked.stderr
    assert subprocess.run([*tool, "--witness", str(head), str(log)], check=False, capture_output=True).returncode == 0
    printed = tmp_path / "printed"
    printed.write_text(gate.run_command("audit", "checkpoint"), "utf-8")
    assert subprocess.run([*tool, "--witness", str(printed), str(log)], check=False, capture_output=True).returncode == 0
    lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(lines[:-2]))
    gone = subprocess.run([*tool, "--witness", str(head), str(log)], check=False, capture_output=True, text=True)
    assert gone.returncode == 1 and "lines are missing" in gone.stderr


def test_what_cannot_be_put_on_record_is_not_taken_and_later_it_is(tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    place = tmp_path / "record"
    place.mkdir()
    text = (gate.conf / "gateway.toml").read_text("utf-8")
    (gate.conf / "gateway.toml").write_text(text.replace("[gateway]", f'[gateway]\naudit_log = "{place}/audit.jsonl"', 1), "utf-8")
    gate.start()
    try:
        place.rename(tmp_path / "away")
        (tmp_path / "away").chmod(0o700)
        # The file is open; rotation asks for it under its name, where no folder is now.
        gate.until(lambda: mail(gate, "今日9时20分，白水县某厂火灾，1人死亡。")[0] == 451, "a temporary answer", 30)
        (tmp_path / "away").rename(place)
        gate.until(lambda: mail(gate, "今日9时20分，青山区某厂火灾，1人死亡。")[0] == 250, "taken again", 30)
    finally:
        gate.stop()
    assert "in order" in gate.run_command("audit", "verify")

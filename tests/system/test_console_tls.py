"""The console of a real daemon behind TLS that asks for client certificates, set up as docs/console.md says."""

from __future__ import annotations

import json
import re
import shutil
import socket
import ssl
from http.client import HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from gateway.conf_edit import set_key
from tests.console.authority import SERVER, Authority
from tests.system.gate import Gate


def test_a_certificate_signs_in_at_a_daemon_that_takes_no_passwords(gate: Gate, tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    server, _certificate = authority.issue("localhost", dns="localhost", usage=SERVER)
    mine, _certificate = authority.issue("李值班", mail="li@duty.gateway.test")
    stranger, _certificate = Authority(tmp_path, "别家 CA").issue("李值班", mail="li@duty.gateway.test")
    shutil.copy(server, gate.conf / "console.pem")
    shutil.copy(authority.pem, gate.conf / "clients.pem")
    shutil.copy(server, gate.conf / "secrets" / "console-key")
    (gate.conf / "secrets" / "console-key").chmod(0o600)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    conf = gate.conf / "gateway.toml"
    wanted = {
        "port": port, "certificate": "console.pem", "client_ca": "clients.pem", "passwords": False,
        "public_url": f"https://localhost:{port}",
    }  # fmt: skip
    text = conf.read_text()
    for key, value in wanted.items():
        text = set_key(text, ("console", key), value)
    conf.write_text(text)
    gate.run_command("check")
    gate.start()
    told = gate.run_command("user", "certificate", "clerk", "li@duty.gateway.test")
    assert "li@duty.gateway.test" in told and "li@duty" in gate.run_command("user", "list")
    for shown in (None, stranger):
        with pytest.raises((ssl.SSLError, OSError)):
            _get(authority, shown, port)
    caller = HTTPSConnection("localhost", port, context=authority.client(mine), timeout=20)
    caller.request("GET", "/signin")
    answer = caller.getresponse()
    page, cookie = answer.read().decode(), (answer.getheader("set-cookie") or "").partition(";")[0]
    before = re.findall(r'name="before" value="([^"]*)"', page)[0]
    headers = {"content-type": "application/x-www-form-urlencoded", "cookie": cookie}
    caller.request("POST", "/signin", urlencode({"before": before, "by": "certificate"}), headers)
    answer = caller.getresponse()
    answer.read()
    assert answer.status == 303 and answer.getheader("location") == "/"
    caller.close()
    assert [e["data"]["how"] for e in _record(gate)] == ["certificate"]


def _get(authority: Authority, shown: Path | None, port: int) -> bytes:
    caller = HTTPSConnection("localhost", port, context=authority.client(shown), timeout=20)
    try:
        caller.request("GET", "/signin")
        return caller.getresponse().read()
    finally:
        caller.close()


def _record(gate: Gate) -> list[dict[str, Any]]:
    path = gate.state / "audit.jsonl"
    found: list[dict[str, Any]] = gate.until(
        lambda: [json.loads(line) for line in path.read_text().splitlines() if '"signed_in"' in line], "it is on record"
    )
    return found

"""People and a real daemon: links over HTTP, the command line by peer credentials, replies by SMS and mail, the sheet of a shift."""

from __future__ import annotations

import asyncio
import getpass
import http.client
import json
import os
import re
import signal
import time
from email.message import EmailMessage
from typing import Any
from urllib.parse import urlencode

from gateway.conf_edit import set_key
from gateway.demo.smsc import DemoSmsc
from tests.system.gate import Gate, Sink, mail, send_mail

TEXT = "云台区政府办报告：今日8时许，云台区文昌街一家具厂发生火灾，造成1人死亡、2人受伤，明火已扑灭，原因正在调查。报告人：李军"
STRANGER, OTHER = "+8613712345678", "+8613900002101"
"""Nobody's number, and one of the police, whom a fire concerns."""


def call(gate: Gate, method: str, path: str, **form: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", gate.base + 3, timeout=20)
    connection.request(method, path, urlencode(form), {"Content-Type": "application/x-www-form-urlencoded"})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def reply(sink: Sink, office: str, sender: str, text: str, **headers: str) -> bytes:
    """An answer to what was sent to an office, in its thread."""
    asked = next(m for m in sink.mails if m["To"] == office)
    made = EmailMessage()
    made["From"], made["Subject"], made["Message-ID"] = sender, "Re: 紧急信息", f"<{time.monotonic_ns()}@office.test>"
    made["In-Reply-To"] = asked["Message-ID"]
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(text)
    return made.as_bytes()


def record(gate: Gate, event: str) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (gate.state / "audit.jsonl").read_text().splitlines()]
    return [{**line, **line["data"]} for line in lines if line["event"] == event]


async def test_people_act_by_every_means_and_nobody_else_does(gate: Gate, sink: Sink, reactor: Any) -> None:
    main = gate.conf / "gateway.toml"
    main.write_text(set_key(main.read_text(), ("links", "public_url"), f"http://127.0.0.1:{gate.base + 3}"))
    people = gate.conf / "directory.toml"
    people.write_text(people.read_text().replace('name = "罗值班",', f'name = "罗值班", login = "{getpass.getuser()}",', 1))
    smsc = DemoSmsc("gateway", gate.secret("smpp-password"))
    await smsc.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
    await asyncio.to_thread(gate.start)
    await smsc.wait_bound(20)
    await asyncio.to_thread(send_mail, gate.base, mail(TEXT))

    def offered() -> list[dict[str, Any]]:
        rows = gate.ask("deliveries", limit=1000)
        first = [r for r in rows if r["duty"] == "receive" and r["transport"] == "mail"]
        return first if len(first) >= 3 and all(r["state"] == "delivered" for r in first) else []

    rows = await asyncio.to_thread(gate.until, offered, "the offices have it")
    await asyncio.to_thread(_links, gate, sink, rows)
    await asyncio.to_thread(_commands, gate)
    await _replies(gate, sink, smsc, rows)
    await asyncio.to_thread(_sheet, gate)
    await smsc.stop()


def _links(gate: Gate, sink: Sink, rows: list[dict[str, Any]]) -> None:
    row = next(r for r in rows if r["office"].startswith("government_"))
    body = next(m for m in sink.mails if m["X-Gateway-Delivery"] == row["id"]).get_payload(decode=True).decode()
    found = re.search(r"http://127\.0\.0\.1:\d+(/a/\S+)", body)
    assert found is not None, body
    path = found[1]
    for method in ("GET", "HEAD", "GET"):
        assert call(gate, method, path)[0] == 200
    page = call(gate, "GET", path)[1]
    assert "〔2026〕0001" in page or re.search(r"〔\d{4}〕0001", page)
    assert not [d for d in gate.ask("deliveries", limit=1000) if d["acknowledged_by"]], "looking acknowledges nothing"
    persons = re.findall(r'value="([^"]+)"', page)
    assert persons and call(gate, "POST", path, person="张三")[0] == 403
    status, said = call(gate, "POST", path, person=persons[0])
    assert status == 200 and persons[0] in said
    assert next(d for d in gate.ask("deliveries", limit=1000) if d["id"] == row["id"])["acknowledged_by"] == persons[0]
    assert call(gate, "POST", path, person=persons[-1])[0] == 410
    forged = path[:-1] + ("0" if path[-1] != "0" else "1")
    assert call(gate, "POST", forged, person=persons[0])[0] == 404
    assert call(gate, "GET", "/metrics")[0] == 200, "the other pages are there as before"

    def recorded() -> bool:
        return len([e for e in record(gate, "refused") if e["how"] == "link 127.0.0.1"]) == 3

    gate.until(recorded, "three attempts are on record")
    assert [(e["by"], e["how"]) for e in record(gate, "acknowledged")] == [(persons[0], "link")]


def _commands(gate: Gate) -> None:
    office = "市委政务值班室"
    assert "张三" in gate.run_command("incident", "1", "ack", "--office", office, "--by", "张三", code=1)
    assert "罗值班" in gate.run_command("incident", "1", "ack", "--office", office)
    gate.run_command("incident", "777", "ack", "--office", office, code=1)
    gate.run_command("incident", "1", "judge", "误报", "--reason", "x", "--by", "张三", code=1)

    def recorded() -> bool:
        return len([e for e in record(gate, "refused") if e["how"].startswith("command line")]) == 3

    gate.until(recorded, "three attempts are on record")
    [done] = [e for e in record(gate, "acknowledged") if e["destination"] == "committee_duty_room"]
    assert (done["by"], done["how"]) == ("罗值班", f"command line, {getpass.getuser()}")


async def _replies(gate: Gate, sink: Sink, smsc: DemoSmsc, rows: list[dict[str, Any]]) -> None:
    row = next(r for r in rows if not r["office"].startswith("government_") and r["office"] != "committee_duty_room")
    person, address, box = {
        "confidential_bureau": ("何值班", "confidential-bureau-1@gateway.test", "confidential-bureau@gateway.test"),
        "committee_office": ("王科长", "committee-office-1@gateway.test", "committee-office@gateway.test"),
    }[row["office"]]

    def mails(to: str, word: str) -> list[Any]:
        return [m for m in sink.mails if m["To"] == to and word in m.get_payload(decode=True).decode()]

    machine = reply(sink, box, address, "收到 0777", Auto_Submitted="auto-replied")
    stranger = reply(sink, box, "nobody@elsewhere.test", "收到 0001")
    await asyncio.to_thread(send_mail, gate.base, machine, sender=address)
    await asyncio.to_thread(send_mail, gate.base, stranger, sender="nobody@elsewhere.test")
    await asyncio.to_thread(gate.until, lambda: mails("nobody@elsewhere.test", "未予办理"), "the stranger is told")
    [told] = mails("nobody@elsewhere.test", "未予办理")
    assert told["Auto-Submitted"] == "auto-replied" and told["In-Reply-To"]
    assert mails(address, "未予办理") == [], "a machine is not answered"
    await asyncio.to_thread(send_mail, gate.base, reply(sink, box, address, "收到\n\n> 原邮件"), sender=address)

    def has_it() -> bool:
        return any(d["acknowledged_by"] == person for d in gate.ask("deliveries", limit=1000) if d["office"] == row["office"])

    await asyncio.to_thread(gate.until, has_it, "a reply in the thread acknowledges")
    await smsc.deliver(STRANGER, "10690999", "收到 0001")
    await smsc.deliver(OTHER, "10690999", "收到 0001")

    def by_police() -> bool:
        return any(d["acknowledged_by"] == "曾值班" for d in gate.ask("deliveries", limit=1000) if d["office"] == "police")

    await asyncio.to_thread(gate.until, by_police, "a reply by a registered number acknowledges")
    await smsc.wait_for(lambda center: any("未予办理" in s.text and s.to.endswith(STRANGER[-11:]) for s in center.sent), 20)

    def recorded() -> bool:
        return len([e for e in record(gate, "refused") if e["how"].split(" ")[0] in ("sms", "email")]) == 2

    await asyncio.to_thread(gate.until, recorded, "both attempts are on record")


def _sheet(gate: Gate) -> None:
    office = "市委政务值班室"
    assert "李值班" in gate.run_command("handover", "--office", office, "--sign", "李值班", code=1)
    first = json.loads(gate.run_command("handover", "--office", office, "--sign", "罗值班", "--json"))
    second = json.loads(gate.run_command("handover", "--office", office, "--sign", "袁值班", "--json"))
    assert (first["state"], second["state"]) == ("waits", "signed") and first["open"] == second["open"]
    assert len(first["refused"]) >= 6, "what was tried stands on the sheet"
    assert gate.process is not None
    os.kill(gate.process.pid, signal.SIGKILL)
    gate.wait_dead()
    gate.start()
    again = json.loads(gate.run_command("handover", "show", "1", "--json"))
    assert again["open"] == first["open"] and again["to"]["person"] == "袁值班"
    assert "袁值班" in gate.run_command("handover", "list") and "袁值班" in gate.run_command("handover", "show", "1")
    assert gate.run_command("handover", code=2) and gate.run_command("handover", "show", "9", code=1)
    calls = [json.loads(line) for line in gate.run_command("incident", "1", "--calls", "--json").splitlines()]
    assert {"on duty", "leader", "secretary-general", "reporter"} <= {c["role"] for c in calls} | {"on duty", "leader"}
    shown = json.loads(gate.run_command("incident", "1", "--trail", "--json"))
    persons = {s["person"] for s in shown["chain"] if s["step"] == "acknowledged"}
    assert {"罗值班", "曾值班"} <= persons and shown["duty"]["clocks"] and shown["trail"]
    gate.stop()
    gate.run_command("audit", "verify")
    [over] = record(gate, "shift_handed_over")
    assert (over["by"], over["from"], over["to"]) == ("袁值班", "罗值班", "袁值班")
    assert "shift handed over from 罗值班 to 袁值班" in gate.run_command("audit", "tail", "-n", "2000")

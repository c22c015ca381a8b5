"""A real daemon that reads its configuration again: by ``gateway reload`` and by SIGHUP, with messages on their way."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import smtplib
import socket
import threading
import time
from typing import Any

from gateway.demo.smsc import DemoSmsc
from tests.system.gate import Gate, Sink, free_base, mail, post_phone, send_mail

CALL = {"call_id": "c{n}", "caller": "0999-1234567", "called": "0999-110", "started_at": "2026-03-06T09:00:00+08:00",
        "segments": [{"speaker": "来电人", "start": 0, "end": 3, "text": "第{n}号来电，一切正常。"}]}  # fmt: skip
HOUSE_RULE = """
[[item]]
id = "本市-1"
title = "纸鸢节走失"
text = "纸鸢节期间发生人员走失的，应当报送。"
source = "江州市办法第一条"
condition = { term = "kite" }
"""


def events(gate: Gate, name: str) -> list[dict[str, Any]]:
    """The events of one name in the audit log."""
    lines = (gate.state / "audit.jsonl").read_text("utf-8").splitlines()
    return [line for line in map(json.loads, lines) if line["event"] == name]


def decided(gate: Gate) -> list[dict[str, Any]]:
    """What was decided of messages, in order."""
    found = [e for name in ("registered", "attached", "below_threshold") for e in events(gate, name)]
    return sorted(found, key=lambda event: int(event["seq"]))


def change(gate: Gate, name: str, old: str, new: str) -> None:
    """Write one file of conf anew, as an editor does: beside it, and then in its place."""
    path = gate.conf / name
    text = path.read_text("utf-8") if path.exists() else ""
    assert old in text
    fresh = path.with_name(path.name + "~")
    fresh.write_text(text.replace(old, new, 1) if old else text + new, "utf-8")
    fresh.rename(path)


def reload(gate: Gate) -> dict[str, Any]:
    """What ``gateway reload`` asks, without the start of a command."""
    answer = gate.ask("reload")
    assert answer["reloaded"], answer["faults"]
    return answer


def call(gate: Gate, n: int, port: int | None = None, token: str | None = None) -> int:
    """Post a transcript; the status of the answer, 0 where nobody listens."""
    told = json.loads(json.dumps(CALL).replace("{n}", str(n)))
    try:
        return post_phone(port or gate.base + 2, token or gate.secret("phone-token"), told)[0]
    except ConnectionError:
        return 0


def test_a_bad_conf_is_refused_with_all_its_faults_while_mail_goes_on(gate: Gate, sink: Sink) -> None:
    gate.start()
    before = gate.ask("status")["digest"]
    change(gate, "directory.toml", "\n[[office]]", '\n[[office]]\nhours = "night"\n[[office]]')
    change(gate, "channels.d/phone.toml", "[channel.phone]", "[channel.phone]\nprot = 1")
    told = gate.run_command("reload", code=1)
    assert "channels.d/phone.toml:" in told and "prot" in told and "directory.toml:" in told and "night" in told
    change(gate, "catalogue.toml", "\n[report]\n", "\n[report\n")
    answer = json.loads(gate.run_command("reload", "--json", code=1).splitlines()[0])
    assert not answer["reloaded"] and {one["file"] for one in answer["faults"]} >= {"catalogue.toml", "directory.toml"}
    assert all(one["line"] >= 1 and one["key"] and one["fault"] for one in answer["faults"])
    # Whoever has broken the configuration needs the commands most.
    assert gate.run_command("incidents") is not None and "started" in gate.run_command("audit", "tail", "--raw")
    gate.run_command("audit", "verify")
    gate.run_command("backup", str(gate.conf.parent / "b.tar"), "--verify")
    send_mail(gate.base, mail("平安县安监局：今日7时15分，平安县红星煤矿发生冒顶，造成1人死亡、2人受伤。"))
    gate.until(lambda: events(gate, "routed"), "the report is routed")
    assert gate.ask("status")["digest"] == before == events(gate, "routed")[0]["data"]["rules"] + before[16:]
    refused = gate.until(lambda: len(found := events(gate, "reload_refused")) == 2 and found, "both on record")
    assert (
        refused[1]["by"]
        and refused[1]["data"]["faults"] == len(answer["faults"])
        and "catalogue.toml" in refused[1]["data"]["files"]
    )
    assert gate.process is not None and gate.process.poll() is None
    gate.stop()


async def test_rules_change_between_two_messages_and_sessions_stay(gate: Gate, sink: Sink, reactor: Any) -> None:
    smsc = DemoSmsc("gateway", gate.secret("smpp-password"))
    await smsc.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
    await asyncio.to_thread(gate.start)
    await smsc.wait_bound(20)
    session = await asyncio.to_thread(smtplib.SMTP, "127.0.0.1", gate.base, timeout=20)
    await asyncio.to_thread(session.ehlo)
    words = "青山区政府办：今日上午纸鸢节期间一名老人走失，正在寻找。"
    await smsc.deliver("+8613800000001", "10690999", words)
    first = (await asyncio.to_thread(gate.until, lambda: decided(gate), "the first is taken"))[0]
    assert first["data"]["items"] == []
    change(gate, "catalogue.toml", "[concepts]\n", '[concepts]\nkite = ["纸鸢节"]\n')
    change(gate, "catalogue.toml", "", HOUSE_RULE)
    assert gate.process is not None
    gate.process.send_signal(signal.SIGHUP)
    done = (await asyncio.to_thread(gate.until, lambda: events(gate, "reloaded"), "the reload is on record"))[0]
    assert done["by"] == "SIGHUP" and done["data"]["changed"] == ["catalogue"] and done["data"]["stopped"] == []
    await smsc.deliver("+8613800000001", "10690999", words.replace("一名老人", "两名儿童"))
    second = (await asyncio.to_thread(gate.until, lambda: decided(gate)[1:], "the second is taken"))[0]
    assert "本市-1" in second["data"]["items"]
    assert first["data"]["rules"] == done["data"]["from"][:16] != second["data"]["rules"] == done["data"]["conf"][:16]
    trail = await asyncio.to_thread(gate.run_command, "incident", second["incident"], "--trail")
    assert f"rules={second['data']['rules']}" in trail
    assert (await asyncio.to_thread(session.noop))[0] == 250 and smsc.binds == 1
    await asyncio.to_thread(session.sendmail, "zhiban@yuntai.gateway.test", ["report@gateway.test"], mail("一切正常。"))
    await asyncio.to_thread(session.quit)
    await asyncio.to_thread(gate.stop)
    await smsc.stop()


def test_channels_come_change_and_go(gate: Gate, sink: Sink) -> None:
    gate.start()
    port = free_base()
    change(gate, "channels.d/phone.toml", "", f'\n[channel.hotline]\nkind = "phone_transcript"\nport = {port}\n')
    answer = reload(gate)
    assert (
        answer["started"] == ["channel hotline"]
        and answer["stopped"] == []
        and set(answer["channels"]["kept"]) >= {"mail", "sms"}
    )
    assert call(gate, 1, port) == 200
    # The fax channel did not change, but it takes its mail through the listener that did.
    change(gate, "channels.d/mail.toml", "[channel.mail]", "[channel.mail]\nmax_recipients = 3")
    answer = reload(gate)
    assert answer["started"] == ["channel mail", "channel fax"] and answer["channels"]["follow"] == ["fax"]
    send_mail(gate.base, mail("一页传真。"), to="fax@gateway.test")
    gate.until(lambda: any(m["via"] == "fax" for m in gate.ask("messages")), "the fax is in")
    # A rotated secret starts the ways that hold it, and no other.
    old = gate.secret("phone-token")
    secret = gate.conf / "secrets" / "phone-token"
    secret.write_text("another-token-of-the-phone")
    os.chmod(secret, 0o600)
    assert reload(gate)["started"] == ["channel phone", "channel hotline"]
    assert call(gate, 2, token=old) == 401 and call(gate, 2) == 200
    change(gate, "channels.d/phone.toml", "[channel.hotline]", "[channel.hotline]\nenabled = false")
    change(gate, "gateway.toml", "[gateway]", '[gateway]\naudit_log = "elsewhere.jsonl"')
    answer = reload(gate)
    assert answer["stopped"] == ["channel hotline"] and answer["needs_restart"] == ["gateway.audit_log"]
    assert call(gate, 3, port) == 0 and call(gate, 4) == 200
    assert reload(gate)["needs_restart"] == ["gateway.audit_log"], "it is said again until it is done"
    gate.until(lambda: all(m["state"] != "accepted" for m in gate.ask("messages")), "what the removed channel took is read")
    assert {m["via"] for m in gate.ask("messages")} >= {"hotline", "fax", "phone"}
    assert not [m for m in gate.ask("messages") if "configured" in (m["why"] or "")]
    gate.stop()


def test_messages_over_twenty_reloads_all_arrive_once(gate: Gate, sink: Sink) -> None:
    gate.start()
    sent: list[int] = []
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            answer = call(gate, len(sent))
            assert answer == 200, answer
            send_mail(gate.base, mail(f"今日测试第{len(sent)}号，一切正常。", subject=f"n{len(sent)}"))
            sent.append(answer)

    sender = threading.Thread(target=send)
    sender.start()
    try:
        for turn in range(20):
            change(gate, "clocks.toml", "", f"# {turn}\n")
            if turn % 5 == 4:
                change(gate, "clocks.toml", "minutes = ", "minutes = 1")
            assert gate.ask("reload")["reloaded"]
    finally:
        over.set()
        sender.join()
    gate.until(lambda: all(m["state"] != "accepted" for m in gate.ask("messages", limit=10_000)), "all are taken")
    found = gate.ask("messages", limit=10_000)
    assert len(sent) >= 10
    assert len(found) == 2 * len(sent)
    assert not [m for m in found if m["state"] == "duplicate"]
    assert sorted(m["carrier_id"] for m in found if m["via"] == "phone") == sorted(f"c{n}" for n in range(len(sent)))
    gate.stop()
    assert len(events(gate, "reloaded")) == 20


def test_a_file_that_is_being_written_is_waited_for(gate: Gate) -> None:
    gate.start()
    whole = (gate.conf / "catalogue.toml").read_text("utf-8") + HOUSE_RULE.replace('"kite"', '"traffic"')
    lines = whole.splitlines(keepends=True)
    began = threading.Event()

    def write() -> None:
        with (gate.conf / "catalogue.toml").open("w", encoding="utf-8") as file:
            for n, line in enumerate(lines):
                file.write(line)
                if n % (len(lines) // 20) == 0:
                    file.flush()
                    began.set()
                    time.sleep(0.01)

    writer = threading.Thread(target=write)
    writer.start()
    began.wait()
    answer = gate.ask("reload")
    writer.join()
    assert answer["reloaded"] and answer["changed"] == ["catalogue"]
    assert gate.ask("reload")["changed"] == [], "what was read is the whole file"


def test_a_port_that_is_taken_at_the_start_is_used_when_it_is_free(gate: Gate) -> None:
    with socket.create_server(("127.0.0.1", gate.base + 2)):
        gate.start()
        gate.until(lambda: [e for e in events(gate, "alarm") if e["data"].get("plugin") == "phone"], "the alarm")
        send_mail(gate.base, mail("一切正常。"))
    gate.until(lambda: call(gate, 1) == 200, "the telephone channel is up")
    gate.until(lambda: [e for e in events(gate, "channel_up") if e["data"]["via"] == "phone"], "on record")


def test_without_a_daemon_it_says_so(gate: Gate) -> None:
    (gate.conf / "gateway.toml").write_bytes(b"\xff half")
    assert "no daemon listens" in gate.run_command("reload", code=1)

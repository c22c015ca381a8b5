"""Bad input of every kind against one running daemon: it lives, nothing accepted is lost, and a person hears of it."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import resource
import signal
import smtplib
import socket
import sqlite3
import struct
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import pytest_asyncio

from gateway.conf_edit import set_key
from gateway.demo.smsc import DemoSmsc, deliver_sm
from gateway_plugins.smpp import text
from gateway_plugins.smpp.pdu import Command, Status
from tests.system.gate import Gate, Sink, mail, post_phone, send_mail

LIMIT = 300_000
WORD = "雁栖沟"
"""Stands in every report here, and must stand in no log."""
PLUGIN = '''
"""A channel like the telephone's whose reading never ends for some messages."""
import time
from gateway.api import hookimpl
from gateway_plugins.phone_transcript import PhoneTranscript

class Stuck(PhoneTranscript):
    """Reads in a worker; the word STUCK makes it hang."""
    kind = "stuck"
    reads_in = "parse"

    def read(self, raw):
        while b"STUCK" in raw.body:
            time.sleep(1)
        return super().read(raw)

@hookimpl
def channels() -> list[type[Stuck]]:
    """The channel of this plugin."""
    return [Stuck]
'''
HOLDER = """
import sqlite3, sys
held = sqlite3.connect(sys.argv[1], isolation_level=None)
held.execute("BEGIN IMMEDIATE")
print("held", flush=True)
sys.stdin.readline()
held.execute("ROLLBACK")
"""


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gate]:
    """One daemon for all tests here, with small limits."""
    made = Gate(tmp_path_factory.mktemp("bad"))
    configure(made)
    made.run_command("check")
    sink = Sink(made.base + 5)
    sink.start()
    made.start()
    yield made
    made.stop()
    sink.stop()
    made.run_command("audit", "verify")
    for kept in (made.log, made.state / "audit.jsonl"):
        assert WORD.encode() not in kept.read_bytes(), f"{kept.name} holds a word of a report"
    assert b"Traceback" not in made.log.read_bytes()


def configure(gate: Gate) -> None:
    spool = gate.conf / "spool"
    spool.mkdir()
    (gate.conf / "plugins.d").mkdir()
    (gate.conf / "plugins.d" / "stuck.py").write_text(PLUGIN, "utf-8")
    (gate.conf / "channels.d" / "stuck.toml").write_text(
        f'[channel.stuck]\nkind = "stuck"\nport = {gate.base + 3}\ntoken = "phone-token"\n', "utf-8"
    )
    for name, path, value in (
        ("gateway.toml", ("limits", "max_message_bytes"), LIMIT),
        ("gateway.toml", ("limits", "parse_seconds"), 3.0),
        ("gateway.toml", ("limits", "parts_seconds"), 1.0),
        ("channels.d/phone.toml", ("channel", "phone", "spool"), str(spool)),
        ("channels.d/phone.toml", ("channel", "phone", "spool_seconds"), 0.1),
        ("channels.d/phone.toml", ("channel", "phone", "settle_seconds"), 0.5),
        ("channels.d/fax.toml", ("channel", "fax", "ocr"), False),
    ):
        file = gate.conf / name
        file.write_text(set_key(file.read_text("utf-8"), path, value), "utf-8")


@pytest.fixture(autouse=True)
def nothing_lost(gate: Gate) -> Iterator[None]:
    """After each test the daemon lives, what was accepted before is still there, and nothing waits to be read."""
    before = {m["id"] for m in rows(gate)}
    yield
    gate.until(lambda: all(m["state"] != "accepted" for m in rows(gate)), "nothing stays accepted")
    assert before <= {m["id"] for m in rows(gate)}
    assert gate.process is not None and gate.process.poll() is None


@pytest_asyncio.fixture
async def smsc(gate: Gate, reactor: Any) -> AsyncIterator[DemoSmsc]:
    """The carrier, to which the daemon comes by itself."""
    made = DemoSmsc("gateway", gate.secret("smpp-password"))
    await made.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
    await made.wait_bound(10)
    yield made
    await made.stop()


def rows(gate: Gate) -> list[dict[str, Any]]:
    return gate.ask("messages", limit=10_000)  # type: ignore[no-any-return]


def became(gate: Gate, answer: bytes | str) -> dict[str, Any]:
    """What became of the message that was ``accepted as`` an id."""
    said = answer.decode() if isinstance(answer, bytes) else answer
    found = said.rpartition(" ")[2]
    return gate.until(lambda: (shown := gate.ask("message", id=found))["state"] != "accepted" and shown, "it is read")  # type: ignore[no-any-return]


def incident(gate: Gate, message: dict[str, Any]) -> dict[str, Any]:
    assert message["incident"], message
    return gate.ask("incident", number=message["incident"])  # type: ignore[no-any-return]


def a_person_hears(gate: Gate, message: dict[str, Any]) -> None:
    """It needs a person, and an office has been told so by mail."""
    assert message["state"] == "needs_person", message
    assert incident(gate, message)["needs_person"]

    def told() -> bool:
        found = gate.ask("deliveries", incident=message["incident"], limit=1000)
        return any(d["duty"] == "receive" and d["state"] == "delivered" for d in found)

    gate.until(told, "an office has been told")


def storage_alarms(gate: Gate) -> int:
    lines = (gate.state / "audit.jsonl").read_text("utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    return sum(event["event"] == "alarm" and event["data"].get("what") == "storage" for event in events)


def report(n: int = 0) -> str:
    return f"石桥县报告：3月{n % 27 + 1}日9时许，{WORD}{n}号民房倒塌，造成2人死亡、3人受伤，原因正在调查。报告人：李军"


def call(call_id: str, words: str) -> dict[str, Any]:
    said = [{"speaker": "来电人", "start": 0, "end": 5, "text": words}] if words else []
    return {"call_id": call_id, "caller": "0999-8820003", "called": "0999-110", "segments": said}


# Empty and binary.


def test_an_empty_mail_is_on_record_and_asks_nobody_to_act(gate: Gate) -> None:
    for data in (b"", b"\r\n\r\n", b"Subject: \r\n\r\n\r\n"):
        message = became(gate, send_mail(gate.base, data))
        assert message["state"] == "ignored" and message["why"]
        assert message["incident"] is None


async def test_an_empty_sms_is_on_record(gate: Gate, smsc: DemoSmsc) -> None:
    before = len(rows(gate))
    empty = deliver_sm("+8613900000021", "10690999", text.split("空", 1)[0])
    statuses = await smsc.deliver_all([_with(empty, short_message=b"")])
    assert statuses == [Status.ESME_ROK]
    fresh = rows(gate)
    assert len(fresh) == before + 1
    newest = await asyncio.to_thread(became, gate, fresh[0]["id"])
    assert newest["state"] in ("ignored", "needs_person") and newest["why"]


def test_a_call_without_a_word_needs_a_person(gate: Gate) -> None:
    status, answer = post_phone(gate.base + 2, gate.secret("phone-token"), call("silent-1", ""))
    assert status == 200
    a_person_hears(gate, became(gate, answer["id"]))


def test_an_empty_body_by_http_is_told(gate: Gate) -> None:
    status, answer = post_phone(gate.base + 2, gate.secret("phone-token"), b"")
    assert (status, answer) == (400, {"error": "body: is empty"})


@pytest.mark.parametrize("seed", range(3))
def test_binary_as_a_mail_needs_a_person(gate: Gate, seed: int) -> None:
    message = became(gate, send_mail(gate.base, b"Subject: x\r\n\r\n" + random.Random(seed).randbytes(20_000)))
    a_person_hears(gate, message)


def test_binary_without_a_header_is_kept(gate: Gate) -> None:
    data = random.Random(7).randbytes(20_000).replace(b"\r", b"").replace(b"\n.", b"\n")
    message = became(gate, send_mail(gate.base, data))
    assert message["state"] == "needs_person"
    raw = gate.ask("open", id=message["id"])["raw"]
    assert raw, "the bytes as they came can be looked at"


async def test_a_binary_sms_needs_a_person(gate: Gate, smsc: DemoSmsc) -> None:
    binary = _with(deliver_sm("+8613900000022", "10690999", text.split("空", 1)[0]), data_coding=4, short_message=bytes(range(128, 250)))
    assert await smsc.deliver_all([binary]) == [Status.ESME_ROK]
    await asyncio.to_thread(a_person_hears, gate, await asyncio.to_thread(became, gate, rows(gate)[0]["id"]))


# Character sets.

CHARSETS = {
    "gb18030, no label": ("gb18030", None),
    "gb18030 as us-ascii": ("gb18030", "us-ascii"),
    "gb18030 as iso-8859-1": ("gb18030", "iso-8859-1"),
    "gb18030 as utf-8": ("gb18030", "utf-8"),
    "utf-8 as gb2312": ("utf-8", "gb2312"),
    "utf-8, no label": ("utf-8", None),
    "an unknown label": ("gb18030", "x-nonsense"),
    "utf-16 with its mark": ("utf-16", "utf-8"),
}


@pytest.mark.parametrize("name", CHARSETS)
def test_a_wrong_label_changes_no_figure(gate: Gate, name: str) -> None:
    codec, label = CHARSETS[name]
    n = list(CHARSETS).index(name)
    place = ("青山区", "云台区", "石桥县", "白水县")[n % 4]
    words = f"{place}报告：3月{n + 1}日{n + 8}时许，{place}{WORD}{n}号发生火灾，造成{n + 3}人死亡、{n + 11}人受伤。报告人：李军"
    kind = f'text/plain; charset="{label}"' if label else "text/plain"
    head = f"Subject: fire {n}\r\nContent-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    import base64

    message = became(gate, send_mail(gate.base, head.encode() + base64.encodebytes(words.encode(codec)).replace(b"\n", b"\r\n")))
    assert message["state"] == "read", message
    found = incident(gate, message)["report"]
    assert (found["deaths"]["value"], found["injured"]["value"]) == (n + 3, n + 11)


# Shapes that are made to hurt.


def nested(depth: int) -> bytes:
    head = b"".join(b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (n, n) for n in range(depth))
    return b"Subject: deep\r\n" + head + b"Content-Type: text/plain; charset=utf-8\r\n\r\n" + report(1).encode() + b"\r\n"


def within_mails(depth: int) -> bytes:
    return b"Subject: deep\r\n" + b"Content-Type: message/rfc822\r\n\r\n" * depth + b"\r\n" + report(2).encode() + b"\r\n"


def many_parts(count: int) -> bytes:
    return b"Subject: many\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" + b"--b\r\n\r\nx\r\n" * count + b"--b--\r\n"


BOMBS = {
    "nested 2000 deep": nested(2000),
    "2000 mails within mails": within_mails(2000),
    "20,000 parts": many_parts(20_000),
    "20,000 header lines": b"".join(b"X-%d: a\r\n" % n for n in range(20_000)) + b"\r\nx\r\n",
    "a header folded 30,000 times": b"Subject: a" + b"\r\n b" * 30_000 + b"\r\n\r\nx\r\n",
    "semicolons": b"Content-Type: text/plain" + b"; " * 100_000 + b"\r\n\r\nx\r\n",
    "encoded words": b"Subject: " + b"=?gbk?Q?=B0?= \r\n " * 8000 + b"\r\n\r\nx\r\n",
    "100,000 recipients": b"To: " + b"a,\r\n " * 50_000 + b"\r\n\r\nx\r\n",
    "html that never closes": b"Content-Type: text/html\r\n\r\n" + b"<div><!--" * 25_000 + b"\r\n",
    "base64 without an end": b"Content-Transfer-Encoding: base64\r\n\r\n" + b"QUJD\r\n" * 40_000,
    "quoted-printable without sense": b"Content-Transfer-Encoding: quoted-printable\r\n\r\n" + b"=\r\n=ZZ=" * 30_000,
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_kept_and_holds_up_nothing(gate: Gate, name: str) -> None:
    assert len(BOMBS[name]) < LIMIT
    answer = send_mail(gate.base, BOMBS[name])
    after = send_mail(gate.base, mail(report(40 + list(BOMBS).index(name))))
    started = time.monotonic()
    message = became(gate, answer)
    assert message["state"] in ("read", "needs_person", "ignored")
    assert message["state"] != "ignored" or message["why"]
    assert became(gate, after)["state"] == "read"
    assert time.monotonic() - started < 15


def test_parts_that_could_not_all_be_read_need_a_person(gate: Gate) -> None:
    for data in (nested(3000)[:-1] + b"!\r\n", many_parts(20_001)):
        a_person_hears(gate, became(gate, send_mail(gate.base, data)))


def test_a_reading_that_never_ends_is_stopped_and_a_person_hears(gate: Gate) -> None:
    token = gate.secret("phone-token")
    status, answer = post_phone(gate.base + 3, token, call("stuck-1", f"STUCK {report(3)}"))
    assert status == 200
    message = became(gate, answer["id"])
    a_person_hears(gate, message)
    assert "3 s" in incident(gate, message)["needs_person"]
    status, answer = post_phone(gate.base + 3, token, call("free-1", report(4)))
    assert became(gate, answer["id"])["state"] == "read", "the next one is read by a fresh worker"


# Too large.


def refused(port: int, data: bytes, *, announce: bool, client: type[smtplib.SMTP] = smtplib.SMTP) -> bytes:
    with client("127.0.0.1", port, timeout=20) as smtp:
        smtp.ehlo_or_helo_if_needed() if client is smtplib.SMTP else smtp.docmd("LHLO", "tester")
        code, answer = smtp.docmd("MAIL FROM:<a@example.test>" + (f" SIZE={len(data)}" if announce else ""))
        if not announce:
            assert smtp.rcpt("report@gateway.test")[0] == 250
            code, answer = smtp.data(data)
        assert code == 552, answer
        return answer


@pytest.mark.parametrize("announce", [True, False])
def test_a_mail_over_the_limit_is_refused_with_the_limit(gate: Gate, announce: bool) -> None:
    before = len(rows(gate))
    data = b"Subject: x\r\n\r\n" + b"x" * 70 + b"\r\n"
    data += (b"y" * 70 + b"\r\n") * (LIMIT // 72)
    assert str(LIMIT).encode() in refused(gate.base, data, announce=announce)
    assert str(LIMIT).encode() in refused(gate.base + 1, data, announce=announce, client=smtplib.LMTP)
    assert len(rows(gate)) == before


def test_a_mail_just_under_the_limit_is_taken(gate: Gate) -> None:
    head = b"Subject: big\r\n\r\n" + report(5).encode() + b"\r\n"
    data = head + (b"z" * 70 + b"\r\n") * ((LIMIT - len(head)) // 72 - 1)
    assert became(gate, send_mail(gate.base, data))["size"] > LIMIT - 200


def test_a_transcript_over_the_limit_is_413_with_the_limit(gate: Gate) -> None:
    before = len(rows(gate))
    status, answer = post_phone(gate.base + 2, gate.secret("phone-token"), call("big-1", "长" * LIMIT))
    assert status == 413 and str(LIMIT) in answer["error"]
    assert len(rows(gate)) == before


# Who sends, and to whom.


def test_an_unknown_recipient_is_550_and_the_session_goes_on(gate: Gate) -> None:
    with smtplib.SMTP("127.0.0.1", gate.base, timeout=20) as smtp:
        smtp.ehlo()
        smtp.mail("zhiban@yuntai.gateway.test")
        assert smtp.rcpt("nobody@gateway.test")[0] == 550
        assert smtp.rcpt("report@elsewhere.test")[0] == 550
        assert smtp.rcpt("REPORT@gateway.test")[0] == 250


def test_an_unregistered_sender_is_taken_and_reported(gate: Gate) -> None:
    message = became(gate, send_mail(gate.base, mail(report(6)), sender="stranger@nowhere.example"))
    assert message["state"] == "read" and message["sender"] == "stranger@nowhere.example"
    found = incident(gate, message)
    assert found["items"] and found["report"]["deaths"]["value"] == 2
    assert any(d["duty"] == "receive" for d in found["deliveries"])


def test_a_null_sender_is_taken(gate: Gate) -> None:
    assert became(gate, send_mail(gate.base, mail(report(7)), sender=""))["state"] in ("read", "ignored", "needs_person")


# SMS.

GARBAGE = {
    "a length under 16": struct.pack(">IIII", 15, 5, 0, 1),
    "a length that is absurd": struct.pack(">IIII", 0x7FFFFFFF, 5, 0, 1),
    "another protocol": b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "noise": random.Random(3).randbytes(3000),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_from_the_carrier_ends_no_more_than_the_session(gate: Gate, smsc: DemoSmsc, name: str) -> None:
    smsc.link.send_bytes(GARBAGE[name])
    await smsc.wait_for(lambda s: s.binds >= 2, 15)
    n = 20 + list(GARBAGE).index(name)
    assert set(await smsc.deliver("+8613800000001", "10690999", report(n))) == {Status.ESME_ROK}


async def test_a_pdu_cut_short_is_answered_and_the_next_one_taken(gate: Gate, smsc: DemoSmsc) -> None:
    smsc.link.send_bytes(struct.pack(">IIII", 20, Command.DELIVER_SM, 0, 900) + b"\0\0\0\0")
    assert set(await smsc.deliver("+8613800000001", "10690999", report(25))) == {Status.ESME_ROK}
    assert smsc.binds == 1


async def test_a_part_that_never_comes_is_released_and_flagged_and_joined_when_late(gate: Gate, smsc: DemoSmsc) -> None:
    before = {m["id"] for m in rows(gate)}
    parts = text.split(report(26) + "现场情况：" + "正在核实，" * 20, 77)
    assert len(parts) > 2
    sms = [deliver_sm("+8613800000001", "10690999", part) for part in parts]
    assert set(await smsc.deliver_all(sms[:-1])) == {Status.ESME_ROK}

    def released() -> Any:
        fresh = [m for m in rows(gate) if m["id"] not in before]
        return fresh if fresh and all(m["incident"] for m in fresh) else None

    fresh = await asyncio.to_thread(gate.until, released, "released as partial", 15)
    assert len(fresh) == 1
    shown = incident(gate, fresh[0])
    assert shown["report"]["deaths"]["value"] == 2
    assert shown["needs_person"] or shown["review"], "the incident says that something is missing"
    assert await smsc.deliver_all(sms[-1:]) == [Status.ESME_ROK]

    def whole() -> Any:
        late = [m for m in rows(gate) if m["id"] not in before and m["id"] != fresh[0]["id"]]
        return late[0] if late and late[0]["incident"] else None

    late = await asyncio.to_thread(gate.until, whole, "the whole message", 15)
    assert late["incident"] == fresh[0]["incident"], "the whole message belongs to the incident of its part"


# HTTP and the spool folder.


def test_without_the_token_nothing_is_taken(gate: Gate) -> None:
    before = len(rows(gate))
    for token in ("", "wrong", gate.secret("console-clerk")):
        status, answer = post_phone(gate.base + 2, token, call("x", report(8)))
        assert status == 401 and WORD not in str(answer)
    connection = http.client.HTTPConnection("127.0.0.1", gate.base + 2, timeout=20)
    connection.request("POST", "/phone", json.dumps(call("x", report(8))), {"Content-Type": "application/json"})
    assert connection.getresponse().status == 401
    assert len(rows(gate)) == before


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"{", "body"), (b"[]", "$"), (b"null", "$"), (b'{"call_id": "1"}', "caller"), (b"[" * 100_000, "$"),
        (json.dumps(call("", "x")).encode(), "$.call_id"), (b'{"call_id":"1","caller":"2","segments":[{"text":5}]}', "$.segments[0].text"),
        ("坏".encode("gb18030"), "body"),
    ],
)  # fmt: skip
def test_wrong_json_is_told_where(gate: Gate, body: bytes, where: str) -> None:
    before = len(rows(gate))
    status, answer = post_phone(gate.base + 2, gate.secret("phone-token"), body)
    assert status == 400 and where in answer["error"]
    assert len(rows(gate)) == before


def test_http_that_is_none_harms_nobody(gate: Gate) -> None:
    for data in (b"\x16\x03\x01\x02\x00\x01\x00", b"\x00" * 1000, b"POST /phone HTTP/1.1\r\nContent-Length: x\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\n"):
        with socket.create_connection(("127.0.0.1", gate.base + 2), timeout=5) as plain:
            plain.sendall(data)
            plain.shutdown(socket.SHUT_WR)
            with contextlib.suppress(OSError):
                plain.recv(1000)
    status, answer = post_phone(gate.base + 2, gate.secret("phone-token"), call("after-1", report(9)))
    assert status == 200 and became(gate, answer["id"])["state"] == "read"


def spooled(gate: Gate, carrier_id: str) -> dict[str, Any] | None:
    return next((m for m in rows(gate) if m["carrier_id"] == carrier_id), None)


def test_a_file_still_being_written_is_left_and_one_renamed_in_is_taken(gate: Gate) -> None:
    folder = gate.conf / "spool"
    whole = json.dumps(call("spool-1", report(10)), ensure_ascii=False)
    hidden, growing = folder / ".call.json.tmp", folder / "growing.json"
    hidden.write_text(whole, "utf-8")
    second = json.dumps(call("spool-2", report(11)), ensure_ascii=False).encode()
    with growing.open("wb") as out:
        for start in range(0, len(second), 40):
            out.write(second[start : start + 40])
            out.flush()
            assert spooled(gate, "spool-2") is None
            time.sleep(0.1)
    assert spooled(gate, "spool-1") is None and hidden.exists()
    hidden.rename(folder / "call.json")
    for name in ("spool-1", "spool-2"):
        found = gate.until(lambda name=name: spooled(gate, name), f"{name} is taken")
        assert became(gate, found["id"])["state"] == "read"
    gate.until(lambda: not growing.exists() and not (folder / "call.json").exists(), "the folder is empty")


def test_a_spooled_file_that_is_no_transcript_needs_a_person(gate: Gate) -> None:
    draft = gate.conf / "spool" / ".bad"
    draft.write_bytes(b"\x00\xff{{{" * 50)
    draft.rename(gate.conf / "spool" / "bad.json")
    found = gate.until(lambda: spooled(gate, "bad.json"), "the file is taken")
    a_person_hears(gate, became(gate, found["id"]))


# A host in trouble.


def mail_code(gate: Gate, data: bytes) -> int:
    with smtplib.SMTP("127.0.0.1", gate.base, timeout=30) as smtp:
        smtp.ehlo()
        smtp.mail("zhiban@yuntai.gateway.test")
        smtp.rcpt("report@gateway.test")
        return smtp.data(data)[0]


async def answers(gate: Gate, smsc: DemoSmsc, n: int) -> tuple[int, int, set[int]]:
    """One message by each way at the same time: what SMTP, HTTP and SMPP answer."""
    posted = asyncio.to_thread(post_phone, gate.base + 2, gate.secret("phone-token"), call(f"trouble-{n}", report(n)))
    mailed = asyncio.to_thread(mail_code, gate, mail(report(n + 100)))
    delivered = smsc.deliver("+8613800000001", "10690999", report(n + 200))
    code, (status, _answer), statuses = await asyncio.gather(mailed, posted, delivered)
    return code, status, set(statuses)


async def test_a_locked_data_base_is_temporary_and_an_alarm(gate: Gate, smsc: DemoSmsc) -> None:
    before, alarms = len(rows(gate)), storage_alarms(gate)
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(gate.state / "gateway.db")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdin is not None and holder.stdout is not None
    try:
        assert await asyncio.to_thread(holder.stdout.readline) == "held\n"
        assert await answers(gate, smsc, 30) == (451, 503, {Status.ESME_RX_T_APPN})
        assert len(rows(gate)) == before, "it can still be looked at"
    finally:
        holder.communicate("go\n", timeout=20)
    assert await answers(gate, smsc, 30) == (250, 200, {0})
    assert await asyncio.to_thread(gate.until, lambda: len(rows(gate)) == before + 3, "all three are there once")
    await asyncio.to_thread(gate.until, lambda: storage_alarms(gate) > alarms, "the alarm is on record")


async def test_a_full_disk_is_temporary_and_the_daemon_lives(gate: Gate, smsc: DemoSmsc) -> None:
    """No file of the daemon may grow any further: the store, the audit log and its own log."""
    assert gate.process is not None
    pid, before, alarms = gate.process.pid, len(rows(gate)), storage_alarms(gate)
    kept = resource.prlimit(pid, resource.RLIMIT_FSIZE)
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (16_384, kept[1]))
    try:
        assert await answers(gate, smsc, 50) == (451, 503, {Status.ESME_RX_T_APPN})
        assert await asyncio.to_thread(mail_code, gate, mail(report(51))) == 451
        assert len(rows(gate)) == before
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, kept)
    assert await answers(gate, smsc, 50) == (250, 200, {0})
    await asyncio.to_thread(gate.until, lambda: len(rows(gate)) == before + 3, "all three are there once")
    await asyncio.to_thread(gate.until, lambda: storage_alarms(gate) > alarms, "the alarm is on record")
    intact = sqlite3.connect(f"file:{gate.state / 'gateway.db'}?mode=ro", uri=True)
    assert intact.execute("PRAGMA quick_check").fetchall() == [("ok",)]
    intact.close()


def test_a_stopped_process_goes_on_where_it_was(gate: Gate) -> None:
    assert gate.process is not None
    before = len(rows(gate))
    gate.process.send_signal(signal.SIGSTOP)
    try:
        with ThreadPoolExecutor(4) as pool:
            sending: list[Callable[[], Any]] = [lambda n=n: send_mail(gate.base, mail(report(60 + n))) for n in range(4)]
            waiting = [pool.submit(one) for one in sending]
            time.sleep(0.5)
            assert not any(one.done() for one in waiting), "nobody says yes while the process stands still"
            gate.process.send_signal(signal.SIGCONT)
            for one in waiting:
                assert became(gate, one.result(30))["state"] in ("read", "duplicate")
    finally:
        gate.process.send_signal(signal.SIGCONT)
    assert len(rows(gate)) == before + 4


def test_senders_that_go_away_in_the_middle_leave_nothing_behind(gate: Gate) -> None:
    before, threads = len(rows(gate)), []

    def leave(cut: int) -> None:
        said = b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<report@gateway.test>\r\nDATA\r\nSubject: x\r\n\r\n" + report(70).encode()
        with socket.create_connection(("127.0.0.1", gate.base), timeout=10) as plain:
            plain.recv(1000)
            plain.sendall(said[:cut])
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    for cut in (3, 20, 60, 75, 90, 150):
        threads.append(threading.Thread(target=leave, args=(cut,)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    assert became(gate, send_mail(gate.base, mail(report(71))))["state"] in ("read", "duplicate")
    assert len(rows(gate)) == before + 1


def test_what_the_daemon_keeps_is_for_nobody_else(gate: Gate) -> None:
    open_to_all = {p.name for p in gate.state.iterdir() if p.stat().st_mode & 0o007}
    assert open_to_all <= {"lock"}, "the lock is empty; the rest is the gateway's own"
    assert not gate.state.stat().st_mode & 0o007


def _with(sm: Any, **changes: Any) -> Any:
    import msgspec

    return msgspec.structs.replace(sm, **changes)

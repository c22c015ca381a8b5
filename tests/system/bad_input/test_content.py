"""Messages that are empty, binary, mislabelled, nested, huge or from nobody known: kept, and a person hears of them."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import smtplib
import time
from typing import Any

import pytest

from gateway.demo.smsc import DemoSmsc, deliver_sm
from gateway_plugins.smpp import text
from gateway_plugins.smpp.pdu import Status
from tests.system.bad_input.common import (
    LIMIT,
    WORD,
    a_person_hears,
    became,
    call,
    changed,
    incident,
    report,
    rows,
)
from tests.system.gate import Gate, Sink, mail, post_phone, send_mail

# Empty and binary.


def test_an_empty_mail_is_on_record_and_asks_nobody_to_act(gate: Gate) -> None:
    for data in (b"", b"\r\n\r\n", b"Subject: \r\n\r\n\r\n"):
        message = became(gate, send_mail(gate.base, data))
        assert message["state"] == "ignored" and message["why"]
        assert message["incident"] is None


async def test_an_empty_sms_is_on_record(gate: Gate, smsc: DemoSmsc) -> None:
    before = len(rows(gate))
    empty = deliver_sm("+8613900000021", "10690999", text.split("空", 1)[0])
    statuses = await smsc.deliver_all([changed(empty, short_message=b"")])
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
    binary = changed(
        deliver_sm("+8613900000022", "10690999", text.split("空", 1)[0]), data_coding=4, short_message=bytes(range(128, 250))
    )
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


def mails_about(house: tuple[Gate, Sink], message: dict[str, Any]) -> list[str]:
    gate, sink = house
    a_mail = [m for m in gate.ask("deliveries", incident=message["incident"], limit=1000) if m["transport"] == "mail"]
    gate.until(lambda: {m["X-Gateway-Delivery"] for m in sink.mails} >= {d["id"] for d in a_mail}, "the offices have it")
    found = [m for m in sink.mails if m["X-Gateway-Incident"] == message["incident"]]
    return [m.get_payload(decode=True).decode() for m in found]


def test_an_unregistered_sender_is_taken_reported_and_said_to_be_one(house: tuple[Gate, Sink]) -> None:
    gate = house[0]
    message = became(gate, send_mail(gate.base, mail(report(6)), sender="stranger@nowhere.example"))
    assert message["state"] == "read" and message["sender"] == "stranger@nowhere.example"
    found = incident(gate, message)
    assert found["items"] and found["report"]["deaths"]["value"] == 2
    assert any(d["duty"] == "receive" for d in found["deliveries"])
    told = [one for one in mails_about(house, message) if "原文（" in one]  # reports, not questions and reminders
    assert told and all("stranger@nowhere.example（未登记，请核实）" in one for one in told)
    known = became(gate, send_mail(gate.base, mail(report(16)), sender="shiqiao-office@gateway.test"))
    assert not any("shiqiao-office@gateway.test（未登记" in one for one in mails_about(house, known))
    events = [
        e for line in (gate.state / "audit.jsonl").read_text("utf-8").splitlines() if (e := json.loads(line)).get("message")
    ]
    said = {e["message"]: e["data"]["verified"] for e in events if e["event"] in ("registered", "attached")}
    assert (said[message["id"]], said[known["id"]]) == (False, True)


def test_a_null_sender_is_taken(gate: Gate) -> None:
    assert became(gate, send_mail(gate.base, mail(report(7)), sender=""))["state"] in ("read", "ignored", "needs_person")

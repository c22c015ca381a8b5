"""Carriers that talk nonsense, callers that may not, files that are not finished: nothing wrong is taken, nothing right is lost."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import random
import socket
import struct
import time
from typing import Any

import pytest

from gateway.demo.smsc import DemoSmsc, deliver_sm
from gateway_plugins.smpp import text
from gateway_plugins.smpp.pdu import Command, Status
from tests.system.bad_input.common import (
    WORD,
    a_person_hears,
    became,
    call,
    incident,
    report,
    rows,
)
from tests.system.gate import Gate, post_phone

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
    for data in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"\x00" * 1000,
        b"POST /phone HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\n",
    ):
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

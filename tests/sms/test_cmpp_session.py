"""The CMPP channel against an ISMG that shares no code with it: stored before it is answered, and nothing ends the session."""

from __future__ import annotations

import asyncio
import base64
import itertools
import logging
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

import msgspec
import pytest
from ismg import ACTIVE_TEST, DELIVER, RESP, SUBMIT, TERMINATE, Ismg, deliver_body, message, report_content
from sms_bench import Intake, until

from gateway.api import Delivered, Delivery, Refused, TryLater
from gateway.testing import MemoryServices
from gateway_plugins.sms_cmpp import CmppSettings, SmsCmpp
from gateway_plugins.to_sms import ToSms, ToSmsSettings

pytestmark = pytest.mark.usefixtures("reactor")

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))
SECRET = "s3cr3t"
WORDS = "柳河县城关镇加油站起火，明火已灭，无人员伤亡，原因在查。"


@dataclass
class Bench:
    ismg: Ismg
    sms: SmsCmpp
    intake: Intake
    services: MemoryServices

    async def up(self) -> None:
        await until(lambda: self.sms.health().state == "up")


@asynccontextmanager
async def bench(version: Any = "2.0", *, start: bool = True, secret: str = SECRET, **settings: Any) -> AsyncIterator[Bench]:
    ismg = Ismg(version, SECRET)
    await ismg.start()
    services = MemoryServices(at=NOW, secrets={"cmpp-secret": secret})
    quick = {"reconnect_min": 0.02, "reconnect_max": 0.05, "request_timeout": 2.0, "src_id": "10690000", **settings}
    sms = SmsCmpp("cmpp", CmppSettings(port=ismg.port, sp_id="901234", secret="cmpp-secret", version=version, **quick), services)
    services.channels["cmpp"] = sms
    made = Bench(ismg, sms, Intake(), services)
    try:
        if start:
            await sms.start(made.intake)
            await ismg.bound()
            await made.up()
        yield made
    finally:
        await sms.stop()
        await ismg.stop()


def utf16(words: str) -> bytes:
    return words.encode("utf-16-be")


def part(number: int, total: int, words: str, reference: int = 9) -> bytes:
    return bytes((5, 0, 3, reference, total, number)) + utf16(words)


def delivery(words: str = WORDS, **more: Any) -> Delivery:
    return Delivery(
        id="d1", incident="2026-0123", destination="government_duty_room", transport="sms", address="138 0000 0009", subject="",
        text="", short_text=words, **more,
    )  # fmt: skip


@pytest.mark.parametrize("version", ["2.0", "3.0"])
async def test_connect_carries_the_digest_and_a_report_is_stored_before_it_is_answered(version: str) -> None:
    async with bench(version) as b:
        assert b.ismg.connects == [
            {"name": "901234", "version": 0x30 if version == "3.0" else 0x20, "stamp": 1123093000, "known": True}
        ]
        b.intake.gate = asyncio.Event()
        sending = asyncio.create_task(b.ismg.deliver(deliver_body(version, utf16(WORDS))))
        await b.ismg.ask(ACTIVE_TEST)  # its answer shows that the channel has read what came before
        assert not sending.done()
        assert b.intake.messages == []
        b.intake.gate.set()
        assert await sending == [0]
        (raw,) = b.intake.messages
        assert (raw.sender, raw.recipient, raw.carrier_id) == ("8613900000021", "1069000000", "8f5a123400000001")
        assert b.sms.read(raw).text == WORDS


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize(("fmt", "codec"), [(8, "utf-16-be"), (15, "gb18030"), (0, "ascii")])
async def test_character_sets(version: str, fmt: int, codec: str) -> None:
    words = "Fire at Bai river bridge" if codec == "ascii" else WORDS
    async with bench(version) as b:
        assert await b.ismg.deliver(deliver_body(version, words.encode(codec), fmt=fmt)) == [0]
        assert b.sms.read(b.intake.messages[0]).text == words


async def test_storage_trouble_is_flow_control_and_too_large_is_final() -> None:
    async with bench() as b:
        b.intake.trouble = True
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [8]
        report = deliver_body("2.0", report_content("2.0", 7, "DELIVRD"), report=1)
        assert await b.ismg.deliver(report) == [8]
        b.intake.trouble = False
        b.intake.max_bytes = 3
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [6]
        b.intake.max_bytes = 10_000
        b.intake.broken = RuntimeError(WORDS)
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [8]
        b.intake.broken = None
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [0]


async def test_a_gateway_that_loses_what_is_refused_can_be_given_no_answer() -> None:
    async with bench(storage_result=0) as b:
        b.intake.trouble = True
        with pytest.raises(TimeoutError):
            await b.ismg.deliver(deliver_body("2.0", utf16(WORDS)), seconds=0.2)
        b.intake.trouble = False
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [0]


@pytest.mark.parametrize("udhi", [1, 0])
async def test_five_parts_in_any_order_are_joined_right(udhi: int) -> None:
    words = [f"第{n}段" + WORDS for n in range(5)]
    async with bench() as b:
        bodies = [
            deliver_body("2.0", part(n + 1, 5, words[n]), udhi=udhi, msg_id=100 + n) for n in (4, 0, 3, 1, 2)
        ]  # fmt: skip
        assert await b.ismg.deliver(*bodies) == [0] * 5
        assert {raw.part.ref for raw in b.intake.messages if raw.part} == {"8613900000021/1069000000/9"}
        for order in itertools.permutations(b.intake.messages):
            listed = [base64.b64encode(raw.body).decode() for raw in order]
            whole = msgspec.structs.replace(order[0], body=msgspec.json.encode(listed), part=None)
            assert b.sms.read(whole).text == "".join(words)


@pytest.mark.parametrize("version", ["2.0", "3.0"])
@pytest.mark.parametrize(
    ("stat", "state"), [("DELIVRD", "delivered"), ("UNDELIV", "failed"), ("MA:0001", "failed"), ("EXPIRED", "failed")]
)
async def test_a_long_text_goes_out_in_parts_and_each_is_receipted(version: str, stat: str, state: str) -> None:
    async with bench(version) as b:
        b.ismg.reports = stat
        outcome = await ToSms("sms", ToSmsSettings(carrier="cmpp"), b.services).send(delivery(WORDS * 4 + "〔0123〕"))
        assert isinstance(outcome, Delivered)
        assert "".join(s["content"][6:].decode("utf-16-be") for s in b.ismg.submits) == WORDS * 4 + "〔0123〕"
        assert [(s["to"], s["src"], s["sp"], s["fmt"], s["udhi"]) for s in b.ismg.submits] == [
            ("13800000009", "10690000", "901234", 8, 1)
        ] * len(b.ismg.submits)
        assert [(s["number"], s["total"]) for s in b.ismg.submits] == [(n, len(b.ismg.submits)) for n in (1, 2)]
        await until(lambda: len(b.intake.receipts) == 2)
        assert tuple(receipt.ref for receipt in b.intake.receipts) == outcome.refs
        assert {receipt.state for receipt in b.intake.receipts} == {state}
        assert outcome.refs[0] == "0123456700000001"


async def test_a_report_before_the_answer_and_twice_is_handed_on_as_it_comes() -> None:
    async with bench() as b:
        b.ismg.reports, b.ismg.early, b.ismg.twice = "DELIVRD", True, True
        outcome = await b.sms.submit("+8613800000009", utf16("滑坡"), encoding="ucs2", udh=b"", receipt=True)
        assert outcome == Delivered(("0123456700000001",))
        await until(lambda: b.ismg.seen[DELIVER | RESP] == 2)
        assert [receipt.ref for receipt in b.intake.receipts] == ["0123456700000001"] * 2


async def test_a_report_that_says_nothing_is_taken_and_told_to_the_operator() -> None:
    async with bench() as b:
        assert await b.ismg.deliver(deliver_body("2.0", b"thanks", report=1)) == [0]
        assert b.intake.receipts == []
        assert len(b.services.alarms) == 1


@pytest.mark.parametrize(
    ("result", "kind", "after"), [(8, TryLater, 1.0), (13, Refused, None), (6, Refused, None), (99, TryLater, None)]
)
async def test_what_the_gateway_answers_decides(result: int, kind: Any, after: float | None) -> None:
    async with bench() as b:
        b.ismg.result = result
        outcome = await b.sms.submit("+8613800000009", b"", encoding="ucs2", udh=b"", receipt=False)
        assert isinstance(outcome, kind)
        assert getattr(outcome, "after", None) == after
        assert str(result) in outcome.why


async def test_text_of_the_gsm_alphabet_goes_as_ascii_or_not_at_all() -> None:
    async with bench() as b:
        assert isinstance(await b.sms.submit("10086", b"ok", encoding="gsm", udh=b"", receipt=False), Delivered)
        assert (b.ismg.submits[0]["fmt"], b.ismg.submits[0]["content"], b.ismg.submits[0]["to"]) == (0, b"ok", "10086")
        assert isinstance(await b.sms.submit("10086", b"\x01", encoding="gsm", udh=b"", receipt=False), Refused)


async def test_the_window_is_kept_and_a_loss_is_try_later_for_each() -> None:
    async with bench(window=3) as b:
        b.ismg.silent = {SUBMIT}
        submits = [
            asyncio.create_task(b.sms.submit("+8613800000009", b"", encoding="ucs2", udh=b"", receipt=False)) for _ in range(8)
        ]
        await until(lambda: b.ismg.seen[SUBMIT] == 3)
        await b.ismg.ask(ACTIVE_TEST)
        assert b.ismg.seen[SUBMIT] == 3
        b.ismg.cut()
        outcomes = await asyncio.gather(*submits)
        assert all(isinstance(outcome, TryLater) for outcome in outcomes)


async def test_an_answer_cut_in_the_middle_is_try_later_and_the_session_comes_back() -> None:
    async with bench() as b:
        b.ismg.cut_answers = True
        assert isinstance(await b.sms.submit("10086", b"", encoding="ucs2", udh=b"", receipt=False), TryLater)
        b.ismg.cut_answers = False
        await b.ismg.bound()
        await b.up()
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [0]


async def test_a_wrong_secret_is_one_alarm_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with bench(secret="0ther", start=False) as b:
        await b.sms.start(b.intake)
        await until(lambda: len(b.ismg.connects) >= 3)
        assert len(b.services.alarms) == 1
        assert "认证错" in b.services.alarms[0]
        assert "0ther" not in caplog.text + b.services.alarms[0] + b.sms.health().detail
        b.ismg.secret = "0ther"
        await b.up()


async def test_a_gateway_that_cannot_prove_itself_is_not_believed_unless_told() -> None:
    async with bench(start=False) as b:
        b.ismg.wrong_digest = True
        await b.sms.start(b.intake)
        await until(lambda: len(b.services.alarms) == 1)
        assert "verify_gateway" in b.services.alarms[0]
        assert b.sms.health().state == "connecting"
    async with bench(start=False, verify_gateway=False) as b:
        b.ismg.wrong_digest = True
        await b.sms.start(b.intake)
        await b.up()


async def test_it_tests_the_line_and_leaves_a_silent_gateway() -> None:
    async with bench(active_test=0.02, request_timeout=0.2) as b:
        await until(lambda: b.ismg.seen[ACTIVE_TEST] >= 3)
        assert len(b.ismg.connects) == 1
        b.ismg.silent = {ACTIVE_TEST}
        await until(lambda: len(b.ismg.connects) >= 2)


async def test_terminate_is_answered_and_followed_by_a_new_connect() -> None:
    async with bench() as b:
        await b.ismg.ask(TERMINATE)
        await until(lambda: len(b.ismg.connects) == 2)


RUBBISH = {
    "a length under 12": struct.pack(">III", 11, DELIVER, 1),
    "a length over the limit": struct.pack(">I", 0x7FFFFFFF),
    "another protocol": b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "zeros": bytes(64),
}


@pytest.mark.parametrize("octets", RUBBISH.values(), ids=RUBBISH)
async def test_rubbish_ends_the_connection_not_the_channel(octets: bytes) -> None:
    async with bench() as b:
        b.ismg.write(octets)
        await until(lambda: len(b.ismg.connects) == 2)
        await b.ismg.bound()
        await b.up()
        assert len(b.services.alarms) == 1
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [0]


async def test_a_deliver_cut_short_is_answered_and_an_unknown_command_is_left_alone() -> None:
    async with bench() as b:
        body = deliver_body("2.0", utf16(WORDS))[:70]
        assert await b.ismg.deliver(body) == [4]
        b.ismg.write(message(0x0000_0042, 5, b"x"))
        assert await b.ismg.deliver(deliver_body("2.0", utf16(WORDS))) == [0]


@pytest.mark.parametrize(("agreed", "spoken"), [("2.0", "3.0"), ("3.0", "2.0")])
async def test_a_gateway_that_speaks_the_other_version_is_understood(agreed: str, spoken: str) -> None:
    async with bench(agreed) as b:
        await b.ismg.ask(DELIVER, deliver_body(spoken, utf16(WORDS)))
        assert b.sms.read(b.intake.messages[0]).text == WORDS
        assert b.intake.messages[0].sender == "8613900000021"


async def test_no_text_and_no_secret_in_any_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with bench() as b:
        await b.ismg.deliver(deliver_body("2.0", utf16(WORDS)))
        b.intake.broken = RuntimeError(WORDS)
        await b.ismg.deliver(deliver_body("2.0", utf16(WORDS)))
        await b.sms.submit("+8613800000009", utf16(WORDS), encoding="ucs2", udh=b"", receipt=False)
        b.ismg.write(struct.pack(">I", 5) + WORDS.encode())
        await until(lambda: len(b.ismg.connects) == 2)
    assert WORDS[:4] not in caplog.text
    assert utf16(WORDS[:4]).hex() not in caplog.text
    assert SECRET not in caplog.text


async def test_stop_answers_what_is_in_hand_and_says_goodbye() -> None:
    async with bench() as b:
        b.intake.gate = asyncio.Event()
        delivering = asyncio.create_task(b.ismg.deliver(deliver_body("2.0", utf16(WORDS))))
        await b.ismg.ask(ACTIVE_TEST)
        stopping = asyncio.create_task(b.sms.stop())
        await asyncio.sleep(0.02)
        assert b.ismg.seen[TERMINATE] == 0
        b.intake.gate.set()
        assert await delivering == [0]
        await stopping
        assert b.ismg.seen[TERMINATE] == 1
        assert b.sms.health().state == "down"

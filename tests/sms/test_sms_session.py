"""The session against an SMSC on loopback: nothing is acknowledged before it is stored, and nothing ends the session."""

from __future__ import annotations

import asyncio
import logging
import struct
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sms_bench import PASSWORD, bench, until

from gateway.api import Delivered, Outcome, Refused, TryLater
from gateway.demo.smsc import receipt_sm
from gateway_plugins.smpp import pdu as smpp
from gateway_plugins.smpp.link import MOST_IN_HAND
from gateway_plugins.smpp.pdu import Command, Pdu, Sm, Status, Tag
from gateway_plugins.smpp.session import backoff

pytestmark = pytest.mark.usefixtures("reactor")

SENDER, RECIPIENT = "+8613900000021", "1069000000"
WORDS = "白水县上坝村后山滑坡，压埋房屋三间，转移群众二十六人，暂无人员伤亡。" * 3
UCS2 = {"encoding": "ucs2", "udh": b"", "receipt": False}


async def test_every_part_is_taken_and_acknowledged() -> None:
    async with bench() as b:
        assert await b.smsc.deliver(SENDER, RECIPIENT, WORDS) == [0, 0]
        assert [raw.part.number for raw in b.intake.messages if raw.part] == [1, 2]
        assert {raw.sender for raw in b.intake.messages} == {SENDER}


async def test_nothing_is_acknowledged_before_it_is_stored() -> None:
    async with bench() as b:
        b.intake.gate = asyncio.Event()
        delivering = asyncio.create_task(b.smsc.deliver(SENDER, RECIPIENT, WORDS))
        # The answer to an enquire_link sent after the parts shows that the channel has read them.
        assert (await b.smsc.link.request(Command.ENQUIRE_LINK, seconds=2)).status == 0
        assert not delivering.done()
        assert b.intake.messages == []
        b.intake.gate.set()
        assert await delivering == [0, 0]


async def test_storage_trouble_is_a_temporary_error() -> None:
    async with bench() as b:
        b.intake.trouble = True
        assert await b.smsc.deliver(SENDER, RECIPIENT, WORDS) == [Status.ESME_RX_T_APPN] * 2
        message, tlvs = receipt_sm(Sm(destination_addr="138"), "01", b.services.now())
        assert await b.smsc.deliver_all([message], tlvs=tlvs) == [Status.ESME_RX_T_APPN]
        b.intake.trouble = False
        assert await b.smsc.deliver(SENDER, RECIPIENT, WORDS) == [0, 0]


async def test_too_large_is_final_and_an_unexpected_error_is_not() -> None:
    async with bench() as b:
        b.intake.max_bytes = 10
        assert await b.smsc.deliver(SENDER, RECIPIENT, "停电") == [Status.ESME_RX_R_APPN]
        b.intake.broken = RuntimeError("停电")
        assert await b.smsc.deliver(SENDER, RECIPIENT, "停电") == [Status.ESME_RX_T_APPN]


async def test_a_part_that_is_being_stored_while_the_connection_falls_is_stored() -> None:
    async with bench() as b:
        b.intake.gate = asyncio.Event()
        delivering = asyncio.create_task(b.smsc.deliver(SENDER, RECIPIENT, "塌陷"))
        await b.smsc.link.request(Command.ENQUIRE_LINK, seconds=2)
        await b.smsc.cut()
        b.intake.gate.set()
        with pytest.raises(ConnectionError):
            await delivering
        await until(lambda: len(b.intake.messages) == 1)


async def test_the_channel_enquires_and_leaves_a_silent_smsc() -> None:
    async with bench(enquire_link=0.02, request_timeout=0.1) as b:
        link = b.smsc.link
        await until(lambda: b.smsc.seen[Command.ENQUIRE_LINK] >= 3)
        assert b.smsc.link is link  # answered, so kept
        b.smsc.silent = {Command.ENQUIRE_LINK}
        await b.smsc.wait_for(lambda smsc: smsc.binds >= 2, 5)
        assert link.lost.done()


async def test_it_comes_back_after_every_loss() -> None:
    async with bench() as b:
        for number in (1, 2, 3):
            assert b.smsc.binds == number
            await b.smsc.cut()
            await b.smsc.wait_for(lambda smsc, number=number: smsc.binds == number + 1, 5)  # type: ignore[misc]
        await b.up()
        assert await b.smsc.deliver(SENDER, RECIPIENT, "停水") == [0]


async def test_it_waits_for_an_smsc_that_is_not_there_yet() -> None:
    async with bench(start=False) as b:
        port = b.smsc.port
        await b.smsc.stop()
        await b.sms.start(b.intake)
        await until(lambda: "ConnectionRefusedError" in b.sms.health().detail)
        assert b.sms.health().state == "connecting"
        assert isinstance(await b.sms.submit("+8613800000009", b"", **UCS2), TryLater)
        await b.smsc.start(f"tcp:{port}:interface=127.0.0.1")
        await b.smsc.wait_bound(5)


async def test_a_refused_bind_is_one_alarm_and_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with bench(password="0therpw", start=False) as b:
        await b.sms.start(b.intake)
        await until(lambda: caplog.text.count("ESME_RINVPASWD") >= 3)
        assert len(b.services.alarms) == 1
        assert "0therpw" not in caplog.text + b.services.alarms[0] + b.sms.health().detail
        b.smsc.password = "0therpw"
        await b.smsc.wait_bound(5)


async def test_a_password_that_smpp_cannot_carry_is_said_plainly() -> None:
    async with bench(password="much-too-long", start=False) as b:
        await b.sms.start(b.intake)
        await until(lambda: "8" in b.sms.health().detail)
        assert "much" not in b.sms.health().detail


async def test_no_text_and_no_secret_in_any_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with bench() as b:
        await b.smsc.deliver(SENDER, RECIPIENT, WORDS)
        b.intake.broken = RuntimeError(WORDS)
        await b.smsc.deliver(SENDER, RECIPIENT, WORDS)
        await b.sms.submit("+8613800000009", "滑坡".encode("utf-16-be"), **UCS2)
        b.smsc.link.send_bytes(struct.pack(">I", 5) + WORDS.encode())
        await b.smsc.wait_for(lambda smsc: smsc.binds == 2, 5)
    assert "滑坡" not in caplog.text
    assert "滑坡".encode("utf-16-be").hex() not in caplog.text
    assert PASSWORD not in caplog.text


RUBBISH = {
    "a length under 16": struct.pack(">IIII", 15, 5, 0, 1),
    "a length over the limit": struct.pack(">I", 0x7FFFFFFF),
    "another protocol": b"GET / HTTP/1.1\r\nHost: gateway\r\n\r\n",
    "zeros": bytes(64),
}


@pytest.mark.parametrize("octets", RUBBISH.values(), ids=RUBBISH)
async def test_rubbish_is_nacked_and_the_session_begins_again(octets: bytes) -> None:
    async with bench() as b:
        link, nacks = b.smsc.link, b.smsc.nacks
        link.send_bytes(octets)
        await b.smsc.wait_for(lambda smsc: smsc.binds == 2, 5)
        assert nacks == [Status.ESME_RINVCMDLEN]
        assert len(b.services.alarms) == 1
        assert await b.smsc.deliver(SENDER, RECIPIENT, "停气") == [0]


async def test_a_pdu_cut_in_the_middle_leaves_nothing_behind() -> None:
    async with bench() as b:
        whole = smpp.encode(Pdu(command=Command.DELIVER_SM, sequence=4, body=Sm(short_message=b"cut")))
        b.smsc.link.send_bytes(whole[:20])
        b.smsc.link.close()
        await b.smsc.wait_for(lambda smsc: smsc.binds == 2, 5)
        assert b.intake.messages == []
        assert await b.smsc.deliver(SENDER, RECIPIENT, "停气") == [0]


async def test_a_deliver_sm_that_is_cut_short_is_answered_and_the_session_goes_on() -> None:
    async with bench() as b:
        frame = struct.pack(">IIII", 20, Command.DELIVER_SM, 0, 900) + b"\0\0\0\0"
        b.smsc.link.send_bytes(frame)
        assert await b.smsc.deliver(SENDER, RECIPIENT, "停气") == [0]
        assert b.smsc.binds == 1
        assert len(b.services.alarms) == 1


async def test_an_unknown_command_gets_a_generic_nack() -> None:
    async with bench() as b:
        answer = await b.smsc.link.request(0x0000_0121, seconds=2)
        assert (answer.command, answer.status) == (Command.GENERIC_NACK, Status.ESME_RINVCMDID)


async def test_an_unbind_is_answered_and_followed_by_a_new_bind() -> None:
    async with bench() as b:
        assert (await b.smsc.link.request(Command.UNBIND, seconds=2)).command == Command.UNBIND_RESP
        await b.smsc.wait_for(lambda smsc: smsc.binds == 2, 5)


@pytest.mark.parametrize("form", ["text", "tlv"])
async def test_a_submit_brings_back_its_id_and_its_receipt(form: Any) -> None:
    async with bench(source_addr="1069000000") as b:
        b.smsc.receipts = form
        outcome = await b.sms.submit("+8613800000009", "滑坡".encode("utf-16-be"), encoding="ucs2", udh=b"", receipt=True)
        assert outcome == Delivered(("0000000001",))
        await until(lambda: len(b.intake.receipts) == 1)
        assert (b.intake.receipts[0].ref, b.intake.receipts[0].state) == ("0000000001", "delivered")
        assert [(sent.to, sent.text) for sent in b.smsc.sent] == [("+8613800000009", "滑坡")]
        assert b.smsc.submitted[0].source_addr == "1069000000"


async def test_a_receipt_that_says_nothing_is_taken_and_told_to_the_operator() -> None:
    async with bench() as b:
        assert await b.smsc.deliver_all([Sm(esm_class=4, short_message=b"thanks")]) == [0]
        assert b.intake.receipts == []
        assert len(b.services.alarms) == 1


@pytest.mark.parametrize(
    ("status", "kind", "after"),
    [
        (Status.ESME_RTHROTTLED, TryLater, 1.0), (Status.ESME_RMSGQFUL, TryLater, 1.0), (Status.ESME_RSYSERR, TryLater, None),
        (0x0400, TryLater, None), (Status.ESME_RINVDSTADR, Refused, None), (Status.ESME_RX_P_APPN, Refused, None),
    ],
)  # fmt: skip
async def test_what_the_smsc_answers_decides(status: int, kind: type[Outcome], after: float | None) -> None:
    async with bench() as b:
        b.smsc.submit_status = status
        outcome = await b.sms.submit("+8613800000009", b"", **UCS2)
        assert isinstance(outcome, kind)
        assert getattr(outcome, "after", None) == after
        assert smpp.status_name(status) in outcome.why  # type: ignore[union-attr]


async def test_no_answer_in_time_is_try_later() -> None:
    async with bench(request_timeout=0.05) as b:
        b.smsc.silent = {Command.SUBMIT_SM}
        assert isinstance(await b.sms.submit("+8613800000009", b"", **UCS2), TryLater)


async def test_a_loss_with_submits_in_the_air_is_try_later_for_each() -> None:
    async with bench(window=2) as b:
        b.smsc.silent = {Command.SUBMIT_SM}
        submits = [asyncio.create_task(b.sms.submit("+8613800000009", b"", **UCS2)) for _ in range(3)]
        await until(lambda: b.smsc.seen[Command.SUBMIT_SM] == 2)
        await b.smsc.cut()
        first, second = await asyncio.gather(*submits[:2])
        assert isinstance(first, TryLater)
        assert isinstance(second, TryLater)
        assert isinstance(await submits[2], TryLater)


async def test_the_window_is_kept() -> None:
    async with bench(window=3) as b:
        b.smsc.silent = {Command.SUBMIT_SM}
        submits = [asyncio.create_task(b.sms.submit("+8613800000009", b"", **UCS2)) for _ in range(10)]
        await until(lambda: b.smsc.seen[Command.SUBMIT_SM] == 3)
        await b.smsc.link.request(Command.ENQUIRE_LINK, seconds=2)
        assert b.smsc.seen[Command.SUBMIT_SM] == 3
        for submit in submits:
            submit.cancel()
        await asyncio.gather(*submits, return_exceptions=True)


async def test_a_flood_is_worked_off_with_bounded_hands() -> None:
    async with bench() as b:
        b.intake.gate = asyncio.Event()
        flood = asyncio.create_task(b.smsc.deliver_all([Sm(source_addr=str(n), short_message=b"x") for n in range(5000)]))
        await until(lambda: b.intake.in_hand >= MOST_IN_HAND)
        for _ in range(50):  # were it to go on reading, all would be in hand by now
            await asyncio.sleep(0)
        assert b.intake.messages == []
        b.intake.gate.set()
        assert await flood == [0] * 5000
        assert [raw.sender for raw in b.intake.messages] == [str(n) for n in range(5000)]
        # What lay in the one chunk being read when the limit was met comes on top of it.
        assert b.intake.most_in_hand < 2 * MOST_IN_HAND + 1500


async def test_stop_answers_what_is_in_hand_and_unbinds() -> None:
    async with bench() as b:
        b.intake.gate = asyncio.Event()
        delivering = asyncio.create_task(b.smsc.deliver(SENDER, RECIPIENT, "停气"))
        await b.smsc.link.request(Command.ENQUIRE_LINK, seconds=2)
        stopping = asyncio.create_task(b.sms.stop())
        for _ in range(50):  # were it not to wait, the unbind would have come by now
            await asyncio.sleep(0)
        assert b.smsc.seen[Command.UNBIND] == 0
        b.intake.gate.set()
        assert await delivering == [0]
        await stopping
        assert b.sms.health().state == "down"
        await b.smsc.wait_for(lambda smsc: smsc.seen[Command.UNBIND] == 1, 5)


def test_a_channel_made_to_read_cannot_start() -> None:
    from gateway_plugins.carrier.session import endpoint
    from gateway_plugins.sms_smpp import SmppSettings, SmsSmpp

    sms = SmsSmpp("sms", SmppSettings(system_id="gateway", password="smpp-password"))
    assert sms.health().state == "down"
    with pytest.raises(RuntimeError):
        asyncio.run(sms.start(None))  # type: ignore[arg-type]
    assert endpoint("::1", 2775) == r"tcp:host=\:\:1:port=2775"


@given(st.integers(0, 1000), st.floats(0.01, 10), st.floats(0.01, 1000), st.integers())
def test_backoff_grows_within_its_bounds(failures: int, shortest: float, longest: float, seed: int) -> None:
    seconds = backoff(failures, shortest, longest, Random(seed))
    assert 0 < seconds <= longest
    assert seconds >= min(shortest, longest) / 2
    assert seconds == backoff(failures, shortest, longest, Random(seed))


def test_backoff_doubles() -> None:
    highest = [max(backoff(n, 1, 60, Random(seed)) for seed in range(200)) for n in (1, 2, 3, 4, 50)]
    assert [round(value) for value in highest] == [1, 2, 4, 8, 60]
    assert Tag.MESSAGE_STATE == 0x0427

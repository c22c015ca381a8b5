"""The SMS channel against an SMSC that is not ours: npm package smpp, installed by .ci/peers/smpp.sh."""

from __future__ import annotations

import asyncio
import base64
import json
import subprocess
from collections.abc import AsyncIterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from gateway.api import Delivered, Delivery, RawMessage, Receipt
from gateway_plugins.sms_smpp import SmppSettings, SmsSmpp
from gateway_plugins.to_sms import ToSms, ToSmsSettings

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / ".peers" / "npm" / "node_modules" / "smpp"
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))


class Accepted(msgspec.Struct):
    id: str
    duplicate_of: str | None = None


class Intake:
    def __init__(self) -> None:
        self.messages: list[RawMessage] = []
        self.receipts: list[Receipt] = []

    async def accept(self, raw: RawMessage) -> Accepted:
        self.messages.append(raw)
        return Accepted(f"m{len(self.messages)}")

    async def receipt(self, receipt: Receipt) -> None:
        self.receipts.append(receipt)


class Services:
    max_bytes = 1 << 20

    def __init__(self, password: str) -> None:
        self.password = password
        self.alarms: list[str] = []
        self.running: dict[str, Any] = {}

    def now(self) -> datetime:
        return NOW

    def secret(self, name: str) -> str:
        return {"smpp-password": self.password}[name]

    def channel(self, name: str) -> Any:
        return self.running.get(name)

    def alarm(self, why: str, **data: str) -> None:
        self.alarms.append(why)


class NpmSmsc:
    """The node process; ``event`` reads on until one of that name comes."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.port = 0

    def order(self, **what: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(what).encode() + b"\n")

    async def event(self, name: str, seconds: float = 10) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := await self.process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                if event["event"] == name:
                    return event
        raise AssertionError(f"the SMSC ended before {name}")


@pytest_asyncio.fixture
async def smsc(reactor: Any) -> AsyncIterator[NpmSmsc]:
    if not PACKAGE.exists():
        await asyncio.to_thread(subprocess.run, [str(ROOT / ".ci" / "peers" / "smpp.sh")], check=True)
    process = await asyncio.create_subprocess_exec(
        "node",
        str(Path(__file__).with_name("smsc.js")),
        str(PACKAGE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    made = NpmSmsc(process)
    made.port = (await made.event("listening"))["port"]
    yield made
    process.kill()
    await process.wait()


def channel(smsc: NpmSmsc, services: Services) -> SmsSmpp:
    settings = SmppSettings(port=smsc.port, system_id="gateway", password="smpp-password", reconnect_max=0.2, reconnect_min=0.1)
    made = SmsSmpp("sms", settings, services)
    services.running["sms"] = made
    return made


async def test_parts_out_of_order_are_taken_one_by_one_and_read_in_order(smsc: NpmSmsc) -> None:
    intake, services = Intake(), Services("peer-pw")
    sms = channel(smsc, services)
    await sms.start(intake)
    bind = await smsc.event("bind")
    assert (bind["known"], bind["version"]) == (True, 0x34)

    first, second = "今日7时许，青山区红旗桥下一辆校车侧翻，车上有学生", "🚌12人，轻伤3人，已全部送医。青山区值班室"
    smsc.order(do="deliver", parts=[
        {"text": second, "reference": 9, "total": 2, "number": 2},
        {"text": first, "reference": 9, "total": 2, "number": 1},
    ])  # fmt: skip
    answers = [await smsc.event("deliver_resp"), await smsc.event("deliver_resp")]
    assert [answer["status"] for answer in answers] == [0, 0]

    assert [raw.part.number for raw in intake.messages if raw.part] == [2, 1]
    assert {raw.part.ref for raw in intake.messages if raw.part} == {"+8613900000021/1069000000/9"}
    bodies = [base64.b64encode(raw.body).decode() for raw in intake.messages]
    whole = msgspec.structs.replace(intake.messages[0], body=msgspec.json.encode(bodies), part=None)
    message = sms.read(whole)
    assert (message.text, message.flags) == (first + second, ())

    smsc.order(do="enquire")
    assert (await smsc.event("enquire_resp"))["status"] == 0
    await sms.stop()
    await smsc.event("unbind")


async def test_a_long_text_goes_out_in_parts_and_each_receipt_comes_back(smsc: NpmSmsc) -> None:
    intake, services = Intake(), Services("peer-pw")
    sms = channel(smsc, services)
    await sms.start(intake)
    await smsc.event("bind")
    async with asyncio.timeout(5):
        while sms.health().state != "up":
            await asyncio.sleep(0)

    words = "【快报】" + "石桥县山体滑坡，道路中断。" * 8 + "〔0123〕"
    delivery = Delivery(
        id="d1", incident="2026-0123", destination="government_duty_room", transport="sms", address="138 0000 0009",
        subject="", text="", short_text=words,
    )  # fmt: skip
    outcome = await ToSms("sms", ToSmsSettings(carrier="sms"), services).send(delivery)

    sent = [await smsc.event("submit"), await smsc.event("submit")]
    assert "".join(part["text"] for part in sent) == words
    assert [(part["to"], part["ton"], part["data_coding"], part["receipt"]) for part in sent] == [("8613800000009", 1, 8, 1)] * 2
    assert outcome == Delivered(("0000000001", "0000000002"))
    answers = [await smsc.event("receipt_resp"), await smsc.event("receipt_resp")]
    assert [answer["status"] for answer in answers] == [0, 0]
    assert [(receipt.ref, receipt.state) for receipt in intake.receipts] == [
        ("0000000001", "delivered"),
        ("0000000002", "delivered"),
    ]
    await sms.stop()


@pytest.mark.parametrize("form", ["text", "tlv"])
@pytest.mark.parametrize("early", [False, True])
async def test_receipts_in_either_form_before_and_after_the_answer(smsc: NpmSmsc, form: str, early: bool) -> None:
    intake, services = Intake(), Services("peer-pw")
    sms = channel(smsc, services)
    await sms.start(intake)
    await smsc.event("bind")
    smsc.order(do="receipts", early=early, form=form)
    await smsc.event("ready")
    async with asyncio.timeout(5):
        while sms.health().state != "up":
            await asyncio.sleep(0)
    part = "塌方".encode("utf-16-be")
    outcomes = [await sms.submit("+8613800000009", part, encoding="ucs2", udh=b"", receipt=True) for _ in range(2)]
    assert outcomes == [Delivered(("0000000001",)), Delivered(("0000000002",))]
    assert [(await smsc.event("receipt_resp"))["status"] for _ in range(2)] == [0, 0]
    assert sorted((receipt.ref, receipt.state) for receipt in intake.receipts) == [
        ("0000000001", "delivered"), ("0000000002", "delivered"),
    ]  # fmt: skip
    await sms.stop()


async def test_gsm_latin_1_and_gb18030_texts(smsc: NpmSmsc) -> None:
    intake, services = Intake(), Services("peer-pw")
    sms = channel(smsc, services)
    await sms.start(intake)
    await smsc.event("bind")
    given = [
        (0, {"text": "Bridge closed {east} €"}),
        (3, {"text": "café fermé"}),
        (15, {"octets": "决堤".encode("gb18030").hex()}),
    ]
    for data_coding, what in given:
        smsc.order(do="raw", data_coding=data_coding, **what)
        assert (await smsc.event("deliver_resp"))["status"] == 0
    assert [sms.read(raw).text for raw in intake.messages] == ["Bridge closed {east} €", "café fermé", "决堤"]
    await sms.stop()


async def test_a_wrong_password_is_an_alarm_and_is_tried_again(smsc: NpmSmsc) -> None:
    services = Services("wrong-pw")
    sms = channel(smsc, services)
    await sms.start(Intake())
    assert not (await smsc.event("bind"))["known"]
    assert not (await smsc.event("bind"))["known"]
    assert sms.health().state == "connecting"
    assert len(services.alarms) == 1
    assert "wrong-pw" not in services.alarms[0]
    await sms.stop()

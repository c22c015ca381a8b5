"""The SMS channel and the demo SMSC with kannel (drive_smpp, bearerbox) and smpp34."""

from __future__ import annotations

import asyncio
import base64
import json
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import urlopen

import msgspec
import pytest

from gateway.api import Delivered, Delivery, TryLater
from gateway.demo.smsc import DemoSmsc
from gateway.testing import MemoryIntake, MemoryServices
from gateway_plugins.smpp.pdu import Status
from gateway_plugins.sms_smpp import SmppSettings, SmsSmpp
from gateway_plugins.to_sms import ToSms, ToSmsSettings
from tests.peers.kannel import bearerbox, free_port

ROOT = Path(__file__).parents[2]
PEER = Path(__file__).with_name("smpp34_peer.py")
DRIVE = "/usr/lib/kannel/test/drive_smpp"
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))
LONG = "石桥县山体滑坡，道路中断。" * 8
PARTS = ["第一段" + LONG[:40], "第二段🚌" + LONG[:40]]

pytestmark = pytest.mark.usefixtures("reactor")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    subprocess.run(["sh", str(ROOT / ".ci" / "peers" / "smpp.sh")], check=True)


async def until(predicate: Any, seconds: float = 60) -> None:
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.01)


class Peer:
    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    async def event(self, name: str, seconds: float = 15) -> dict[str, Any]:
        assert self.process.stdout is not None
        async with asyncio.timeout(seconds):
            while line := await self.process.stdout.readline():
                event: dict[str, Any] = json.loads(line)
                if event["event"] == name:
                    return event
        raise AssertionError(f"the peer ended before {name}")


@asynccontextmanager
async def smpp34(role: str, port: int, words: list[str]) -> AsyncIterator[Peer]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PEER),
        str(ROOT / ".peers" / "python"),
        role,
        str(port),
        json.dumps(words),
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Peer(process)
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def channel(port: int, **more: Any) -> AsyncIterator[tuple[SmsSmpp, MemoryIntake, MemoryServices]]:
    services, intake = MemoryServices(at=NOW, secrets={"smpp-password": "peer-pw"}), MemoryIntake()
    quick = {"reconnect_min": 0.05, "reconnect_max": 0.2, **more}
    sms = SmsSmpp("sms", SmppSettings(port=port, system_id="gateway", password="smpp-password", **quick), services)
    services.channels["sms"] = sms
    await sms.start(intake)
    try:
        yield sms, intake, services
    finally:
        await sms.stop()


async def test_smpp34_as_smsc_payload_sar_and_throttling() -> None:
    port = free_port()
    async with smpp34("smsc", port, [LONG, *PARTS]) as peer:
        await peer.event("listening")
        async with channel(port) as (sms, intake, services):
            assert (await peer.event("bind"))["system_id"] == "gateway"
            assert (await peer.event("delivered"))["statuses"] == [0, 0, 0]
            whole = next(raw for raw in intake.accepted if raw.part is None)
            assert sms.read(whole).text == LONG
            parts = [raw for raw in intake.accepted if raw.part]
            assert [(raw.part.number, raw.part.total) for raw in parts if raw.part] == [(2, 2), (1, 2)]
            listed = [base64.b64encode(raw.body).decode() for raw in parts]
            joined = msgspec.structs.replace(parts[0], body=msgspec.json.encode(listed), part=None)
            assert sms.read(joined).text == "".join(PARTS)

            delivery = Delivery(
                id="d1", incident="2026-0123", destination="o", transport="sms", address="138 0000 0009", subject="", text="",
                short_text=LONG,
            )  # fmt: skip
            to_sms = ToSms("sms", ToSmsSettings(carrier="sms"), services)
            first = await to_sms.send(delivery)
            assert isinstance(first, TryLater) and first.after == 1.0
            again = msgspec.structs.replace(delivery, attempt=2, progress=first.progress)
            assert await to_sms.send(again) == Delivered(("0000000002", "0000000003"))


async def test_smpp34_as_esme_at_the_demo_smsc() -> None:
    smsc = DemoSmsc("gateway", "peer-pw")
    await smsc.start("tcp:0:interface=127.0.0.1")
    try:
        async with smpp34("esme", smsc.port, ["塌方，无人员伤亡"]) as peer:
            assert (await peer.event("submitted"))["id"] == "0000000001"
            assert smsc.sent[0].text == "塌方，无人员伤亡"
            receipt = await peer.event("deliver")
            assert receipt["esm_class"] == 4 and b"id:0000000001" in bytes.fromhex(receipt["text"])
            assert await smsc.deliver("+8613900000021", "1069000000", "滑坡") == [0]
            assert bytes.fromhex((await peer.event("deliver"))["text"]).decode("utf-16-be") == "滑坡"
    finally:
        await smsc.stop()


async def test_kannels_drive_smpp_delivers_to_a_receiver_and_a_transmitter(tmp_path: Path) -> None:
    """It knows no transceiver, and puts a parameter without sense behind each message. Its own smsbox finds no bearerbox and ends
    it after three seconds, which is after its messages."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        DRIVE, "-v", "0", "-m", "3", "-p", str(port), "-l", "drive.log", cwd=tmp_path,
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with channel(port, bind="pair") as (sms, intake, _services):
            await until(lambda: len(intake.accepted) >= 3)
            assert [(raw.sender, raw.recipient, sms.read(raw).text) for raw in intake.accepted[:3]] == [
                ("456", "123", "1"), ("456", "123", "2"), ("456", "123", "3"),
            ]  # fmt: skip
            log = tmp_path / "drive.log"
            await until(lambda: log.read_text("latin-1").count("type deliver_sm_resp") >= 3)
            await until(lambda: "type bind_receiver" in log.read_text("latin-1"))
            await until(lambda: "type bind_transmitter" in log.read_text("latin-1"))
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_kannels_bearerbox_takes_from_the_demo_smsc_and_sends_through_it(tmp_path: Path) -> None:
    smsc = DemoSmsc("gateway", "peer-pw")
    await smsc.start("tcp:0:interface=127.0.0.1")
    try:
        async with bearerbox(tmp_path, smsc.port, "peer-pw", with_smsbox=True) as sendsms:
            await smsc.wait_bound(20)
            asked = {
                "username": "u",
                "password": "p",
                "from": "1069000000",
                "to": "8613800000009",
                "coding": "2",
                "charset": "UTF-8",
                "text": LONG,
            }
            url = f"http://127.0.0.1:{sendsms}/cgi-bin/sendsms?{urlencode(asked)}"
            await until(lambda: accepting(sendsms))
            assert await asyncio.to_thread(lambda: urlopen(url, timeout=10).status) == 202
            await until(lambda: bool(smsc.sent))
            assert smsc.sent[0].text == LONG
            assert len(smsc.submitted) == 2
            assert smsc.nacks == []
    finally:
        await smsc.stop()


async def test_kannels_bearerbox_keeps_what_the_demo_smsc_delivers(tmp_path: Path) -> None:
    smsc = DemoSmsc("gateway", "peer-pw")
    await smsc.start("tcp:0:interface=127.0.0.1")
    try:
        async with bearerbox(tmp_path, smsc.port, "peer-pw"):
            await smsc.wait_bound(20)
            # For a moment after its bind it answers ESME_RX_T_APPN; a carrier comes again.
            answers = [await smsc.deliver("+8613900000021", "1069000000", LONG)]
            async with asyncio.timeout(20):
                while answers[-1] != [0, 0]:
                    assert set(answers[-1]) <= {0, Status.ESME_RX_T_APPN}
                    await asyncio.sleep(0.1)
                    answers.append(await smsc.deliver("+8613900000021", "1069000000", LONG))
            await until(lambda: len([path for path in (tmp_path / "spool").rglob("*") if path.is_file()]) >= 2)
            assert smsc.nacks == []
    finally:
        await smsc.stop()


def accepting(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0

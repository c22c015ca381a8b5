"""The spool channel with the real daemons: smstools' smsd at a pseudo-terminal modem, gammu-smsd with its dummy phone."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.api import Delivered, Delivery, RawMessage, TryLater
from gateway.testing import MemoryIntake, MemoryServices
from gateway_plugins.sms_spool import SmsSpool, SpoolSettings
from gateway_plugins.to_sms import ToSms, ToSmsSettings
from tests.peers.modem import Modem, deliver

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))
WORDS = "青山区供水管爆裂，三个小区停水。"
LONG = "石桥县山体滑坡，道路中断。" * 8 + "〔0123〕"
FOLDERS = ("incoming", "reports", "outgoing", "checked", "sent", "failed")


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    subprocess.run(["sh", str(ROOT / ".ci" / "peers" / "modem.sh")], check=True)


async def until(predicate: Any, seconds: float = 30) -> None:
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def channel(root: Path, form: Any) -> AsyncIterator[tuple[SmsSpool, MemoryIntake, MemoryServices]]:
    folders = {name: str(root / name) for name in FOLDERS if form == "smstools" or name not in ("reports", "checked")}
    services, intake = MemoryServices(at=NOW), MemoryIntake()
    sms = SmsSpool("modem", SpoolSettings(form=form, spool_seconds=0.2, settle_seconds=0.5, **folders), services)
    services.channels["modem"] = sms
    await sms.start(intake)
    try:
        yield sms, intake, services
    finally:
        await sms.stop()


@asynccontextmanager
async def daemon(*command: str) -> AsyncIterator[None]:
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 10)
        except TimeoutError:
            process.kill()
            await process.wait()


def folders(root: Path) -> None:
    for name in FOLDERS:
        (root / name).mkdir()


def smsd_conf(root: Path, modem: Modem, extra: str) -> str:
    lines = [
        "devices = GSM1", f"outgoing = {root}/outgoing", f"checked = {root}/checked", f"failed = {root}/failed",
        f"incoming = {root}/incoming", f"report = {root}/reports", f"sent = {root}/sent", f"logfile = {root}/log",
        f"infofile = {root}/info", f"pidfile = {root}/pid", "loglevel = 7", "delaytime = 1", "errorsleeptime = 1", "blocktime = 2",
        *extra.split(";"), "[GSM1]", f"device = {modem.device}", "incoming = yes", "report = yes", "memory_start = 1",
    ]  # fmt: skip
    path = root / "smsd.conf"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def read(sms: SmsSpool, *raws: RawMessage) -> Any:
    if len(raws) == 1 and raws[0].part is None:
        return sms.read(raws[0])
    listed = [base64.b64encode(raw.body).decode() for raw in raws]
    return sms.read(msgspec.structs.replace(raws[0], body=msgspec.json.encode(listed), part=None))


def delivery(words: str = LONG) -> Delivery:
    return Delivery(
        id="d-0123-1", incident="2026-0123", destination="o", transport="sms", address="138 0000 0009", subject="", text="",
        short_text=words,
    )  # fmt: skip


@pytest.mark.parametrize(
    "extra",
    ["incoming_utf8 = yes", "internal_combine = no"],
)
async def test_smsd_hands_over_what_the_modem_received_whatever_it_calls_it(tmp_path: Path, extra: str) -> None:
    folders(tmp_path)
    modem = Modem()
    try:
        first, second = "第一段" + WORDS, "第二段🚌" + WORDS
        modem.put(
            deliver(WORDS), deliver(second, udh=bytes((5, 0, 3, 9, 2, 2))), deliver(first, udh=bytes((5, 0, 3, 9, 2, 1))),
            deliver("", dcs=4, data=b"\x01\x02\xff"),
        )  # fmt: skip
        count = 4 if "no" in extra else 3
        async with (
            channel(tmp_path, "smstools") as (sms, intake, _services),
            daemon("smsd", "-t", "-c", smsd_conf(tmp_path, modem, extra)),
        ):
            await until(lambda: len(intake.accepted) >= count)
            assert not [path for path in (tmp_path / "incoming").iterdir() if path.is_file()]
        parts = [raw for raw in intake.accepted if raw.part]
        alone = [read(sms, raw) for raw in intake.accepted if not raw.part]
        texts = {message.text for message in alone} | ({read(sms, *parts).text} if parts else set())
        assert texts == {WORDS, first + second, ""}
        assert [bool(message.unread) for message in alone if not message.text] == [True]
        assert {raw.sender for raw in intake.accepted} == {"+8613900000021"}
        assert modem.card == {}
    finally:
        modem.stop()


async def test_a_text_that_smsd_loses_is_shown_to_a_person(tmp_path: Path) -> None:
    folders(tmp_path)
    modem = Modem()
    try:
        modem.put(deliver(WORDS))
        conf = smsd_conf(tmp_path, modem, "decode_unicode_text = yes")
        async with channel(tmp_path, "smstools") as (sms, intake, _services), daemon("smsd", "-t", "-c", conf):
            await until(lambda: len(intake.accepted) == 1)
        message = read(sms, intake.accepted[0])
        assert message.text == "" and message.unread
    finally:
        modem.stop()


async def test_smsd_sends_a_long_text_in_parts_and_its_report_comes_back(tmp_path: Path) -> None:
    folders(tmp_path)
    modem = Modem()
    modem.report = 0
    try:
        conf = smsd_conf(tmp_path, modem, "incoming_utf8 = yes")
        async with channel(tmp_path, "smstools") as (_sms, intake, services), daemon("smsd", "-t", "-c", conf):
            outcome = await ToSms("sms", ToSmsSettings(carrier="modem"), services).send(delivery())
            assert isinstance(outcome, Delivered)
            await until(lambda: len(intake.receipts) == 2)
        assert len(modem.sent) == 2
        # The text of each part begins after the number, PID, DCS, validity, length and the header of six octets.
        assert "".join(bytes.fromhex(pdu[44:]).decode("utf-16-be") for pdu in modem.sent) == LONG
        assert outcome.refs == ("8613800000009/2",)
        assert sorted((receipt.ref, receipt.state) for receipt in intake.receipts) == [
            ("8613800000009/1", "delivered"), ("8613800000009/2", "delivered"),
        ]  # fmt: skip
        assert not [path for path in (tmp_path / "sent").iterdir() if LONG.encode("utf-16-be") in path.read_bytes()]
    finally:
        modem.stop()


async def test_a_modem_that_refuses_is_try_later(tmp_path: Path) -> None:
    folders(tmp_path)
    modem = Modem()
    modem.error = "+CMS ERROR: 38"
    try:
        conf = smsd_conf(tmp_path, modem, "incoming_utf8 = yes")
        async with channel(tmp_path, "smstools") as (_sms, _intake, services), daemon("smsd", "-t", "-c", conf):
            outcome = await ToSms("sms", ToSmsSettings(carrier="modem"), services).send(delivery(WORDS))
            assert isinstance(outcome, TryLater)
        assert modem.sent == []
    finally:
        modem.stop()


# gammu-smsd


def backup(words: str, udh: str = "") -> str:
    """A message on the card of the dummy phone."""
    number = "+8613900000021"
    lines = [
        "", "[SMSBackup000]", "PDU = Deliver", 'SMSC = "+8613800100500"', "DateTime = 20261123T093000", "State = UnRead",
        f'Number = "{number}"', f"NumberUnicode = {number.encode('utf-16-be').hex().upper()}", 'Name = ""', "NameUnicode = ",
        f"Text00 = {words.encode('utf-16-be').hex().upper()}", "Coding = Unicode_No_Compression", "Folder = 1",
        f"Length = {len(words)}", "Class = -1", "ReplySMSC = False", "RejectDuplicates = False", "ReplaceMessage = 0",
        "MessageReference = 0", *([f"UDH = {udh}"] if udh else []),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def gammu_conf(root: Path, form: str) -> str:
    phone = root / "phone"
    for name in ("fs", *(f"sms/{n}" for n in range(1, 6))):
        (phone / name).mkdir(parents=True)
    lines = [
        "[gammu]", "model = dummy", "connection = none", f"device = {phone}", f"port = {phone}", "gammuloc = /dev/null", "[smsd]",
        "service = files", f"logfile = {root}/log", f"inboxpath = {root}/incoming/", f"outboxpath = {root}/outgoing/",
        f"sentsmspath = {root}/sent/", f"errorsmspath = {root}/failed/", f"inboxformat = {form}", "outboxformat = unicode",
        "receivefrequency = 1", "commtimeout = 1", "loopsleep = 1", "checksecurity = 0", "checkbattery = 0", "checksignal = 0",
        "checknetwork = 0", "statusfrequency = 0",
    ]  # fmt: skip
    path = root / "smsdrc"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@pytest.mark.parametrize("form", ["detail", "unicode", "standard"])
async def test_gammu_smsd_hands_over_what_the_phone_received_in_each_of_its_forms(tmp_path: Path, form: str) -> None:
    folders(tmp_path)
    conf = gammu_conf(tmp_path, form)
    first, second = "第一段" + WORDS, "第二段" + WORDS
    for name, content in (("1", backup(WORDS)), ("2", backup(second, "050003090202")), ("3", backup(first, "050003090201"))):
        (tmp_path / "phone" / "sms" / "1" / name).write_text(content)
    async with channel(tmp_path, "gammu") as (sms, intake, _services), daemon("gammu-smsd", "-c", conf):
        await until(lambda: len(intake.accepted) >= 3)
    parts = [raw for raw in intake.accepted if raw.part]
    assert [read(sms, raw).text for raw in intake.accepted if not raw.part] == [WORDS]
    assert len(parts) == 2 and read(sms, *parts).text == first + second
    assert {raw.sender for raw in intake.accepted if not raw.part} == {"+8613900000021"}
    assert os.listdir(tmp_path / "phone" / "sms" / "1") == []


async def test_gammu_smsd_sends_a_text_through_the_phone(tmp_path: Path) -> None:
    folders(tmp_path)
    conf = gammu_conf(tmp_path, "detail")
    async with channel(tmp_path, "gammu") as (_sms, _intake, services), daemon("gammu-smsd", "-c", conf):
        assert await ToSms("sms", ToSmsSettings(carrier="modem"), services).send(delivery()) == Delivered(())
    assert [path.name for path in (tmp_path / "sent").iterdir()] == ["OUTA20000101_000000_00_+8613800000009_d-0123-1.txtd"]
    assert (tmp_path / "sent" / "OUTA20000101_000000_00_+8613800000009_d-0123-1.txtd").read_bytes() == b""

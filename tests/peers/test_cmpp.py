"""The octets of CMPP before judges that are not ours: tshark's dissector for 3.0, pycmpp (a client of 2.0) for 2.0.

No CMPP gateway can be installed from a package, so the other end is ``tests/sms/ismg.py``, written by bytes and apart from the
plugin. pycmpp logs in at it and submits, which shows that it is an ISMG for others as well.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "sms"))

from ismg import ACTIVE_TEST, CONNECT, DELIVER, RESP, SUBMIT, TERMINATE, Ismg, deliver_body, message, report_content

from gateway.api import Delivered, Delivery
from gateway.testing import MemoryIntake, MemoryServices
from gateway_plugins.sms_cmpp import CmppSettings, SmsCmpp
from gateway_plugins.to_sms import ToSms, ToSmsSettings
from tests.peers import judge

ROOT = Path(__file__).parents[2]
PYTHON = ROOT / ".peers" / "python"
PEER = Path(__file__).with_name("pycmpp_peer.py")
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))
WORDS = "【快报】" + "石桥县山体滑坡，道路中断。" * 8 + "〔0123〕"


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    subprocess.run(["sh", str(ROOT / ".ci" / "peers" / "cmpp.sh")], check=True)


@asynccontextmanager
async def session(version: Any) -> AsyncIterator[tuple[Ismg, SmsCmpp, MemoryIntake, MemoryServices]]:
    ismg, intake = Ismg(version), MemoryIntake()
    await ismg.start()
    services = MemoryServices(at=NOW, secrets={"cmpp-secret": "s3cr3t"})
    sms = SmsCmpp(
        "cmpp", CmppSettings(port=ismg.port, sp_id="901234", secret="cmpp-secret", version=version, src_id="10690000"), services
    )
    services.channels["cmpp"] = sms
    await sms.start(intake)
    await ismg.bound()
    while sms.health().state != "up":
        await asyncio.sleep(0.001)
    try:
        yield ismg, sms, intake, services
    finally:
        await sms.stop()
        await ismg.stop()


async def spoken(version: Any) -> tuple[bytes, MemoryIntake]:
    """Every message that the channel can send, as it went over the wire."""
    async with session(version) as (ismg, sms, intake, services):
        ismg.reports = "DELIVRD"
        delivery = Delivery(
            id="d1", incident="2026-0123", destination="o", transport="sms", address="138 0000 0009", subject="", text="",
            short_text=WORDS,
        )  # fmt: skip
        assert isinstance(await ToSms("sms", ToSmsSettings(carrier="cmpp"), services).send(delivery), Delivered)
        assert await ismg.deliver(deliver_body(version, "塌方".encode("utf-16-be"))) == [0]
        await ismg.ask(ACTIVE_TEST)
        await sms.stop()
        assert [receipt.state for receipt in intake.receipts] == ["delivered"] * 2
        return bytes(ismg.octets), intake


@pytest.mark.usefixtures("reactor")
async def test_tshark_reads_every_message_of_a_3_0_session(tmp_path: Path) -> None:
    octets, _intake = await spoken("3.0")
    frames = list(judge.split(octets))
    judge.capture(tmp_path / "ours.pcap", [(frame, True) for frame in frames])
    packets = judge.dissect(tmp_path / "ours.pcap")
    assert not [packet for packet in packets if "_ws.malformed" in packet]
    seen = [packet["cmpp"] for packet in packets]
    commands = [int(one["cmpp.Command_Id"], 16) for one in seen]
    assert commands[0] == CONNECT and commands[-1] == TERMINATE
    assert {SUBMIT, DELIVER | RESP, ACTIVE_TEST | RESP} <= set(commands)
    assert (seen[0]["cmpp.connect.Source_Addr"], seen[0]["cmpp.Version"]) == ("901234", "03.00")
    assert seen[0]["cmpp.connect.Timestamp"] == "11/23 09:30:00"
    first, second = (one for one, command in zip(seen, commands, strict=True) if command == SUBMIT)
    assert [(one["cmpp.submit.Pk_number"], one["cmpp.submit.Pk_total"]) for one in (first, second)] == [("1", "2"), ("2", "2")]
    assert (first["cmpp.TP_udhi"], first["cmpp.Msg_Fmt"], first["cmpp.submit.Registered_Delivery"]) == ("1", "8", "1")
    assert first["cmpp.submit.Msg_src"] == "901234"
    assert "13800000009" in json.dumps(first)
    answers = [one for one, command in zip(seen, commands, strict=True) if command == DELIVER | RESP]
    assert {one["cmpp.deliver_resp.Result"] for one in answers} == {"0"}


@pytest.mark.usefixtures("reactor")
async def test_tshark_can_tell_a_message_that_is_none(tmp_path: Path) -> None:
    octets, _intake = await spoken("3.0")
    submit = next(frame for frame in judge.split(octets) if frame[4:8] == b"\0\0\0\x04")
    judge.capture(tmp_path / "cut.pcap", [(len(submit[:150]).to_bytes(4, "big") + submit[4:150], True)])
    assert [packet for packet in judge.dissect(tmp_path / "cut.pcap") if "_ws.malformed" in packet]


@pytest.mark.usefixtures("reactor")
async def test_tshark_reads_what_both_versions_share_of_a_2_0_session(tmp_path: Path) -> None:
    """The dissector knows the answers and SUBMIT of 3.0 alone; a valid 2.0 answer, one octet of Result, it calls malformed."""
    octets, _intake = await spoken("2.0")
    frames = [f for f in judge.split(octets) if int.from_bytes(f[4:8], "big") in (CONNECT, ACTIVE_TEST | RESP, TERMINATE)]
    assert len(frames) == 3
    judge.capture(tmp_path / "ours.pcap", [(frame, True) for frame in frames])
    packets = judge.dissect(tmp_path / "ours.pcap")
    assert not [packet for packet in packets if "_ws.malformed" in packet]
    assert packets[0]["cmpp"]["cmpp.Version"] == "02.00"


def test_tshark_reads_what_the_ismg_of_the_tests_sends(tmp_path: Path) -> None:
    report = deliver_body("3.0", report_content("3.0", 7, "DELIVRD"), report=1)
    plain = deliver_body("3.0", "塌方".encode("utf-16-be"))
    judge.capture(tmp_path / "theirs.pcap", [(message(DELIVER, n, body), False) for n, body in enumerate((plain, report))])
    packets = judge.dissect(tmp_path / "theirs.pcap")
    assert not [packet for packet in packets if "_ws.malformed" in packet]
    assert "8613900000021" in json.dumps(packets[0])
    assert "DELIVRD" in json.dumps(packets[1])


@pytest.mark.usefixtures("reactor")
async def test_pycmpp_reads_each_submit_of_a_2_0_session() -> None:
    octets, _intake = await spoken("2.0")
    submits = [frame for frame in judge.split(octets) if frame[4:8] == b"\0\0\0\x04"]
    done = subprocess.run(
        [sys.executable, str(PEER), str(PYTHON), "submits"], input="\n".join(frame.hex() for frame in submits), text=True,
        capture_output=True, check=True,
    )  # fmt: skip
    read = [json.loads(line) for line in done.stdout.splitlines()]
    assert "".join(one["msg_content"] for one in read) == WORDS
    assert [(one["pk_number"], one["pk_total"], one["tp_udhi"], one["msg_fmt"]) for one in read] == [(1, 2, 1, 8), (2, 2, 1, 8)]
    assert {(one["dest_terminal_id"], one["src_id"], one["msg_src"], one["fee_type"], one["fee_code"]) for one in read} == {
        ("13800000009", "10690000", "901234", "01", "000000")
    }


async def test_pycmpp_logs_in_and_submits_at_the_ismg_of_the_tests() -> None:
    ismg = Ismg("2.0")
    await ismg.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(PEER), str(PYTHON), "client", str(ismg.port), "塌方，无人员伤亡",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(15):
            while not ismg.submits:
                await asyncio.sleep(0.02)
    finally:
        process.kill()
        await process.wait()
        await ismg.stop()
    assert [connect["known"] for connect in ismg.connects] == [True]
    assert ismg.submits[0]["content"].decode("utf-16-be") == "塌方，无人员伤亡"
    assert ismg.submits[0]["to"] == "13800000009"

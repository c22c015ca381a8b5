"""SMS out: whole texts in parts, a second attempt that goes on where the first stopped, and no nonsense dialled."""

from __future__ import annotations

from typing import Any

import pytest
from sms_bench import bench, until

from gateway.api import Delivered, Delivery, Outcome, Refused, TryLater
from gateway.testing import MemoryServices
from gateway_plugins.smpp import text
from gateway_plugins.smpp.pdu import Status
from gateway_plugins.to_sms import ToSms, ToSmsSettings, e164, taken

WORDS = "【快报】柳河县城关镇加油站起火，明火已灭，无人员伤亡，原因在查。" * 4 + "〔0123〕"


def delivery(address: str = "13800000009", words: str = WORDS, **changes: Any) -> Delivery:
    return Delivery(
        id="d-0123-1", incident="2026-0123", destination="government_duty_room", transport="sms", address=address,
        subject="柳河县火情", text="全文", short_text=words, **changes,
    )  # fmt: skip


class Carrier:
    """Answers as told, one outcome for each part; keeps what it was given."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)
        self.parts: list[tuple[str, bytes, str, bytes, bool]] = []

    async def submit(self, to: str, part: bytes, *, encoding: str, udh: bytes, receipt: bool) -> Outcome:
        self.parts.append((to, part, encoding, udh, receipt))
        return self.outcomes.pop(0)


def transport(carrier: Carrier | None, **settings: Any) -> ToSms:
    return ToSms("sms", ToSmsSettings(carrier="sms", **settings), MemoryServices(channels={"sms": carrier}))


async def test_every_part_is_sent_and_every_id_comes_back() -> None:
    carrier = Carrier(Delivered(("01",)), Delivered(("02",)))
    assert await transport(carrier).send(delivery()) == Delivered(("01", "02"))
    assert [part[0] for part in carrier.parts] == ["+8613800000009"] * 2
    assert "".join(part[1].decode("utf-16-be") for part in carrier.parts) == WORDS
    assert [part[3][-2:] for part in carrier.parts] == [b"\x02\x01", b"\x02\x02"]
    assert all(part[4] for part in carrier.parts)


async def test_a_second_attempt_goes_on_after_the_parts_taken() -> None:
    carrier = Carrier(Delivered(("007",)), TryLater("busy", after=1.0), Delivered(("008",)))
    sms = transport(carrier)
    first = await sms.send(delivery())
    assert isinstance(first, TryLater)
    assert (first.why, first.after) == ("busy", 1.0)
    assert await sms.send(delivery(progress=first.progress, attempt=2)) == Delivered(("007", "008"))
    references = {part[3][3] for part in carrier.parts}
    assert (len(carrier.parts), len(references)) == (3, 1)
    assert carrier.parts[1][1] == carrier.parts[2][1]


async def test_progress_of_a_text_cut_otherwise_is_not_used() -> None:
    assert taken({"parts": 2, "refs": ["1"]}, 2) == ["1"]
    assert taken({"parts": 3, "refs": ["1"]}, 2) == []
    assert taken({"parts": 1, "refs": ["1", "2"]}, 1) == []
    assert taken({}, 2) == []


async def test_a_refused_part_ends_it() -> None:
    carrier = Carrier(Delivered(("1",)), Refused("no such number"))
    assert await transport(carrier).send(delivery()) == Refused("no such number")


async def test_without_a_carrier_it_is_tried_later() -> None:
    assert isinstance(await transport(None).send(delivery()), TryLater)


@pytest.mark.parametrize("address", ["", "duty", "12", "+86 1", "138000000091234567", "office@gateway.test", "+999123456789"])
async def test_nonsense_is_refused_before_anything_is_sent(address: str) -> None:
    carrier = Carrier()
    assert isinstance(await transport(carrier).send(delivery(address)), Refused)
    assert carrier.parts == []


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("138 0000 0009", "+8613800000009"), ("+86-138-0000-0009", "+8613800000009"), ("008613800000009", "+8613800000009"),
        ("+852 9123 4567", "+85291234567"),
    ],
)  # fmt: skip
def test_numbers(address: str, expected: str) -> None:
    assert e164(address, "CN") == expected


async def test_a_text_that_is_too_long_is_refused_not_cut() -> None:
    assert isinstance(await transport(Carrier(), max_parts=3).send(delivery(words="汛" * 67 * 3 + "情")), Refused)
    assert isinstance(await transport(Carrier(), max_parts=255).send(delivery(words="汛" * 67 * 256)), Refused)
    assert await transport(Carrier(*[Delivered()] * 3), max_parts=3).send(delivery(words="汛" * 67 * 3)) == Delivered(())


async def test_the_long_text_where_there_is_no_short_one() -> None:
    carrier = Carrier(Delivered(("1",)))
    await transport(carrier, receipts=False).send(delivery(words=""))
    assert carrier.parts == [("+8613800000009", "全文".encode("utf-16-be"), "ucs2", b"", False)]


@pytest.mark.usefixtures("reactor")
async def test_through_the_session_and_a_throttling_smsc() -> None:
    async with bench() as b:
        sms = ToSms("sms", ToSmsSettings(carrier="sms"), b.services)
        b.smsc.throttle = 1
        first = await sms.send(delivery())
        assert isinstance(first, TryLater)
        assert first.after == 1.0
        assert await sms.send(delivery(progress=first.progress)) == Delivered(("0000000001", "0000000002"))
        await b.smsc.wait_for(lambda smsc: bool(smsc.sent), 5)
        assert [(sent.to, sent.text) for sent in b.smsc.sent] == [("+8613800000009", WORDS)]
        await until(lambda: len(b.intake.receipts) == 2)
        assert {receipt.ref for receipt in b.intake.receipts} == {"0000000001", "0000000002"}


@pytest.mark.usefixtures("reactor")
async def test_through_the_session_when_the_smsc_is_gone() -> None:
    async with bench() as b:
        sms = ToSms("sms", ToSmsSettings(carrier="sms"), b.services)
        await b.smsc.stop()
        await until(lambda: b.sms.health().state == "connecting")
        assert isinstance(await sms.send(delivery()), TryLater)


@pytest.mark.usefixtures("reactor")
async def test_a_number_that_the_smsc_refuses() -> None:
    async with bench() as b:
        b.smsc.submit_status = Status.ESME_RINVDSTADR
        assert isinstance(await ToSms("sms", ToSmsSettings(carrier="sms"), b.services).send(delivery()), Refused)


def test_the_sign_of_the_incident_is_in_the_last_part() -> None:
    parts = text.split(WORDS, 1)
    assert parts[-1].data.decode("utf-16-be").endswith("〔0123〕")

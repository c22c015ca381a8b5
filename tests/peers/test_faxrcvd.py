"""Mails of a real HylaFAX, through the mail listener; installed by .ci/peers/paper.sh."""

from __future__ import annotations

import asyncio
import io
import tomllib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from benchmarks import faxpages
from gateway.testing import MemoryIntake, MemoryServices
from gateway.workers import WorkerPool
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.fax_mail import FaxMail, FaxSettings
from tests.peers.faxrcvd import FaxRcvd

CONF = Path(__file__).parents[2] / "conf" / "channels.d" / "fax.toml"
ADDRESS = "fax@gateway.test"


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[FaxRcvd]:
    yield FaxRcvd(tmp_path, ADDRESS)


class House:
    def __init__(self) -> None:
        self.intake, services = MemoryIntake(), MemoryServices(max_bytes=5_000_000)
        self.mail = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",)), services)
        services.channels["mail"] = self.mail
        shipped = tomllib.loads(CONF.read_text(encoding="utf-8"))["channel"]["fax"]
        forms = shipped["forms"]
        self.fax = FaxMail("fax", FaxSettings(addresses=(ADDRESS,), forms=forms), services)
        self.unread = FaxMail("fax", FaxSettings(addresses=(ADDRESS,), forms=forms, ocr=False), services)

    @property
    def port(self) -> int:
        return self.mail.ports[0]


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    made = House()
    await made.mail.start(made.intake)
    await made.fax.start(made.intake)
    yield made
    await made.fax.stop()
    await made.mail.stop()


def written(fine: bool, text: int = 2) -> faxpages.Page:
    return faxpages.page("hei", 14, fine=fine, text=text, seed=3)


def page(fine: bool, text: int = 2) -> Image.Image:
    opened = Image.open(io.BytesIO(written(fine, text).tiff))
    opened.load()
    return opened


async def test_a_fax_of_two_pages_in_both_resolutions_comes_through_whole(peer: FaxRcvd, house: House) -> None:
    file = await asyncio.to_thread(
        peer.receive, [page(True), page(False, 3)], tsi="SHIQIAO GOV", number="0999 8811004", name="石桥"
    )
    assert await asyncio.to_thread(peer.run_queue, house.port) == [250]
    (raw,) = house.intake.accepted
    assert (raw.channel, raw.via, raw.sender, raw.recipient) == ("fax", "fax", "fax@hylafax.test", ADDRESS)
    pool = WorkerPool("ocr", 1, 3072, 100)
    try:
        message = await pool.read(house.fax, raw)
    finally:
        await pool.stop()
    assert (message.sender, message.pages, message.unread) == ("09998811004", 2, None)
    assert "station_claimed" not in message.flags
    wanted = written(True).text + written(False, 3).text
    assert faxpages.accuracy(wanted, message.text) >= 0.97
    for words in ("已造成3人死亡、2人受伤、1人失踪", "其中留院观察12人"):
        assert faxpages.plain(words) in faxpages.plain(message.text)
    tiff, pdf = message.attachments
    assert (tiff.content_type, tiff.pages, pdf.content_type, pdf.pages) == ("image/tiff", 2, "application/pdf", 2)
    assert tiff.data == file.read_bytes(), "the pages as they came over the line"
    assert pdf.text is None, "the same pages are not read twice"


async def test_who_withholds_the_number_is_named_by_the_station_and_marked_so(peer: FaxRcvd, house: House) -> None:
    await asyncio.to_thread(peer.receive, [page(True)], tsi="+86 999 8811004")
    await asyncio.to_thread(peer.run_queue, house.port)
    message = house.unread.read(house.intake.accepted[0])
    assert (message.sender, message.pages) == ("+869998811004", 1)
    assert "station_claimed" in message.flags


async def test_a_call_that_broke_off_says_so_and_needs_a_person(peer: FaxRcvd, house: House) -> None:
    """HylaFAX counts what it has; that pages are missing only its error says."""
    await asyncio.to_thread(peer.receive, [page(True)], number="0999 8811004", error="RSPREC error/got DCN (sender abort) {E102}")
    await asyncio.to_thread(peer.run_queue, house.port)
    message = house.unread.read(house.intake.accepted[0])
    assert message.unread is not None
    assert "the transmission broke off" in message.unread


async def test_an_hour_without_storage_loses_no_fax_and_doubles_none(peer: FaxRcvd, house: House) -> None:
    for number in ("0999 8811004", "0999 8811007"):
        await asyncio.to_thread(peer.receive, [page(True)], number=number)
    house.intake.trouble = True
    for _quarter in range(4):
        assert set(await asyncio.to_thread(peer.run_queue, house.port)) == {451}
    assert len(peer.queue()) == 2
    assert house.intake.accepted == []
    house.intake.trouble = False
    assert await asyncio.to_thread(peer.run_queue, house.port, keep=True) == [250, 250]
    assert await asyncio.to_thread(peer.run_queue, house.port) == [250, 250], "the answer was lost: the mails come again"
    assert peer.queue() == []
    bodies = [raw.body for raw in house.intake.accepted]
    assert len(set(bodies)) == 2
    assert [house.unread.read(raw).sender for raw in house.intake.accepted[:2]] == ["09998811004", "09998811007"]

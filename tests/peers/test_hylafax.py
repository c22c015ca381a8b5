"""to_fax and fax_jobs against a real HylaFAX (hfaxd, faxq); installed by .ci/peers/paper.sh."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image, ImageChops

from gateway.api import Delivered, Refused, TryLater
from gateway.testing import MemoryClock, MemoryIntake, MemoryServices, sample_delivery
from gateway_plugins.fax_jobs import FaxJobs, FaxJobsSettings
from gateway_plugins.paper.sheet import Sheet, render
from gateway_plugins.to_fax import FaxSettings, ToFax
from tests.out.services import Queue
from tests.peers.hylafax import FAILED, PASSWORD, HylaFax

NUMBER = "0999-8820003"
TEXT = "今日9时20分，青山区幸福路12号一居民楼起火，造成1人死亡、3人受伤，伤者已送市第一人民医院救治。\n" * 30


@pytest.fixture
def peer(open_path: Path) -> Iterator[HylaFax]:
    made = HylaFax(open_path)
    made.start()
    yield made
    made.stop()


class House:
    def __init__(self, peer: HylaFax, **settings: Any) -> None:
        self.clock, self.intake = MemoryClock(), MemoryIntake()
        self.services = MemoryServices(secrets={"fax-password": PASSWORD}, clock=self.clock)
        given = {"port": peer.port, "password": "fax-password", "poll_seconds": 0.2, "timeout_seconds": 5, **settings}
        self.jobs = FaxJobs("hylafax", FaxJobsSettings(**given), self.services)
        self.services.channels["hylafax"] = self.jobs
        self.fax = ToFax("fax", FaxSettings(carrier="hylafax"), self.services)


@pytest_asyncio.fixture
async def house(peer: HylaFax) -> AsyncIterator[House]:
    made = House(peer)
    yield made
    await made.jobs.stop()


def delivery(**changes: Any) -> Any:
    return sample_delivery(**{"address": NUMBER, "text": TEXT, **changes})


async def until(look: Any, seconds: float = 60, every: float = 0.05) -> Any:
    async with asyncio.timeout(seconds):
        while not (found := look()):
            await asyncio.sleep(every)
    return found


async def receipts_of(peer: HylaFax, house: House, count: int = 1) -> Any:
    """The receipts, once there are so many. A scheduler that has just come up may forget a modem told of too early."""

    def come() -> Any:
        return len(house.intake.receipts) >= count and house.intake.receipts

    return await until(lambda: come() or (peer.announce() and None), every=1)


async def test_the_modem_is_handed_the_very_pages_and_its_word_comes_back(peer: HylaFax, house: House) -> None:
    await house.jobs.start(house.intake)
    outcome = await house.fax.send(delivery())
    assert outcome == Delivered((f"{delivery().id}/1",))
    (receipt,) = await receipts_of(peer, house)
    assert (receipt.via, receipt.ref, receipt.state) == ("hylafax", f"{delivery().id}/1", "delivered")
    assert peer.field("number") == ["09998820003"]
    assert peer.field("jobtag") == [f"jibao:{delivery().id}"]
    assert house.jobs.health().state == "up"

    ours = render(Sheet(delivery().subject, TEXT, delivery().id), "tiff", house.fax.settings)
    assert ours.pages > 1
    with Image.open(io.BytesIO(ours.data)) as mine, Image.open(peer.pages()[0]) as theirs:
        assert theirs.n_frames == ours.pages
        for page in range(ours.pages):
            mine.seek(page)
            theirs.seek(page)
            assert theirs.size == mine.size == (1728, 2292)
            assert ImageChops.difference(mine.convert("L"), theirs.convert("L")).getbbox() is None, "scaled or drawn again"
            assert mine.convert("L").histogram()[0] > 5000, "ink"


async def test_a_fax_that_does_not_go_through_is_told_and_sent_anew(peer: HylaFax, house: House) -> None:
    peer.modem(FAILED)
    await house.jobs.start(house.intake)
    assert isinstance(await house.fax.send(delivery()), Delivered)
    (receipt,) = await receipts_of(peer, house)
    assert (receipt.ref, receipt.state) == (f"{delivery().id}/1", "failed")
    assert await house.fax.send(delivery(attempt=2)) == Delivered((f"{delivery().id}/2",)), "the failed job is not taken for this one"


class Relay:
    """A port that stays the same before a server that comes and goes; ``cut`` breaks the line after so many more JSUBM."""

    def __init__(self, peer: HylaFax) -> None:
        self.peer, self.cut, self.port = peer, 0, 0
        self.server: asyncio.Server | None = None

    async def __aenter__(self) -> Relay:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = int(self.server.sockets[0].getsockname()[1])
        return self

    async def __aexit__(self, *_error: object) -> None:
        assert self.server is not None
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, OSError), contextlib.closing(writer):
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", self.peer.port)
            silent = asyncio.Event()

            async def back() -> None:
                while data := await up_reader.read(4096):
                    if silent.is_set():
                        writer.close()
                        return
                    writer.write(data)

            task = asyncio.create_task(back())
            with contextlib.closing(up_writer):
                while data := await reader.read(4096):
                    if b"JSUBM" in data and self.cut:
                        self.cut -= 1
                        silent.set()
                    up_writer.write(data)
            await task


async def test_an_answer_that_is_lost_makes_no_second_job(peer: HylaFax) -> None:
    """The line breaks after the server has the job and before we know it."""
    async with Relay(peer) as relay:
        there = House(peer, port=relay.port)
        relay.cut = 1
        outcome = await there.fax.send(delivery())
        assert isinstance(outcome, TryLater)
        assert await there.fax.send(delivery(attempt=2)) == Delivered((f"{delivery().id}/1",))
        assert (relay.cut, peer.jobs()) == (0, ["q1"])
        await there.jobs.stop()


async def test_a_server_that_is_down_for_an_hour_gets_every_fax_once(peer: HylaFax, tmp_path: Path) -> None:
    async with Relay(peer) as relay:
        house = House(peer, port=relay.port)
        peer.stop("hfaxd")
        queue = Queue(tmp_path, house.clock, {"fax": house.fax})
        ids = [queue.put("fax", NUMBER, destination=f"office{n}") for n in range(2)]
        await queue.pass_time(60, step=300)
        assert {queue.row(id).state for id in ids} == {"waiting"}
        assert peer.jobs() == []
        peer.start()
        await queue.pass_time(10, step=300)
        assert {queue.row(id).state for id in ids} == {"delivered"}
        assert sorted(peer.field("jobtag")) == sorted(f"jibao:{id}" for id in ids)
        queue.close()
        await house.jobs.stop()


async def test_a_scheduler_that_is_away_is_a_later_try(peer: HylaFax, house: House) -> None:
    peer.stop("faxq")
    outcome = await house.fax.send(delivery())
    peer.start()
    if isinstance(outcome, TryLater):
        assert isinstance(await house.fax.send(delivery(attempt=2)), Delivered)
    await house.jobs.start(house.intake)
    receipts = await receipts_of(peer, house)
    assert [r.state for r in receipts] == ["delivered"]
    assert len(peer.jobs()) == 1


async def test_doctor_names_what_is_wrong(peer: HylaFax, house: House, tmp_path: Path) -> None:
    assert await house.jobs.probe() is None
    assert await house.fax.probe() is None
    house.services.secrets["fax-password"] = "wrong"
    assert "530" in (await house.jobs.probe() or "")
    outcome = await house.fax.send(delivery())
    assert isinstance(outcome, TryLater)
    assert "wrong" not in outcome.why
    house.services.secrets["fax-password"] = PASSWORD
    bare = ToFax("fax", FaxSettings(carrier="hylafax", fonts=(str(tmp_path / "none.ttf"),)), house.services)
    assert "none.ttf" in (await bare.probe() or "")
    assert isinstance(await bare.send(delivery()), TryLater)
    assert isinstance(await house.fax.send(delivery(text="字" * 60_000)), Refused)
    assert isinstance(await house.fax.send(delivery(address="not a number")), Refused)
    assert peer.jobs() == []

"""to_print against a real cupsd with a raw queue to a socket; installed by .ci/peers/paper.sh."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pypdfium2
import pytest

from gateway.api import Delivered, Refused, TryLater
from gateway.conf_load import load
from gateway.host import Host
from gateway.papers.outgoing import Papers
from gateway.settings import Config
from gateway.testing import MemoryClock, MemoryServices, sample_delivery
from gateway_plugins.to_print import PrintSettings, ToPrint
from tests.out.services import Queue
from tests.peers.cups import Cups

TEXT = "今日9时20分，青山区幸福路12号一居民楼起火，造成1人死亡、3人受伤。\n" * 3


@pytest.fixture
def cups(open_path: Path) -> Iterator[Cups]:
    made = Cups(open_path)
    made.sink.start()
    made.start()
    yield made
    made.stop()
    made.sink.stop()


class Silent:
    """Alarms that must not come."""

    def raise_(self, what: str, **data: Any) -> None:
        raise AssertionError(f"{what}: {data}")


@pytest.fixture(scope="module")
def shipped() -> Config:
    return load(Path(__file__).parents[2] / "conf", Host.load())


def printer(uri: str, clock: MemoryClock | None = None, **settings: Any) -> ToPrint:
    given = {"printers": {"duty": uri}, "timeout_seconds": 5, **settings}
    return ToPrint("print", PrintSettings(**given), MemoryServices(clock=clock or MemoryClock()))


def delivery(**changes: Any) -> Any:
    return sample_delivery(**{"address": "duty", "text": TEXT, **changes})


async def test_what_comes_out_of_the_socket_is_the_page(cups: Cups) -> None:
    way = printer(cups.uri)
    assert await way.probe() is None
    assert await way.send(delivery()) == Delivered(("1",))
    (data,) = cups.sink.jobs
    document = pypdfium2.PdfDocument(io.BytesIO(data))
    assert len(document) == 1
    width, height = document[0].get_size()
    assert (round(width / 72 * 25.4), round(height / 72 * 25.4)) == (210, 297)
    ink = document[0].render(scale=1).to_pil().convert("L").histogram()
    assert sum(ink[:128]) > 500
    async with way._queue("duty") as queue:
        assert await queue.find(f"jibao {delivery().id}") == 1


async def test_a_report_comes_out_as_the_official_paper(cups: Cups, shipped: Config) -> None:
    """Made by the press itself, handed to CUPS, read back at the socket."""
    clock = MemoryClock()
    patient = replace(shipped, dispatch=shipped.dispatch.model_copy(update={"send_timeout": 120.0}))
    maker = Papers(Silent(), clock)  # type: ignore[arg-type]

    class Lent(MemoryServices):
        async def paper(self, delivery: Any, form: Any) -> bytes | None:
            return await maker.make(delivery, form, patient)

    way = ToPrint("print", PrintSettings(printers={"duty": cups.uri}), Lent(clock=clock))
    said = {"number": "〔2026〕0123", "title": "幸福路居民楼起火", "text": TEXT, "figures": "死亡 1 人，受伤 3 人"}
    assert await way.send(delivery(paper=said)) == Delivered(("1",))
    (data,) = cups.sink.jobs
    document = pypdfium2.PdfDocument(io.BytesIO(data))
    first = "".join(document[0].get_textpage().get_text_range().split())
    assert "值班信息" in first and "〔2026〕0123号" in first and "死亡1人，受伤3人" in first
    words = "".join("".join(page.get_textpage().get_text_range().split()) for page in document)
    assert "".join(TEXT.split()) in words


async def test_a_job_whose_answer_was_lost_is_found_again(cups: Cups) -> None:
    """The line breaks after cupsd has the job and before its number is said."""
    cut = 1

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal cut
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = await reader.readuntil(b"\r\n\r\n")
            size = next(int(line.split(b":")[1]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            body = await reader.readexactly(size)
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", cups.port)
            up_writer.write(head.replace(b"Connection: close\r\n", b"").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n", 1) + body)
            answer = await up_reader.read()
            up_writer.close()
            if body[2:4] == b"\x00\x02" and cut:
                cut -= 1
                return
            writer.write(answer)
            await writer.drain()

    proxy = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = proxy.sockets[0].getsockname()[1]
    way = printer(cups.uri.replace(str(cups.port), str(port)))
    outcome = await way.send(delivery())
    assert isinstance(outcome, TryLater)
    async with asyncio.timeout(30):
        while not cups.history():
            await asyncio.sleep(0.05)
    assert await way.send(delivery(attempt=2, progress=outcome.progress)) == Delivered(("1",))
    proxy.close()
    assert (cut, len(cups.sink.jobs), cups.history()) == (0, 1, 1)


async def test_a_printer_that_is_off_has_its_job_taken_back(cups: Cups) -> None:
    cups.sink.stop()
    clock = MemoryClock()
    way = printer(cups.uri, clock, patience_seconds=30)
    outcome = await way.send(delivery())
    assert isinstance(outcome, TryLater)
    assert outcome.turn, "first it is given time"
    clock.advance(31)
    outcome = await way.send(delivery(attempt=2, progress=outcome.progress))
    assert isinstance(outcome, TryLater)
    assert not outcome.turn
    cups.sink.start()
    assert await way.send(delivery(attempt=3, progress=outcome.progress)) == Delivered(("2",))
    await asyncio.sleep(1.5)
    assert len(cups.sink.jobs) == 1, "what was taken back does not come out later"


async def test_a_server_that_is_down_for_an_hour_prints_everything_once(cups: Cups, tmp_path: Path) -> None:
    clock = MemoryClock()
    way = printer(cups.uri, clock)
    queue = Queue(tmp_path, clock, {"print": way})
    cups.stop()
    ids = [queue.put("print", "duty", destination=f"office{n}") for n in range(3)]
    await queue.pass_time(60, step=300)
    assert {queue.row(id).state for id in ids} == {"waiting"}
    cups.start()
    await queue.pass_time(20, step=100)
    assert {queue.row(id).state for id in ids} == {"delivered"}
    queue.close()
    assert len(cups.sink.jobs) == 3


async def test_doctor_and_refusals(cups: Cups, tmp_path: Path) -> None:
    assert "none.ttf" in (await printer(cups.uri, fonts=(str(tmp_path / "none.ttf"),)).probe() or "")
    assert await printer(cups.uri.replace("duty", "other")).probe()
    assert await printer("ipp://127.0.0.1:9/printers/duty").probe()
    assert isinstance(await printer(cups.uri.replace("duty", "other")).send(delivery()), TryLater)
    assert isinstance(await printer(cups.uri).send(delivery(address="nobody")), Refused)
    assert isinstance(await printer(cups.uri).send(delivery(text="字" * 60_000)), Refused)
    with pytest.raises(ValueError, match="ipp://"):
        PrintSettings(printers={"duty": "http://x/"})
    assert cups.history() == 0

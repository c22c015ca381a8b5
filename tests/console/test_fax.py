"""A fax beside its text: its pages come from a worker process, to those who may see originals, and never of what is marked."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from email.message import EmailMessage
from typing import Any

import pytest
import pytest_asyncio
from PIL import Image

from gateway.core.model import Message, RawMessage
from gateway.intake import take_in
from gateway.judging import Judged, judge
from gateway.store import incidents, messages
from gateway.workers import WorkerFailed, WorkerPool
from gateway_plugins.fax_mail import FaxMail, FaxSettings
from tests.console.room import Room
from tests.people.desk import CRASH

ONE = "云台区政府办报告：今日22时10分，云台区清水湾路口两车相撞，造成2人死亡。"
TWO = "伤者3人已送医院。报告人：李军"


def fax(pages: int = 2) -> bytes:
    sheets = [Image.new("1", (1728, 1100), 1) for _ in range(pages)]
    for number, sheet in enumerate(sheets):
        sheet.paste(0, (100, 100, 200 + 300 * number, 160))
    out = io.BytesIO()
    sheets[0].save(out, "TIFF", save_all=True, append_images=sheets[1:], compression="group4", dpi=(204, 98))
    mail = EmailMessage()
    mail["Subject"] = "fax"
    mail.set_content("Pages: 2")
    mail.add_attachment(out.getvalue(), maintype="image", subtype="tiff", filename="fax.tif")
    return mail.as_bytes()


@pytest_asyncio.fixture
async def pool() -> AsyncIterator[WorkerPool]:
    made = WorkerPool("show", 1, 512, 20.0)
    yield made
    await made.stop()


@pytest.fixture
def faxed(room: Room, pool: WorkerPool) -> str:
    """The id of a fax of two pages that joined the crash."""
    channel = FaxMail("fax", FaxSettings(addresses=("fax@gateway.test",)), None)
    room.services.live.channels = {"fax": channel}
    room.drawn = []  # type: ignore[attr-defined]

    async def picture(raw: RawMessage, page: int) -> object:
        room.drawn.append(page)  # type: ignore[attr-defined]
        return await pool.picture(channel, raw, page)

    async def read(raw: RawMessage) -> tuple[Judged, str | None]:
        text = f"{ONE}\n{TWO}"
        return judge(room.services.house.rules, raw, Message(text=text, pages=2, page_ends=(len(ONE), len(text))), {}), None

    room.services.picture = picture  # type: ignore[assignment]
    room.services.read = read
    raw = RawMessage(channel="fax", via="fax", received_at=room.desk.at, sender="09998811004", body=fax(), content_type="message/rfc822")
    id_ = room.desk.store.write_now(lambda tx: take_in(tx, raw, room.desk.at, 60)).id
    incident = room.desk.incident("2026-0001").id

    def join(tx: Any) -> None:
        messages.set_state(tx, id_, "read", incident=incident)
        incidents.link(tx, incident, id_, None, raw.sender, raw.received_at)

    room.desk.store.write_now(join)
    return id_


def at(id_: str, page: int | str = "") -> str:
    return f"/incident/1/message/{id_}/pages" + (f"/{page}" if page else "")


async def test_a_page_stands_beside_what_was_recognised_on_it(room: Room, faxed: str) -> None:
    clerk = room.browser("clerk")
    shown = await clerk.get(f"{at(faxed)}?page=2")
    assert "第 2 页，共 2 页" in shown.words and f'src="/incident/2026-0001/message/{faxed}/pages/2"' in shown.text
    assert TWO not in shown.words, "a fax is recognised again only when asked for"
    again = await clerk.get(f"/incident/1/message/{faxed}?page=2")
    assert "送医院" in again.words and "清水湾" not in again.words and "<mark" in again.text
    first = await clerk.get(at(faxed), **{"hx-request": "true"})
    assert "清水湾" in first.words and "送医院" not in first.words and "<html" not in first.text
    assert 'rel="next"' in first.text and 'rel="prev"' not in first.text


async def test_the_image_is_a_png_with_square_dots_made_once_in_a_worker(room: Room, faxed: str, pool: WorkerPool) -> None:
    clerk = room.browser("clerk")
    answers = [await clerk.get(at(faxed, page)) for page in (1, 2, 1)]
    assert [a.headers["content-type"] for a in answers] == ["image/png"] * 3
    with Image.open(io.BytesIO(answers[1].body)) as page:
        assert page.size == (1728, 2200), "98 lines to the inch become 196"
    assert answers[0].body == answers[2].body != answers[1].body
    assert room.drawn == [1, 2] and len(pool.pids) == 1  # type: ignore[attr-defined]
    assert answers[0].headers["cache-control"] == "no-store"
    assert [e.by for e in room.events("opened")] == ["李值班"], "a look is on record, once"


@pytest.mark.parametrize("page", ["0", "3", "-1", "x", "99999", "%00"])
async def test_a_page_that_is_not_there_is_not_found(room: Room, faxed: str, page: str) -> None:
    assert (await room.browser("clerk").get(at(faxed, page))).status == 404


async def test_it_is_refused_once_the_message_is_marked_and_the_try_is_on_record(room: Room, faxed: str) -> None:
    clerk = room.browser("clerk")
    assert (await clerk.get(at(faxed, 1))).status == 200
    room.desk.store.write_now(lambda tx: messages.set_state(tx, faxed, "quarantined", incident=room.desk.incident("2026-0001").id))
    for path in (at(faxed), at(faxed, 1), at(faxed, 2)):
        answer = await clerk.get(path)
        assert answer.status == 403 and b"PNG" not in answer.body, path
    [refused] = room.events("refused")
    assert refused.message == faxed and refused.data["who"] == "李值班" and refused.data["what"] == "page"
    assert "清水湾" not in (await clerk.get(f"/incident/1/message/{faxed}")).words


async def test_what_shows_its_marking_only_when_it_is_read_again_is_shown_no_more(room: Room, faxed: str) -> None:
    async def read(raw: RawMessage) -> tuple[Judged, str | None]:
        return judge(room.services.house.rules, raw, Message(text=f"机密★1年\n{ONE}"), {}), None

    room.services.read = read
    clerk = room.browser("clerk")
    assert (await clerk.get(at(faxed, 1))).status == 200
    assert "密级标志" in (await clerk.get(f"/incident/1/message/{faxed}")).words
    assert (await clerk.get(at(faxed, 1))).status == 403


async def test_a_message_of_another_incident_is_not_there(room: Room, faxed: str) -> None:
    room.desk.take(CRASH.replace("清水湾路口", "文昌路口").replace("22时10分", "21时10分"), "+8613800000008")
    clerk = room.browser("clerk")
    assert (await clerk.get(f"/incident/2/message/{faxed}/pages/1")).status == 404
    assert (await clerk.get(f"/incident/2/message/{faxed}/pages")).status == 404


async def test_pages_that_cannot_be_drawn_say_why_and_the_worker_lives(room: Room, faxed: str, pool: WorkerPool) -> None:
    channel = room.services.live.channels["fax"]
    raw = RawMessage(
        channel="fax", via="fax", received_at=room.desk.at, sender="1", content_type="message/rfc822",
        body=fax().replace(b"SUkqA", b"AAAAA"),
    )  # fmt: skip
    with pytest.raises(WorkerFailed, match="cannot be opened"):
        await pool.picture(channel, raw, 1)
    assert (await room.browser("clerk").get(at(faxed, 1))).status == 200


async def test_the_page_of_an_incident_asks_for_the_pages_by_itself(room: Room, faxed: str) -> None:
    page = await room.browser("clerk").get("/incident/1")
    assert f'hx-get="/incident/2026-0001/message/{faxed}/pages" hx-trigger="load"' in page.text
    assert "/pages" not in (await room.browser("readonly").get("/incident/1")).text

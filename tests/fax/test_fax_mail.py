"""Faxes as mail: the fax server's lines, the pages, what happens without recognition, and recognition itself."""

from __future__ import annotations

import io
import random
from datetime import timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

import numpy
import pytest
from PIL import Image, ImageDraw

from gateway.api import Message, RawMessage
from gateway.demo import messages
from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.fax import notice, ocr, pages
from gateway_plugins.fax_mail import FaxMail, FaxSettings
from tests.channel_fakes import NOW, FakeIntake, FakeServices

ADDRESS = "fax@gateway.test"


def channel(**changed: Any) -> FaxMail:
    return FaxMail("fax", FaxSettings(**({"addresses": (ADDRESS,)} | changed)))


def raw(body: bytes) -> RawMessage:
    return RawMessage(channel="fax", via="fax", received_at=NOW, sender="fax@h.test", body=body, content_type="message/rfc822")


def tiff() -> Image.Image:
    mail = message_from_bytes(messages.fax(NOW), policy=policy.default)
    part = next(part for part in mail.walk() if part.get_content_type() == "image/tiff")
    return Image.open(io.BytesIO(part.get_content()))


def saved(image: Image.Image, kind: str = "TIFF", **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, kind, **options)
    return out.getvalue()


def mail(*files: tuple[str, str, bytes], text: str = "Pages: 1\nCallID1: 09998811004\n", subject: str = "fax") -> bytes:
    made = EmailMessage(policy=policy.SMTP)
    made["Subject"] = subject
    made["Auto-Submitted"] = "auto-generated"
    made.set_content(text)
    for name, kind, data in files:
        main, _, sub = kind.partition("/")
        made.add_attachment(data, maintype=main, subtype=sub, filename=name)
    return made.as_bytes()


def read(body: bytes, **changed: Any) -> Message:
    return channel(**changed).read(raw(body))


@pytest.fixture
def no_ocr(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ocr, "available", lambda: False)


@pytest.fixture
def quick_ocr(monkeypatch: pytest.MonkeyPatch) -> list[Image.Image]:
    """Recognition that says how large each page was."""
    seen: list[Image.Image] = []

    def recognise(page: Image.Image) -> ocr.Recognised:
        seen.append(page)
        return ocr.Recognised(f"第{len(seen)}页", dropped=len(seen) == 2)

    monkeypatch.setattr(ocr, "available", lambda: True)
    monkeypatch.setattr(ocr, "recognise", recognise)
    return seen


def blank(width: int = 1728, height: int = 600) -> Image.Image:
    return Image.new("1", (width, height), 1)


# The real recognition on the demo's page.


def test_the_page_is_read() -> None:
    message = read(messages.fax(NOW))
    assert "昨日21时40分许，柳河县三岔镇石门村后山发生山体滑坡" in message.text
    assert "造成3人死亡、2人受伤，另有1人失踪。" in message.text, "a sentence broken by the end of a row is whole again"
    assert "报告人：孙平" in message.text
    assert (message.sender, message.pages, message.unread) == ("09997000110", 1, None)
    assert "ocr_dropped_line" not in message.flags
    assert not message.automatic
    (page,) = message.attachments
    assert page.data[:4] in (b"II*\0", b"MM\0*"), "the image is kept beside the text"
    assert page.text == message.text


def test_a_page_in_standard_mode_is_read_at_its_true_height() -> None:
    fine = tiff()
    standard = fine.resize((fine.width, fine.height // 2), Image.Resampling.NEAREST)
    data = saved(standard, compression="group4", dpi=(204, 98))
    (page,) = pages.images(data)
    assert page is not None
    assert page.height == 2 * standard.height
    message = read(mail(("f.tif", "image/tiff", data)))
    assert "3人死亡" in message.text


def test_a_line_that_recognition_left_out_is_noticed() -> None:
    grey = numpy.asarray(tiff().convert("L"))
    lines = [ocr.Line("字" * 24, 130, 560.0 + 112 * n, 1560, 630.0 + 112 * n) for n in range(9)]
    header = ocr.Line("字" * 24, 30, 10, 1700, 540)
    footer = ocr.Line("字" * 12, 900, 1600, 1600, 1720)
    assert not ocr.dropped_lines(grey, [header, footer, *lines]), "every line is covered; the speckle and the rule are no text"
    for missing in range(9):
        assert ocr.dropped_lines(grey, [header, footer, *lines[:missing], *lines[missing + 1 :]]), missing


def test_frames_rules_and_specks_are_no_text() -> None:
    page = Image.new("L", (1728, 2200), 255)
    draw = ImageDraw.Draw(page)
    for line in range(200, 2000, 90):
        draw.line((150, line, 1580, line), fill=0, width=5)
    for line in range(150, 1600, 286):
        draw.line((line, 200, line, 1990), fill=0, width=5)
    dots = random.Random(1)
    for _ in range(4000):
        page.putpixel((dots.randrange(1728), dots.randrange(2200)), 0)
    assert not ocr.dropped_lines(numpy.asarray(page), [])


# Rows into text.


def test_rows_are_joined_only_where_a_sentence_goes_on() -> None:
    lines = [
        ocr.Line("标题", 600, 0, 1100, 90), ocr.Line("各单位：", 140, 150, 400, 210),
        ocr.Line("昨日发生事故，造成3人死亡、2人受", 250, 260, 1500, 320), ocr.Line("伤，正在处置", 140, 370, 1500, 430),
        ocr.Line("，原因待查。", 140, 480, 400, 540), ocr.Line("二、下一步工作", 140, 590, 700, 650),
        ocr.Line("右", 900, 704, 1000, 756), ocr.Line("左", 140, 700, 240, 760),
    ]  # fmt: skip
    assert ocr.join(lines) == "标题\n各单位：\n昨日发生事故，造成3人死亡、2人受伤，正在处置，原因待查。\n二、下一步工作\n左 右"
    assert ocr.join([]) == ""


# Without recognition, and where it fails.


def test_without_recognition_a_person_must_read_and_the_pages_are_kept(no_ocr: None) -> None:
    message = read(messages.fax(NOW))
    assert (message.text, message.unread, message.pages) == ("", "fax not read: 1 pages", 1)
    assert message.attachments[0].pages == 1
    assert message.attachments[0].text is None


def test_recognition_may_be_turned_off(quick_ocr: list[Image.Image]) -> None:
    assert read(mail(("f.tif", "image/tiff", saved(blank()))), ocr=False).unread == "fax not read: 1 pages"
    assert quick_ocr == []


def test_pages_are_joined_and_a_dropped_line_flagged(quick_ocr: list[Image.Image]) -> None:
    data = saved(blank(), save_all=True, append_images=[blank(), blank()])
    message = read(mail(("f.tif", "image/tiff", data), text="Pages: 3\n"))
    assert (message.text, message.pages, message.unread) == ("第1页\n第2页\n第3页", 3, None)
    assert "ocr_dropped_line" in message.flags


def test_too_many_pages_are_said_to_be_unread(quick_ocr: list[Image.Image]) -> None:
    data = saved(blank(), save_all=True, append_images=[blank()] * 4)
    message = read(mail(("f.tif", "image/tiff", data)), max_pages=2)
    assert (message.text, message.unread) == ("第1页\n第2页", "fax not read: 3 of 5 pages")


def test_pages_that_never_arrived_are_said_to_be_unread(quick_ocr: list[Image.Image]) -> None:
    message = read(mail(("f.tif", "image/tiff", saved(blank())), text="Pages: 3\n"))
    assert (message.pages, message.unread) == (3, "fax not read: 2 of 3 pages")


def test_time_over(quick_ocr: list[Image.Image], monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(0, 1000, 50))
    monkeypatch.setattr("gateway_plugins.fax_mail.time.monotonic", lambda: float(next(ticks)))
    data = saved(blank(), save_all=True, append_images=[blank()] * 4)
    assert read(mail(("f.tif", "image/tiff", data)), ocr_seconds=120).unread == "fax not read: 3 of 5 pages"


def test_recognition_that_fails_loses_no_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(page: object) -> ocr.Recognised:
        raise RuntimeError("model")

    monkeypatch.setattr(ocr, "recognise", broken)
    message = read(mail(("f.tif", "image/tiff", saved(blank()))))
    assert (message.text, message.unread) == ("", "fax not read: 1 pages")
    assert "ocr_failed" in message.flags


@pytest.mark.parametrize(
    "data", [b"", b"II*\0", b"II*\0" + b"\xff" * 500, b"%PDF-1.4 nonsense", b"no image at all", saved(blank())[:60]]
)
def test_damaged_pages_need_a_person(data: bytes) -> None:
    message = read(mail(("f.tif", "image/tiff", data)))
    assert (message.text, message.unread) == ("", "fax not read: 1 pages")


def test_a_page_of_absurd_size_is_not_opened(quick_ocr: list[Image.Image]) -> None:
    message = read(mail(("f.tif", "image/tiff", saved(blank(20_000, 20_000), compression="group4"))))
    assert message.unread == "fax not read: 1 pages"
    assert quick_ocr == []


def test_tiff_and_pdf_of_one_fax_are_read_once(quick_ocr: list[Image.Image]) -> None:
    pdf = saved(blank().convert("L"), "PDF")
    message = read(mail(("f.tif", "image/tiff", saved(blank())), ("f.pdf", "application/pdf", pdf)))
    assert (message.text, message.pages, message.unread) == ("第1页", 1, None)
    assert [(file.name, file.pages) for file in message.attachments] == [("f.tif", 1), ("f.pdf", 1)]


def test_pdf_of_a_printer_is_read(quick_ocr: list[Image.Image]) -> None:
    pdf = saved(blank().convert("L"), "PDF", save_all=True, append_images=[blank().convert("L")], resolution=204)
    message = read(mail(("scan.pdf", "application/octet-stream", pdf), text="", subject="来自 0999-8811004 的传真"))
    assert (message.text, message.pages, message.sender) == ("第1页\n第2页", 2, "09998811004")


def test_mail_without_pages_is_said(no_ocr: None) -> None:
    message = read(mail(text="线路故障，无传真。"))
    assert message.unread == "fax without pages"
    assert message.text == "线路故障，无传真。"


# The fax server's lines.


@pytest.mark.parametrize(
    ("text", "subject", "sender", "number"),
    [
        (
            "            Sender: 0999 7000110\n             Pages: 12\n           CallID1: +86 999 881-1004\n",
            "",
            "+869998811004",
            12,
        ),
        ("Sender: 0999 7000110\nCallID1: \nCallID2: x\n", "", "09997000110", 0),
        ("Sender: GOVERNMENT\n", "facsimile received from 09997000110", "09997000110", 0),
        ("传真号码：0999-8811007\n页数：2\n", "", "09998811007", 2),
        ("", "", "", 0),
    ],
)
def test_notices(text: str, subject: str, sender: str, number: int) -> None:
    assert (found := notice.usual(text, subject)).sender == sender
    assert found.pages == number


# The shared listener.


@pytest.mark.parametrize("fax_first", [True, False])
async def test_either_channel_may_start_first(fax_first: bool) -> None:
    services = FakeServices()
    listener = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",)), services)
    fax, intake = FaxMail("fax", FaxSettings(addresses=(ADDRESS,)), services), FakeIntake()
    services.channels = {"mail": listener, "fax": fax}
    for starting in (fax, listener) if fax_first else (listener, fax):
        await starting.start(intake)
    await _send(listener.ports[0])
    assert [(m.channel, m.via, m.recipient) for m in intake.messages] == [("fax", "fax", ADDRESS)]
    assert fax.health().state == "up"
    await fax.stop()
    assert fax.health().state == "down"
    with pytest.raises(Exception, match="550"):
        await _send(listener.ports[0])
    await listener.stop()


async def test_a_listener_that_is_not_there_yet_is_waited_for() -> None:
    import asyncio

    services = FakeServices()
    fax = FaxMail("fax", FaxSettings(addresses=(ADDRESS,)), services)
    await fax.start(FakeIntake())
    assert fax.health().state == "connecting"
    services.channels["mail"] = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",)), services)
    async with asyncio.timeout(5):
        while fax.health().state != "up":
            await asyncio.sleep(0.02)
    await fax.stop()


async def _send(port: int) -> None:
    import aiosmtplib

    body = messages.fax(NOW + timedelta(hours=1))
    await aiosmtplib.send(body, sender="f@h.test", recipients=[ADDRESS], hostname="127.0.0.1", port=port, start_tls=False)


async def test_the_page_is_read_within_a_workers_limits() -> None:
    from gateway.workers import WorkerPool

    pool = WorkerPool("ocr", 1, 3072, 60.0)
    try:
        message = await pool.read(channel(), raw(messages.fax(NOW)))
    finally:
        await pool.stop()
    assert "造成3人死亡、2人受伤" in message.text
    assert message.unread is None


# --- pages for a person


def one_pdf(*sheets: Image.Image) -> bytes:
    return saved(sheets[0], "PDF", save_all=True, append_images=list(sheets[1:]))


@pytest.mark.parametrize("compression", ["group3", "group4"])
def test_each_page_is_drawn_as_it_came_in_black_and_white(compression: str) -> None:
    sheets = [blank(1728, 600), blank(1728, 700)]
    body = mail(("f.tif", "image/tiff", saved(sheets[0], save_all=True, append_images=sheets[1:], compression=compression, dpi=(204, 196))))
    drawn = [channel().picture(raw(body), page) for page in (1, 2)]
    assert [one.pages for one in drawn if one] == [2, 2] and channel().picture(raw(body), 3) is None
    for one, sheet in zip(drawn, sheets, strict=True):
        assert one is not None and one.content_type == "image/png"
        with Image.open(io.BytesIO(one.data)) as page:
            assert page.size == sheet.size and page.mode == "1"


def test_pages_of_a_pdf_are_drawn_and_those_of_a_tiff_go_before_them() -> None:
    pdf = one_pdf(blank().convert("L"), blank().convert("L"), blank().convert("L"))
    found = channel().picture(raw(mail(("f.pdf", "application/pdf", pdf))), 3)
    assert found is not None and found.pages == 3
    both = channel().picture(raw(mail(("f.pdf", "application/pdf", pdf), ("f.tif", "image/tiff", saved(blank())))), 1)
    assert both is not None and both.pages == 1


def test_it_is_known_where_each_page_ends_also_behind_one_that_cannot_be_read(quick_ocr: list[Image.Image]) -> None:
    three = one_pdf(*[blank().convert("L")] * 3)
    found = read(mail(("f.pdf", "application/pdf", three)), max_pages=2)
    assert found.text == "第1页\n第2页" and found.page_ends == (3, 7, 7)
    assert read(mail(("f.pdf", "application/pdf", three), ("g.tif", "image/tiff", b"II*\0damaged")), max_pages=2).page_ends == (0,)

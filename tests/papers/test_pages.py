"""Official papers on pages: the text taken out again is the data, the layout is that of GB/T 9704-2012, faults never reach a delivery."""

from __future__ import annotations

import asyncio
import io
import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from gateway.core.model import Delivery
from gateway.papers import blocks, docx, incident, making, press
from gateway.papers.outgoing import Papers
from gateway.papers.press import NotPrinted, Order, Press
from gateway.settings import Config
from gateway.testing import MemoryServices
from gateway_plugins.paper import sheet
from tests.papers.conftest import DAY, SAID

MM = 72 / 25.4


@pytest.fixture(scope="module")
def pdf(config: Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The paper of ``SAID``."""
    made = press.pages(Order(html=incident.html(SAID, config, DAY, mark="01JDELIVERY"), form="pdf", most=20))
    assert made.reason == ""
    path = tmp_path_factory.mktemp("paper") / "paper.pdf"
    path.write_bytes(made.data)
    return path


def text_of(path: Path, *more: str) -> str:
    return subprocess.run(["pdftotext", *more, str(path), "-"], capture_output=True, text=True, check=True).stdout


def tight(text: str) -> str:
    return re.sub(r"\s", "", text)


EXPECTED = (
    "内部资料注意保管", "特急", "紧急信息专报", "〔2026〕0123号", "签发人：刘副县长", "关于白水县新华路一仓库发生火灾的情况报告",
    "市委、市政府领导：", "时间：2026年3月5日22时30分（左右）", "地点：白水县新华路18号永丰仓储公司三号仓库",
    "伤亡损失：死亡2人，受伤4人，直接经济损失约120万元", "事故等级：较大", "起因：初步判断为电气线路短路",
    "已采取措施：出动12辆消防车、60名救援人员；疏散群众86人", "领导态度：县委书记要求全力救治伤员", "下一步：核查失联人员",
    "报送依据：事故类-4", "理由：事故类-4：死亡2≥1", "待核：标准-3是否敏感部位待核", "尚缺要素：范围、审签人",
    "来源：白水县委办，报告人张明（09998123456），2026年3月5日22时52分经电子邮件收到。", "附件：来报原文", "江州市值班室",
    "2026年3月6日", "白水县委办报告：今晚十时半许，新华路一仓库起火，两人死亡、四人受伤。联系人：张明", "2026年3月6日印发",
)  # fmt: skip


def test_the_text_of_the_pages_is_the_data(pdf: Path) -> None:
    found = re.sub(r"—\d+—|01JDELIVERY", "", tight(text_of(pdf)))
    missing = [line for line in EXPECTED if line not in found]
    assert missing == []
    at = [found.index(line) for line in EXPECTED[:6]]
    assert at == sorted(at), "marking, urgency, heading, number, signatory and title stand in this order"


def test_word_and_plain_text_say_the_same_as_the_pages(config: Config, pdf: Path) -> None:
    import docx as reader

    html = incident.html(SAID, config, DAY)
    document = reader.Document(io.BytesIO(docx.make(html, making.fonts(config))))
    word = tight("".join(paragraph.text for paragraph in document.paragraphs))
    plain = tight(blocks.text(html))
    assert word == plain
    pages = re.sub(r"—\d+—|01JDELIVERY", "", tight(text_of(pdf)))
    assert sorted(pages) == sorted(plain), "the very same characters, whatever the lines"
    section = document.sections[0]
    edges = (section.page_width, section.top_margin, section.bottom_margin, section.left_margin, section.right_margin)
    assert [round(edge.mm) for edge in edges] == [210, 37, 35, 28, 26]
    head = next(p for p in document.paragraphs if p.text == "紧急信息专报")
    assert str(head.runs[0].font.color.rgb) == "E60012" and head.runs[0].font.size.pt == 44


def test_the_type_area_is_156_by_225_mm_on_a4(pdf: Path) -> None:
    info = subprocess.run(["pdfinfo", str(pdf)], capture_output=True, text=True, check=True).stdout
    assert "(A4)" in info
    boxes = re.findall(r'<word xMin="([\d.]+)" yMin="([\d.]+)" xMax="([\d.]+)" yMax="([\d.]+)">([^<]+)', text_of(pdf, "-bbox"))
    body = [(float(a), float(b), float(c), float(d), word) for a, b, c, d, word in boxes if not re.fullmatch(r"—|\d+|01J\w+", word)]
    assert min(one[0] for one in body) >= 28 * MM - 1
    # A mark at the end of a line may hang out by its own width.
    assert max(one[2] for one in body) <= (28 + 156) * MM + 17
    assert min(one[1] for one in body) >= 37 * MM - 6 and max(one[3] for one in body) <= (297 - 35) * MM + 6
    first = next(one for one in body if one[4].startswith("内部资料"))
    assert first[0] == pytest.approx(28 * MM, abs=2) and first[1] == pytest.approx(37 * MM, abs=12), "upper left of the type area"


def test_heading_and_rule_are_red_and_nothing_else_is(pdf: Path, tmp_path: Path) -> None:
    subprocess.run(["pdftoppm", "-r", "60", "-png", str(pdf), str(tmp_path / "page")], check=True)
    pages = [Image.open(one).convert("RGB") for one in sorted(tmp_path.glob("page-*.png"))]
    assert len(pages) >= 2

    def red(page: Image.Image, box: tuple[float, float, float, float]) -> int:
        width, height = page.size
        part = page.crop((int(box[0] * width), int(box[1] * height), int(box[2] * width), int(box[3] * height)))
        pixels = part.load()
        return sum(
            pixels[x, y][0] > 150 and pixels[x, y][1] < 90 for x in range(part.width) for y in range(part.height)
        )  # fmt: skip

    first = pages[0]
    assert red(first, (0.1, 0.15, 0.9, 0.32)) > 300, "the heading"
    assert red(first, (0.1, 0.32, 0.9, 0.45)) > 200, "the rule under number and signatory"
    assert red(first, (0, 0.5, 1, 1)) == 0 and all(red(page, (0, 0, 1, 1)) == 0 for page in pages[1:])
    dark = first.convert("L").point([255 * (level < 128) for level in range(256)]).getbbox()
    assert dark is not None and dark[0] / first.width == pytest.approx(28 / 210, abs=0.02)


@pytest.mark.parametrize(
    ("kind", "title"),
    [("续报二", "关于白水县新华路一仓库发生火灾的续报（二）"), ("续报", "关于白水县新华路一仓库发生火灾的续报"),
     ("终报", "关于白水县新华路一仓库发生火灾的终报"), ("初报", "关于白水县新华路一仓库发生火灾的情况报告")],
)  # fmt: skip
def test_a_further_report_says_which_it_is(config: Config, kind: str, title: str) -> None:
    html = incident.html({**SAID, "kind": kind, "level": ""}, config, DAY)
    lines = blocks.text(html).splitlines()
    assert title in lines and "值班信息" in lines and "加急" in lines, "without a degree it is no special report"


def test_what_came_from_outside_is_text_and_nothing_else(config: Config) -> None:
    evil = '<script>alert(1)</script><img src="file:///etc/passwd"> {{ 7*7 }} \x00\x1b[31m\u202e ' + "长" * 1_000_000
    html = incident.html({**SAID, "text": evil, "title": "<b>x</b>{% raw %}"}, config, DAY)
    assert "<script>" not in html and "<img" not in html and "49" not in html and "\x1b" not in html and "\u202e" not in html
    assert len(html) < 60_000 and "以下略" in html
    made = press.pages(Order(html=html, form="pdf", most=200))
    assert made.pages > 5
    assert press.pages(Order(html=html, form="pdf", most=2)).reason.startswith(("too many", "页数过多"))


def test_a_paper_fetches_neither_files_nor_addresses(tmp_path: Path) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("看不得")
    html = f'<p>文</p><img src="file://{secret}"><link rel="stylesheet" href="http://127.0.0.1:9/x"><a rel="attachment" href="file://{secret}">a</a>'
    made = press.pages(Order(html=html, form="pdf", most=5))
    assert made.pages == 1 and "看不得".encode() not in made.data and b"secret.txt" not in made.data.split(b"/URI")[0]


async def test_fax_pages_are_what_a_fax_machine_speaks(config: Config) -> None:
    made = await Press(60, 1024).make(incident.html(SAID, config, DAY), "tiff", 20)
    page = Image.open(io.BytesIO(made.data))
    assert (page.size, page.mode, page.n_frames) == ((1728, 2292), "1", made.pages)
    tags = page.tag_v2
    assert (tags[259], tags[262], len(tags[273])) == (4, 0, 1), "G4, white is 0, one strip"
    black = sum(page.convert("L").histogram()[:128])
    assert 5_000 < black < 1728 * 2292 // 4


async def test_a_press_that_takes_too_long_or_too_much_is_given_up(config: Config) -> None:
    html = incident.html(SAID, config, DAY)
    with pytest.raises(NotPrinted):
        await Press(0.05, 1024).make(html, "pdf", 20)
    with pytest.raises(NotPrinted):
        await Press(60, 64).make(html, "pdf", 20)


class Raised:
    def __init__(self) -> None:
        self.alarms: list[tuple[str, str]] = []

    def raise_(self, what: str, *, why: str, **data: Any) -> None:
        self.alarms.append((what, why))


def delivery(**changes: Any) -> Delivery:
    made = {"id": "01JD", "incident": "2026-0123", "destination": "duty", "transport": "print", "address": "duty",
            "subject": "【紧急信息】〔2026〕0123", "text": "平页正文", "short_text": "短", "paper": SAID}  # fmt: skip
    return Delivery(**(made | changes))


def papers() -> tuple[Papers, Raised]:
    raised = Raised()
    return Papers(raised, lambda: datetime(2026, 3, 5, 16, 10, tzinfo=UTC)), raised  # type: ignore[arg-type]


async def test_whatever_goes_wrong_there_is_an_alarm_and_no_paper_and_the_next_try_knows(config: Config) -> None:
    maker, raised = papers()
    hurried = replace(config, dispatch=config.dispatch.model_copy(update={"send_timeout": 0.05}))
    assert await maker.make(delivery(), "pdf", hurried) is None
    assert [what for what, _why in raised.alarms] == ["paper"] and "紧急" not in raised.alarms[0][1]
    assert await maker.make(delivery(), "pdf", hurried) is None and len(raised.alarms) == 1, "asked again it costs no time"
    assert await maker.make(delivery(id="01JE", paper={}), "pdf", config) is None and len(raised.alarms) == 1


async def test_a_template_that_fails_gives_way_to_the_built_in_one(config: Config) -> None:
    maker, raised = papers()
    broken = replace(config, paper_templates={"paper.html": "{% extends 'layout.html' %}\n{% block body %}\n{{ p.text / 2 }}\n{% endblock %}"})
    made = await maker.make(delivery(), "pdf", broken)
    assert made is not None and made.startswith(b"%PDF")
    assert [(what, "templates/paper.html:3" in why) for what, why in raised.alarms] == [("paper", True)]


async def test_a_template_that_writes_a_marking_makes_no_paper(config: Config) -> None:
    maker, raised = papers()
    marked = replace(config, paper_templates={"paper.html": "{% extends 'layout.html' %}{% block body %}<p>机密★10年</p>{% endblock %}"})
    assert await maker.make(delivery(), "pdf", marked) is None and len(raised.alarms) == 1


async def test_the_loop_goes_on_while_a_paper_is_made(config: Config) -> None:
    maker, _raised = papers()
    task, longest, loop = asyncio.create_task(maker.make(delivery(), "pdf", config)), 0.0, asyncio.get_running_loop()
    while not task.done():
        before = loop.time()
        await asyncio.sleep(0)
        longest = max(longest, loop.time() - before)
    assert await task is not None
    assert longest < 0.5


async def test_machines_get_the_paper_where_there_is_one_and_else_the_plain_page() -> None:
    services, settings = MemoryServices(papers={"pdf": b"%PDF paper"}), sheet.PaperSettings()
    assert await sheet.pages(services, delivery(), "pdf", settings) == b"%PDF paper"
    for asked, lent, how in (
        (delivery(paper={}), services, settings), (delivery(), MemoryServices(), settings), (delivery(), None, settings),
        (delivery(), services, sheet.PaperSettings(form="plain")),
    ):  # fmt: skip
        plain = await sheet.pages(lent, asked, "pdf", how)
        assert plain.startswith(b"%PDF") and plain != b"%PDF paper"

"""``render``: a title and a text as A4 pages, for a fax machine (TIFF, 204×196 dots an inch, 1 bit, G4) or a printer (PDF).

The plain form. Reports leave as official papers, which the gateway makes (``pages``); where it cannot, and for reminders and
notices, this is what is sent.
The TIFF is what fax machines speak themselves: 1728 dots wide, white is 0, one strip a page (ITU-T T.4, TIFF class F, RFC 2306),
so that a fax server has nothing to scale or to draw again.
"""

from __future__ import annotations

import asyncio
import functools
import io
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gateway.api import Delivery, Field, Services, Settings, _
from gateway_plugins.paper import layout

FONTS = (
    "/usr/share/fonts/opentype/noto/NotoSerifCJK-Regular.ttc",
    "/usr/share/fonts/opentype/noto/NotoSansCJK-Regular.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-zenhei.ttc",
    "/usr/share/fonts/truetype/wqy/wqy-microhei.ttc",
    "/usr/share/fonts/truetype/arphic/uming.ttc",
)
"""Fonts with Chinese characters where Debian's packages put them: fonts-noto-cjk, -wqy-zenhei, -wqy-microhei, -arphic-uming."""
FAX_WIDTH, FAX_ACROSS, FAX_DOWN = 1728, 204.0, 196.0
PRINT = 300.0
A4_MM = (210.0, 297.0)
LEFT_MM, RIGHT_MM, TOP_MM, BOTTOM_MM = 28.0, 24.0, 22.0, 22.0
TITLE_PT, FOOT_PT, LINE = 20.0, 9.0, 1.65
THRESHOLD = 140
Form = Literal["tiff", "pdf"]


class PaperSettings(Settings):
    """What every transport that ends on paper has."""

    form: Literal["paper", "plain"] = Field(
        "paper",
        description="paper: reports go out as official papers (papers.toml); plain: as plain pages, as everything else does",
    )
    fonts: tuple[str, ...] = Field(
        FONTS, min_length=1, description="font files with Chinese characters; the first that is there is used"
    )
    size_pt: float = Field(15, ge=9, le=30, description="size of the text in points")
    max_pages: int = Field(20, ge=1, le=200, description="a text that needs more pages is refused, never cut")


class NoFont(Exception):
    """None of the fonts can be used. The text says which and what to install."""


class TooLong(Exception):
    """More pages than allowed. The text says how many."""


@dataclass(frozen=True, slots=True)
class Paper:
    """Pages as a file."""

    data: bytes
    pages: int


@dataclass(frozen=True, slots=True)
class Sheet:
    """What is to stand on the pages: ``foot`` is at the bottom of each, beside the page's number."""

    title: str
    text: str
    foot: str


def render(sheet: Sheet, form: Form, settings: PaperSettings) -> Paper:
    """The pages of ``sheet``. Takes tens of milliseconds a page: call it in a thread. Raises ``NoFont`` or ``TooLong``."""
    dpi = FAX_ACROSS if form == "tiff" else PRINT
    pen = _Pen(font_file(settings), dpi, settings.size_pt)
    parts = pen.set(sheet, settings.max_pages)
    drawn = [pen.draw(part, sheet.title if number == 0 else "", _foot(sheet.foot, number + 1, len(parts)))
             for number, part in enumerate(parts)]  # fmt: skip
    return Paper(_tiff(drawn) if form == "tiff" else _pdf(drawn), len(drawn))


async def pages(services: Services | None, delivery: Delivery, form: Form, settings: PaperSettings) -> bytes:
    """What goes to the machine: the official paper where there is one, else a plain page. Raises ``NoFont`` or ``TooLong``."""
    if services is not None and settings.form == "paper" and delivery.paper:
        made = await services.paper(delivery, form)
        if made is not None:
            return made
    sheet = Sheet(title=delivery.subject, text=delivery.text, foot=delivery.id)
    return (await asyncio.to_thread(render, sheet, form, settings)).data


def font_file(settings: PaperSettings) -> str:
    """The font that is used. Raises ``NoFont``."""
    found = next((name for name in settings.fonts if Path(name).is_file()), None)
    if found is None:
        text = _("none of the fonts is there ({fonts}): apt-get install fonts-noto-cjk, or name one in fonts")
        raise NoFont(text.format(fonts=", ".join(Path(name).name for name in settings.fonts)))
    return found


def _foot(text: str, number: int, total: int) -> str:
    return f"{text}    第 {number} 页 共 {total} 页"


class _Pen:
    """Fonts at one resolution."""

    def __init__(self, file: str, dpi: float, size_pt: float) -> None:
        self.dpi, self.size_pt = dpi, size_pt
        self.title, self.body, self.foot = (_face(file, round(pt * dpi / 72)) for pt in (TITLE_PT, size_pt, FOOT_PT))
        self.width = FAX_WIDTH if dpi == FAX_ACROSS else round(A4_MM[0] / 25.4 * dpi)
        self.height = round(A4_MM[1] / 25.4 * dpi)
        self.step = round(size_pt * LINE * dpi / 72)
        self._wide: dict[tuple[int, str], float] = {}

    def mm(self, length: float) -> int:
        return round(length / 25.4 * self.dpi)

    def wide(self, face: Any, char: str) -> float:
        """How far a character moves the pen; remembered, as a report says the same ones again and again."""
        known = self._wide.get((id(face), char))
        if known is None:
            known = self._wide[id(face), char] = float(face.getlength(char))
        return known

    def set(self, sheet: Sheet, most: int) -> list[list[str]]:
        room = self.width - self.mm(LEFT_MM + RIGHT_MM)
        height = self.height - self.mm(TOP_MM + BOTTOM_MM)
        made = layout.lines(_printable(sheet.text), room, lambda char: self.wide(self.body, char))
        head = len(self._title_lines(sheet.title)) * round(TITLE_PT * LINE * self.dpi / 72) + self.step
        parts = layout.pages(made, max(1, (height - head) // self.step), height // self.step)
        if len(parts) > most:
            raise TooLong(_("the text needs {pages} pages; allowed: {most}").format(pages=len(parts), most=most))
        return parts

    def _title_lines(self, title: str) -> list[str]:
        room = self.width - self.mm(LEFT_MM + RIGHT_MM)
        return layout.lines(_printable(title).replace("\n", " ")[:200], room, lambda char: self.wide(self.title, char))

    def draw(self, part: list[str], title: str, foot: str) -> Any:
        """One page, grey."""
        from PIL import Image, ImageDraw

        page = Image.new("L", (self.width, self.height), 255)
        pencil = ImageDraw.Draw(page)
        y = self.mm(TOP_MM)
        if title:
            for line in self._title_lines(title):
                pencil.text((self.width // 2, y), line, fill=0, font=self.title, anchor="ma")
                y += round(TITLE_PT * LINE * self.dpi / 72)
            pencil.line((self.mm(LEFT_MM), y, self.width - self.mm(RIGHT_MM), y), fill=0, width=max(2, self.mm(0.4)))
            y += self.step
        for line in part:
            pencil.text((self.mm(LEFT_MM), y), line, fill=0, font=self.body, anchor="la")
            y += self.step
        below = self.height - self.mm(BOTTOM_MM) + self.mm(4)
        pencil.text((self.width // 2, below), _printable(foot), fill=0, font=self.foot, anchor="ma")
        return page


@functools.lru_cache(maxsize=32)
def _face(file: str, size: int) -> Any:
    """A face of a font file: of a collection the simplified Chinese one. Raises ``NoFont``."""
    from PIL import ImageFont

    first = None
    for index in range(16):
        try:
            face = ImageFont.truetype(file, size, index=index)
        except OSError:
            break
        first = first or face
        if (face.getname()[0] or "").endswith(" SC"):
            return face
    if first is None:
        raise NoFont(_("{file} is no font that can be read").format(file=Path(file).name))
    return first


def _printable(text: str) -> str:
    return "".join(char for char in text if char in "\n\t" or unicodedata.category(char) not in ("Cc", "Cf", "Cs"))


def _black(page: Any, size: tuple[int, int]) -> Any:
    """Black or white at the resolution of the medium."""
    from PIL import Image

    scaled = page if page.size == size else page.resize(size, Image.Resampling.LANCZOS)
    return scaled.point([255 * (level > THRESHOLD) for level in range(256)], mode="1")


def _tiff(drawn: list[Any]) -> bytes:
    made = [_black(page, (FAX_WIDTH, round(A4_MM[1] / 25.4 * FAX_DOWN))) for page in drawn]
    out = io.BytesIO()
    # 262: white is 0; the strip holds a whole page.
    made[0].save(
        out, "TIFF", save_all=True, append_images=made[1:], compression="group4", dpi=(FAX_ACROSS, FAX_DOWN), tiffinfo={262: 0},
        strip_size=1 << 24,
    )  # fmt: skip
    return out.getvalue()


def _pdf(drawn: list[Any]) -> bytes:
    made = [_black(page, page.size) for page in drawn]
    out = io.BytesIO()
    made[0].save(out, "PDF", save_all=True, append_images=made[1:], resolution=PRINT)
    return out.getvalue()

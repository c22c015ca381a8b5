"""A paper as DOCX: the same blocks as the pages, in Word's own styles, so that an office can go on writing in it.

Measures are those of GB/T 9704-2012: A4, margins 37, 35, 28 and 26 mm, 22 lines of 28 characters a page, size 3 (16 points).
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from gateway.papers.blocks import Block, read

RED = "E60012"
LINE_PT = 28.9
INDENT = 2
SIZES = {"h1": 22.0, "head": 44.0, "original": 14.0, "imprint": 14.0, "caption": 12.0}
FACES = {
    "h1": "title", "h2": "hei", "h3": "kai", "head": "title", "marking": "hei", "urgency": "hei", "original": "song",
    "caption": "kai",
}  # fmt: skip


def make(
    html: str, fonts: Mapping[str, tuple[str, ...]], *, head_pt: float = 44.0, pictures: Mapping[str, bytes] | None = None
) -> bytes:
    """The file; ``pictures`` are its plots as PNG by their ids, one that is missing is left out. Raises ``ImportError`` where
    python-docx is not installed."""
    import docx
    from docx.shared import Mm

    document = docx.Document()
    section = document.sections[0]
    section.page_width, section.page_height = Mm(210), Mm(297)
    section.top_margin, section.bottom_margin, section.left_margin, section.right_margin = Mm(37), Mm(35), Mm(28), Mm(26)
    section.footer_distance = Mm(25)
    _grid(section)
    writer = _Writer(document, {name: tried[0] for name, tried in fonts.items()}, head_pt, pictures or {})
    writer.footers(section)
    blocks = read(html)
    title = next((one.text for one in blocks if one.kind == "h1"), "")
    document.core_properties.title = title
    document.core_properties.author = ""
    for block in blocks:
        writer.put(block)
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()


class _Writer:
    def __init__(self, document: Any, fonts: Mapping[str, str], head_pt: float, pictures: Mapping[str, bytes]) -> None:
        self.document, self.fonts, self.head_pt, self.pictures = document, fonts, head_pt, pictures
        self._under: Any = None

    def put(self, block: Block) -> None:
        if block.kind == "hr":
            self.rule()
        elif block.kind == "table":
            self.table(block)
        elif block.plot:
            self.picture(block)
        else:
            self.paragraph(block)

    def rule(self) -> None:
        """The red line stands below the paragraph before it."""
        if self._under is not None:
            _border(self._under, "bottom", RED, 17)

    def picture(self, block: Block) -> None:
        """A plot, as wide as the text, with its name for whoever does not see it."""
        from docx.shared import Mm

        if block.plot in self.pictures:
            drawn = self.document.add_picture(io.BytesIO(self.pictures[block.plot]), width=Mm(156))
            drawn._inline.docPr.set("descr", block.alt)
            self.document.paragraphs[-1].paragraph_format.keep_with_next = True
        self._under = None

    def paragraph(self, block: Block) -> None:
        from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_LINE_SPACING, WD_TAB_ALIGNMENT
        from docx.shared import Mm, Pt

        sort = next((one for one in (*block.sorts, block.kind) if one in FACES or one in SIZES), block.kind)
        size = self.head_pt if sort == "head" else SIZES.get(sort, 16.0)
        made = self.document.add_paragraph()
        form = made.paragraph_format
        form.space_before = form.space_after = Pt(0)
        form.line_spacing_rule, form.line_spacing = WD_LINE_SPACING.EXACTLY, Pt(max(LINE_PT, size * 1.25))
        form.page_break_before = block.new_page
        form.widow_control = False
        plain = block.kind == "p" and not {*block.sorts} & {
            "to",
            "flush",
            "marking",
            "urgency",
            "head",
            "numberline",
            "sign",
            "date",
            "original",
            "imprint",
            "caption",
        }
        if plain or (block.kind in ("h2", "h3") and "flush" not in block.sorts):
            form.first_line_indent = Pt(size * INDENT)
            made.alignment = WD_ALIGN_PARAGRAPH.JUSTIFY
        if block.kind in ("h1",) or {"head", "caption"} & {*block.sorts}:
            made.alignment = WD_ALIGN_PARAGRAPH.CENTER
        if block.kind in ("h1", "h2", "h3"):
            form.keep_with_next = True
            self._outline(made, int(block.kind[1]))
        if block.kind == "h1":
            form.space_before, form.space_after = Pt(0 if "plain" in block.sorts else LINE_PT * 2), Pt(LINE_PT)
        if {"sign", "date"} & {*block.sorts}:
            made.alignment, form.right_indent = WD_ALIGN_PARAGRAPH.RIGHT, Pt(64)
            form.space_before = Pt(LINE_PT * 2 if "sign" in block.sorts else 0)
        if "attachment" in block.sorts:
            form.space_before = Pt(LINE_PT)
        if {"numberline", "printed"} & {*block.sorts}:
            form.tab_stops.add_tab_stop(Mm(156), WD_TAB_ALIGNMENT.RIGHT)
            form.space_before = Pt(LINE_PT if "numberline" in block.sorts else 0)
        if "imprint" in block.sorts:
            _border(made, "top", "000000", 8 if "copies" in block.sorts else 6)
            if "printed" in block.sorts:
                _border(made, "bottom", "000000", 8)
        if "alone" in block.sorts:
            made.alignment = WD_ALIGN_PARAGRAPH.CENTER
        self.runs(made, block, sort, size)
        self._under = made

    def runs(self, made: Any, block: Block, sort: str, size: float) -> None:
        from docx.shared import Pt, RGBColor

        face = FACES.get(sort, "fangsong")
        apart = ""
        for piece in block.pieces:
            if apart and piece.sort not in ("", "b", apart):
                made.add_run("\t")
            apart = piece.sort if piece.sort not in ("", "b") else apart
            run = made.add_run(piece.text)
            run.font.size = Pt(size)
            run.font.bold = sort in ("h1", "head")
            self._face(run, self.fonts["kai" if piece.sort == "b" else face])
            if sort == "head":
                run.font.color.rgb = RGBColor.from_string(RED)

    def table(self, block: Block) -> None:
        from docx.enum.table import WD_TABLE_ALIGNMENT
        from docx.enum.text import WD_ALIGN_PARAGRAPH
        from docx.shared import Pt

        columns = max((len(row) for row in block.rows), default=0)
        if not columns:
            return
        made = self.document.add_table(rows=0, cols=columns)
        made.style, made.alignment = "Table Grid", WD_TABLE_ALIGNMENT.CENTER
        for number, row in enumerate(block.rows):
            cells = made.add_row().cells
            for cell, text in zip(cells, row, strict=False):
                inside = cell.paragraphs[0]
                inside.alignment = WD_ALIGN_PARAGRAPH.CENTER
                run = inside.add_run(text)
                run.font.size = Pt(12)
                self._face(run, self.fonts["hei" if number < block.heads else "song"])
            if number < block.heads:
                _repeat(made.rows[number])
        self._under = None

    def footers(self, section: Any) -> None:
        """— 1 —, on odd pages at the right and on even ones at the left."""
        from docx.enum.text import WD_ALIGN_PARAGRAPH
        from docx.shared import Pt

        self.document.settings.odd_and_even_pages_header_footer = True
        for footer, side in (
            (section.footer, WD_ALIGN_PARAGRAPH.RIGHT), (section.even_page_footer, WD_ALIGN_PARAGRAPH.LEFT)
        ):  # fmt: skip
            line = footer.paragraphs[0]
            line.alignment = side
            line.paragraph_format.left_indent = line.paragraph_format.right_indent = Pt(14)
            for text in ("— ", "PAGE", " —"):
                run = line.add_run("" if text == "PAGE" else text)
                run.font.size = Pt(14)
                self._face(run, self.fonts["song"])
                if text == "PAGE":
                    _field(run, text)

    @staticmethod
    def _face(run: Any, name: str) -> None:
        from docx.oxml.ns import qn

        run.font.name = name
        run._element.rPr.rFonts.set(qn("w:eastAsia"), name)

    @staticmethod
    def _outline(made: Any, level: int) -> None:
        """Headings are found by Word's navigation, whatever they look like."""
        from docx.oxml import OxmlElement
        from docx.oxml.ns import qn

        outline = OxmlElement("w:outlineLvl")
        outline.set(qn("w:val"), str(level - 1))
        made._p.get_or_add_pPr().append(outline)


def _element(name: str, **values: str) -> Any:
    from docx.oxml import OxmlElement
    from docx.oxml.ns import qn

    made = OxmlElement(f"w:{name}")
    for key, value in values.items():
        made.set(qn(f"w:{key}"), value)
    return made


def _border(paragraph: Any, side: str, colour: str, eighths: int) -> None:
    properties = paragraph._p.get_or_add_pPr()
    from docx.oxml.ns import qn

    frame = properties.find(qn("w:pBdr"))
    if frame is None:
        frame = _element("pBdr")
        properties.insert_element_before(
            frame, "w:shd", "w:tabs", "w:suppressAutoHyphens", "w:kinsoku", "w:wordWrap", "w:overflowPunct", "w:topLinePunct",
            "w:autoSpaceDE", "w:autoSpaceDN", "w:bidi", "w:adjustRightInd", "w:snapToGrid", "w:spacing", "w:ind",
            "w:contextualSpacing", "w:mirrorIndents", "w:suppressOverlap", "w:jc", "w:textDirection", "w:textAlignment",
            "w:textboxTightWrap", "w:outlineLvl", "w:divId", "w:cnfStyle", "w:rPr", "w:sectPr", "w:pPrChange",
        )  # fmt: skip
    frame.append(_element(side, val="single", sz=str(eighths), space="4", color=colour))


def _grid(section: Any) -> None:
    """22 lines a page, 28 characters a line."""
    from docx.oxml.ns import qn

    for old in section._sectPr.findall(qn("w:docGrid")):
        section._sectPr.remove(old)
    section._sectPr.append(_element("docGrid", type="linesAndChars", linePitch="579", charSpace="-849"))


def _repeat(row: Any) -> None:
    row._tr.get_or_add_trPr().append(_element("tblHeader", val="true"))


def _field(run: Any, what: str) -> None:
    from docx.oxml import OxmlElement

    run._r.append(_element("fldChar", fldCharType="begin"))
    instruction = OxmlElement("w:instrText")
    instruction.text = what
    run._r.append(instruction)
    run._r.append(_element("fldChar", fldCharType="end"))

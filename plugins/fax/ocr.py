"""Text of a page by RapidOCR (extra ``[ocr]``; its wheel brings the Chinese models, nothing is fetched).

Recognition can leave out a whole line without a word. So the ink that no recognised line covers is looked at: where it is
written like text, the page is flagged and a person should look at the image, which is always kept.
"""

from __future__ import annotations

import importlib.util
import logging
import re
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from msgspec import Struct

from gateway_plugins.fax.clean import INK, clean

if TYPE_CHECKING:
    from PIL.Image import Image

ENDS = "。！？：；:;!?"
_MARGIN = 8
LONGEST = 2600
"""Dots to which a longer page is made smaller: A4 in fine mode stays as it is."""
FOUND_AT = 1280
"""Dots of the longer side at which lines are looked for; they are read at full size. Finding them in more dots takes most of
the time and finds no more: a line of 10.5 points is 16 dots high then."""
UPSIDE_DOWN = 0.75
"""A page of which the recogniser is less sure than this is tried the other way up; a readable one has 0.9 and more."""
DOUBTFUL = 0.7
"""A line of which the recogniser itself is less sure than this may be anything: the page is flagged."""
AGAIN = 0.6
"""How sure it must be of a strip that was looked at alone."""
MOST_AGAIN = 20
STROKES = 1.6
"""Strokes that a row of dots crosses, on the whole, in two characters or more; a rule or the edge of a frame has one."""
SHORT = 0.45
"""A line with fewer characters to its height's worth of ink than this was not read to its end; a full-width one has 0.8 and
more."""


Box = tuple[int, int, int, int]
"""Left, top, right and bottom in dots."""


class Line(Struct, frozen=True):
    """A recognised line and its box in dots; ``sure`` is what the recogniser thinks of it, 0 to 1."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    boxes: int = 1
    sure: float = 1.0

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 1.0)

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


class Recognised(Struct, frozen=True):
    """The text of a page; ``dropped`` when there is ink like text that no line covers. ``lines`` are as found, in no order, in
    dots of ``grey``, the page as it was read."""

    text: str
    dropped: bool = False
    lines: tuple[Line, ...] = ()
    grey: Any = None


def available() -> bool:
    """Whether recognition is installed on this host."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime", "numpy"))


def recognise(page: Image) -> Recognised:
    """The text of one page in reading order, also of one that was put in upside down. What is written like text and lies in no
    line, and lines that were not read well, are looked at a second time, alone."""
    import numpy

    grey = clean(numpy.asarray(page), page.info.get("tall", 1)).grey
    lines = _lines(grey)
    if lines and _sureness(lines) < UPSIDE_DOWN:
        turned = numpy.ascontiguousarray(grey[::-1, ::-1])
        other = _lines(turned)
        if other and _sureness(other) > _sureness(lines):
            grey, lines = turned, other
    lines = [_better(grey, line) for line in lines]
    lines += [line for box in uncovered(grey, lines)[:MOST_AGAIN] if (line := _alone(grey, box)) is not None]
    doubtful = any(line.sure < DOUBTFUL for line in lines)
    return Recognised(join(lines), doubtful or dropped_lines(grey, lines), tuple(lines), grey)


def _lines(grey: Any) -> list[Line]:
    """The lines that the engine finds. Its own judge of which way up a line is errs too often on fax: see ``UPSIDE_DOWN``."""
    import numpy

    found = _engine()(numpy.stack([grey] * 3, axis=-1), use_det=True, use_cls=False, use_rec=True)
    boxes, texts, scores = (() if values is None else values for values in (found.boxes, found.txts, found.scores))
    return [_line(str(text), box, float(sure)) for box, text, sure in zip(boxes, texts, scores, strict=True) if str(text).strip()]


def _line(text: str, box: Any, sure: float) -> Line:
    """``box`` holds the corners, a row each."""
    left, top = (float(n) for n in box.min(axis=0))
    right, bottom = (float(n) for n in box.max(axis=0))
    return Line(text, left, top, right, bottom, sure=sure)


def _sureness(lines: list[Line]) -> float:
    """How sure the recogniser is of all lines together; a long one counts for more than the number of a page."""
    wide = sum(line.right - line.left for line in lines)
    return sum(line.sure * (line.right - line.left) for line in lines) / max(wide, 1.0)


def _better(grey: Any, line: Line) -> Line:
    """The line, or what a second look at it gives where the first was poor."""
    if line.sure >= DOUBTFUL and not _cut_short(grey < INK, line):
        return line
    high, wide = grey.shape
    box = (max(0, int(line.left)), max(0, int(line.top)), min(wide, int(line.right) + 1), min(high, int(line.bottom) + 1))
    again = _alone(grey, box)
    return again if again is not None and again.sure > line.sure else line


def _alone(grey: Any, box: Box) -> Line | None:
    """The text of one strip of the page; None where it is none."""
    import numpy

    left, top, right, bottom = box
    strip = numpy.pad(grey[top:bottom, left:right], _MARGIN, constant_values=255)
    found = _engine()(numpy.stack([strip] * 3, axis=-1), use_det=False, use_cls=False, use_rec=True)
    text, sure = (str(found.txts[0]), float(found.scores[0])) if found.txts else ("", 0.0)
    return Line(text, left, top, right, bottom, sure=sure) if text.strip() and sure >= AGAIN else None


@lru_cache(maxsize=1)
def _engine() -> Any:
    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    threads = "EngineConfig.onnxruntime"
    return RapidOCR(
        params={
            "Global.log_level": "critical", "Global.max_side_len": LONGEST,
            "Det.limit_type": "max", "Det.limit_side_len": FOUND_AT, f"{threads}.intra_op_num_threads": 2,
            f"{threads}.inter_op_num_threads": 1,
        }
    )  # fmt: skip


def join(lines: list[Line]) -> str:
    """Rows from top to bottom, boxes of one row from left to right; a row that only breaks a sentence is joined to the next."""
    rows = _rows(lines)
    if not rows:
        return ""
    margin = _margin(rows)
    edge = max(row.right for row in rows)
    text = rows[0].text
    for above, below in pairwise(rows):
        text += ("" if _continues(above, below, margin, edge) else "\n") + below.text
    return text


def _rows(lines: list[Line]) -> list[Line]:
    rows: list[list[Line]] = []
    for line in sorted(lines, key=lambda line: line.middle):
        for row in rows[-3:]:
            if abs(row[0].middle - line.middle) < 0.5 * min(row[0].height, line.height):
                row.append(line)
                break
        else:
            rows.append([line])
    return [_row(sorted(row, key=lambda line: line.left)) for row in rows]


def _row(row: list[Line]) -> Line:
    text = " ".join(line.text.strip() for line in row)
    return Line(text, row[0].left, min(b.top for b in row), max(b.right for b in row), max(b.bottom for b in row), len(row))


def _margin(rows: list[Line]) -> float:
    """Where the body's lines begin: the left edge of the longest rows."""
    longest = sorted(rows, key=lambda row: row.right - row.left, reverse=True)[: max(3, len(rows) // 2)]
    return min(row.left for row in longest)


def _continues(above: Line, below: Line, margin: float, edge: float) -> bool:
    """Whether ``below`` goes on with the sentence of ``above``: full width, no end of a sentence, no new indent, same size."""
    size = min(above.height, below.height)
    if above.boxes > 1 or below.boxes > 1:
        return False
    if above.text.rstrip()[-1:] in ENDS or max(above.height, below.height) > 1.4 * size:
        return False
    if below.left > margin + 1.2 * size or above.left > margin + 3.2 * size or above.right < edge - 4.5 * size:
        return False
    return below.top - above.bottom < 2.0 * size and not re.match(r"[（(]?[一二三四五六七八九十\d]{1,3}[)）、.．]", below.text)


def dropped_lines(grey: Any, lines: list[Line]) -> bool:
    """Whether ink that is written like text lies outside every line, or a line has far fewer characters than ink. ``grey`` is the
    page as an array, 0 = black.

    Rules, frames and specks are told from text by how often a row of dots changes from white to black.
    """
    if any(_cut_short(grey < INK, line) for line in lines):
        return True
    ink, size = _left(grey, lines)
    high, wide = size, 4 * size
    for top in range(0, ink.shape[0] - high // 2, max(1, high // 2)):
        strip = ink[top : top + high]
        if strip.sum() < 0.04 * high * wide:
            continue
        for left in range(0, strip.shape[1] - wide // 2, wide // 2):
            if _like_text(strip[:, left : left + wide]):
                return True
    return bool(_written(ink, size, size))


def uncovered(grey: Any, lines: list[Line]) -> list[Box]:
    """Rows of ink that are written like text and lie in no line, from the top."""
    ink, size = _left(grey, lines)
    return sorted(_written(ink, size, 2 * size), key=lambda box: box[1])


def _left(grey: Any, lines: list[Line]) -> tuple[Any, int]:
    """The ink outside every line, and how high a line is."""
    import numpy

    ink = grey < INK
    for line in lines:
        pad = int(_MARGIN + min(_MARGIN, 0.15 * line.height))
        ink[max(0, int(line.top) - pad) : int(line.bottom) + pad, max(0, int(line.left) - pad) : int(line.right) + pad] = False
    size = int(numpy.median([line.height for line in lines])) if lines else 40
    return ink, min(max(size, 16), 120)


def _written(ink: Any, size: int, gap: int) -> list[Box]:
    """Boxes of two or more characters of any size that stand in ``ink``, up to ``gap`` dots from each other: a line, the end of a
    paragraph, a number in a head."""
    import cv2
    import numpy

    near = numpy.ones((max(3, size // 5), max(3, int(0.7 * gap))), numpy.uint8)
    _count, labels, found, _middles = cv2.connectedComponentsWithStats(cv2.dilate(ink.astype(numpy.uint8), near), connectivity=8)
    boxes: list[Box] = []
    for label in range(1, len(found)):
        left, top, wide, high = (int(n) for n in found[label][:4])
        if high > 2.5 * size or wide < 1.4 * size:
            continue
        box = ink[top : top + high, left : left + wide] & (labels[top : top + high, left : left + wide] == label)
        rows, columns = numpy.flatnonzero(box.any(axis=1)), numpy.flatnonzero(box.any(axis=0))
        tall, across = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
        if tall < max(0.25 * size, 10) or across < tall:
            continue
        letters = box[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if letters.mean() >= 0.08 and (letters[:, 1:] & ~letters[:, :-1]).sum(axis=1).mean() >= STROKES:
            x, y = left + int(columns[0]), top + int(rows[0])
            boxes.append((x, y, x + across, y + tall))
    return boxes


def _cut_short(ink: Any, line: Line) -> bool:
    """Whether a line has far fewer characters than there is room for in its inked columns, wide gaps left out."""
    import numpy

    box = ink[max(0, int(line.top)) : int(line.bottom) + 1, max(0, int(line.left)) : int(line.right) + 1]
    columns = numpy.flatnonzero(box.sum(axis=0) > 1)
    if len(columns) < 2:
        return False
    steps = numpy.diff(columns)
    inked = 1 + int(steps[steps < 0.8 * line.height].sum())
    return len("".join(line.text.split())) < SHORT * (inked / line.height - 1)


def _like_text(window: Any) -> bool:
    """Enough ink, over most of the height, in many strokes to a row."""
    if window.mean() < 0.05:
        return False
    rows = window[window.any(axis=1)]
    if len(rows) < 0.5 * len(window):
        return False
    strokes = (rows[:, 1:] & ~rows[:, :-1]).sum(axis=1).mean()
    return bool(strokes >= 4)

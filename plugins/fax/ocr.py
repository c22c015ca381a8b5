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

if TYPE_CHECKING:
    from PIL.Image import Image

ENDS = "。！？：；:;!?"
_INK = 128
_MARGIN = 8


class Line(Struct, frozen=True):
    """A recognised line and its box in dots."""

    text: str
    left: float
    top: float
    right: float
    bottom: float
    boxes: int = 1

    @property
    def height(self) -> float:
        return max(self.bottom - self.top, 1.0)

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


class Recognised(Struct, frozen=True):
    """The text of a page; ``dropped`` when there is ink like text that no line covers."""

    text: str
    dropped: bool = False


def available() -> bool:
    """Whether recognition is installed on this host."""
    return all(importlib.util.find_spec(name) is not None for name in ("rapidocr", "onnxruntime", "numpy"))


def recognise(page: Image) -> Recognised:
    """The text of one page in reading order."""
    import numpy

    grey = numpy.asarray(page)
    found = _engine()(numpy.stack([grey] * 3, axis=-1))
    lines = [
        Line(str(text), float(box[:, 0].min()), float(box[:, 1].min()), float(box[:, 0].max()), float(box[:, 1].max()))
        for box, text in zip(found.boxes if found.boxes is not None else (), found.txts or (), strict=True)
        if str(text).strip()
    ]
    return Recognised(join(lines), dropped_lines(grey, lines))


@lru_cache(maxsize=1)
def _engine() -> Any:
    from rapidocr import RapidOCR

    logging.getLogger("RapidOCR").setLevel(logging.CRITICAL)
    threads = "EngineConfig.onnxruntime"
    return RapidOCR(
        params={
            "Global.log_level": "critical", f"{threads}.intra_op_num_threads": 2, f"{threads}.inter_op_num_threads": 1,
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
    """Whether ink that is written like text lies outside every line. ``grey`` is the page as an array, 0 = black.

    Rules, frames and specks are told from text by how often a row of dots changes from white to black.
    """
    import numpy

    ink = grey < _INK
    for line in lines:
        pad = int(_MARGIN + min(_MARGIN, 0.15 * line.height))
        ink[max(0, int(line.top) - pad) : int(line.bottom) + pad, max(0, int(line.left) - pad) : int(line.right) + pad] = False
    size = int(numpy.median([line.height for line in lines])) if lines else 40
    size = min(max(size, 16), 120)
    high, wide = size, 4 * size
    for top in range(0, ink.shape[0] - high // 2, max(1, high // 2)):
        strip = ink[top : top + high]
        if strip.sum() < 0.04 * high * wide:
            continue
        for left in range(0, strip.shape[1] - wide // 2, wide // 2):
            if _like_text(strip[:, left : left + wide]):
                return True
    return False


def _like_text(window: Any) -> bool:
    """Enough ink, over most of the height, in many strokes to a row."""
    if window.mean() < 0.05:
        return False
    rows = window[window.any(axis=1)]
    if len(rows) < 0.5 * len(window):
        return False
    strokes = (rows[:, 1:] & ~rows[:, :-1]).sum(axis=1).mean()
    return bool(strokes >= 4)

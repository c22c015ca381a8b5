"""A page made ready for recognition: specks of the line taken out, the sheet turned upright, empty margins cut off.

Fax is one bit a dot. What a bad line or a dusty glass adds are single dots; a detector of text takes a page full of them for one
grey thing and finds nothing. Strokes hang together, so only ink that hangs together with nothing is taken out.
"""

from __future__ import annotations

from typing import Any

from msgspec import Struct

INK = 128
SPECK = 3
"""Dots of ink that hang together, up to so many, are a speck: the smallest full stop of 10.5 points has nine."""
STEEP = 3.0
"""Degrees up to which a page is turned back; a feeder pulls in no sheet more crookedly."""
STEP = 0.1
POINTS = 40_000
EDGE = 40
LEAST = 0.15
"""Degrees below which turning costs more sharpness than it gains."""


class Cleaned(Struct, frozen=True):
    """``grey`` is the page to be recognised as an array, 0 = black; ``skew`` the degrees it was turned by."""

    grey: Any
    skew: float = 0.0


def clean(grey: Any, tall: int = 1) -> Cleaned:
    """``grey`` as a page of fax (0 = black) → without specks, upright, margins cut. ``tall`` is how often each row stands in
    it."""
    import numpy

    made = despeckled(grey, SPECK * tall)
    skew = angle(made < INK)
    if abs(skew) >= LEAST:
        made = _turned(made, skew)
    rows, columns = (numpy.flatnonzero((made < INK).any(axis=axis)) for axis in (1, 0))
    if not len(rows):
        return Cleaned(made, skew)
    top, left = max(0, rows[0] - EDGE), max(0, columns[0] - EDGE)
    return Cleaned(made[top : rows[-1] + EDGE, left : columns[-1] + EDGE], skew)


def despeckled(grey: Any, most: int) -> Any:
    """Without the black specks of up to ``most`` dots, and without white ones of a single row of dots within ink."""
    import cv2
    import numpy

    ink = (grey < INK).astype(numpy.uint8)
    _count, labels, found, _middles = cv2.connectedComponentsWithStats(ink, connectivity=8)
    small = found[:, cv2.CC_STAT_AREA] <= most
    small[0] = False
    made = grey.copy()
    made[small[labels]] = 255
    return made


def angle(ink: Any) -> float:
    """By how many degrees the lines of ``ink`` fall to the right (negative: rise): at the right angle the rows of dots are either
    full or empty."""
    import numpy

    down, right = numpy.nonzero(ink)
    if len(down) < 500:
        return 0.0
    if len(down) > POINTS:
        chosen = numpy.linspace(0, len(down) - 1, POINTS).astype(int)
        down, right = down[chosen], right[chosen]

    def sharp(degrees: float) -> float:
        # In pairs of rows: in standard mode each stands there twice, which is sharp at no angle but 0.
        rows = numpy.floor((down - right * numpy.tan(numpy.radians(degrees))) / 2).astype(int)
        counts = numpy.bincount(rows - rows.min()).astype(float)
        return float((numpy.diff(counts) ** 2).sum())

    angles = numpy.arange(-STEEP, STEEP + STEP / 2, STEP)
    return float(max(angles, key=lambda degrees: (sharp(float(degrees)), -abs(degrees))))


def _turned(grey: Any, degrees: float) -> Any:
    import numpy
    from PIL import Image

    turned = Image.fromarray(grey).rotate(degrees, Image.Resampling.BICUBIC, fillcolor=255)
    return numpy.asarray(turned)

"""Plots as SVG, drawn here: bars, a trend, a grid, a map of bubbles. Pure; the same ones for the console, HTML, PDF and DOCX.

Whatever a colour says a pattern, a mark or a number says too, and each plot is one picture with a name: the table beside it is
what a screen reader reads. No script, no style sheet, nothing from outside; every text is escaped.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise

from markupsafe import Markup
from msgspec import Struct

WIDTH = 680
INK, SOFT, RULE = "#16202c", "#4a5868", "#c9d1da"
FILLS = ("#0b4a8f", "#d98a00", "#a4161a", "#6b7c8d", "#14602c", "#ffffff")
"""Colours by place in a stack; each has a pattern of its own beside the first, which is plain."""
DASHES, MARKS = ("", "6 4", "2 3", "8 3 2 3"), "ostd"
"""Lines by dash, points by shape: circle, square, triangle, diamond."""
LABEL, ROW, BAR, TEXT = 190, 24, 16, 13
MOST_ROWS = 60
"""Rows that a plot draws; the rest is in the table."""


class Bar(Struct, frozen=True, kw_only=True):
    """A row: one length, or several in a stack. ``shown`` is what stands behind it."""

    label: str
    parts: tuple[float, ...]
    shown: str


class Line(Struct, frozen=True, kw_only=True):
    """A series of a trend; None where nothing is known."""

    name: str
    values: tuple[float | None, ...]


class Place(Struct, frozen=True, kw_only=True):
    """A bubble of a map: longitude and latitude in degrees."""

    name: str
    lon: float
    lat: float
    count: int


def bars(key: str, title: str, rows: Sequence[Bar], series: Sequence[str] = (), top: float | None = None) -> Markup:
    """Rows of bars, stacked where there are several ``series``. ``top`` is the length that fills the row."""
    drawn = rows[:MOST_ROWS]
    longest = top or max((sum(row.parts) for row in drawn), default=0) or 1
    room = WIDTH - LABEL - 90
    start = 26 if series else 4
    parts: list[Markup] = [*_patterns(key, max((len(row.parts) for row in drawn), default=1)), *_legend(key, series)]
    for place, row in enumerate(drawn):
        y, x = start + place * ROW, float(LABEL)
        parts.append(_text(LABEL - 8, y + 13, _short(row.label), anchor="end"))
        for nth, length in enumerate(row.parts):
            wide = room * min(length, longest) / longest
            if wide > 0:
                parts.append(_rect(x, y, wide, BAR, _fill(key, nth)))
            x += wide
        parts.append(_text(x + 6, y + 13, row.shown))
    parts.append(_rule(LABEL, start - 2, LABEL, start + len(drawn) * ROW - 4))
    return _svg(key, title, start + len(drawn) * ROW + 2, parts)


def trend(key: str, title: str, labels: Sequence[str], lines: Sequence[Line], top: float | None = None, unit: str = "") -> Markup:
    """Lines over periods, each point with its number; a gap where nothing is known."""
    known = [value for line in lines for value in line.values if value is not None]
    highest = top or _round(max(known, default=1))
    left, right, high, low = 56, WIDTH - 20, 40, 210
    step = (right - left - 20) / max(1, len(labels) - 1)
    parts: list[Markup] = []
    for share in (0, 0.5, 1):
        y = low - (low - high) * share
        parts += [_rule(left, y, right, y), _text(left - 6, y + 4, f"{highest * share:g}{unit}", anchor="end", fill=SOFT)]
    for nth, label in enumerate(labels):
        parts.append(_text(left + 10 + nth * step, low + 18, label, anchor="middle", fill=SOFT, size=12))
    for which, line in enumerate(lines):
        spots = [
            None if value is None else (left + 10 + nth * step, low - (low - high) * min(value, highest) / highest, value)
            for nth, value in enumerate(line.values)
        ]
        for before, after in pairwise(spots):
            if before is not None and after is not None:
                parts.append(_rule(before[0], before[1], after[0], after[1], FILLS[which], 2, DASHES[which]))
        for spot in filter(None, spots):
            parts.append(_mark(spot[0], spot[1], which))
            dy = -9 if which or len(lines) == 1 else 18
            parts.append(_text(spot[0], spot[1] + dy, f"{spot[2]:g}", anchor="middle", size=11))
    x = float(left)
    for which, line in enumerate(lines):
        parts += [_rule(x, 10, x + 24, 10, FILLS[which], 2, DASHES[which]), _mark(x + 12, 10, which)]
        parts.append(_text(x + 30, 14, line.name))
        x += 44 + _long(line.name)
    return _svg(key, title, low + 28, parts)


def grid(key: str, title: str, rows: Sequence[tuple[str, Sequence[float | None]]], heads: Sequence[str]) -> Markup:
    """Percentages by row and column: the number in each cell, the darker the lower."""
    drawn = rows[:MOST_ROWS]
    wide = min(60.0, (WIDTH - LABEL - 4) / max(1, len(heads)))
    parts = [_text(LABEL + (nth + 0.5) * wide, 14, head, anchor="middle", fill=SOFT, size=12) for nth, head in enumerate(heads)]
    for place, (label, values) in enumerate(drawn):
        y = 22 + place * ROW
        parts.append(_text(LABEL - 8, y + 15, _short(label), anchor="end"))
        for nth, value in enumerate(values):
            back, fore = _shade(value)
            parts.append(_rect(LABEL + nth * wide, y, wide, ROW, back, RULE))
            shown = "—" if value is None else f"{value:g}"
            parts.append(_text(LABEL + (nth + 0.5) * wide, y + 16, shown, anchor="middle", fill=fore, size=12))
    return _svg(key, title, 26 + len(drawn) * ROW, parts)


def bubbles(key: str, title: str, places: Sequence[Place]) -> Markup:
    """Places where they lie to each other, north above; the area of each circle as its count, name and count in it."""
    high, edge = 380, 70
    middle = math.cos(math.radians(sum(p.lat for p in places) / len(places))) if places else 1.0
    xs, ys = [p.lon * middle for p in places], [p.lat for p in places]
    across, up = max(xs) - min(xs) if xs else 0, max(ys) - min(ys) if ys else 0
    scale = min((WIDTH - 2 * edge - 60) / (across or 1e-9), (high - 2 * edge) / (up or 1e-9), 1e6)
    most = max((p.count for p in places), default=0) or 1
    parts = [_rect(0.5, 0.5, WIDTH - 1, high - 1, "#f6f8fa", RULE)]
    parts += [_text(WIDTH - 24, 30, "N", anchor="middle", fill=SOFT), _rule(WIDTH - 24, 36, WIDTH - 24, 60, SOFT, 1.5)]
    begin_x = (WIDTH - across * scale) / 2 if across else WIDTH / 2
    begin_y = (high - up * scale) / 2 if up else high / 2
    for place, lon in sorted(zip(places, xs, strict=True), key=lambda pair: -pair[0].count):
        x = begin_x + (lon - min(xs)) * scale if across else begin_x
        y = begin_y + (max(ys) - place.lat) * scale if up else begin_y
        radius = 34 * math.sqrt(place.count / most)
        if place.count:
            parts.append(_tag("circle", cx=x, cy=y, r=max(3.0, radius), fill=FILLS[0], fill_opacity=0.35, stroke=FILLS[0]))
        else:
            parts += [_rule(x - 4, y - 4, x + 4, y + 4, SOFT), _rule(x - 4, y + 4, x + 4, y - 4, SOFT)]
        parts.append(_text(x, y + 4, f"{place.name} {place.count}", anchor="middle", bold=True))
    return _svg(key, title, high, parts)


def _svg(key: str, title: str, high: float, parts: Iterable[Markup]) -> Markup:
    head = Markup('<svg xmlns="http://www.w3.org/2000/svg" id="plot-{key}" class="plot" role="img" aria-label="{title}" '
                  'width="{wide}" height="{high}" viewBox="0 0 {wide} {high}" font-size="{size}">')  # fmt: skip
    return head.format(key=key, title=title, wide=WIDTH, high=f"{high:g}", size=TEXT) + Markup("").join(parts) + Markup("</svg>")


def _patterns(key: str, count: int) -> Iterator[Markup]:
    """Stripes, dots and hatches in the colours of the stack, so that grey paper tells them apart."""
    lines = {
        1: [(0, 6, 6, 0)], 2: [(0, 0, 6, 6)], 3: [(0, 3, 6, 3)], 4: [(3, 0, 3, 6)], 5: [(0, 0, 6, 6), (0, 6, 6, 0)],
    }  # fmt: skip
    if count < 2:
        return
    yield Markup("<defs>")
    for nth in range(1, count):
        fill = FILLS[nth % len(FILLS)]
        yield Markup('<pattern id="{}-{}" width="6" height="6" patternUnits="userSpaceOnUse">').format(key, nth)
        yield _tag("rect", x=0, y=0, width=6, height=6, fill=fill)
        over = INK if fill == "#ffffff" else "#ffffff"
        for x1, y1, x2, y2 in lines.get(nth % len(FILLS), []):
            yield _tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=over, stroke_width=1.2)
        yield Markup("</pattern>")
    yield Markup("</defs>")


def _fill(key: str, nth: int) -> str:
    return FILLS[0] if nth == 0 else f"url(#{key}-{nth})"


def _legend(key: str, series: Sequence[str]) -> Iterator[Markup]:
    x = 4.0
    for nth, name in enumerate(series):
        yield _rect(x, 4, 14, 14, _fill(key, nth), INK)
        yield _text(x + 20, 16, name)
        x += 34 + _long(name)


def _mark(x: float, y: float, which: int) -> Markup:
    """A point by its shape."""
    fill, shape = FILLS[which], MARKS[which % len(MARKS)]
    if shape == "o":
        return _tag("circle", cx=x, cy=y, r=3.5, fill=fill)
    if shape == "s":
        return _rect(x - 3.5, y - 3.5, 7, 7, fill)
    around = [(0, -4.5), (4.5, 3.5), (-4.5, 3.5)] if shape == "t" else [(0, -5), (5, 0), (0, 5), (-5, 0)]
    return _tag("polygon", points=" ".join(f"{x + dx:g},{y + dy:g}" for dx, dy in around), fill=fill)


def _shade(value: float | None) -> tuple[str, str]:
    """Background and text of a cell: the lower the darker, always with enough contrast."""
    if value is None:
        return "#ffffff", SOFT
    for least, back, fore in ((100, "#ffffff", INK), (95, "#fff4dd", INK), (90, "#f9dca8", INK), (75, "#eea15c", INK)):
        if value >= least:
            return back, fore
    return "#a4161a", "#ffffff"


def _text(
    x: float, y: float, text: str, *, anchor: str = "start", fill: str = INK, size: float = TEXT, bold: bool = False
) -> Markup:
    weight = "bold" if bold else "normal"
    made = Markup('<text x="{:.1f}" y="{:.1f}" text-anchor="{}" fill="{}" font-size="{:g}" font-weight="{}">{}</text>')
    return made.format(x, y, anchor, fill, size, weight, text)


def _rect(x: float, y: float, width: float, height: float, fill: str, stroke: str = "") -> Markup:
    return _tag("rect", x=x, y=y, width=width, height=height, fill=fill, **({"stroke": stroke} if stroke else {}))


def _rule(x1: float, y1: float, x2: float, y2: float, stroke: str = RULE, width: float = 1, dash: str = "") -> Markup:
    more = {"stroke_dasharray": dash} if dash else {}
    return _tag("line", x1=x1, y1=y1, x2=x2, y2=y2, stroke=stroke, stroke_width=width, **more)


def _tag(name: str, **given: float | str) -> Markup:
    values = ((key.replace("_", "-"), f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else value)
              for key, value in given.items())  # fmt: skip
    told = Markup(" ").join(Markup('{}="{}"').format(key, value) for key, value in values)
    return Markup("<{} {}/>").format(Markup(name), told)  # noqa: S704 - names of our own


def _long(text: str) -> float:
    """About how wide a text is, in units of the plot."""
    return sum(TEXT if ord(char) > 0x2E80 else TEXT * 0.58 for char in text)


def _short(text: str) -> str:
    """A label cut to what its column takes; the table has it whole."""
    kept = text
    while _long(kept) > LABEL - 24:
        kept = kept[:-1]
    return kept if kept == text else kept + "…"


def _round(value: float) -> float:
    """The next 1, 2 or 5 of its power of ten."""
    power: float = 10.0 ** math.floor(math.log10(value)) if value > 0 else 1.0
    return next((step * power for step in (1, 2, 5, 10) if value <= step * power), 10 * power)

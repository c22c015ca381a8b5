"""Who speaks in a telephone transcript: the clerk's words confirm and ask, only the caller's report."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from gateway.reading.lazy import lazy

_LABEL = lazy(
    r"(?P<who>值班员|值班|接线员|接电话人|接警员|话务员|记录员|clerk|operator|"
    r"来电人|来电|报告人|对方|caller|报告员|群众)(?:[A-Za-z\d]{0,2}):",
    re.IGNORECASE)
_CLERK = ("值班", "接", "话务", "记录", "clerk", "operator")


class Turn(NamedTuple):
    """What one speaker says at a stretch: the words of the normal text in [start, end)."""

    start: int
    end: int
    clerk: bool


def turns(text: str) -> list[Turn]:
    """The turns of a transcript; empty where the text is not one. A single label counts as one turn."""
    labels = [label for start in _lines(text) if (label := _LABEL.match(text, start)) is not None]
    if labels and labels[0].start("who") > 0 and not any(m["who"].lower().startswith(_CLERK) for m in labels):
        return []  # 报告人：… in a form is no speaker
    ends = [*(label.start() - 1 for label in labels[1:]), len(text)][: len(labels)]
    return [Turn(label.end(), end, label["who"].lower().startswith(_CLERK)) for label, end in zip(labels, ends, strict=True)]


def _lines(text: str) -> Iterator[int]:
    """Where each line of ``text`` begins."""
    start = 0
    while start >= 0:
        yield start
        start = text.find("\n", start) + 1 or -1

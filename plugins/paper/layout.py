"""Text in lines and pages. Pure; how wide a character is comes as an argument."""

from __future__ import annotations

from collections.abc import Callable, Sequence

NOT_FIRST = frozenset("，。、；：？！）》」』】〕〉”’％…—·,.;:?!)]}%")
"""Marks that do not begin a line (避头): they hang in the margin or take the character before them along."""
NOT_LAST = frozenset("（《「『【〔〈“‘([{")
"""Marks that do not end one (避尾)."""
HANGING = frozenset("，。、；：,.;:")
"""Those that may hang over the edge rather than move."""


def lines(text: str, width: float, wide: Callable[[str], float]) -> list[str]:
    """``text`` broken into lines of at most ``width``, a hanging mark aside. Words in Latin letters and numbers are kept whole
    where they fit into a line."""
    made: list[str] = []
    for paragraph in text.split("\n"):
        made += _paragraph(paragraph.expandtabs(4).rstrip(), width, wide)
    return made


def _paragraph(text: str, width: float, wide: Callable[[str], float]) -> list[str]:
    made, start = [], 0
    while start < len(text):
        end, used = start, 0.0
        while end < len(text) and used + wide(text[end]) <= width:
            used += wide(text[end])
            end += 1
        end = _break(text, start, max(end, start + 1))
        made.append(text[start:end].rstrip())
        start = end
        while start < len(text) and text[start] == " ":
            start += 1
    return made or [""]


def _break(text: str, start: int, end: int) -> int:
    """Where the line that fills up at ``end`` is broken."""
    if end >= len(text):
        return end
    if text[end] in HANGING:
        return end + 1
    at = end
    while at > start + 1 and ((_word(text[at - 1]) and _word(text[at])) or text[at] in NOT_FIRST or text[at - 1] in NOT_LAST):
        at -= 1
    # A word or a row of marks as long as the line is cut.
    return at if at > start + 1 else end


def _word(char: str) -> bool:
    return char.isascii() and (char.isalnum() or char in "+-_./@:")


def pages(made: Sequence[str], first: int, others: int) -> list[list[str]]:
    """``made`` in pages of at most so many lines: the first page holds the title as well. Empty lines do not begin a page."""
    left, cut = list(made), []
    room = first
    while left:
        cut.append(left[:room])
        left, room = left[room:], others
        while left and not left[0]:
            left = left[1:]
    return cut or [[]]

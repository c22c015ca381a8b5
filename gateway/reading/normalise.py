"""The text as the grammar wants it, with a map back: every normal character knows where in the original it came from.

Width and compatibility forms are folded, spaces inside Chinese text dropped, lines that were broken in mid-sentence joined,
and the letters that optical recognition puts in place of digits turned back, only inside runs that are numbers anyway.
"""

from __future__ import annotations

import re
from array import array
from functools import lru_cache
from typing import NamedTuple

from gateway.core.folding import fold_char
from gateway.core.model import Span
from gateway.reading.lazy import lazy

READ_LIMIT = 60_000
"""Code points of a text that the grammar reads; no report is longer, and what follows is only searched for a marking."""

_WRAPPED = 20  # a shorter line is a heading or a signature, not a sentence broken by the paper's edge
_DIGITS = str.maketrans({"O": "0", "o": "0", "〇": "0", "l": "1", "I": "1", "|": "1"})
_MIXED_RUN = lazy(r"(?<![A-Za-z0-9])[0-9OoIl|〇.]+(?![A-Za-z])")
_LETTERS_FOR_DIGITS = lazy(r"(?<=[年月日时点:])[OoIl|]{1,2}(?=[月日曰时吋点分])")
_AFTER_DIGIT = lazy(r"(?<=[0-9OolI|])[曰吋]")
_SELF = lazy(r"(?<![自知利异体])己(?![方任见所])")
_NOT_YET = lazy(r"(?<![周月年岁世期季学])末(?=造成|发生|发现|受伤|出现|见|有人)")


class Normal(NamedTuple):
    """A folded text; ``origin[i]`` is the place of its character ``i`` in the original."""

    text: str
    origin: array[int]

    def span(self, start: int, end: int) -> Span:
        """The stretch of the original, in code points, that the normal stretch [start, end) came from."""
        return (self.origin[start], self.origin[max(start, end - 1)] + 1)


def normalise(text: str) -> Normal:
    """Fold ``text`` (at most ``READ_LIMIT`` code points of it). Linear."""
    chars: list[str] = []
    origin = array("I")
    for place, char in enumerate(text[:READ_LIMIT]):
        piece = _piece(char)
        if len(piece) == 1:
            chars.append(piece)
            origin.append(place)
        else:
            chars.extend(piece)
            origin.extend([place] * len(piece))
    chars, origin = _without_spaces(chars, origin)
    return Normal(_recognised("".join(chars)), origin)


@lru_cache(maxsize=8192)
def _piece(char: str) -> str:
    if char in "\r\x0b\x0c\x85\u2028\u2029":
        return "\n"
    if char in "\t\x00":
        return " "
    return fold_char(char)


def _without_spaces(chars: list[str], origin: array[int]) -> tuple[list[str], array[int]]:
    if not any(mark in chars for mark in " \n,"):
        return chars, origin
    joins = _joined_breaks("".join(chars))
    kept: list[str] = []
    places = array("I")
    size = len(chars)
    i = 0
    while i < size:
        char = chars[i]
        if char == "\n":
            if i not in joins and not (kept and kept[-1] == "\n"):
                kept.append(char)
                places.append(origin[i])
        elif char == " ":
            end = i
            while end < size and chars[end] == " ":
                end += 1
            if kept and end < size and _latin(kept[-1]) and _latin(chars[end]):
                kept.append(" ")
                places.append(origin[i])
            i = end
            continue
        else:
            kept.append("，" if char == "," and not _between_digits(chars, i) else char)
            places.append(origin[i])
        i += 1
    return kept, places


def _latin(char: str) -> bool:
    return "!" <= char <= "~"


def _between_digits(chars: list[str], i: int) -> bool:
    return 0 < i < len(chars) - 1 and chars[i - 1].isdigit() and chars[i + 1].isdigit()


def _joined_breaks(text: str) -> set[int]:
    """Places of the line ends that only the paper's width made."""
    joins: set[int] = set()
    start = 0
    while (end := text.find("\n", start)) >= 0:
        line, following = text[start:end].rstrip(), text[end + 1 : end + 2]
        body = len(line) >= _WRAPPED and any(c in line for c in "，,。:")
        if body and following and line[-1] not in "。!?;:)" and not following.isspace():
            header = re.search(r"\d:\w{2}$|P\.?\d+$", line)
            if header is None:
                joins.add(end)
        start = end + 1
    return joins


def _recognised(text: str) -> str:
    """Digits where recognition saw letters, and four characters it confuses; length stays the same."""
    text = _AFTER_DIGIT.sub(lambda m: "日" if m[0] == "曰" else "时", text)
    text = _MIXED_RUN.sub(lambda m: m[0].translate(_DIGITS) if any(c.isdigit() for c in m[0]) else m[0], text)
    text = _LETTERS_FOR_DIGITS.sub(lambda m: m[0].translate(_DIGITS), text)
    text = _SELF.sub("已", text)
    return _NOT_YET.sub("未", text)

"""The text as the grammar wants it, with a map back: every normal character knows where in the original it came from.

Width and compatibility forms are folded, spaces inside Chinese text dropped, lines that were broken in mid-sentence joined,
and the letters that optical recognition puts in place of digits turned back, only inside runs that are numbers anyway.
"""

from __future__ import annotations

import re
from array import array
from functools import cache
from typing import NamedTuple

from gateway.core.folding import MAY_FOLD, fold_char
from gateway.core.model import Span
from gateway.reading.lazy import lazy

READ_LIMIT = 40_000
"""Code points of a text that the grammar reads; no report is longer, and what follows is only searched for a marking."""

_MET = 8192  # characters remembered
_WRAPPED = 20  # a shorter line is a heading or a signature, not a sentence broken by the paper's edge
_SPACE = lazy(r"[ \n,](?:(?<= ) +)?")
_FOLDS = lazy(f"([{MAY_FOLD}])")
_DIGITS = str.maketrans({"O": "0", "o": "0", "〇": "0", "l": "1", "I": "1", "|": "1"})
_MIXED_RUN = lazy(r"(?<![A-Za-z0-9])[0-9OoIl|〇.]+(?![A-Za-z])")
_LETTERS_FOR_DIGITS = lazy(
    r"(?<=[年月日时点:])[OoIl|]{1,2}(?=[月日曰时吋点分])|(?<=[\u4e00-\u9fff，。、;:(])[Il|]{1,2}(?=[人名例死伤间户])"
)
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
    plain, origin = _without_spaces(*_folded(text[:READ_LIMIT]))
    return Normal(_recognised(plain), origin)


def _folded(text: str) -> tuple[str, array[int]]:
    """``text`` as it is compared, and the place of each of its characters in ``text``."""
    origin = _places()[: len(text)]
    pieces = _FOLDS.split(text)  # what stays and what folds, in turn
    if len(pieces) == 1:
        return text, origin
    folded = pieces[1::2] = [_FOLDED[char] for char in pieces[1::2]]
    if not all(folded) or len("".join(folded)) != len(folded):  # to none or to several
        at, places = 0, array("I")
        for stays, piece in zip(pieces[::2], [*folded, ""], strict=True):
            places.extend(origin[at : at + len(stays)])
            at += len(stays) + 1
            places.extend([at - 1] * len(piece))
        origin = places
    return "".join(pieces), origin


@cache
def _places() -> array[int]:
    """Every place that is read: that of a text that folds character by character is the beginning of it."""
    return array("I", range(READ_LIMIT))


class _Folded(dict[str, str]):
    """Characters that were met before, folded; a text of any language fills it with a few thousand."""

    def __missing__(self, char: str) -> str:
        if char in "\r\x0b\x0c\x85\u2028\u2029":
            piece = "\n"
        else:
            piece = " " if char in "\t\x00" else fold_char(char)
        if len(self) < _MET:
            self[char] = piece
        return piece


_FOLDED = _Folded()


def _without_spaces(text: str, origin: array[int]) -> tuple[str, array[int]]:
    joins: set[int] | None = None
    kept: list[str] = []
    places = array("I")
    last, done, size = "", 0, len(text)
    for match in _SPACE.finditer(text):
        at, end = match.span()
        if done < at:
            kept.append(text[done:at])
            places.extend(origin[done:at])
            last = text[at - 1]
        done = end
        char = text[at]
        if char == "\n":
            joins = _joined_breaks(text) if joins is None else joins
            if at in joins or last == "\n":
                continue
        elif char == " ":
            if not (last and end < size and _latin(last) and _latin(text[end])):
                continue
        elif not _between_digits(text, at):
            char = "，"
        kept.append(char)
        places.append(origin[at])
        last = char
    if not done:
        return text, origin
    kept.append(text[done:])
    places.extend(origin[done:])
    return "".join(kept), places


def _latin(char: str) -> bool:
    return "!" <= char <= "~"


def _between_digits(text: str, at: int) -> bool:
    return 0 < at < len(text) - 1 and text[at - 1].isdigit() and text[at + 1].isdigit()


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
    if "曰" in text or "吋" in text:
        text = _AFTER_DIGIT.sub(lambda m: "日" if m[0] == "曰" else "时", text)
    if any(char in text for char in "OoIl|〇"):
        text = _MIXED_RUN.sub(lambda m: m[0].translate(_DIGITS) if any(c.isdigit() for c in m[0]) else m[0], text)
        text = _LETTERS_FOR_DIGITS.sub(lambda m: m[0].translate(_DIGITS), text)
    if "己" in text:
        text = _SELF.sub("已", text)
    return _NOT_YET.sub("未", text) if "末" in text else text

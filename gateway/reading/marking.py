"""Finds a secrecy marking (密级): 绝密, 机密, 秘密 in the form of a marking, never as an ordinary word.

A marking carries a star or a term, stands in brackets, after 密级, alone on a line, or at the head of a heading or file name;
spaces, width, invisible and traditional characters between or instead of its two characters hide nothing. 机要局, 失泄密,
秘密集会, 商业秘密 are ordinary words. In doubt between the two, what has the form counts as a marking.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gateway.core.folding import MAY_FOLD, fold_char
from gateway.reading.lazy import lazy

_SPACE = r"[ \t.·]{0,4}"
_VERTICAL = r"[ \t.·]{0,4}\n?[ \t.·]{0,4}"
_LEVEL = rf"(?P<first>[绝机秘]){_SPACE}密"
_URGENT = r"(?:特急|特提|加急|平急|紧急|急件|急)"
_TERM = r"(?:\d{1,2}|[一二三五十]{1,3})[ \t]?(?:年|个?月)|长期"
_FORMS = tuple(
    lazy(form, re.MULTILINE)
    for form in (
        rf"{_LEVEL}级?[ \t]{{0,3}}★",
        rf"★[ \t]{{0,3}}{_LEVEL}(?:级|[ \t]|$)",
        rf"[【\[(〔〖「『<{{][ \t]{{0,3}}(?:密级[::]?|涉密)?[ \t]{{0,3}}{_LEVEL}(?:级|件|文件"
        rf"|资料)?[ \t]{{0,3}}[★·、, ]?[ \t]{{0,3}}(?:{_TERM}|{_URGENT})?[ \t]{{0,3}}[】\])〕〗」』>}}]",
        rf"(?:密级|密别|涉密等级|秘密等级)[ \t]{{0,4}}[::为是定]{{0,2}}[ \t]{{0,4}}[\"“'(\[【]?{_LEVEL}",
        rf"(?:本|此|该)(?:件|文|文件|信息|材料|报告|邮件|传真|电报)(?:内容)?(?:的?密级)?(?:为|属|属于|系|是"
        rf"|定为)(?:国家)?{_LEVEL}",
        rf"^[ \t]*(?:{_URGENT}[ \t·、]*)?{_LEVEL}级?(?:文件"
        rf"|件)?[ \t·、:]*(?:★?[ \t]*(?:{_TERM}))?[ \t·、]*(?:{_URGENT})?[ \t]*$",
        rf"^[ \t]*(?P<first>[绝机秘]){_VERTICAL}密[ \t]*$",
        rf"^[ \t]*(?:[^\s:]{{1,8}}:[ \t]*)?(?:{_URGENT}[ \t·、_-]*)?{_LEVEL}级?(?:[ \t]{{0,3}}(?:[::_—|/★-]|关于"
        rf"|{_URGENT}|(?:{_TERM}))|[ \t])",
        rf"{_LEVEL}级?[ \t·、]{{0,4}}(?:{_TERM})(?:[ \t★]|$)",
        rf"(?:^|[ _—|-]){_LEVEL}级?(?:\d{{0,2}}|[ \t]?\(\d{{1,2}}\))[ \t]*\.(?:pdf|docx?|wps|txt|xlsx?|et|ofd|rar"
        rf"|zip|7z|tiff?|jpe?g|png|pptx?|html?|eml|md|rtf|ceb)\b",
    )
)
_HEADING = lazy(rf"(?:^|[ \t_—|-]){_LEVEL}级?(?:[ \t_—|-]|$)")
_HEADING_LIMIT = 30
_CANDIDATE = lazy(r"[绝机秘][ \t.·\n]{0,9}密")
_FOLDS = lazy(f"([{MAY_FOLD}])")
_RANK = "绝机秘"


def find_marking(texts: Iterable[str]) -> str | None:
    """The highest marking in any of ``texts`` (subject, text, quoted text, names and texts of attachments). Linear."""
    found = {level for text in texts for level in _markings(text)}
    return min(found, key=lambda level: _RANK.index(level[0])) if found else None


def _markings(text: str) -> set[str]:
    folded = _folded(text)
    if _CANDIDATE.search(folded) is None:
        return set()
    found: set[str] = set()
    highest = next(level for level in _RANK if level in folded)
    for level in _levels(folded):
        found.add(f"{level}密")
        if level == highest:
            break  # nothing in this text ranks above it
    return found


def _levels(folded: str) -> Iterator[str]:
    """The first character of each marking, in no order."""
    for near in _neighbourhoods(folded):
        for form in _FORMS:
            for match in form.finditer(near):
                yield match["first"]
        for line in near.split("\n"):
            if len(line) <= _HEADING_LIMIT and (heading := _HEADING.search(line)):
                yield heading["first"]


def _neighbourhoods(text: str) -> list[str]:
    """The lines that hold a candidate, cut to a window each, so that a text full of candidates stays linear."""
    windows: list[tuple[int, int]] = []
    for match in _CANDIDATE.finditer(text):
        low, high = max(0, match.start() - 60), min(len(text), match.end() + 60)
        left = text.rfind("\n", low, match.start())
        right = text.find("\n", match.end(), high)
        start, end = (low if left < 0 else left + 1), (high if right < 0 else right)
        if windows and start <= windows[-1][1]:
            windows[-1] = (windows[-1][0], max(end, windows[-1][1]))
        else:
            windows.append((start, end))
    return [_clipped(text, start, end) for start, end in windows]


def _clipped(text: str, start: int, end: int) -> str:
    """The window; a character stands for what was cut off, so that the cut does not look like the end of a line."""
    before = "" if start == 0 or text[start - 1] == "\n" else "〓"
    after = "" if end == len(text) or text[end] == "\n" else "〓"
    return before + text[start:end] + after


def _folded(text: str) -> str:
    if not any(c in text for c in "密祕"):
        return ""
    pieces = _FOLDS.split(text)  # what stays and what folds, in turn
    folded = {c: "\n" if c in "\r\v\f\x85\u2028\u2029" else "\t" if c == "\t" else fold_char(c) for c in {*pieces[1::2]}}
    pieces[1::2] = [folded[c] for c in pieces[1::2]]
    return "".join(pieces)

"""What a duty person answers by short message or mail: 收到 0123, 已告知王科长 0123, 同意 0123. Pure.

A reply is short and begins with its word; whatever tells of more is a report and is read as one.
"""

from __future__ import annotations

import re
from typing import Literal

from msgspec import Struct

from gateway.core.folding import fold

LONGEST = 60
"""Characters of a reply; the quoted message below it is not part of it."""
Kind = Literal["acknowledge", "notified", "approve"]

_NUMBER = re.compile(r"[〔\[(【]?\s*(?:(\d{4})\s*[〕\])】-]\s*)?[〔\[(【]?\s*(\d{1,6})\s*[〕\])】]?\s*号?$")
_TRIM = " \t\r\n，,。.!！;；:：、“”\"'~—-"
_NAME = re.compile(r"[一-鿿·]{2,10}(?:同志)?")


class Words(Struct, frozen=True, kw_only=True):
    """The words of conf/duty.toml [replies]."""

    acknowledge: tuple[str, ...]
    notified: tuple[str, ...]
    approve: tuple[str, ...]


class Reply(Struct, frozen=True, kw_only=True):
    """A reply: what it says, the number it names (``2026-0123`` or ``0123``; empty: none), and whom it names."""

    kind: Kind
    number: str = ""
    person: str = ""
    wording: str = ""


def parse(text: str, words: Words) -> Reply | None:
    """The reply that ``text`` is; None where it is none. The first line that says anything decides."""
    line = next((one for one in (fold(part).strip(_TRIM) for part in text.splitlines()) if one), "")
    if not line or len(line) > LONGEST:
        return None
    number, rest = _number(line)
    for kind in ("notified", "approve", "acknowledge"):
        word = max((w for w in getattr(words, kind) if rest.startswith(fold(w))), key=len, default=None)
        if word is None:
            continue
        said = rest[len(fold(word)) :].strip(_TRIM)
        if kind == "acknowledge":
            return Reply(kind="acknowledge", number=number) if not said else None
        if kind == "approve":
            return Reply(kind="approve", number=number, wording=rest)
        name = _NAME.fullmatch(said)
        return Reply(kind="notified", number=number, person=said.removesuffix("同志")) if name else None
    return None


def _number(line: str) -> tuple[str, str]:
    """The number at the end or at the beginning of a line, and the line without it."""
    if (found := _NUMBER.search(line)) and found.start() > 0:
        return _written(found), line[: found.start()].strip(_TRIM)
    head = re.match(r"[〔\[(]?(?:(\d{4})[〕\])-])?[〔\[(]?(\d{1,6})[〕\])]?号?[ ,，、:：]*(?=\D)", line)
    if head is not None:
        return _written(head), line[head.end() :].strip(_TRIM)
    return "", line


def _written(found: re.Match[str]) -> str:
    return f"{found[1]}-{int(found[2]):04d}" if found[1] else found[2]

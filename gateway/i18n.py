"""Operators' texts: Chinese by default, English with ``lang = "en"``.

Msgids are English; the Chinese lies in locale/zh_CN.po, which is read on first use, so that a command which prints
nothing pays nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Literal

Lang = Literal["zh", "en"]

_lang: Lang = "zh"


def use(lang: Lang) -> None:
    """Choose the language of all later texts of this process."""
    global _lang
    if lang not in ("zh", "en"):
        raise ValueError(f"lang is {lang!r}; zh or en")
    _lang = lang


def lang() -> Lang:
    """The language in use."""
    return _lang


@cache
def catalogue() -> dict[str, str]:
    """msgid → Chinese text, from the catalogue that ships with the package."""
    import polib  # type: ignore[import-untyped]

    text = (files("gateway") / "locale" / "zh_CN.po").read_text(encoding="utf-8")
    return {entry.msgid: entry.msgstr for entry in polib.pofile(text) if entry.msgstr and not entry.obsolete}


def _(msg: str) -> str:
    """The text for ``msg`` in the language in use; the English itself where no translation exists."""
    return msg if _lang == "en" else catalogue().get(msg, msg)


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CUT = re.compile(r"(\d{4})(?:-(\d\d))?(?:-(\d\d))?(?:T(\d\d))?(?::(\d\d))?")


def moment(at: datetime | str | None) -> str:
    """An instant as people write it here: 2026年3月5日 22:30, or 5 Mar 2026 22:30. Its own offset, to the minute.

    A text may be cut to its precision (2026-03, 2026-03-05T22); what is no instant comes back as it is. For people only: JSON
    and the audit log keep ISO 8601.
    """
    if at is None:
        return ""
    text = at.isoformat() if isinstance(at, datetime) else at
    found = _CUT.match(text)
    if found is None or (found.end() < len(text) and text[found.end()] not in ":.+-Z"):
        return text
    year, month, day, hour, minute = found.groups()
    if month and not 1 <= int(month) <= 12:
        return text
    if _lang == "en":
        date = " ".join(p for p in (str(int(day)) if day else "", _MONTHS[int(month) - 1] if month else "", year) if p)
        return date if not hour else f"{date} {hour}:{minute}" if minute else f"{date}, {int(hour)} h"
    date = f"{year}年" + (f"{int(month)}月" if month else "") + (f"{int(day)}日" if day else "")
    return date if not hour else f"{date} {hour}:{minute}" if minute else f"{date} {int(hour)}时"


def number(value: float) -> str:
    """A number for people: thousands parted by a comma in English, by nothing but ten-thousands as 万 in Chinese."""
    if _lang == "en":
        return f"{value:,}"
    if isinstance(value, int) and value >= 10_000 and value % 1_000 == 0:
        return f"{value / 10_000:g}万"
    return str(value)


def listed(values: Iterable[object]) -> str:
    """Values one after another: 甲、乙 or A, B."""
    return (", " if _lang == "en" else "、").join(str(value) for value in values)

"""Operators' texts: Chinese by default, English with ``lang = "en"``.

Msgids are English; the Chinese lies in locale/zh_CN.po, which is read on first use, so that a command which prints
nothing pays nothing.
"""

from __future__ import annotations

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

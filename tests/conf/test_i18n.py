"""Every operator's text has its Chinese translation, with the same placeholders."""

from __future__ import annotations

import ast
import string
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import polib
import pytest

from gateway import i18n

ROOT = Path(__file__).parents[2]
ENTRIES = polib.pofile((files("gateway") / "locale" / "zh_CN.po").read_text(encoding="utf-8"))


def msgids() -> Iterator[tuple[str, str]]:
    for path in sorted((*(ROOT / "gateway").rglob("*.py"), *(ROOT / "plugins").rglob("*.py"))):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "_" and node.args):
                continue
            told = node.args[0]
            for text in (told.body, told.orelse) if isinstance(told, ast.IfExp) else (told,):
                if isinstance(text, ast.Constant) and isinstance(text.value, str):
                    yield text.value, f"{path.relative_to(ROOT)}:{node.lineno}"


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def test_every_text_is_translated() -> None:
    known = i18n.catalogue()
    missing = {text: where for text, where in msgids() if text not in known}
    assert missing == {}


def test_translations_have_the_same_placeholders_and_none_is_there_twice() -> None:
    for entry in ENTRIES:
        assert placeholders(entry.msgid) == placeholders(entry.msgstr), entry.msgid
    ids = [entry.msgid for entry in ENTRIES]
    assert sorted({text for text in ids if ids.count(text) > 1}) == []


def test_language_is_chosen() -> None:
    assert i18n._("unknown key") == "没有这个键"
    i18n.use("en")
    try:
        assert i18n._("unknown key") == "unknown key"
    finally:
        i18n.use("zh")
    assert i18n._("a text nobody translated") == "a text nobody translated"


def test_another_language_is_refused() -> None:
    with pytest.raises(ValueError, match="zh or en"):
        i18n.use("fr")  # type: ignore[arg-type]
    assert i18n.lang() == "zh"

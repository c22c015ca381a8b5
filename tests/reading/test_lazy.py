"""What the import of the reading costs; and what its expressions are told of how their matches begin changes nothing they find."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import gateway.reading
from gateway.reading.lazy import Pattern
from gateway.reading.normalise import normalise
from tests.reading.test_corpus import lines


def hinted() -> Iterator[tuple[str, Pattern]]:
    """Every expression of the reading that says how its matches begin or what they hold."""
    for module in pkgutil.iter_modules(gateway.reading.__path__):
        for name, value in vars(importlib.import_module(f"gateway.reading.{module.name}")).items():
            for place, pattern in patterns(value):
                if pattern.begins or pattern.needs:
                    yield f"{module.name}.{name}{place}", pattern


def patterns(value: object) -> Iterator[tuple[str, Pattern]]:
    """``value`` itself or what stands in it, with its place."""
    if isinstance(value, Pattern):
        yield "", value
    elif isinstance(value, tuple):
        for number, one in enumerate(value):
            yield from ((f"[{number}]{place}", pattern) for place, pattern in patterns(one))


TEXTS = [normalise(line["text"]).text for _file, line in lines()]


@pytest.mark.parametrize("name, pattern", [pytest.param(*one, id=one[0]) for one in hinted()])
def test_hints_change_nothing(name: str, pattern: Pattern) -> None:
    plain = re.compile(pattern.source, pattern.flags)
    for text in TEXTS:
        assert [m.span() for m in pattern.finditer(text)] == [m.span() for m in plain.finditer(text)], text
        for start, end in ((0, len(text)), (7, len(text)), (3, 60)):
            found, wanted = pattern.search(text, start, end), plain.search(text, start, end)
            assert (found and found.span()) == (wanted and wanted.span()), (text, start, end)


def test_a_text_without_the_words_is_passed_over() -> None:
    pattern = Pattern("a+b", begins="a", needs=("b",))
    assert pattern.search("aaa") is None and list(pattern.finditer("caaab ab")) != []
    assert pattern.search("xaabb", 2) is not None and pattern.search("aab", 0, 2) is None


ROOT = Path(__file__).parents[2]
_IMPORT = """
import json, re, sys
sys.path[:0] = {paths}
import datetime, functools, typing, msgspec
compiled, compile_ = [], re.compile
re.compile = lambda pattern, flags=0: compiled.append(str(pattern)) or compile_(pattern, flags)
before = set(sys.modules)
import gateway.reading
print(json.dumps([sorted(set(sys.modules) - before), compiled]))
"""
LIGHT = {"__future__", "_bisect", "array", "bisect", "unicodedata"}
"""What of the standard library the reading needs beside what msgspec has loaded."""


def test_the_import_loads_little_and_compiles_nothing() -> None:
    """Counted, not timed, and without the start-up of an editable install, which loads much that would then seem free."""
    paths = [str(ROOT), str(Path(msgspec.__file__).parents[1]), sysconfig.get_path("platlib")]
    asked = [sys.executable, "-S", "-c", _IMPORT.format(paths=paths)]
    loaded, compiled = json.loads(subprocess.run(asked, capture_output=True, text=True, check=True).stdout)
    ours = [name for name in loaded if name.startswith("gateway")]
    assert set(loaded) - set(ours) <= LIGHT
    assert not compiled
    assert not set(ours) & {"gateway.reading.countries", "gateway.reading.elsewhere"}, "tables that few reports need"
    assert len(ours) <= 42

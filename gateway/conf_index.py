"""Where each key of a TOML file stands. tomllib keeps no positions, and a fault without its line is no help.

``Index.of(text)`` walks a text that tomllib has already accepted, so it need not judge, only count.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cached_property

Path = tuple[str | int, ...]

_SPACE = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_BLANK = re.compile(r"[ \t]*")
_BARE = re.compile(r"[A-Za-z0-9_-]+")
_SCALAR = re.compile(r"[^\s,\]}#]+(?: \d[^\s,\]}#]*)?")
_STRINGS = (
    re.compile(r'"""(?:\\.|[^\\])*?"{3,5}', re.DOTALL),
    re.compile(r"'''.*?'{3,5}", re.DOTALL),
    re.compile(r'"(?:\\.|[^"\\\n])*"'),
    re.compile(r"'[^'\n]*'"),
)


class Index:
    """Key path → line, counted from 1. Array elements are ints in the path."""

    def __init__(self, text: str) -> None:
        self._text = text

    @classmethod
    def of(cls, text: str) -> Index:
        """Index a valid TOML text; it is walked when a line is asked for, which a file without faults never needs."""
        return cls(text)

    @cached_property
    def lines(self) -> dict[Path, int]:
        """Every key path with its line."""
        return _Walker(self._text).walk()

    def line(self, path: Sequence[str | int]) -> int:
        """The line of ``path``, else of the nearest table around it; 1 for the file itself."""
        for end in range(len(path), 0, -1):
            found = self.lines.get(tuple(path[:end]))
            if found is not None:
                return found
        return 1


class _Walker:
    def __init__(self, text: str) -> None:
        self.text = text.replace("\r\n", "\n")
        self.at = 0
        self.lines: dict[Path, int] = {}
        self.counts: dict[Path, int] = {}
        self._counted = (0, 1)

    def walk(self) -> dict[Path, int]:
        table: Path = ()
        while self._skip(_SPACE) < len(self.text):
            if self.text[self.at] == "[":
                table = self._header()
            else:
                self._pair(table)
        return self.lines

    def _skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        if found is not None:
            self.at = found.end()
        return self.at

    def _line(self) -> int:
        position, line = self._counted
        line += self.text.count("\n", position, self.at)
        self._counted = (self.at, line)
        return line

    def _mark(self, path: Path) -> None:
        self.lines.setdefault(path, self._line())

    def _header(self) -> Path:
        several = self.text.startswith("[[", self.at)
        line = self._line()
        self.at += 2 if several else 1
        keys = self._keys()
        self.at += 2 if several else 1
        path: Path = ()
        for number, key in enumerate(keys):
            path = (*path, key)
            last = number == len(keys) - 1
            if last and several:
                self.counts[path] = self.counts.get(path, -1) + 1
            self.lines.setdefault(path, line)
            if path in self.counts:
                path = (*path, self.counts[path])
                self.lines.setdefault(path, line)
        return path

    def _keys(self) -> list[str]:
        keys = []
        while True:
            self._skip(_BLANK)
            if self.text[self.at] in "\"'":
                keys.append(self._string()[1:-1])
            else:
                start = self.at
                keys.append(self.text[start : self._skip(_BARE)])
            self._skip(_BLANK)
            if not self.text.startswith(".", self.at):
                return keys
            self.at += 1

    def _pair(self, table: Path) -> None:
        line = self._line()
        path = table
        for key in self._keys():
            path = (*path, key)
            self.lines.setdefault(path, line)
        self.at += 1
        self._skip(_BLANK)
        self._value(path)

    def _value(self, path: Path) -> None:
        first = self.text[self.at]
        if first == "[":
            self._array(path)
        elif first == "{":
            self._inline(path)
        elif first in "\"'":
            self._string()
        else:
            self._skip(_SCALAR)

    def _string(self) -> str:
        start = self.at
        for pattern in _STRINGS:
            found = pattern.match(self.text, start)
            if found is not None:
                self.at = found.end()
                return found.group()
        raise ValueError(f"no string at line {self._line()}")

    def _array(self, path: Path) -> None:
        self.at += 1
        number = 0
        while self.text[self._skip(_SPACE)] != "]":
            self._mark((*path, number))
            self._value((*path, number))
            number += 1
            if self.text[self._skip(_SPACE)] == ",":
                self.at += 1
        self.at += 1

    def _inline(self, path: Path) -> None:
        self.at += 1
        while self.text[self._skip(_SPACE)] != "}":
            self._pair(path)
            if self.text[self._skip(_SPACE)] == ",":
                self.at += 1
        self.at += 1

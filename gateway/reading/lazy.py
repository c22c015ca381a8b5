"""A regular expression that is compiled when it is first used: importing the reading costs a command nothing.

Most expressions of the reading find nothing in most texts, and the engine tries them at every character. ``begins`` (the
characters a match can begin with) lets it pass over most of them, ``needs`` (words of which every match holds one) over the
whole text; they change what a search costs and never what it finds.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

_METHODS = ("match", "fullmatch", "search", "finditer", "split", "sub")


class Pattern:
    """What ``re.compile`` gives, later. Made with ``lazy``; its methods are those of ``re.Pattern``."""

    def __init__(self, source: str, flags: int = 0, *, begins: str = "", needs: tuple[str, ...] = ()) -> None:
        self.source = source
        self.flags = flags
        self.begins = begins
        self.needs = needs

    if TYPE_CHECKING:

        def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None: ...
        def fullmatch(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None: ...
        def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None: ...
        def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]: ...
        def split(self, text: str) -> list[str]: ...
        def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str: ...

    else:

        def __getattr__(self, name: str) -> Any:
            # From the first use on the compiled expression answers itself, without a call of ours between.
            if name not in _METHODS:
                raise AttributeError(name)
            source = f"(?=[{self.begins}])(?:{self.source})" if self.begins else self.source
            compiled = re.compile(source, self.flags)
            for method in _METHODS:
                setattr(self, method, getattr(compiled, method))
            if self.needs:
                self.search, self.finditer = _where(self.needs, self.search, None), _where(self.needs, self.finditer, ())
            return getattr(self, name)


lazy = Pattern


def _where(needs: tuple[str, ...], method: Callable[..., Any], none: Any) -> Callable[..., Any]:
    """``method``, asked only where one of ``needs`` stands in the stretch that is searched."""

    def asked(text: str, start: int = 0, end: int = sys.maxsize) -> Any:
        if start or end < len(text):
            for word in needs:
                if text.find(word, start, end) >= 0:
                    return method(text, start, end)
        else:
            for word in needs:
                if word in text:
                    return method(text)
        return none if none is None else iter(none)

    return asked

"""A regular expression that is compiled when it is first used: importing the reading costs a command nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

_METHODS = ("match", "fullmatch", "search", "finditer", "sub")


class Pattern:
    """What ``re.compile`` gives, later. Made with ``lazy``; its methods are those of ``re.Pattern``."""

    def __init__(self, source: str, flags: int = 0) -> None:
        self.source = source
        self.flags = flags

    if TYPE_CHECKING:

        def match(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None: ...
        def fullmatch(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None: ...
        def search(self, text: str, start: int = 0, end: int = sys.maxsize) -> re.Match[str] | None: ...
        def finditer(self, text: str, start: int = 0, end: int = sys.maxsize) -> Iterator[re.Match[str]]: ...
        def sub(self, replacement: str | Callable[[re.Match[str]], str], text: str) -> str: ...

    else:

        def __getattr__(self, name: str) -> Any:
            # From the first use on the compiled expression answers itself, without a call of ours between.
            if name not in _METHODS:
                raise AttributeError(name)
            compiled = re.compile(self.source, self.flags)
            for method in _METHODS:
                setattr(self, method, getattr(compiled, method))
            return getattr(compiled, name)


lazy = Pattern

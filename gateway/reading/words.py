"""The word lists that a city may change (conf/reading.toml): what is spam, a greeting, a notice, a drill, a sensitive thing."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from typing import Any

from msgspec import Struct
from msgspec.structs import fields

from gateway.core.folding import fold
from gateway.core.parsing import Table


class Words(Struct, frozen=True, kw_only=True):
    """Word lists, folded as texts are before they are compared."""

    spam: tuple[str, ...] = ()
    greeting: tuple[str, ...] = ()
    notice: tuple[str, ...] = ()
    auto_reply: tuple[str, ...] = ()
    news: tuple[str, ...] = ()
    rumour: tuple[str, ...] = ()
    incident: tuple[str, ...] = ()
    drill: tuple[str, ...] = ()
    real: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()

    def found(self, name: str, text: str) -> bool:
        """True where a word of the list ``name`` stands in ``text``."""
        return _either(getattr(self, name))(text) is not None

    @classmethod
    def parse(cls, data: object) -> Words:
        """The lists of conf/reading.toml's [words]. Raises ``ParseFaults``."""
        root = Table(data, (), [])
        root.only("words", "matching")
        table = Table(root.data.get("words", {}), ("words",), root.faults)
        names = [field.name for field in fields(cls)]
        table.only(*names)
        lists: dict[str, Any] = {name: tuple(map(fold, table.texts(name, required=True))) for name in names}
        root.done()
        return cls(**lists)


@cache
def _either(words: tuple[str, ...]) -> Callable[[str], re.Match[str] | None]:
    """One search for all of ``words``: faster than one for each where a text holds none of them, as most do."""
    return re.compile("|".join(map(re.escape, words)) or "(?!)").search

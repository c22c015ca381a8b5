"""Faults found while a table of conf/ is turned into a frozen type: all at once, each with its path in the file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from msgspec import Struct


class ParseFault(Struct, frozen=True, order=True):
    """What is wrong at ``path`` (keys and indexes from the top of the file), and what is allowed there."""

    path: tuple[str | int, ...]
    what: str
    allowed: str = ""

    def __str__(self) -> str:
        where = ".".join(str(step) for step in self.path) or "(file)"
        return f"{where}: {self.what}" + (f"; allowed: {self.allowed}" if self.allowed else "")


class ParseFaults(ValueError):
    """The table cannot be used; ``faults`` are all of them."""

    def __init__(self, faults: list[ParseFault]) -> None:
        self.faults = faults
        super().__init__("\n".join(map(str, faults)))


class Table:
    """A table under inspection: typed look-ups that note a fault and go on with a default."""

    def __init__(self, data: object, path: tuple[str | int, ...], faults: list[ParseFault]) -> None:
        self.path = path
        self.faults = faults
        self.data: Mapping[str, Any] = data if isinstance(data, dict) else {}
        if not isinstance(data, dict):
            self.fault((), "is no table", "a table")

    def fault(self, path: tuple[str | int, ...], what: str, allowed: str = "") -> None:
        """Note a fault at ``path`` below this table."""
        self.faults.append(ParseFault((*self.path, *path), what, allowed))

    def only(self, *known: str) -> None:
        """Every key must be one of ``known``."""
        for key in self.data:
            if key not in known:
                self.fault((key,), "unknown key", ", ".join(known))

    def text(self, key: str, default: str | None = None) -> str:
        """A text; required where no default is given."""
        value = self.data.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            self.fault((key,), "is missing" if key not in self.data else "is no text", "a text")
            return default or ""
        return value

    def flag(self, key: str, default: bool = False) -> bool:
        """A truth value."""
        value = self.data.get(key, default)
        if not isinstance(value, bool):
            self.fault((key,), "is no truth value", "true or false")
            return default
        return value

    def number(self, key: str, default: int | None = None, low: int = 0) -> int:
        """A whole number, ``low`` at least."""
        value = self.data.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < low:
            self.fault((key,), "is missing" if key not in self.data else "is no such number", f"a whole number from {low}")
            return default or low
        return value

    def choice(self, key: str, allowed: tuple[str, ...], default: str | None = None) -> str:
        """One of ``allowed``."""
        value = self.data.get(key, default)
        if value not in allowed:
            self.fault((key,), "is missing" if key not in self.data else f"unknown value {value!r}", ", ".join(allowed))
            return default or allowed[0]
        return str(value)

    def texts(self, key: str, *, required: bool = False) -> tuple[str, ...]:
        """A list of texts, none of them empty."""
        value = self.data.get(key, [])
        if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value) or (required and not value):
            self.fault((key,), "is missing" if key not in self.data else "is no list of texts", "a list of texts")
            return ()
        return tuple(value)

    def tables(self, key: str) -> list[Table]:
        """The tables of an array ([[key]])."""
        value = self.data.get(key, [])
        if not isinstance(value, list):
            self.fault((key,), "is no array of tables", f"[[{key}]]")
            return []
        return [Table(entry, (*self.path, key, i), self.faults) for i, entry in enumerate(value)]

    def done(self) -> None:
        """Raise ``ParseFaults`` where anything was noted."""
        if self.faults:
            raise ParseFaults(self.faults)

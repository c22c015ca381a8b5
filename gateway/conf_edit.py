"""Setting single keys in a TOML text, comments and order kept. Used by ``gateway init`` on its copy of the example."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from typing import Any

from gateway.conf_docs import toml_value
from gateway.conf_index import Index


def set_key(text: str, path: Sequence[str], value: Any) -> str:
    """``text`` with the key at ``path`` set to ``value``: the line that has it, else the one that has it commented out,
    else a new line below the table's header. KeyError where the table is not there; values over several lines are not
    replaced (ValueError)."""
    table, key = tuple(path[:-1]), path[-1]
    lines, index = text.split("\n"), Index.of(text)
    start = index.lines.get(table)
    if table and start is None:
        raise KeyError(".".join(table))
    new = f"{key} = {toml_value(value)}"
    found = index.lines.get((*table, key))
    if found is None:
        found = _commented(lines, key, start or 0)
    if found is None:
        lines.insert(start or 0, new)
    else:
        lines[found - 1] = new
    edited = "\n".join(lines)
    _verify(edited, path, value)
    return edited


def _commented(lines: Sequence[str], key: str, start: int) -> int | None:
    """The line, counted from 1, that holds ``#key = …`` inside the table that begins after line ``start``."""
    for number in range(start, len(lines)):
        if re.match(r"\s*\[", lines[number]):
            return None
        if re.match(rf"#\s*{re.escape(key)}\s*=", lines[number]):
            return number + 1
    return None


def _verify(text: str, path: Sequence[str], value: Any) -> None:
    data: Any = tomllib.loads(text)
    for key in path:
        data = data[key]
    if data != (list(value) if isinstance(value, tuple) else value):
        raise ValueError(f"{'.'.join(path)} was not set")

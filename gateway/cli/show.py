"""Plain tables and text for a terminal; Chinese characters take two columns."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Sequence
from typing import Any

import click

from gateway.i18n import _, listed, moment, number
from gateway.wording import QUALIFIERS, aside, element, figure, occurred, phone, safe, severity

__all__ = [
    "QUALIFIERS", "as_json", "aside", "element", "figure", "listed", "moment", "number", "occurred", "pad", "phone", "safe",
    "severity", "table", "width",
]  # fmt: skip


def width(text: str) -> int:
    """Columns that ``text`` takes on a terminal."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def pad(text: str, columns: int) -> str:
    """``text`` filled with blanks to ``columns``."""
    return text + " " * max(0, columns - width(text))


def cut(text: str, columns: int) -> str:
    """``text`` in at most ``columns``."""
    if width(text) <= columns:
        return text
    kept = ""
    for char in text:
        if width(kept + char) > columns - 1:
            break
        kept += char
    return kept + "…"


def table(heads: Sequence[str], rows: Sequence[Sequence[Any]], widest: int = 48) -> None:
    """Print rows under heads; an empty table says so."""
    if not rows:
        click.echo(_("nothing"))
        return
    cells = [[cut("" if c is None else safe(str(c).replace("\n", " ")), widest) for c in row] for row in rows]
    columns = [max(width(r[i]) for r in [list(heads), *cells]) for i in range(len(heads))]
    for row in [list(heads), *cells]:
        click.echo("  ".join(pad(c, n) for c, n in zip(row, columns, strict=True)).rstrip())


def as_json(data: Any) -> None:
    """Print one JSON object or, for a list, one object a line."""
    for line in data if isinstance(data, list) else [data]:
        click.echo(json.dumps(line, ensure_ascii=False))

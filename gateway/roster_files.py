"""Reading a duty roster that somebody hands in: CSV in UTF-8 or GB18030, or a workbook (.xlsx) with one table a sheet."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

from gateway.core import roster_csv
from gateway.core.roster_table import Line, Place
from gateway.i18n import _

MOST_BYTES = 20 << 20
MOST_UNPACKED = 200 << 20
"""Bytes of a workbook's parts; a few kilobytes can unpack to more than the memory holds."""
MOST_ROWS, MOST_COLUMNS = 50_000, 100
ENDINGS = (".csv", ".xlsx")


class Unreadable(Exception):
    """The file is none that can be read; the text says why and what is allowed."""


def tables(path: Path) -> list[list[Line]]:
    """The tables of a file, each as its lines; of a workbook those of its visible sheets that hold something. Raises
    ``Unreadable``."""
    ending = path.suffix.casefold()
    if ending not in ENDINGS:
        raise Unreadable(_("{file} is no roster; allowed: {endings}").format(file=path, endings=", ".join(ENDINGS)))
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Unreadable(_("cannot read {file}: {error}").format(file=path, error=error.strerror)) from None
    if len(content) > MOST_BYTES:
        raise Unreadable(_("{file} is too large; allowed: {most} MiB").format(file=path, most=MOST_BYTES >> 20))
    if ending == ".csv":
        return [roster_csv.lines(decoded(content, path), path.name)]
    return _workbook(content, path)


def decoded(content: bytes, path: Path) -> str:
    """A CSV file's text: UTF-8 with or without byte order mark, else GB18030, which Chinese spreadsheets write."""
    for charset in ("utf-8-sig", "gb18030"):
        try:
            text = content.decode(charset)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise Unreadable(_("{file} is neither UTF-8 nor GB18030; save it as CSV in one of these").format(file=path))


def _workbook(content: bytes, path: Path) -> list[list[Line]]:
    import openpyxl

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as packed:
            if sum(part.file_size for part in packed.infolist()) > MOST_UNPACKED:
                raise Unreadable(_("{file} is too large; allowed: {most} MiB").format(file=path, most=MOST_UNPACKED >> 20))
        with warnings.catch_warnings():
            # It warns of drawings and rules that it leaves out; none of them is of the table.
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(io.BytesIO(content), data_only=True)
        found = [list(_lines(sheet, path)) for sheet in book.worksheets if sheet.sheet_state == "visible"]
    except Unreadable:
        raise
    except Exception:
        # A damaged workbook may raise anything that a parser of zip and XML can.
        text = _("{file} is no workbook that can be read; allowed: .xlsx without a password")
        raise Unreadable(text.format(file=path)) from None
    if not any(found):
        raise Unreadable(_("{file} holds nothing").format(file=path))
    return [lines for lines in found if lines]


def _lines(sheet: Any, path: Path) -> Iterator[Line]:
    """The rows that hold something. A cell merged downwards, such as an office beside its turns, counts for each of its rows."""
    if sheet.max_row > MOST_ROWS or sheet.max_column > MOST_COLUMNS:
        text = _("sheet {sheet} of {file} is too large; allowed: {rows} rows and {columns} columns")
        raise Unreadable(text.format(sheet=sheet.title, file=path, rows=MOST_ROWS, columns=MOST_COLUMNS))
    merged: dict[tuple[int, int], str] = {}
    for span in sheet.merged_cells.ranges:
        if span.min_col == span.max_col:
            value = _text(sheet.cell(span.min_row, span.min_col))
            merged |= {(row, span.min_col): value for row in range(span.min_row, span.max_row + 1)}
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = tuple(merged.get((number, column)) or _text(cell) for column, cell in enumerate(row, 1))
        if any(cells):
            yield Line(Place(line=number, sheet=sheet.title, file=path.name), cells)


def _text(cell: Any) -> str:
    """A cell as it would be typed: dates as local times to the second, whole numbers without a fraction."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, datetime):
        # A spreadsheet counts days in a float: 08:30 may come as 08:29:59.999.
        near = (value.replace(tzinfo=None) + timedelta(milliseconds=500)).replace(microsecond=0)
        return near.isoformat(" ", "seconds" if near.second else "minutes")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()

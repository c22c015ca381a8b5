"""Statements that are written once, at import: compiled once for each back end, then handed to the driver as they are.

Whatever is asked for every message, delivery or tick is asked so. SQLAlchemy builds, hashes and wraps a statement anew at each of
its runs, which costs ten times what SQLite needs to answer it. What is asked seldom, or with conditions that differ from time to
time, is built on the spot and goes SQLAlchemy's way; ``Tx`` takes both.
"""

from __future__ import annotations

import re
from collections import namedtuple
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain
from operator import itemgetter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc
from sqlalchemy.types import TypeEngine

_named: Any = namedtuple  # whose names are known at run time only
_NOTHING: Mapping[str, Any] = {}
_ROW = re.compile(r"^INSERT INTO \w+ \([^()]*\) VALUES (\([?, ]+\))$")
"""An INSERT of one row in SQLite's words, and nothing behind it."""
_MOST_ROWS = 5
"""An INSERT of several rows has two to the power of this at most."""
_MOST_OCTETS = 256 * 1024
"""It holds about so many octets, a single long row excepted: SQLite keeps what a statement was given until it runs again."""
_LONG = (bytes, str, memoryview)
"""Values that may be long."""
Turn = Callable[[Any], Any]
"""How a value of ours becomes one of the driver's, or the other way round."""


class Prepared:
    """A statement whose values have names (``sa.bindparam``); none may be a list, whose length would be a part of the text.
    ``columns`` are those that an INSERT or UPDATE is given under their own names."""

    def __init__(self, statement: sa.Executable, columns: Iterable[str] | None = None) -> None:
        self.statement = statement
        self._columns = None if columns is None else list(columns)
        self._ready: dict[str, Compiled] = {}

    def on(self, dialect: sa.Dialect) -> Compiled:
        """The statement as the driver of that back end takes it."""
        ready = self._ready.get(dialect.name)
        if ready is None:
            ready = self._ready[dialect.name] = Compiled(self.statement, dialect, self._columns)
        return ready


class Compiled:
    """A statement in the words of one back end: its text, how its values go in, how its rows come out."""

    def __init__(self, statement: Any, dialect: sa.Dialect, columns: list[str] | None) -> None:
        compiled = statement.compile(dialect=dialect, column_keys=columns)
        names = list(compiled.params)
        self.text = str(compiled)
        self._fixed = {name: value for name, value in compiled.params.items() if not compiled.binds[name].required}
        self._into = _turns(dialect, "bind_processor", {name: compiled.binds[name].type for name in names})
        self._order = _in_order(compiled.positiontup) if compiled.positional else None
        self._plain = self._order is not None and not self._fixed and not self._into
        shown = list(getattr(statement, "exported_columns", ()))
        row = _named("Row", [getattr(one, "name", "_") for one in shown], rename=True)
        self._texts: dict[int, str] = {}
        self._insert = _ROW.search(self.text) if dialect.name == "sqlite" else None
        self._row = partial(tuple.__new__, row)  # what its _make does, without a call in Python for each row
        self._out_of = _turns(dialect, "result_processor", dict(enumerate(one.type for one in shown)), None)

    def given(self, values: Mapping[str, Any]) -> Any:
        """``values`` as the driver takes them. Raises ``KeyError`` where one is missing."""
        if self._plain:
            return self._order(values)  # type: ignore[misc]
        named = {**self._fixed, **values}
        for name, turn in self._into.items():
            named[name] = turn(named[name])
        return named if self._order is None else self._order(named)

    def run(self, driver: Any, dialect: sa.Dialect, values: Any) -> tuple[list[Any], int]:
        """Run it on the driver's own connection: once with a mapping, or for each of a list of them. Returns the rows, with the
        names of their columns, and how many rows were changed. What the driver raises is raised as SQLAlchemy's error, as
        everywhere in the store."""
        cursor = driver.cursor()
        try:
            if not isinstance(values, list):
                cursor.execute(self.text, self.given(values or _NOTHING))
            elif len(values) == 1:
                cursor.execute(self.text, self.given(values[0]))
            elif self._insert is not None:
                return [], self._insert_all(cursor, [*map(self.given, values)])
            else:
                cursor.executemany(self.text, [*map(self.given, values)])
            found = cursor.fetchall() if cursor.description else []
        except dialect.loaded_dbapi.Error as error:
            gone = dialect.is_disconnect(error, driver, cursor)
            wrong = dialect.loaded_dbapi.Error
            raise exc.DBAPIError.instance(
                self.text, None, error, wrong, hide_parameters=True, connection_invalidated=gone, dialect=dialect
            ) from error
        if self._out_of:
            found = [self._turned(row) for row in found]
        return [*map(self._row, found)] if found else found, cursor.rowcount

    def _insert_all(self, cursor: Any, rows: list[Any]) -> int:
        """Insert many rows by few statements: sqlite3 gives the interpreter away at each row of an executemany, and one who works
        beside another thread has to wait for it again and again."""
        there = 0
        while there < len(rows):
            # By powers of two, so that few texts are made and SQLite keeps them compiled.
            many = 1 << min((len(rows) - there).bit_length() - 1, _MOST_ROWS)
            while many > 1 and _octets(rows[there : there + many]) > _MOST_OCTETS:
                many >>= 1
            cursor.execute(self._rows_text(many), [*chain.from_iterable(rows[there : there + many])])
            there += many
        return there

    def _rows_text(self, many: int) -> str:
        if many not in self._texts:
            assert self._insert is not None
            self._texts[many] = self.text + f", {self._insert[1]}" * (many - 1)
        return self._texts[many]

    def _turned(self, row: Sequence[Any]) -> list[Any]:
        """A row of the driver's with its values as we have them."""
        turned = list(row)
        for place, turn in self._out_of.items():
            turned[place] = turn(turned[place])
        return turned


def _octets(rows: Sequence[Sequence[Any]]) -> int:
    """About how long the values of ``rows`` are."""
    return sum(len(value) for row in rows for value in row if isinstance(value, _LONG))


def _in_order(names: Sequence[str]) -> Callable[[Mapping[str, Any]], tuple[Any, ...]]:
    """What takes the values of ``names`` out of a mapping."""
    if len(names) > 1:
        return itemgetter(*names)
    if not names:
        return lambda values: ()
    (only,) = names
    return lambda values: (values[only],)


def _turns(dialect: sa.Dialect, which: str, types: Mapping[Any, TypeEngine[Any]], *more: Any) -> dict[Any, Turn]:
    """The types whose values the driver does not take or give as we have them, and how each is turned."""
    made = {name: getattr(type_.dialect_impl(dialect), which)(dialect, *more) for name, type_ in types.items()}
    return {name: turn for name, turn in made.items() if turn is not None}

"""The transaction object that every function of the store works on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store import tables
from gateway.store.keys import StoreKeys
from gateway.store.prepared import Prepared

AnyRow: TypeAlias = "sa.Row[*tuple[Any, ...]]"
Statement: TypeAlias = sa.Executable | Prepared
"""What is asked: built on the spot, or ``Prepared`` once for all."""


@dataclass(slots=True)
class Tx:
    """One transaction, lent to one function at a time.

    ``cache`` outlives the transaction and may hold only what follows from a part of a row, beside that part. ``events`` are
    written when the function is done; ``touched`` tells the store what to do after the commit (``events``, ``scrub``).
    """

    conn: sa.Connection
    keys: StoreKeys
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    cache: dict[Any, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)
    _driver: Any = None
    _dialect: Any = None

    def __post_init__(self) -> None:
        self._driver = self.conn.connection.driver_connection
        self._dialect = self.conn.dialect

    @property
    def postgres(self) -> bool:
        """True on PostgreSQL."""
        return bool(self._dialect.name == "postgresql")

    def run(self, statement: Statement, values: Any = None) -> int:
        """Execute a statement, once or for each of a list of values; returns how many rows it changed."""
        if isinstance(statement, Prepared):
            return statement.on(self._dialect).run(self._driver, self._dialect, values)[1]
        return self.conn.execute(statement, values).rowcount

    def all(self, statement: Statement, values: Any = None) -> Sequence[AnyRow]:
        """All rows."""
        if isinstance(statement, Prepared):
            return statement.on(self._dialect).run(self._driver, self._dialect, values)[0]
        return self.conn.execute(statement, values).all()

    def stream(self, statement: sa.Select[Any]) -> Iterator[AnyRow]:
        """Row after row, some hundreds of them in memory at once; for one who reads much and keeps little of it."""
        yield from self.conn.execute(statement.execution_options(yield_per=500))

    def one(self, statement: Statement, values: Any = None) -> AnyRow | None:
        """The first row, or None."""
        found = self.all(statement, values)
        return found[0] if found else None

    def scalar(self, statement: Statement, values: Any = None) -> Any:
        """The first column of the first row, or None."""
        found = self.all(statement, values)
        return found[0][0] if found else None

    def insert(self, table: sa.Table, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Insert one row or several of the same columns."""
        rows = [values] if isinstance(values, Mapping) else list(values)
        if rows:
            self.run(_insert(table.name, tuple(rows[0])), rows)

    def insert_new(self, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless one of its primary key is there; True where it was inserted."""
        return self.run(_insert_new(self.postgres, table.name, tuple(values)), values) > 0

    def put(self, table: sa.Table, values: Mapping[str, Any], *, key: tuple[str, ...] = ("id",)) -> None:
        """Insert a row or replace the columns of the one that has its ``key``."""
        self.run(_put(self.postgres, table.name, tuple(values), key), values)

    def count_up(self, name: str) -> int:
        """The next value of a running number, from 1."""
        return int(self.scalar(_count_up(self.postgres), {"name": name, "value": 1}))

    def flush(self) -> None:
        """Write the events that wait."""
        if self.events:
            self.run(_EVENT_PG if self.postgres else _EVENT_SQLITE, self.events)
            self.events.clear()
            self.touched.add("events")


def _table(name: str) -> sa.Table:
    return tables.metadata.tables[name]


@cache
def _insert(table: str, columns: tuple[str, ...]) -> Prepared:
    return Prepared(sa.insert(_table(table)).inline(), columns)


@cache
def _insert_new(postgres: bool, table: str, columns: tuple[str, ...]) -> Prepared:
    made = _dialect(postgres).insert(_table(table)).inline()
    return Prepared(made.on_conflict_do_nothing(index_elements=_table(table).primary_key), columns)


@cache
def _put(postgres: bool, table: str, columns: tuple[str, ...], key: tuple[str, ...]) -> Prepared:
    made = _dialect(postgres).insert(_table(table)).inline()
    rest = {name: made.excluded[name] for name in columns if name not in key}
    return Prepared(made.on_conflict_do_update(index_elements=key, set_=rest), columns)


@cache
def _count_up(postgres: bool) -> Prepared:
    made = _dialect(postgres).insert(tables.counters).on_conflict_do_update(
        index_elements=["name"], set_={"value": tables.counters.c.value + 1}
    )  # fmt: skip
    return Prepared(made.returning(tables.counters.c.value), ("name", "value"))


def _dialect(postgres: bool) -> Any:
    return postgresql if postgres else sqlite


_EVENT_COLUMNS = ("at", "offset_minutes", "event", "incident", "message", "delivery", "by", "data", "withheld")
_EVENT_SQLITE = Prepared(sa.insert(tables.events).inline().values(txid=0), _EVENT_COLUMNS)
_EVENT_PG = Prepared(sa.insert(tables.events).inline().values(txid=sa.text("pg_current_xact_id()::text::bigint")), _EVENT_COLUMNS)


def clean(text: str) -> str:
    """A carrier's words as both data bases can hold them: lone surrogates and NUL are written out."""
    if "\0" not in text:
        try:
            text.encode()
        except UnicodeEncodeError:
            pass
        else:
            return text
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\x00")


def clean_or_none(text: str | None) -> str | None:
    """As ``clean``; None stays None."""
    return None if text is None else clean(text)

"""The transaction object that every function of the store works on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from gateway.store import tables
from gateway.store.keys import StoreKeys

AnyRow: TypeAlias = "sa.Row[*tuple[Any, ...]]"


@dataclass(slots=True)
class Tx:
    """One transaction, lent to one function at a time.

    ``cache`` outlives the transaction and may hold only what a row's stamp names for good. ``events`` are written when
    the function is done; ``touched`` tells the store what to do after the commit (``events``, ``scrub``).
    """

    conn: sa.Connection
    keys: StoreKeys
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    cache: dict[Any, Any]
    events: list[dict[str, Any]] = field(default_factory=list)
    touched: set[str] = field(default_factory=set)

    @property
    def postgres(self) -> bool:
        """True on PostgreSQL."""
        return self.conn.dialect.name == "postgresql"

    def run(self, statement: sa.Executable, values: Any = None) -> sa.CursorResult[Any]:
        """Execute a statement."""
        return self.conn.execute(statement, values)

    def one(self, statement: sa.Executable, values: Any = None) -> AnyRow | None:
        """The first row, or None."""
        return self.conn.execute(statement, values).first()

    def all(self, statement: sa.Executable, values: Any = None) -> Sequence[AnyRow]:
        """All rows."""
        return self.conn.execute(statement, values).all()

    def scalar(self, statement: sa.Executable, values: Any = None) -> Any:
        """The first column of the first row, or None."""
        return self.conn.execute(statement, values).scalar()

    def insert(self, table: sa.Table, values: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> None:
        """Insert one row or several."""
        if values:
            self.conn.execute(_INSERTS[table.name], values)

    def insert_new(self, table: sa.Table, values: Mapping[str, Any]) -> bool:
        """Insert a row unless one of its primary key is there; True where it was inserted."""
        made = self._dialect().insert(table).values(**values).on_conflict_do_nothing(index_elements=table.primary_key)
        return self.conn.execute(made.returning(*table.primary_key)).first() is not None

    def put(self, table: sa.Table, values: Mapping[str, Any], *, key: tuple[str, ...] = ("id",)) -> None:
        """Insert a row or replace the columns of the one that has its ``key``."""
        made = self._dialect().insert(table).values(**values)
        rest = {name: made.excluded[name] for name in values if name not in key}
        self.conn.execute(made.on_conflict_do_update(index_elements=key, set_=rest))

    def count_up(self, name: str) -> int:
        """The next value of a running number, from 1."""
        made = self._dialect().insert(tables.counters).values(name=name, value=1)
        made = made.on_conflict_do_update(index_elements=["name"], set_={"value": tables.counters.c.value + 1})
        return int(self.conn.execute(made.returning(tables.counters.c.value)).scalar_one())

    def flush(self) -> None:
        """Write the events that wait."""
        if self.events:
            statement = _EVENT_PG if self.postgres else _EVENT_SQLITE
            self.conn.execute(statement, self.events)
            self.events.clear()
            self.touched.add("events")

    def _dialect(self) -> Any:
        return postgresql if self.postgres else sqlite


_INSERTS = {table.name: sa.insert(table) for table in tables.metadata.tables.values()}
_EVENT_SQLITE = sa.insert(tables.events).values(txid=0)
_EVENT_PG = sa.insert(tables.events).values(txid=sa.text("pg_current_xact_id()::text::bigint"))


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

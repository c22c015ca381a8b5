"""A PostgreSQL store in files and back: each table by COPY, all within one REPEATABLE READ snapshot. Needs no pg_dump."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from gateway.i18n import _
from gateway.store import engine, schema, tables
from gateway.store.errors import StoreRefused
from gateway.store.keys import StoreKeys
from gateway.store.tx import Tx

T = TypeVar("T")
_NAME = re.compile(r"[a-z_]{1,63}")


class Reader:
    """Reads in the snapshot's own transaction."""

    def __init__(self, conn: sa.Connection) -> None:
        self._conn = conn

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        """Run ``fn``; texts cannot be opened."""
        return fn(Tx(self._conn, StoreKeys(bytes(32)), lambda: datetime.now(UTC), lambda: "", {}))


@contextmanager
def dump(url: sa.URL, folder: Path) -> Iterator[tuple[Reader, str, dict[str, list[str]]]]:
    """Write each table to a file of its name in ``folder``; gives a reader of the same snapshot, the schema's version and the
    columns by table. Raises ``StoreRefused`` where the store is not of this version's schema."""
    folder.mkdir(mode=0o700)
    made = engine.make(url, writes=False)
    try:
        with made.connect() as conn, conn.begin():
            conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
            version = schema.version(conn)
            if version != schema.HEAD:
                text = _("the store has schema {version}, this version copies {known}: start the daemon once")
                raise StoreRefused(text.format(version=version, known=schema.HEAD))
            columns = {str(table.name): [str(column.name) for column in table.columns] for table in tables.metadata.sorted_tables}
            for name, names in columns.items():
                with (folder / name).open("wb") as file, _cursor(conn).copy(f"COPY {_target(name, names)} TO STDOUT") as out:
                    for block in out:
                        file.write(block)
            yield Reader(conn), version, columns
    finally:
        made.dispose()


def load(url: sa.URL, folder: Path, version: str, columns: Mapping[str, Sequence[str]]) -> None:
    """Make the schema ``version`` in an empty data base and fill it, in one transaction. Raises ``StoreRefused``."""
    made = engine.make(url, writes=True)
    try:
        with made.connect() as conn, conn.begin():
            conn.exec_driver_sql("SET LOCAL statement_timeout = 0")
            if sa.inspect(conn).get_table_names():
                raise StoreRefused(_("the data base is not empty; give a new one"))
            schema.migrate(conn, version)
            for name, names in columns.items():
                with (folder / name).open("rb") as file, _cursor(conn).copy(f"COPY {_target(name, names)} FROM STDIN") as into:
                    while block := file.read(1 << 20):
                        into.write(block)
            # Numbers of the other cluster's transactions would hide events from the sealer.
            conn.execute(sa.update(tables.events).values(txid=0))
            conn.exec_driver_sql(
                "SELECT setval(pg_get_serial_sequence('events', 'id'), (SELECT coalesce(max(id), 1) FROM events))"
            )
    finally:
        made.dispose()


def _cursor(conn: sa.Connection) -> Any:
    return conn.connection.cursor()


def _target(name: str, names: Sequence[str]) -> str:
    # Names of a backup come from its manifest: nothing but a name may stand in the statement.
    if not all(_NAME.fullmatch(one) for one in (name, *names)):
        raise StoreRefused(_("the backup names a table or column that cannot be one of ours"))
    return f'"{name}" ({", ".join(f"{chr(34)}{one}{chr(34)}" for one in names)})'

"""Connections: SQLite (WAL, synced at every commit, secure delete) and PostgreSQL, set up alike."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.pool import NullPool, StaticPool

from gateway.i18n import _
from gateway.store.errors import StoreRefused
from gateway.store.prepared import Prepared

BUSY_MS = 5000
READERS = 2
WAL_KEPT = 1 << 20
"""A -wal that was checkpointed is cut to so many bytes when it is begun anew."""


def make(url: sa.URL, *, writes: bool, busy_ms: int = BUSY_MS) -> sa.Engine:
    """An engine for the one writer or for the readers. Raises ``StoreRefused`` for a data base we do not know."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return _sqlite(url, writes=writes, busy_ms=busy_ms)
    if backend == "postgresql":
        return _postgres(url, writes=writes, busy_ms=busy_ms)
    raise StoreRefused(_("the store can be sqlite or postgresql+psycopg, not {backend}").format(backend=backend))


def in_memory(url: sa.URL) -> bool:
    """True for a store that lives in memory alone."""
    return url.get_backend_name() == "sqlite" and url.database in (None, "", ":memory:")


def _sqlite(url: sa.URL, *, writes: bool, busy_ms: int) -> sa.Engine:
    memory = in_memory(url)
    pool: dict[str, Any] = {"poolclass": NullPool} if writes else {"pool_size": READERS, "max_overflow": 4}
    if memory:
        pool = {"poolclass": StaticPool}
    made = sa.create_engine(
        url, connect_args={"check_same_thread": False, "timeout": busy_ms / 1000}, hide_parameters=True, **pool
    )
    pragmas = [f"busy_timeout={busy_ms}", "temp_store=MEMORY", "cache_size=-16000"]
    if not memory:
        pragmas += ["secure_delete=ON"]
        pragmas += ["journal_mode=WAL", "synchronous=FULL"] if writes else []
        pragmas += ["wal_autocheckpoint=0", f"journal_size_limit={WAL_KEPT}"] if writes else ["query_only=ON"]

    begin = Prepared(sa.text("BEGIN IMMEDIATE" if writes else "BEGIN"))

    def connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # transactions are ours to begin
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()

    def begun(connection: sa.Connection) -> None:
        begin.on(connection.dialect).run(connection.connection.driver_connection, connection.dialect, None)

    event.listen(made, "connect", connected)
    event.listen(made, "begin", begun)
    return made


def _postgres(url: sa.URL, *, writes: bool, busy_ms: int) -> sa.Engine:
    options = [f"lock_timeout={busy_ms}", "statement_timeout=60000", "client_encoding=UTF8"]
    if writes:
        options += ["synchronous_commit=on", "idle_in_transaction_session_timeout=60000"]
    else:
        options += ["default_transaction_read_only=on", "default_transaction_isolation=repeatable\\ read"]
    pool: dict[str, Any] = {"poolclass": NullPool} if writes else {"pool_size": READERS, "max_overflow": 4}
    return sa.create_engine(
        url.set(drivername="postgresql+psycopg"),
        connect_args={"options": " ".join(f"-c {one}" for one in options), "connect_timeout": 5},
        hide_parameters=True,
        pool_pre_ping=not writes,
        **pool,
    )

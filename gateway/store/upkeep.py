"""What the store does beside its writer: checkpoints of SQLite's -wal, and clearing out the remains of destroyed keys.

A thread of its own with its own connection, so that no receipt waits for a checkpoint.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import threading
from collections.abc import Callable
from time import monotonic
from typing import Any

import sqlalchemy as sa

from gateway.core.errors import StorageTrouble

log = logging.getLogger(__name__)

WAL_BYTES = 4 << 20
"""A -wal longer than this is checkpointed at the next commit."""
EVERY = 30.0
_LEAST = 1.0
"""Seconds between checkpoints under load: each costs a sync of the data base."""
_AGAIN = 0.25
TAKE_IN = "PRAGMA wal_checkpoint(TRUNCATE)"
_BUSY_MS = 50
"""A truncating checkpoint holds up the writer while it waits for readers: it waits this long and tries again."""


class Upkeep:
    """The thread. On PostgreSQL it does nothing but VACUUM the vault after a key was destroyed.

    ``unsure`` is called where a sync of the data base failed. Linux then takes the pages for written and never tries them
    again, and SQLite holds those of earlier partial checkpoints for safe: only a new process, which goes by the whole -wal, puts
    that right.
    """

    def __init__(self, engine: sa.Engine, url: sa.URL, unsure: Callable[[str], None]) -> None:
        self._unsure = unsure
        self._engine = engine
        self._sqlite = url.get_backend_name() == "sqlite"
        self._wal = f"{url.database}-wal"
        self._wake = threading.Event()
        self._clean = threading.Event()
        self._clean.set()
        self._stopping = False
        self._last = 0.0
        self._thread = threading.Thread(target=self._run, name="store-upkeep", daemon=True)
        self._thread.start()

    def committed(self, *, scrub: bool) -> None:
        """Told after each commit."""
        if scrub:
            self._clean.clear()
        long = self._sqlite and monotonic() - self._last > _LEAST and _size(self._wal) > WAL_BYTES
        if scrub or long:
            self._wake.set()

    def scrub(self, timeout: float) -> bool:
        """Wait until the remains of destroyed keys are gone; False after ``timeout`` seconds."""
        return self._clean.wait(timeout)

    def stop(self) -> None:
        """One last try to clear and shorten, then end."""
        self._stopping = True
        self._wake.set()
        self._thread.join()

    def _run(self) -> None:
        conn: Any = None
        while True:
            woken = self._wake.wait(EVERY if self._clean.is_set() else _AGAIN)
            self._wake.clear()
            try:
                if woken or not self._clean.is_set() or (self._sqlite and _size(self._wal)):
                    conn = conn or self._connect()
                    self._work(conn.cursor())
            except Exception as error:  # sqlite3.Error or psycopg.Error: try again later, the data is safe either way
                log.warning("checkpoint put off: %s", type(error).__name__)
                if getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_IOERR_FSYNC:
                    self._unsure(f"{type(error).__name__}: {error}")
                _close(conn)
                conn = None
            if self._stopping:
                break
        _close(conn)

    def _connect(self) -> Any:
        """A connection past SQLAlchemy: neither a checkpoint nor VACUUM may stand in a transaction."""
        conn = self._engine.raw_connection()
        dbapi: Any = conn.dbapi_connection
        conn.detach()
        if self._sqlite:
            dbapi.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
        else:
            dbapi.autocommit = True
        return dbapi

    def _work(self, cursor: Any) -> None:
        dirty = not self._clean.is_set()
        started = monotonic()
        if self._sqlite:
            # The passive one does the work beside the writer; what ends the -wal holds it up only for the rest.
            busy = _checkpoint(cursor, "PASSIVE")
            if dirty or self._stopping:
                busy = _checkpoint(cursor, "TRUNCATE")
            elif _size(self._wal) > WAL_BYTES:
                busy = _checkpoint(cursor, "RESTART")
            if dirty and not busy:
                self._clean.set()
        elif dirty:
            cursor.execute("VACUUM vault")
            self._clean.set()
        cursor.close()
        self._last = monotonic()
        if (took := self._last - started) > 1:
            log.info("checkpoint took %.1f s", took)


def settle(engine: sa.Engine) -> None:
    """Take the whole -wal into the data base and sync it, before anything else is done with it: what a process before this one
    wrote there may be in memory alone, though it can be read. A data base that others have open is left as it is. Raises
    ``StorageTrouble``."""
    conn = engine.raw_connection()
    try:
        conn.cursor().execute(TAKE_IN).fetchall()
    except sqlite3.Error as error:
        raise StorageTrouble(str(error)) from None
    finally:
        conn.close()


def _checkpoint(cursor: Any, mode: str) -> bool:
    """Run a checkpoint; True where it could not be finished."""
    return bool(cursor.execute(f"PRAGMA wal_checkpoint({mode})").fetchone()[0])


def _close(conn: Any) -> None:
    if conn is not None:
        conn.close()


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0

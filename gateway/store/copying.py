"""Consistent copies of an SQLite store while others write to it, and reading one without its key.

The copy is made of one read snapshot: writers go on in the -wal and never make the copy begin anew. Checkpoints cannot pass
the snapshot meanwhile, so the -wal grows by what is written during the copy.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa

from gateway.core.errors import StorageTrouble
from gateway.i18n import _
from gateway.store import engine
from gateway.store.errors import StoreRefused
from gateway.store.keys import StoreKeys
from gateway.store.tx import Tx
from gateway.store.writer import describe, is_trouble

T = TypeVar("T")
PAGES = 256
"""Pages of one step: 1 MiB."""
SYNC_BYTES = 16 << 20
"""So much is written before it is synced, that the disk's queue stays short for the writer's own syncs."""


def copy(source: Path, target: Path, *, rate: float = 0.0, busy_ms: int = engine.BUSY_MS) -> int:
    """Copy the data base ``source`` to the new file ``target`` (0600, synced); returns its size in bytes.

    ``rate`` bounds the copy in MiB/s, 0 does not. Raises ``StorageTrouble``, ``OSError``; a half-made copy is removed.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    descriptor = os.open(target, os.O_RDWR)
    try:
        pace = _Pace(descriptor, rate)
        address = f"{source.absolute().as_uri()}?mode=ro"
        with (
            closing(sqlite3.connect(address, uri=True, timeout=busy_ms / 1000, isolation_level=None)) as conn,
            closing(sqlite3.connect(target, isolation_level=None)) as made,
        ):
            made.execute("PRAGMA synchronous=OFF")
            made.execute("PRAGMA cache_size=-2048")
            conn.execute("BEGIN")
            conn.execute("SELECT count(*) FROM sqlite_master").fetchall()  # takes the snapshot
            conn.backup(made, pages=PAGES, progress=pace)
        os.fsync(descriptor)
        return os.fstat(descriptor).st_size
    except sqlite3.Error as error:
        target.unlink(missing_ok=True)
        raise StorageTrouble(_("{error} while copying {path}").format(error=type(error).__name__, path=source)) from None
    except BaseException:
        target.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


class _Pace:
    """Called after each step: keeps the copy at its rate and the disk's queue short."""

    def __init__(self, descriptor: int, rate: float) -> None:
        self._descriptor = descriptor
        self._rate = rate * (1 << 20)
        self._started = time.monotonic()
        self._synced = 0

    def __call__(self, _status: int, remaining: int, total: int) -> None:
        done = (total - remaining) * 4096
        if done - self._synced >= SYNC_BYTES:
            os.fdatasync(self._descriptor)
            self._synced = done
        if self._rate:
            time.sleep(max(0.0, done / self._rate - (time.monotonic() - self._started)))


class Peek:
    """A store read without its key: journal and states, no texts. For checking copies; it changes nothing."""

    def __init__(self, url: str) -> None:
        self._engine = engine.make(sa.make_url(url), writes=False)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        """Run ``fn`` in a read transaction. Raises ``StorageTrouble``."""
        try:
            with self._engine.connect() as conn, conn.begin():
                return fn(Tx(conn, StoreKeys(bytes(32)), lambda: datetime.now(UTC), lambda: "", {}))
        except Exception as error:
            if is_trouble(error):
                raise StorageTrouble(describe(error)) from None
            raise

    def close(self) -> None:
        """Let go of the connections."""
        self._engine.dispose()


def keep_before_migration(database: Path, version: str) -> Path:
    """A copy of a store of an older version beside it, made once. Raises ``StoreRefused`` where it cannot be made."""
    target = database.with_name(f"{database.name}.before-{version}")
    if target.exists():
        return target
    part = target.with_name(f"{target.name}.part")
    part.unlink(missing_ok=True)
    try:
        copy(database, part)
        part.rename(target)
        folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    except (OSError, StorageTrouble) as error:
        need = database.stat().st_size
        raise StoreRefused(
            _(
                "the store has schema {version} and is copied to {target} before it is brought up to date; that failed "
                "({error}): have {need} bytes free there, or move a backup made with `gateway backup` to that name"
            ).format(version=version, target=target, error=type(error).__name__, need=need)
        ) from None
    return target

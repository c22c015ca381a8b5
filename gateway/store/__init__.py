"""The store: journal, register and queues on SQLite or PostgreSQL, with every text sealed.

All functions of the rooms (messages, parts, incidents, deliveries, receipts, journal) take a ``Tx`` and are handed to
``Store.write`` or ``Store.read``.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa

from gateway.core.errors import StorageTrouble
from gateway.i18n import _
from gateway.store import engine, schema, tables
from gateway.store.errors import KeyGone, NewerStore, NotFound, Stale, StoreRefused, Tampered, WrongKey
from gateway.store.ids import Ids
from gateway.store.keys import StoreKeys
from gateway.store.tx import Tx
from gateway.store.upkeep import Upkeep, settle
from gateway.store.waiting import Job
from gateway.store.writer import Writer, describe, is_trouble, run_one, undo

__all__ = [
    "KeyGone", "NewerStore", "NotFound", "Stale", "Store", "StoreKeys", "StoreRefused", "Tampered", "Tx", "WrongKey",
    "end_process",
]  # fmt: skip

T = TypeVar("T")
log = logging.getLogger(__name__)
_CACHE = 2_000


def end_process(why: str) -> None:
    """End this process at once, leaving the -wal as it is: the next one begins from what is there."""
    log.critical("a sync of the data base failed, the gateway ends and begins anew from its -wal: %s", why)
    os._exit(1)


class Store:
    """One open store. Made with ``Store.open``; every write is on stable storage when it returns."""

    def __init__(self, url: sa.URL, keys: StoreKeys, ids: Ids, clock: Callable[[], datetime], busy_ms: int) -> None:
        self.url = url
        self.keys = keys
        self.now = clock
        self.new_id = ids
        self.listeners: list[Callable[[], object]] = []
        """Called after each commit that wrote events, in the writer's thread: keep them short."""
        self.unsure: Callable[[str], None] = end_process
        """Called in the store's own thread where nobody knows what of the data base is on the disk; it must not return."""
        self._cache: dict[Any, Any] = {}
        self._write_engine = engine.make(url, writes=True, busy_ms=busy_ms)
        self._memory = engine.in_memory(url)
        self._memory_lock = threading.RLock()
        self._here: sa.Connection | None = None
        self._read_engine = self._write_engine if self._memory else engine.make(url, writes=False, busy_ms=busy_ms)
        self._readers: ThreadPoolExecutor | None = None
        self._writer: Writer | None = None
        self._upkeep: Upkeep | None = None

    @classmethod
    def open(
        cls,
        url: str,
        keys: StoreKeys,
        clock: Callable[[], datetime],
        *,
        random: Callable[[int], bytes] = os.urandom,
        busy_ms: int = engine.BUSY_MS,
    ) -> Store:
        """Open ``sqlite:///PATH``, ``sqlite://`` (in memory, for dry runs) or ``postgresql+psycopg://…`` and migrate it.

        ``busy_ms`` is how long a locked data base is waited for. Raises ``StoreRefused`` (newer schema, other key) and
        ``StorageTrouble``.
        """
        store = cls(sa.make_url(url), keys, Ids(clock, random), clock, busy_ms)
        try:
            store._prepare()
        except BaseException as error:
            store.close()
            if is_trouble(error):
                raise StorageTrouble(_("cannot open the store: {error}").format(error=describe(error))) from None
            raise
        return store

    def _prepare(self) -> None:
        path = self.url.database
        if self.url.get_backend_name() == "sqlite" and path and not self._memory:
            # The file is made here and not by SQLite, so that it and its -wal belong to the gateway alone.
            try:
                os.close(os.open(Path(path), os.O_RDWR | os.O_CREAT, 0o600))
            except OSError as error:
                raise StorageTrouble(_("{error} at {path}").format(error=type(error).__name__, path=path)) from None
        with self._write_engine.connect() as conn, conn.begin():
            if self._memory:
                tables.metadata.create_all(conn)
            else:
                schema.prepare(conn)
            schema.claim(conn, self.keys)
        if self._memory:
            # One transaction that never ends: there is nothing to commit to, and each function has its savepoint.
            self._here = self._write_engine.connect()
            self._here.begin()
        else:
            if self.url.get_backend_name() == "sqlite":
                settle(self._write_engine)
            self._upkeep = Upkeep(self._write_engine, self.url, self._lost_sight)
            self._writer = Writer(self._write_engine.connect, self._tx, self._committed)
            self._readers = ThreadPoolExecutor(engine.READERS, thread_name_prefix="store-reader")

    @property
    def commits(self) -> int:
        """How many write transactions were committed since open (0 in memory)."""
        return self._writer.commits if self._writer else 0

    async def write(self, fn: Callable[[Tx], T], *, again: bool = False, later: bool = False) -> T:
        """Run ``fn`` in the writer's next transaction; return its value after COMMIT. ``again``: it changes nothing but the
        transaction, so that it may be run again; many such functions cost less. What may come ``later`` lets some that come after
        it go first.

        Raises what ``fn`` raised (its savepoint rolled back) or ``StorageTrouble``. A cancelled call may have been done.
        """
        if self._here is not None:
            return self._write_here(self._here, fn)
        if self._writer is None:
            raise StorageTrouble(_("the store is closed"))
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._writer.submit(Job(fn, future, loop, again, later))
        return await future

    def write_now(self, fn: Callable[[Tx], T]) -> T:
        """As ``write``, for callers without a loop; not from within a store function."""
        if self._here is not None:
            return self._write_here(self._here, fn)
        if self._writer is None:
            raise StorageTrouble(_("the store is closed"))
        if self._writer.own_thread:
            raise RuntimeError("write_now inside a store function")
        future: Future[T] = Future()
        self._writer.submit(Job(fn, future))
        return future.result()

    async def read(self, fn: Callable[[Tx], T]) -> T:
        """Run ``fn`` in a short read transaction that sees one committed state. Raises ``StorageTrouble``."""
        if self._here is not None:
            return self._read_here(fn)
        if self._readers is None:
            raise StorageTrouble(_("the store is closed"))
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read_here, fn)

    def read_now(self, fn: Callable[[Tx], T]) -> T:
        """As ``read``, synchronously, on the caller's thread."""
        return self._read_here(fn)

    def scrub(self, timeout: float = 10.0) -> bool:
        """Wait until no copy of destroyed keys is left beside the data base (its -wal is empty); False if readers stood
        in the way for ``timeout`` seconds."""
        return self._upkeep.scrub(timeout) if self._upkeep else True

    def close(self) -> None:
        """Finish what waits, then let go of every connection and thread."""
        if self._writer is not None:
            self._writer.stop()
        if self._here is not None:
            self._here.close()
        readers, self._readers = self._readers, None
        if readers is not None:
            readers.shutdown(wait=True)
        self._read_engine.dispose()
        if self._upkeep is not None:
            self._upkeep.stop()
        self._write_engine.dispose()

    def _lost_sight(self, why: str) -> None:
        self.unsure(why)

    def _tx(self, conn: sa.Connection) -> Tx:
        if len(self._cache) > _CACHE:
            for oldest in list(self._cache)[: _CACHE // 4]:
                self._cache.pop(oldest, None)
        return Tx(conn, self.keys, self.now, self.new_id, self._cache)

    def _committed(self, touched: set[str]) -> None:
        if self._upkeep is not None:
            self._upkeep.committed(scrub="scrub" in touched)
        if "events" in touched:
            for listener in tuple(self.listeners):
                listener()

    def _write_here(self, conn: sa.Connection, fn: Callable[[Tx], T]) -> T:
        with self._memory_lock:
            tx = self._tx(conn)
            try:
                done = run_one(tx, Job(fn, None))
            except Exception as error:
                undo(tx)
                raise StorageTrouble(describe(error)) from None
        if done.error is not None:
            raise done.error
        self._committed(tx.touched)
        return done.value  # type: ignore[no-any-return]

    def _read_here(self, fn: Callable[[Tx], T]) -> T:
        try:
            if self._here is not None:
                with self._memory_lock:
                    return fn(self._tx(self._here))
            with self._read_engine.connect() as conn, conn.begin():
                return fn(self._tx(conn))
        except Exception as error:
            if is_trouble(error):
                raise StorageTrouble(describe(error)) from None
            raise

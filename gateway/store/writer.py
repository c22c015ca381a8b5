"""Group commit: one thread holds the only write connection and runs everything that waits in one transaction.

Each function has a savepoint of its own, so its own exception rolls back nothing else. Answers go out after COMMIT.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from gateway.core.errors import StorageTrouble
from gateway.store.tx import Tx

log = logging.getLogger(__name__)

MOST = 64
LONGEST = 0.020
_IDLE_CHECK = 1.0


@dataclass(slots=True)
class Job:
    """A function that waits, and where its answer goes: an asyncio future of ``loop``, else a concurrent one."""

    fn: Callable[[Tx], Any]
    future: Any
    loop: asyncio.AbstractEventLoop | None = None


@dataclass(slots=True)
class Done:
    """A function that ran: its value or its own exception."""

    job: Job
    value: Any = None
    error: BaseException | None = None


class Writer:
    """The writer thread. ``connect`` gives a connection, ``make_tx`` the transaction object on it; ``after`` is called in
    the thread after each commit, before the answers, with what the transaction touched."""

    def __init__(
        self,
        connect: Callable[[], sa.Connection],
        make_tx: Callable[[sa.Connection], Tx],
        after: Callable[[set[str]], None],
    ) -> None:
        self._connect = connect
        self._make_tx = make_tx
        self._after = after
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._conn: sa.Connection | None = None
        self._used = 0.0
        self._stopping = False
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self.commits = 0
        """How many transactions were committed."""
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queue a function. Raises ``StorageTrouble`` after ``stop``."""
        with self._lock:
            if self._stopping:
                raise StorageTrouble("the store is closed")
            self._queue.put(job)

    def stop(self) -> None:
        """Run what waits, then end the thread and close the connection."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            self._queue.put(None)
        self._thread.join()

    @property
    def own_thread(self) -> bool:
        """True when asked in the writer thread itself."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        try:
            while (job := self._queue.get()) is not None and self._batch(job):
                pass
        finally:
            self._drop()

    def _batch(self, first: Job) -> bool:
        """Run one transaction; False where the end of the queue came up."""
        taken = [first]
        done: list[Done] = []
        more = True
        try:
            conn = self._connection()
            with conn.begin():
                started = perf_counter()
                tx = self._make_tx(conn)
                done.append(run_one(tx, first))
                while len(taken) < MOST and perf_counter() - started < LONGEST and not self._queue.empty():
                    job = self._queue.get()
                    if job is None:
                        more = False
                        break
                    taken.append(job)
                    done.append(run_one(tx, job))
        except Exception as error:
            self._fail(taken, error)
            return more
        self._used = perf_counter()
        self.commits += 1
        try:
            self._after(tx.touched)
        except Exception:
            log.exception("what follows a commit failed")
        answer(done)
        return more

    def _connection(self) -> sa.Connection:
        """The write connection; one that died while idle is renewed."""
        idle = perf_counter() - self._used > _IDLE_CHECK
        if idle and self._conn is not None and self._conn.dialect.name == "postgresql" and not _alive(self._conn):
            self._drop()
        if self._conn is None:
            self._conn = self._connect()
        return self._conn

    def _fail(self, taken: list[Job], error: Exception) -> None:
        """Tell everything taken, and everything that waits behind it, that storage is in trouble."""
        self._drop()
        what = describe(error)
        log.error("storage trouble: %s", what)
        while not self._queue.empty():
            job = self._queue.get()
            if job is None:
                self._queue.put(None)
                break
            taken.append(job)
        answer([Done(job, error=StorageTrouble(what)) for job in taken])

    def _drop(self) -> None:
        conn, self._conn = self._conn, None
        if conn is not None:
            try:
                conn.close()
            except Exception:
                conn.invalidate()


def run_one(tx: Tx, job: Job) -> Done:
    """Run a function in a savepoint. Its own exception is its answer; a storage error is raised."""
    # Past SQLAlchemy's nested transactions, which cost as much as the statements inside.
    tx.conn.exec_driver_sql("SAVEPOINT one")
    touched = set(tx.touched)
    try:
        value = job.fn(tx)
        tx.flush()
    except BaseException as error:
        if is_trouble(error):
            raise
        tx.conn.exec_driver_sql("ROLLBACK TO SAVEPOINT one")
        tx.events.clear()
        tx.touched = touched
        return Done(job, error=error)
    tx.conn.exec_driver_sql("RELEASE SAVEPOINT one")
    return Done(job, value)


def answer(done: Iterable[Done]) -> None:
    """Hand out the answers: one wake-up for each loop, not one for each job."""
    loops: dict[asyncio.AbstractEventLoop, list[Done]] = {}
    for one in done:
        if one.job.loop is not None:
            loops.setdefault(one.job.loop, []).append(one)
        else:
            _resolve([one])
    for loop, group in loops.items():
        try:
            loop.call_soon_threadsafe(_resolve, group)
        except RuntimeError:
            log.warning("%d answers came after their loop had ended", len(group))


def _resolve(done: list[Done]) -> None:
    for one in done:
        future: Future[Any] | asyncio.Future[Any] = one.job.future
        if future.done():
            continue
        if one.error is None:
            future.set_result(one.value)
        elif isinstance(one.error, StopIteration):
            future.set_exception(RuntimeError("a store function raised StopIteration"))
        else:
            future.set_exception(one.error)


def is_trouble(error: BaseException) -> bool:
    """True for what the storage did wrong (locked, full, broken, gone), not for what a function did."""
    if isinstance(error, exc.OperationalError | StorageTrouble):
        return True
    if isinstance(error, exc.DBAPIError) and error.connection_invalidated:
        return True
    return type(error) is exc.DatabaseError  # sqlite3's word for a malformed file


def describe(error: BaseException) -> str:
    """What went wrong, without statement and values."""
    if isinstance(error, StorageTrouble):
        return str(error)
    origin = error.orig if isinstance(error, exc.DBAPIError) and error.orig is not None else error
    text = str(origin).strip().splitlines()
    return f"{type(origin).__name__}: {text[0][:200]}" if text and is_trouble(error) else type(origin).__name__


def _alive(conn: sa.Connection) -> bool:
    try:
        with conn.begin():
            conn.exec_driver_sql("SELECT 1")
    except exc.DBAPIError:
        return False
    return True

"""Group commit: one thread holds the only write connection and runs everything that waits in one transaction.

Each function has a savepoint of its own, so its own exception rolls back nothing else; those that may be run again share one
as long as none of them fails. Answers go out after COMMIT.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import groupby
from time import perf_counter
from typing import Any

import sqlalchemy as sa
from sqlalchemy import exc

from gateway.core.errors import StorageTrouble
from gateway.i18n import _
from gateway.store.prepared import Prepared
from gateway.store.tx import Tx
from gateway.store.waiting import Job, Waiting

log = logging.getLogger(__name__)

_IDLE_CHECK = 1.0
_SAVEPOINT, _ROLLBACK, _RELEASE = (
    Prepared(sa.text(text)) for text in ("SAVEPOINT one", "ROLLBACK TO SAVEPOINT one", "RELEASE SAVEPOINT one")
)


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
        self._waiting = Waiting()
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
                raise StorageTrouble(_("the store is closed"))
            self._waiting.put(job)

    def stop(self) -> None:
        """Run what waits, then end the thread and close the connection."""
        with self._lock:
            if self._stopping:
                return
            self._stopping = True
            self._waiting.end()
        self._thread.join()

    @property
    def own_thread(self) -> bool:
        """True when asked in the writer thread itself."""
        return threading.current_thread() is self._thread

    def _run(self) -> None:
        try:
            while (job := self._waiting.first()) is not None:
                self._batch(job)
        finally:
            self._drop()

    def _batch(self, first: Job) -> None:
        """Run one transaction."""
        done: list[Done] = []
        try:
            conn = self._connection()
            with conn.begin():
                tx = self._make_tx(conn)
                job: Job | None = first
                while job is not None:
                    group = [job]
                    while (job := self._waiting.another()) is not None and job.again and group[0].again:
                        group.append(job)
                    done += run_together(tx, group)
                    job = job or self._waiting.another(patient=True)
                ran = perf_counter()
        except Exception as error:
            self._fail(error)
            return
        self._used = perf_counter()
        self._waiting.committed(self._used - ran)
        self.commits += 1
        try:
            self._after(tx.touched)
        except Exception:
            log.exception("what follows a commit failed")
        answer(done)

    def _connection(self) -> sa.Connection:
        """The write connection; one that died while idle is renewed."""
        idle = perf_counter() - self._used > _IDLE_CHECK
        if idle and self._conn is not None and self._conn.dialect.name == "postgresql" and not _alive(self._conn):
            self._drop()
        if self._conn is None:
            self._conn = self._connect()
        return self._conn

    def _fail(self, error: Exception) -> None:
        """Tell everything taken, and everything that waits behind it, that storage is in trouble."""
        self._drop()
        what = describe(error)
        log.error("storage trouble: %s", what)
        answer([Done(job, error=StorageTrouble(what)) for job in self._waiting.rest()])

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
    tx.run(_SAVEPOINT)
    touched = set(tx.touched)
    try:
        value = job.fn(tx)
        tx.flush()
    except BaseException as error:
        if is_trouble(error):
            raise
        undo(tx)
        tx.events.clear()
        tx.touched = touched
        return Done(job, error=error)
    tx.run(_RELEASE)
    return Done(job, value)


def run_together(tx: Tx, jobs: list[Job]) -> list[Done]:
    """Run functions in one savepoint; where one of them fails, each in its own."""
    if len(jobs) == 1:
        return [run_one(tx, jobs[0])]
    whole = run_one(tx, Job(lambda tx: _each(tx, [job.fn for job in jobs]), None))
    if whole.error is not None:
        return [run_one(tx, job) for job in jobs]
    return [Done(job, value) for job, value in zip(jobs, whole.value, strict=True)]


def _each(tx: Tx, functions: list[Callable[[Tx], Any]]) -> list[Any]:
    """The values of functions, in their order. Those whose class knows how several are done ``together`` cost less that way."""
    values: list[Any] = []
    for together, group in groupby(functions, lambda fn: getattr(fn, "together", None)):
        some = list(group)
        values += together(tx, some) if together is not None else [fn(tx) for fn in some]
    return values


def undo(tx: Tx) -> None:
    """Back to where the function in hand began."""
    tx.run(_ROLLBACK)
    tx.run(_RELEASE)


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

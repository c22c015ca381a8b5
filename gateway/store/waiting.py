"""What waits for the writer. Carriers go first: for what the desk has to write nobody outside stands waiting.

A transaction waits a part of the time that a commit takes for the carriers that were answered by the one before and
will come again: half of them would be late by a moment for every commit, and wait for two.
"""

from __future__ import annotations

import asyncio
import math
import queue
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from gateway.store.line import Line
from gateway.store.tx import Tx

MOST = 64
LONGEST = 0.020
"""A transaction takes so many functions, or such a time in seconds before its commit."""
SHARE = 0.002
"""Seconds that others may take of a transaction for which carriers wait; one of them always gets its turn."""
HASTE, PATIENCE = 0.25, 0.5
"""Such parts of a commit's time are waited for carriers that are expected, where a commit is short and where it is long; none is
where one alone writes."""
LONG = 0.003
"""Seconds of a long commit. During a short one what comes late is made ready: a longer wait would cost more than it brings."""


@dataclass(slots=True)
class Job:
    """A function that waits, and where its answer goes: an asyncio future of ``loop``, else a concurrent one."""

    fn: Callable[[Tx], Any]
    future: Any
    loop: asyncio.AbstractEventLoop | None = None
    again: bool = False
    """A carrier waits for it; it changes nothing but the transaction, and may be run again after it was undone."""
    later: bool = False
    """It can wait: what comes soon after it goes first."""


class Waiting:
    """The queue. ``put`` and ``end`` are for all threads under one lock of theirs, the rest is the writer's own."""

    def __init__(self) -> None:
        self.taken: list[Job] = []
        """What the transaction in hand was given."""
        self._queue: queue.SimpleQueue[Job | None] = queue.SimpleQueue()
        self._others: Line[Job] = Line()
        self._ended = False
        self._given = self._gone = self._before = self._company = 0
        self._began = self._worth = 0.0
        self._commits = (math.inf, math.inf)

    def put(self, job: Job) -> None:
        """Let a function wait."""
        self._given += job.again
        self._queue.put(job)

    def end(self) -> None:
        """Nothing comes any more."""
        self._queue.put(None)

    def first(self) -> Job | None:
        """Wait for the function that a transaction begins with; None at the end."""
        self.taken, self._before = [], self._gone
        while not (self._others or self._ended):
            job = self._queue.get()
            if job is None:
                self._ended = True
            elif job.again:
                return self._begun(job)
            else:
                self._others.put(job, later=job.later)
        return self._begun(self._carrier() or (self._others.get() if self._others else None))

    def another(self, *, patient: bool = False) -> Job | None:
        """One more for the transaction in hand; None where it is to be committed. ``patient``: carriers that are expected are
        waited for."""
        now = perf_counter()
        left = self._began + LONGEST - now
        if len(self.taken) >= MOST or left <= 0:
            return None
        carriers, job = self._gone - self._before, self._carrier()
        if job is None and patient and not self._others and carriers < self._company:
            job = self._carrier(min(self._worth, left))
            self._worth -= perf_counter() - now
        if job is not None:
            return job
        hurried = carriers and len(self.taken) > carriers and now > self._began + SHARE
        return self._took(self._others.get()) if self._others and not hurried else None

    def committed(self, seconds: float) -> None:
        """The transaction in hand was committed, in so many seconds."""
        # The shorter of two: a disk that was held up once says nothing of the next time.
        self._commits = (self._commits[1], seconds)
        usual = min(self._commits)
        self._worth = usual * (PATIENCE if usual > LONG else HASTE)
        self._company = self._given - self._before

    def rest(self) -> list[Job]:
        """All that waits, given up at once."""
        while self._carrier() is not None:
            pass
        self.taken += self._others.drain()
        return self.taken

    def _carrier(self, seconds: float = 0.0) -> Job | None:
        """The next function that a carrier waits for, if one comes within that time; others are put aside."""
        until = perf_counter() + seconds
        while not self._ended:
            try:
                left = until - perf_counter() if seconds else 0.0
                job = self._queue.get(timeout=left) if left > 0 else self._queue.get_nowait()
            except queue.Empty:
                return None
            if job is None:
                self._ended = True
            elif job.again:
                return self._took(job)
            else:
                self._others.put(job, later=job.later)
        return None

    def _begun(self, job: Job | None) -> Job | None:
        self._began = perf_counter()
        if job is not None and not self.taken:
            self._took(job)
        return job

    def _took(self, job: Job) -> Job:
        self.taken.append(job)
        self._gone += job.again
        return job

"""A thread for calls that block, one after the other. It is a daemon thread: a server that never answers delays no exit."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import Callable
from typing import Any


class Hand:
    """Made on the loop that awaits its answers."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.get_running_loop()
        self._jobs: queue.SimpleQueue[tuple[asyncio.Future[Any], Callable[[], Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._work, name=name, daemon=True).start()

    def do(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """The answer of ``call``, which runs after those that were given before."""
        answer = self._loop.create_future()
        self._jobs.put((answer, call))
        return answer

    def end(self) -> None:
        """Let the thread go as soon as what it has in hand is through."""
        self._jobs.put(None)

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            answer, call = job
            if answer.cancelled():
                continue
            try:
                told: tuple[Any, BaseException | None] = (call(), None)
            except BaseException as error:
                told = (None, error)
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                self._loop.call_soon_threadsafe(_tell, answer, *told)


def _tell(answer: asyncio.Future[Any], value: Any, error: BaseException | None) -> None:
    if answer.done():
        return
    if error is None:
        answer.set_result(value)
    else:
        answer.set_exception(error)

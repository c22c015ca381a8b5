"""The only bridge between Twisted's Deferreds and asyncio's coroutines. The reactor is lent by whoever runs the process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import clientFromString, serverFromString

T = TypeVar("T")

_reactor: Any = None


def use(reactor: Any) -> None:
    """Lend the reactor that runs on the present asyncio loop."""
    global _reactor
    _reactor = reactor


def reactor() -> Any:
    """The reactor in use; RuntimeError where none was lent."""
    if _reactor is None:
        raise RuntimeError("no reactor is in use")
    return _reactor


def future(deferred: Deferred[T]) -> asyncio.Future[T]:
    """A Deferred as an asyncio future."""
    return deferred.asFuture(asyncio.get_running_loop())


async def connect(factory: Any, endpoint: str) -> Any:
    """Connect ``factory`` to a Twisted client endpoint such as ``tcp:127.0.0.1:2775``; returns its protocol."""
    client: Any = clientFromString(reactor(), endpoint)
    return await future(client.connect(factory))


class Listener:
    """A listening port that stops with ``await``."""

    def __init__(self, port: Any) -> None:
        self.port = port

    async def stop(self) -> None:
        """Close the port; connections that stand are left to their protocols."""
        done = self.port.stopListening()
        if done is not None:
            await future(done)


async def listen(factory: Any, endpoint: str) -> Listener:
    """Listen on a Twisted server endpoint such as ``tcp:26004:interface=127.0.0.1``."""
    server: Any = serverFromString(reactor(), endpoint)
    return Listener(await future(server.listen(factory)))


def call_later(seconds: float, function: Callable[[], object]) -> asyncio.TimerHandle:
    """Call ``function`` after ``seconds`` on the running loop; the handle cancels it."""
    return asyncio.get_running_loop().call_later(seconds, function)

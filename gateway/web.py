"""The operators' HTTP server: ``/metrics`` and ``/health``; further pages are mounted on it. Hypercorn on the daemon's loop.

It listens where ``[http]`` says, or at the socket that systemd keeps under the name ``console``. It tells figures and states,
never content, and has no password of its own: keep it on loopback.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable, Sequence

from hypercorn.asyncio import serve
from hypercorn.config import Config as Hypercorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway import __version__, activation
from gateway.metrics import Metrics
from gateway.settings_model import HttpSection

SOCKET = "console"
"""The name of the socket that systemd may hand over."""
TIMEOUT = 30.0
BACKLOG = 128


class Web:
    """The server. ``mounts`` are routes of other rooms (the duty desk's pages), served beside its own."""

    def __init__(self, metrics: Metrics, *, mounts: Sequence[BaseRoute] = ()) -> None:
        self._metrics = metrics
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._bound: socket.socket | None = None
        self.port = 0
        own = [Route("/metrics", self.metrics), Route("/health", self.health)]
        self.app = Starlette(routes=[*own, *mounts])

    async def metrics(self, request: Request) -> Response:
        """Prometheus' text, or OpenMetrics where it is asked for."""
        body, kind = await self._metrics.exposition(request.headers.get("accept", ""))
        return Response(body, media_type=None, headers={"Content-Type": kind, "Cache-Control": "no-store"})

    async def health(self, request: Request) -> Response:
        """200 while the store answers, 503 while it does not."""
        readable = await self._metrics.refresh()
        state = "up" if readable else "storage trouble"
        return JSONResponse({"status": state, "version": __version__}, 200 if readable else 503)

    async def start(self, section: HttpSection) -> bool:
        """Listen; False where conf wants no server and systemd hands over no socket. Raises ``OSError``."""
        bound = activation.inherited(SOCKET)
        if bound is None:
            if not section.port:
                return False
            bound = _bind(section.host, section.port)
        self._bound = bound
        address = bound.getsockname()
        self.port = int(address[1]) if isinstance(address, tuple) else 0
        config = Hypercorn()
        # Hypercorn makes a socket of its own of the descriptor and closes that one.
        config.bind = [f"fd://{os.dup(bound.fileno())}"]
        config.accesslog = None
        config.errorlog = logging.getLogger(f"{__name__}.hypercorn")
        config.include_server_header = False
        config.keep_alive_timeout = TIMEOUT
        config.read_timeout = int(TIMEOUT)
        config.graceful_timeout = 2.0
        config.shutdown_timeout = 5.0
        wait: Callable[[], Awaitable[None]] = self._wait
        self._task = asyncio.create_task(serve(self.app, config, shutdown_trigger=wait), name="http")  # type: ignore[arg-type]
        return True

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None
        if self._bound is not None:
            self._bound.close()
            self._bound = None
        self.port = 0

    async def _wait(self) -> None:
        await self._stopping.wait()


def _bind(host: str, port: int) -> socket.socket:
    """A socket of our own, listening. Raises ``OSError``."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.listen(BACKLOG)
        made.setblocking(False)
    except OSError:
        made.close()
        raise
    return made

"""The operators' HTTP server: ``/metrics`` and ``/health``; further pages are mounted on it. Hypercorn on the daemon's loop.

It listens where ``[http]`` says, or at the socket that systemd keeps under the name ``console``. It tells figures and states,
never content, and has no password of its own: keep it on loopback.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

from hypercorn import protocol
from hypercorn.asyncio import serve
from hypercorn.config import Config as Hypercorn
from hypercorn.events import Closed
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from gateway import __version__, activation, certificates
from gateway.metrics import Metrics
from gateway.settings_web import HttpSection

SOCKET = "console"
"""The name of the socket that systemd may hand over."""
TIMEOUT = 30.0
BACKLOG = 128


class _NoHttp2:
    """Stands where Hypercorn goes on in HTTP/2: the connection ends."""

    def __init__(self, *given: Any) -> None:
        self._send: Callable[[Any], Awaitable[None]] = given[-1]

    async def initiate(self, *_upgrade: Any) -> None:
        await self._send(Closed())

    async def handle(self, _event: Any) -> None:
        return None


def http1_only() -> None:
    """Hypercorn goes over to HTTP/2 when a caller asks for it in clear, at every door of this process, and has no setting against
    it. None of our callers needs it, and its small frames, read in Python, hold up the loop."""
    protocol.H2Protocol = _NoHttp2  # type: ignore[attr-defined,assignment]


class Web:
    """The server. ``mounts`` are routes of other rooms (the duty desk's pages), served beside its own."""

    def __init__(self, metrics: Metrics, *, mounts: Sequence[BaseRoute] = (), listener: Listener | None = None) -> None:
        self._metrics = metrics
        self._listener = listener or Listener()
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

    async def start(self, section: HttpSection, *, inherit: bool = True) -> bool:
        """Listen; False where conf wants no server and systemd hands over no socket (``inherit``: it is ours to take). Raises
        ``OSError``."""
        bound = activation.inherited(SOCKET) if inherit else None
        if bound is None:
            if not section.port:
                return False
            bound = bind(section.host, section.port)
        self._listener.start(self.app, bound)
        return True

    @property
    def port(self) -> int:
        """Where it listens; 0 while it does not."""
        return self._listener.port

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        await self._listener.stop()


class _Settings(Hypercorn):
    """Hypercorn's settings, whose TLS may ask for client certificates."""

    def __init__(self, authorities: Path | None, needed: bool) -> None:
        super().__init__()
        self._asked = authorities, needed

    def create_ssl_context(self) -> ssl.SSLContext | None:
        made = super().create_ssl_context()
        authorities, needed = self._asked
        if made is not None and authorities is not None:
            certificates.ask(made, authorities, needed=needed)
        return made


class Listener:
    """An application at a socket, until it is stopped. ``certificate`` and its key: TLS alone; ``authorities``: whose client
    certificates are asked for, and with ``needed`` nobody is let in without one.

    ``reading``: a caller that says nothing for so long is cut off. Open event streams say nothing; without it they stay, and who
    begins a request and does not end it is cut off by ``TIMEOUT`` all the same.
    """

    def __init__(
        self, *, certificate: Path | None = None, key: Path | None = None, authorities: Path | None = None, needed: bool = False,
        reading: float | None = TIMEOUT,
    ) -> None:  # fmt: skip
        self._certificate = certificate
        self._key = key
        self._authorities = authorities
        self._needed = needed
        self._reading = reading
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._bound: socket.socket | None = None
        self.port = 0

    def start(self, app: Starlette, bound: socket.socket) -> None:
        """Serve ``app`` at ``bound``. Raises ``OSError`` for a certificate that cannot be used."""
        self._bound = bound
        address = bound.getsockname()
        self.port = int(address[1]) if isinstance(address, tuple) else 0
        config = _Settings(self._authorities, self._needed)
        # Hypercorn makes a socket of its own of the descriptor and closes that one.
        config.bind = [f"fd://{os.dup(bound.fileno())}"]
        config.accesslog = None
        config.errorlog = logging.getLogger(f"{__name__}.hypercorn")
        config.include_server_header = False
        config.keep_alive_timeout = TIMEOUT
        config.read_timeout = None if self._reading is None else int(self._reading)
        config.graceful_timeout = 2.0
        config.shutdown_timeout = 5.0
        if self._certificate is not None and self._key is not None:
            config.certfile, config.keyfile = str(self._certificate), str(self._key)
            config.create_ssl_context()  # a fault of the files is told now, and not to the first caller
        wait: Callable[[], Awaitable[None]] = self._wait
        self._task = asyncio.create_task(serve(app, config, shutdown_trigger=wait), name="http")  # type: ignore[arg-type]

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


def bind(host: str, port: int) -> socket.socket:
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

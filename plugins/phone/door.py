"""HTTP in: ``POST /phone`` with a bearer token, and ``GET /health``. 200 with the id means: on stable storage."""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import socket
from collections.abc import Awaitable, Callable
from datetime import datetime

from hypercorn.asyncio import serve
from hypercorn.config import Config
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.api import Intake, Malformed, RawMessage, StorageTrouble, TooLarge
from gateway_plugins.phone import formats, parcel, slip

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 10
BACKLOG = 1024
"""Connections that may wait to be taken, those of a restart among them."""
BODY_SECONDS = 120.0
"""How long a body may take in all."""
AT_ONCE = 16 * 1024
"""A longer body is looked at in a thread."""
READ_ON = 4
"""A body of up to so many times the limit is read to its end before it is refused."""
TYPES = (formats.JSON, formats.VTT, formats.PLAIN, formats.SRT, parcel.FORM)


class TooLong(Exception):
    """The body is over the limit."""


class Door:
    """The application. It knows the token, the limit and the way into the house."""

    def __init__(
        self,
        *,
        via: str,
        intake: Intake,
        token: str,
        max_bytes: int,
        now: Callable[[], datetime],
        body_seconds: float = BODY_SECONDS,
    ) -> None:
        self._body_seconds = body_seconds
        self._via = via
        self._intake = intake
        self._token = token.encode()
        self._max_bytes = max_bytes
        self._now = now
        self.app = Starlette(routes=[Route("/phone", self.phone, methods=["POST"]), Route("/health", self.health)])

    async def health(self, request: Request) -> Response:
        """That the door is open; nothing about anybody's report."""
        return JSONResponse({"status": "up"})

    async def phone(self, request: Request) -> Response:
        """One transcript."""
        if not self._known(request):
            return JSONResponse({"error": "a valid bearer token is needed"}, 401, {"WWW-Authenticate": "Bearer"})
        try:
            body = await bounded_body(request, self._max_bytes, self._body_seconds)
            # Captions of an hour are read by a library in Python: what is long is looked at beside the loop.
            raw = self._raw(request, body) if len(body) <= AT_ONCE else await asyncio.to_thread(self._raw, request, body)
            accepted = await self._intake.accept(raw)
        except ClientDisconnect:
            return Response(status_code=400)
        except (TooLong, TooLarge):
            return JSONResponse({"error": f"body: over the limit of {self._max_bytes} bytes"}, 413)
        except Malformed as fault:
            return JSONResponse({"error": str(fault)}, 400)
        except StorageTrouble:
            return JSONResponse({"error": "storage trouble, try again later"}, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        return JSONResponse({"id": accepted.id})

    def _known(self, request: Request) -> bool:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        right = hmac.compare_digest(token.strip().encode("latin-1", "replace"), self._token)
        return scheme.lower() == "bearer" and right and bool(self._token)

    def _raw(self, request: Request, body: bytes) -> RawMessage:
        """The message as posted. Raises ``Malformed`` with where and what."""
        whole_type = request.headers.get("content-type", "")
        content_type = whole_type.partition(";")[0].strip().lower()
        if content_type not in TYPES:
            raise Malformed(f"Content-Type: is not one of {', '.join(TYPES)}")
        if content_type == parcel.FORM:
            content_type = whole_type
            parcel.check(body, content_type)
        else:
            formats.check(body, content_type)
        meta = {"peer": request.client.host if request.client else ""}
        sort = formats.sort_of(body) if content_type == formats.JSON else ""
        if sort == "slip":
            form = slip.read(body)
            if not form.call_id.strip():
                raise Malformed("$.call_id: is empty")
            call_id, caller, called = form.call_id, form.caller.strip(), form.called
            meta["clerk"] = form.clerk
        elif sort == "transcript":
            found = formats.transcript(body)
            call_id, caller, called = found.call_id, found.caller, found.called
        else:
            call_id, caller, called = (
                _header(request, "X-Call-Id"),
                _header(request, "X-Caller"),
                request.headers.get("x-called", ""),
            )
        return RawMessage(
            channel="phone", via=self._via, received_at=self._now(), sender=caller, recipient=called, carrier_id=call_id,
            body=body, content_type=content_type, meta=meta,
        )  # fmt: skip


async def bounded_body(request: Request, max_bytes: int, seconds: float = BODY_SECONDS) -> bytes:
    """The body, no longer than allowed, within ``seconds`` in all: an octet now and then is no request. One that is too long is
    read on for a while and thrown away, because many clients look for the answer only when they have written everything; one
    that is out of all proportion is not. Raises ``TooLong`` and ``Malformed``."""
    try:
        async with asyncio.timeout(seconds):
            return await _body(request, max_bytes)
    except TimeoutError:
        raise Malformed(f"body: did not come within {seconds:g} s") from None


async def _body(request: Request, max_bytes: int) -> bytes:
    announced = request.headers.get("content-length", "0")
    if not announced.isascii() or not announced.isdigit():
        raise Malformed("Content-Length: is not a number")
    most = max_bytes * READ_ON
    if int(announced) > most:
        raise TooLong
    chunks: list[bytes] = []
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size > most:
            raise TooLong
        if size <= max_bytes:
            chunks.append(chunk)
        else:
            chunks.clear()
    if size > max_bytes:
        raise TooLong
    return b"".join(chunks)


def _header(request: Request, name: str) -> str:
    value = request.headers.get(name, "").strip()
    if not value:
        raise Malformed(f"{name}: header is missing")
    return value


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


class Server:
    """Hypercorn on the running loop. The socket is bound here, so that a port that is taken is known at start."""

    def __init__(self, app: Starlette, *, timeout_seconds: float, certificate: str = "", key: str = "") -> None:
        self._app = app
        self._certificate, self._key = certificate, key
        self._timeout = timeout_seconds
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._bound: socket.socket | None = None
        self.port = 0

    async def start(self, host: str, port: int, given: socket.socket | None = None) -> None:
        """Listen at ``host`` and ``port`` (0 takes any free one), or at the socket ``given``. Raises ``OSError``."""
        bound = given or bind(host, port)
        self._bound = bound
        address = bound.getsockname()
        self.port = int(address[1]) if isinstance(address, tuple) else 0
        config = Config()
        # Hypercorn makes a socket of its own of the descriptor and closes that one.
        config.bind = [f"fd://{os.dup(bound.fileno())}"]
        if self._certificate:
            config.certfile, config.keyfile = self._certificate, self._key
        config.backlog = BACKLOG
        config.accesslog = None
        config.errorlog = logging.getLogger(f"{__name__}.hypercorn")
        config.include_server_header = False
        config.keep_alive_timeout = self._timeout
        config.read_timeout = max(1, int(self._timeout))
        config.graceful_timeout = 2.0
        config.shutdown_timeout = 5.0
        wait: Callable[[], Awaitable[None]] = self._wait
        self._task = asyncio.create_task(serve(self._app, config, shutdown_trigger=wait))  # type: ignore[arg-type]

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

    @property
    def up(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _wait(self) -> None:
        await self._stopping.wait()

"""Peers on loopback for ``check_transport``: what stands at the other end of a way out, behaving well or badly when told.

``TcpPeer`` does the bad behaviour that is the same for every protocol; its author tells only how to answer well. ``HttpPeer``
is one for transports that speak HTTP, ``MailSink`` a real mail server.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Mapping
from typing import Literal

from gateway.demo.mailsink import DemoMailSink as MailSink
from gateway.demo.mailsink import SunkMail

__all__ = ["HTTP_MODES", "TCP_MODES", "HttpPeer", "MailSink", "PeerMode", "SunkMail", "TcpPeer"]

PeerMode = Literal["ok", "later", "throttle", "error", "refuse", "rubbish", "slow", "hang", "closes", "down"]
"""The peer takes it · says "not now" · says there was too much (429) · has a fault of its own (5xx) · refuses it for good ·
talks nonsense · takes it, byte by byte · says nothing · hangs up at once · is not there."""
TCP_MODES: tuple[PeerMode, ...] = ("ok", "rubbish", "slow", "hang", "closes", "down")
HTTP_MODES: tuple[PeerMode, ...] = ("ok", "later", "throttle", "error", "refuse", "rubbish", "slow", "hang", "closes", "down")
NONSENSE = b"\x00\xff\xfe nonsense \r\n\r\n{[\x80" + b"A" * 5000
SLOW_SECONDS = 0.002

Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter, PeerMode], Awaitable[bool]]


class TcpPeer:
    """A server on a port of its own, which stays the same. ``talk(reader, writer, mode)`` serves one connection in the modes
    that the protocol itself knows (ok, slow, and those the author adds) and answers True if it took what was sent."""

    def __init__(self, talk: Talk) -> None:
        self.port = 0
        self.mode: PeerMode = "ok"
        self._talk = talk
        self._taken = 0
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    async def start(self) -> int:
        """Listen; returns the port."""
        await self.be("ok")
        return self.port

    async def stop(self) -> None:
        """Listen no more and hang up on everybody."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for writer in list(self._open):
            # At once: a peer that is gone leaves no time for good-byes.
            writer.transport.abort()

    async def be(self, mode: PeerMode) -> None:
        """From now on behave so; connections that stand are cut."""
        await self.stop()
        self.mode = mode
        if mode != "down":
            self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
            self.port = int(self._server.sockets[0].getsockname()[1])

    def received(self) -> int:
        """How many deliveries it has taken so far."""
        return self._taken

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._open.add(writer)
        try:
            if self.mode == "hang":
                await reader.read()
            elif self.mode == "rubbish":
                writer.write(NONSENSE)
                await reader.read()
            elif self.mode != "closes":
                out = _Slow(writer) if self.mode == "slow" else writer
                # Not in one line: += would read the count before others that are served meanwhile have added to it.
                took = await self._talk(reader, out, self.mode)  # type: ignore[arg-type]
                self._taken += took
                if isinstance(out, _Slow):
                    await out.trickle()
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            self._open.discard(writer)
            with contextlib.suppress(ConnectionError):
                writer.close()


class _Slow:
    """A writer that lets out byte after byte."""

    def __init__(self, writer: asyncio.StreamWriter) -> None:
        self._writer, self._held = writer, bytearray()

    def write(self, data: bytes) -> None:
        self._held += data

    async def drain(self) -> None:
        await self.trickle()

    async def trickle(self) -> None:
        held, self._held = self._held, bytearray()
        for byte in held:
            self._writer.write(bytes((byte,)))
            await self._writer.drain()
            await asyncio.sleep(SLOW_SECONDS)

    def close(self) -> None:
        """The peer closes when all is out."""


ANSWERS: Mapping[PeerMode, tuple[int, bytes]] = {
    "ok": (200, b'{"id": "r-0001"}'),
    "slow": (200, b'{"id": "r-0001"}'),
    "later": (503, b"try again"),
    "throttle": (429, b"too many"),
    "error": (500, b"<html>Internal Server Error</html>"),
    "refuse": (400, b"not this"),
}


class HttpPeer(TcpPeer):
    """An HTTP/1.1 server. ``answers`` maps modes to status and body where the service's own differ from the usual ones: some
    answer 200 with an error inside. ``requests`` keeps head and body of each request it took."""

    def __init__(self, answers: Mapping[PeerMode, tuple[int, bytes]] | None = None) -> None:
        super().__init__(self._answer)
        self.answers = {**ANSWERS, **(answers or {})}
        self.requests: list[tuple[str, bytes]] = []

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/"

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, mode: PeerMode) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        fields = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n"))}
        body = await reader.readexactly(int(fields.get("content-length", "0")))
        status, answer = self.answers[mode]
        writer.write(
            f"HTTP/1.1 {status} X\r\nContent-Length: {len(answer)}\r\nContent-Type: application/json\r\n"
            "Retry-After: 1\r\nConnection: close\r\n\r\n".encode()
            + answer
        )
        if mode not in ("ok", "slow"):
            return False
        self.requests.append((head, body))
        return True

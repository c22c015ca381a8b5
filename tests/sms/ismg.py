"""An ISMG for tests, made of struct and asyncio alone: it shares no line with the codec that it tries.

Octets by CMPP 2.0 and 3.0. ``deliver`` sends messages and gives their Results; ``submits`` holds what came. It can refuse, be busy,
silent or slow, hang up in the middle of a message, and send whatever it is told.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import struct
from collections import Counter
from typing import Any

CONNECT, TERMINATE, SUBMIT, DELIVER, ACTIVE_TEST = 1, 2, 4, 5, 8
RESP = 0x8000_0000


def message(command: int, sequence: int, body: bytes = b"") -> bytes:
    return struct.pack(">III", 12 + len(body), command, sequence) + body


def padded(words: str, width: int) -> bytes:
    return words.encode().ljust(width, b"\0")


def deliver_body(
    version: str, content: bytes, *, msg_id: int = 0x8F5A_1234_0000_0001, fmt: int = 8, udhi: int = 0, report: int = 0,
    sender: str = "8613900000021", to: str = "1069000000",
) -> bytes:  # fmt: skip
    body = struct.pack(">Q", msg_id) + padded(to, 21) + padded("RPT", 10) + bytes((0, udhi, fmt))
    if version == "3.0":
        body += padded(sender, 32) + b"\0"
    else:
        body += padded(sender, 21)
    return body + bytes((report, len(content))) + content + bytes(20 if version == "3.0" else 8)


def report_content(version: str, msg_id: int, stat: str, to: str = "13800000009") -> bytes:
    times = b"2611230930" * 2
    return struct.pack(">Q", msg_id) + padded(stat, 7) + times + padded(to, 32 if version == "3.0" else 21) + bytes(4)


class Ismg:
    def __init__(self, version: str = "2.0", secret: str = "s3cr3t") -> None:
        self.version = version
        self.secret = secret
        self.connects: list[dict[str, Any]] = []
        self.submits: list[dict[str, Any]] = []
        self.seen: Counter[int] = Counter()
        self.octets = bytearray()
        self.status: int | None = None
        self.result = 0
        self.reports: str | None = None
        self.early = False
        self.twice = False
        self.silent: set[int] = set()
        self.cut_answers = False
        self.cut_numbers: set[int] = set()
        self.wrong_digest = False
        self.port = 0
        self._ids = itertools.count(0x0123_4567_0000_0001)
        self._sequences = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._server: asyncio.Server | None = None
        self._writers: list[asyncio.StreamWriter] = []
        self.writer: asyncio.StreamWriter | None = None

    async def start(self, port: int = 0) -> None:
        self._server = await asyncio.start_server(self._talk, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        self.cut()

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self._writers.clear()
        self.writer = None

    async def bound(self, seconds: float = 5) -> None:
        async with asyncio.timeout(seconds):
            while self.writer is None:
                await asyncio.sleep(0.002)

    def write(self, octets: bytes) -> None:
        assert self.writer is not None
        self.writer.write(octets)

    async def ask(self, command: int, body: bytes = b"", seconds: float = 5) -> bytes:
        """Send a request; the body of its answer."""
        sequence = next(self._sequences)
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[sequence] = future
        self.write(message(command, sequence, body))
        return await asyncio.wait_for(future, seconds)

    async def deliver(self, *bodies: bytes, seconds: float = 5) -> list[int]:
        """Send DELIVERs; their Results."""
        answers = await asyncio.gather(*(self.ask(DELIVER, body, seconds) for body in bodies))
        width = 4 if self.version == "3.0" else 1
        for body, answer in zip(bodies, answers, strict=True):
            assert answer[:8] == body[:8], "DELIVER_RESP names another Msg_Id"
            assert len(answer) == 8 + width
        return [int.from_bytes(answer[8:], "big") for answer in answers]

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        try:
            while True:
                head = await reader.readexactly(12)
                length, command, sequence = struct.unpack(">III", head)
                body = await reader.readexactly(length - 12)
                self.octets += head + body
                self.seen[command] += 1
                if command & RESP:
                    waiting = self._waiting.pop(sequence, None)
                    if waiting is not None and not waiting.done():
                        waiting.set_result(body)
                elif command not in self.silent:
                    self._answer(writer, command, sequence, body)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            if self.writer is writer:
                self.writer = None
            writer.close()

    def _answer(self, writer: asyncio.StreamWriter, command: int, sequence: int, body: bytes) -> None:
        if command == CONNECT:
            answer = self._connect(body)
            writer.write(message(command | RESP, sequence, answer))
            if answer[:-17] in (b"\0", bytes(4)):
                self.writer = writer
        elif command == SUBMIT:
            self._submit(writer, sequence, body)
        elif command == ACTIVE_TEST:
            writer.write(message(command | RESP, sequence, b"\0"))
        elif command == TERMINATE:
            writer.write(message(command | RESP, sequence))

    def _connect(self, body: bytes) -> bytes:
        name, digest, version, stamp = struct.unpack(">6s16sBI", body)
        wanted = hashlib.md5(name.rstrip(b"\0") + bytes(9) + self.secret.encode() + b"%010d" % stamp).digest()
        self.connects.append({"name": name.decode(), "version": version, "stamp": stamp, "known": digest == wanted})
        number = self.status if self.status is not None else 0 if digest == wanted else 3
        status = number.to_bytes(4 if self.version == "3.0" else 1, "big")
        ours = hashlib.md5(status + digest + self.secret.encode()).digest()
        return status + (bytes(16) if self.wrong_digest else ours) + bytes((0x30 if self.version == "3.0" else 0x20,))

    def _submit(self, writer: asyncio.StreamWriter, sequence: int, body: bytes) -> None:
        number, new = (32, True) if self.version == "3.0" else (21, False)
        fee = 23 + number + (1 if new else 0)  # where TP_pId stands
        udhi, fmt = body[fee + 1], body[fee + 2]
        sp = body[fee + 3 : fee + 9].rstrip(b"\0").decode()
        src = body[fee + 51 : fee + 72].rstrip(b"\0").decode()
        count = body[fee + 72]
        end = fee + 73 + number * count
        to = body[fee + 73 : end].rstrip(b"\0").decode()
        end += 1 if new else 0
        content = body[end + 1 : end + 1 + body[end]]
        assert len(body) == end + 1 + body[end] + (20 if new else 8), "SUBMIT has another length than its version asks for"
        msg_id = 0 if self.result else next(self._ids)
        self.submits.append({
            "to": to, "src": src, "sp": sp, "fmt": fmt, "udhi": udhi, "content": content, "total": body[8], "number": body[9],
            "receipt": body[10], "id": msg_id,
        })  # fmt: skip
        width = 4 if new else 1
        answer = message(SUBMIT | RESP, sequence, struct.pack(">Q", msg_id) + self.result.to_bytes(width, "big"))
        report = b""
        if self.reports and body[10] == 1 and not self.result:
            said = deliver_body(self.version, report_content(self.version, msg_id, self.reports, to), report=1, msg_id=msg_id + 7)
            report = b"".join(message(DELIVER, next(self._sequences), said) for _ in range(2 if self.twice else 1))
        if self.cut_answers or len(self.submits) in self.cut_numbers:
            writer.write(answer[:9])
            writer.close()
            return
        writer.write(report + answer if self.early else answer + report)

"""The three chat services as their documentation says they answer: always HTTP 200, a code in the body, their own rate limits.

No such service runs on a test machine; these stand in. They check the key, the signature with its age, the keyword, the size and
the rate over the very bytes that come over the wire.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "robot-key-0001"
SIGNING = "SEC0123456789abcdef"
Clock = Callable[[], datetime]


class ChatService(ABC):
    """Base: one robot in one group. ``group`` is what its members see; ``turned_away`` the codes of what they do not."""

    limits: tuple[tuple[int, float], ...] = ((20, 60.0),)
    ok: dict[str, Any] = {"errcode": 0, "errmsg": "ok"}

    def __init__(self, clock: Clock, *, signed: bool = False, keyword: str = "") -> None:
        self.clock, self.signed, self.keyword = clock, signed, keyword
        self.group: list[str] = []
        self.times: list[datetime] = []
        self.turned_away: list[int] = []
        self.mode = "ok"
        self.url = ""

    def refuses(self, code: int) -> dict[str, Any]:
        self.turned_away.append(code)
        return {"errcode": code, "errmsg": "no"}

    @abstractmethod
    def answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        """By the subclass."""

    def too_fast(self) -> bool:
        now = self.clock()
        return any(sum((now - at).total_seconds() < s for at in self.times) >= count for count, s in self.limits)

    def takes(self, text: str) -> dict[str, Any]:
        self.times.append(self.clock())
        self.group.append(text)
        return self.ok

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            size = next(int(line.split(":")[1]) for line in head.split("\r\n") if line.lower().startswith("content-length:"))
            data = await reader.readexactly(size)
            url = urlsplit(head.split(" ")[1])
            query = {name: values[0] for name, values in parse_qs(url.query).items()}
            said = self.answer(url.path, query, json.loads(data))
            if self.mode == "answer lost":
                return
            body = json.dumps(said).encode()
            answer = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
            writer.write(answer * 2 if self.mode == "answers twice" else answer)
            await writer.drain()


class Wecom(ChatService):
    def answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if path != "/cgi-bin/webhook/send" or query.get("key") != KEY:
            return self.refuses(93000)
        if body["msgtype"] != "text":
            return self.refuses(40008)
        if len(body["text"]["content"].encode()) > 2048:
            return self.refuses(45002)
        return self.refuses(45009) if self.too_fast() else self.takes(body["text"]["content"])


class Dingtalk(ChatService):
    def answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if path != "/robot/send" or query.get("access_token") != KEY:
            return self.refuses(300001)
        if self.signed:
            at = query.get("timestamp", "0")
            right = hmac.new(SIGNING.encode(), f"{at}\n{SIGNING}".encode(), hashlib.sha256).digest()
            old = abs(self.clock().timestamp() - int(at) / 1000) > 3600
            if old or query.get("sign") != base64.b64encode(right).decode():
                return self.refuses(310000)
        if self.keyword not in body["text"]["content"]:
            return self.refuses(310000)
        return self.refuses(130101) if self.too_fast() else self.takes(body["text"]["content"])


class Feishu(ChatService):
    limits = ((100, 60.0), (5, 1.0))
    ok = {"code": 0, "msg": "success", "data": {}, "StatusCode": 0, "StatusMessage": "success"}

    def refuses(self, code: int) -> dict[str, Any]:
        self.turned_away.append(code)
        return {"code": code, "msg": "no", "data": {}}

    def answer(self, path: str, query: dict[str, str], body: dict[str, Any]) -> dict[str, Any]:
        if path != f"/open-apis/bot/v2/hook/{KEY}":
            return self.refuses(19001)
        if self.signed:
            at = body.get("timestamp", "0")
            right = hmac.new(f"{at}\n{SIGNING}".encode(), b"", hashlib.sha256).digest()
            old = abs(self.clock().timestamp() - int(at)) > 3600
            if old or body.get("sign") != base64.b64encode(right).decode():
                return self.refuses(19021)
        if body["msg_type"] != "text":
            return self.refuses(9499)
        if self.keyword not in body["content"]["text"]:
            return self.refuses(19024)
        return self.refuses(11232) if self.too_fast() else self.takes(body["content"]["text"])


@contextlib.asynccontextmanager
async def running(service: ChatService, path: str) -> AsyncIterator[ChatService]:
    """The service on a port of its own; ``url`` is what its transport is configured with."""
    server = await asyncio.start_server(service.serve, "127.0.0.1", 0, limit=1 << 20)
    service.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}{path}"
    try:
        yield service
    finally:
        server.close()

"""Deliveries as signed HTTP POSTs (weather_hook). README.md has the wire; RFC 9110 the status codes.

A small client of its own, one connection a delivery: nothing but the standard library is needed beside the gateway.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import json
import re
import ssl
from typing import Any
from urllib.parse import urlsplit

from gateway.api import Delivered, Field, Refused, SecretName, Settings, TryLater, hookimpl

STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})[ \r]")
LATER = {401, 403, 408, 425, 429}
MOST_BYTES = 65_536


class HookSettings(Settings):
    """``[transport.NAME]`` with ``kind = "weather_hook"``."""

    url: str = Field(pattern=r"^https?://[^\s/?#@]+(?:[/?][^\s#]*)?$", description="where to POST, http or https")
    secret: SecretName = Field(default="hook-key", description="name of the secret that signs each body")
    timeout_seconds: float = Field(default=20, gt=0, description="for a delivery as a whole")


class ToWebhook:
    """The transport."""

    kind, Settings = "weather_hook", HookSettings

    def __init__(self, name: str, settings: Any, services: Any = None) -> None:
        self.name, self.settings, self.services = name, settings, services

    async def start(self) -> None:
        """Nothing to open: each delivery has a connection of its own."""

    async def stop(self) -> None:
        """Nothing to close."""

    async def send(self, delivery: Any) -> Delivered | TryLater | Refused:
        """POST it. The peer's own words stay out of the answer: they may quote the report."""
        told = {name: getattr(delivery, name) for name in ("id", "incident", "subject", "text")} | {"to": delivery.address}
        body = json.dumps(told, ensure_ascii=False).encode("utf-8", "replace")
        try:
            async with asyncio.timeout(self.settings.timeout_seconds):
                head, answer = await self._post(delivery.id, body)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError) as error:
            return TryLater(f"no answer from the hook ({type(error).__name__})")
        status = STATUS.match(head)
        if status is None:
            return TryLater("the hook does not speak HTTP")
        return _judged(int(status[1]), head, answer)

    async def _post(self, key: str, body: bytes) -> tuple[bytes, bytes]:
        url = urlsplit(self.settings.url)
        tls = ssl.create_default_context() if url.scheme == "https" else None
        secret = self.services.secret(self.settings.secret).encode()
        head = [
            f"POST {url.path or '/'}{'?' + url.query if url.query else ''} HTTP/1.1", f"Host: {url.netloc}", "Connection: close",
            "Content-Type: application/json; charset=utf-8", f"Content-Length: {len(body)}", f"Idempotency-Key: {key}",
            f"X-Signature: sha256={hmac.new(secret, body, hashlib.sha256).hexdigest()}",
        ]  # fmt: skip
        port = url.port or (443 if tls else 80)
        reader, writer = await asyncio.open_connection(url.hostname, port, ssl=tls, limit=MOST_BYTES)
        with contextlib.closing(writer):
            writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + body)
            await writer.drain()
            answered = await reader.readuntil(b"\r\n\r\n")
            return answered, await reader.read(MOST_BYTES)


def _judged(status: int, head: bytes, answer: bytes) -> Delivered | TryLater | Refused:
    if 200 <= status < 300:
        return Delivered((_ref(answer),))
    if status < 400 or status >= 500 or status in LATER:
        after = re.search(rb"\r\nretry-after: *(\d{1,5})\r\n", head, re.IGNORECASE)
        return TryLater(f"the hook answered {status}", float(after[1]) if after else None)
    return Refused(f"the hook answered {status}")


def _ref(answer: bytes) -> str:
    """The peer's own id of it, where it gives one that is a plain word."""
    try:
        ref = json.loads(answer)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ""
    return ref if isinstance(ref, str) and re.fullmatch(r"[\w.-]{1,80}", ref) else ""


@hookimpl
def transports() -> list[type[ToWebhook]]:
    """The transport of this module."""
    return [ToWebhook]

"""Warnings of the weather bureau (weather_line): objects of JSON, one a line, over TCP. README.md has the wire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from datetime import datetime
from types import SimpleNamespace
from typing import Any

from gateway.api import Field, Malformed, Message, RawMessage, Settings, StorageTrouble, TooLarge, hookimpl


class LineSettings(Settings):
    """``[channel.NAME]`` with ``kind = "weather_line"``."""

    host: str = Field(default="127.0.0.1", description="address to listen on")
    port: int = Field(default=26100, ge=0, le=65535, description="TCP port")
    idle_seconds: float = Field(default=300, gt=0, description="a line that says nothing so long is closed")


class WeatherLine:
    """The channel."""

    kind, channel, reads_in, Settings = "weather_line", "sms", "inline", LineSettings

    def __init__(self, name: str, settings: Any, services: Any = None) -> None:
        self.name, self.settings, self.services = name, settings, services
        self.server: asyncio.Server | None = None

    async def start(self, intake: Any) -> None:
        """Listen. A line may be as long as what intake takes, with its end."""
        self.intake = intake
        limit = self.services.max_bytes + 2
        self.server = await asyncio.start_server(self._talk, self.settings.host, self.settings.port, limit=limit)

    async def stop(self) -> None:
        """Listen no more; may be called twice."""
        if self.server is not None:
            self.server.close()

    def health(self) -> Any:
        """One line for ``gateway channels``."""
        return SimpleNamespace(state="up" if self.server else "down", detail=f"port {self.settings.port}")

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        over, peer = False, str(writer.get_extra_info("peername")[0])
        ended = (asyncio.IncompleteReadError, ConnectionError, TimeoutError)
        with contextlib.closing(writer), contextlib.suppress(*ended):
            while True:
                try:
                    async with asyncio.timeout(self.settings.idle_seconds):
                        line = (await reader.readuntil(b"\n")).rstrip(b"\r\n")
                except asyncio.LimitOverrunError as error:  # longer than intake takes: let the rest of the line go by
                    over = bool(await reader.readexactly(error.consumed))
                    continue
                writer.write(b"NEVER\n" if over else await self._take(line, peer))
                over = False
                await writer.drain()

    async def _take(self, line: bytes, peer: str) -> bytes:
        raw = RawMessage(channel=self.channel, via=self.name, received_at=self.services.now(), sender=peer, body=line,
                         content_type="application/json")  # fmt: skip
        try:
            return f"TAKEN {(await self.intake.accept(raw)).id}\n".encode()
        except StorageTrouble:
            return b"LATER\n"
        except TooLarge:
            return b"NEVER\n"

    def read(self, raw: RawMessage) -> Message:
        """The warning as a text that names its station, kind and level. Raises ``Malformed`` with where, never with what."""
        try:
            given = json.loads(raw.body)
        except (ValueError, RecursionError):
            raise Malformed("the line is not JSON") from None
        if not isinstance(given, dict):
            raise Malformed("the line is no object")
        text = _text(given, "text", required=True)
        station, kind, level = (_text(given, name) for name in ("station", "kind", "level"))
        head = f"{station}发布{kind}{level}预警。" if kind else ""
        return Message(text=head + text, message_id=_text(given, "serial", required=True), sent_at=_instant(given))


def _text(given: dict[str, Any], name: str, *, required: bool = False) -> str:
    value = given.get(name, "")
    if not isinstance(value, str) or (required and not value.strip()):
        raise Malformed(f"field '{name}' is missing" if not str(value).strip() else f"field '{name}' is no text")
    # Half a character (\ud83d alone) is JSON but no text.
    return value.encode("utf-8", "replace").decode()


def _instant(given: dict[str, Any]) -> datetime | None:
    """When it was issued, where that is an instant; the gateway's own clock decides everything anyway."""
    try:
        issued = datetime.fromisoformat(given.get("issued", ""))
    except (TypeError, ValueError):
        return None
    return issued if issued.tzinfo else None


@hookimpl
def channels() -> list[type[WeatherLine]]:
    """The channel of this module."""
    return [WeatherLine]

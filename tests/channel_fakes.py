"""Stand-ins for what the host lends to a channel: an intake that records, and services with fixed answers."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from gateway.api import RawMessage, Receipt, StorageTrouble, TooLarge

NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))

TOKEN = "a-token-of-the-test"
CALL = {
    "call_id": "c-17",
    "caller": "+8613800000003",
    "called": "09990000110",
    "started_at": "2026-11-23T09:21:00+08:00",
    "segments": [
        {"speaker": "值班员", "start": 0, "end": 2.5, "text": "您好，市政府值班室。"},
        {"speaker": "来电人", "start": 2.5, "end": 9.0, "text": "石桥县河湾村有房子塌了，压着两个人。"},
    ],
}


@dataclass(frozen=True)
class FakeAccepted:
    id: str
    duplicate_of: str | None = None


class FakeIntake:
    """Records what it is given. ``trouble`` makes it fail as a full disk would; ``gate`` holds it up until it is set."""

    def __init__(self, max_bytes: int = 1 << 25) -> None:
        self.messages: list[RawMessage] = []
        self.trouble = False
        self.trouble_after: int | None = None
        self.max_bytes = max_bytes
        self.gate: asyncio.Event | None = None

    async def accept(self, raw: RawMessage) -> FakeAccepted:
        if self.gate is not None:
            await self.gate.wait()
        if self.trouble or (self.trouble_after is not None and len(self.messages) >= self.trouble_after):
            raise StorageTrouble("no space left")
        if len(raw.body) > self.max_bytes:
            raise TooLarge(f"the limit is {self.max_bytes}")
        self.messages.append(raw)
        return FakeAccepted(f"m{len(self.messages)}")

    async def receipt(self, receipt: Receipt) -> None:
        raise AssertionError("no receipt is expected here")


@dataclass
class FakeServices:
    """``gateway.api.Services`` with fixed answers."""

    max_bytes: int = 1 << 25
    secrets: dict[str, str] = field(default_factory=dict)
    channels: dict[str, Any] = field(default_factory=dict)
    alarms: list[str] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: NOW

    def secret(self, name: str) -> str:
        return self.secrets[name]

    def channel(self, name: str) -> Any:
        return self.channels.get(name)

    def alarm(self, why: str, **data: str) -> None:
        self.alarms.append(why)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])

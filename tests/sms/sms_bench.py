"""The SMS channel bound to the demo SMSC on loopback, with an intake that records receipts too."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from typing import Any

from gateway.api import RawMessage
from gateway.demo.smsc import DemoSmsc
from gateway.testing import MemoryIntake, MemoryServices
from gateway_plugins.sms_smpp import SmppSettings, SmsSmpp

PASSWORD = "s3cr3tpw"
NOW = datetime(2026, 11, 23, 9, 30, tzinfo=timezone(timedelta(hours=8)))


class Intake(MemoryIntake):
    """Also holds messages up until ``gate`` is set, raises ``broken``, and counts what it has in hand."""

    def __init__(self) -> None:
        super().__init__()
        self.gate: asyncio.Event | None = None
        self.broken: Exception | None = None
        self.in_hand = self.most_in_hand = 0

    @property
    def messages(self) -> list[RawMessage]:
        return self.accepted

    async def accept(self, raw: RawMessage) -> Any:
        if self.broken is not None:
            raise self.broken
        self.in_hand += 1
        self.most_in_hand = max(self.most_in_hand, self.in_hand)
        try:
            if self.gate is not None:
                await self.gate.wait()
            return await super().accept(raw)
        finally:
            self.in_hand -= 1


@dataclass
class Bench:
    """What a test needs: both ends and what lies behind ours."""

    smsc: DemoSmsc
    sms: SmsSmpp
    intake: Intake
    services: MemoryServices = field(default_factory=MemoryServices)

    async def up(self) -> None:
        """Return once the channel says that it is up."""
        await until(lambda: self.sms.health().state == "up")


async def until(predicate: Callable[[], bool], seconds: float = 5) -> None:
    """Give the loop its turns until ``predicate`` holds; TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while not predicate():
            await asyncio.sleep(0.001)


@asynccontextmanager
async def bench(password: str = PASSWORD, start: bool = True, **settings: Any) -> AsyncIterator[Bench]:
    """Both ends started; stopped at the end, whatever happened."""
    smsc = DemoSmsc("gateway", PASSWORD)
    await smsc.start("tcp:0:interface=127.0.0.1")
    services = MemoryServices(at=NOW, secrets={"smpp-password": password})
    quick = {"reconnect_min": 0.02, "reconnect_max": 0.05, "request_timeout": 2.0, **settings}
    sms = SmsSmpp("sms", SmppSettings(port=smsc.port, system_id="gateway", password="smpp-password", **quick), services)
    services.channels["sms"] = sms
    made = Bench(smsc, sms, Intake(), services)
    try:
        if start:
            await sms.start(made.intake)
            await smsc.wait_bound(5)
            await made.up()
        yield made
    finally:
        await sms.stop()
        await smsc.stop()

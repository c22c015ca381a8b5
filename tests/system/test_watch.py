"""The watch in a real daemon: a carrier that goes dead is told by mail, and again when it is killed in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from email.header import decode_header, make_header
from typing import Any

import pytest_asyncio

from gateway.demo.smsc import DemoSmsc
from tests.system.gate import Gate, Sink

OWN = "+8613900000999"
SECTIONS = f"""
[[canary]]
name = "sms-loop"
transport = "sms"
address = "{OWN}"
via = "sms"
every_minutes = 0.05
within_minutes = 0.03
"""
WAYS = """
ways = [{ transport = "sms", address = "+8613900000100", name = "值班长" }, { transport = "mail", address = "ops@gateway.test" }]
"""


@pytest_asyncio.fixture
async def smsc(gate: Gate, reactor: Any) -> AsyncIterator[DemoSmsc]:
    made = DemoSmsc("gateway", gate.secret("smpp-password"))
    made.own_numbers = {OWN}
    await made.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
    yield made
    await made.stop()


async def test_a_carrier_that_goes_dead_is_told_by_the_other_way(gate: Gate, sink: Sink, smsc: DemoSmsc) -> None:
    file = gate.conf / "gateway.toml"
    text = file.read_text("utf-8").replace("[alarms]\n", f"[alarms]{WAYS}", 1)
    text = text.replace("[watchdog]\n", "[watchdog]\nevery_seconds = 0.3\n", 1)
    file.write_text(text + SECTIONS, "utf-8")

    def events(name: str) -> list[str]:
        return [line for line in (gate.state / "audit.jsonl").read_text("utf-8").splitlines() if f'"event":"{name}"' in line]

    async def until(found: Any) -> None:
        async with asyncio.timeout(30):
            while not found():
                await asyncio.sleep(0.1)

    await asyncio.to_thread(gate.start)
    await until(lambda: len(events("ignored")) >= 2)
    assert events("canary_failed") == [] and sink.mails == []
    smsc.echo_after = None
    await until(lambda: events("alarm_sent"))
    (mail,) = sink.mails
    assert "the self-test of a carrier did not come back" in str(make_header(decode_header(mail["Subject"])))
    body = mail.get_payload(decode=True).decode()
    assert "gateway alarm" in body and "sms-loop" in body and "runbook/canary.md" in body
    assert not [one for one in smsc.sent if "alarm" in one.text], "not by the carrier that is in doubt"
    await asyncio.to_thread(gate.stop)
    smsc.echo_after = 0.0
    await asyncio.to_thread(gate.start)
    await until(lambda: events("canary_returned"))
    assert len(sink.mails) == 1, "the restart tells nothing twice"
    assert '"incident":null' not in "".join(events("registered")), "and nothing of it is an incident"
    assert events("registered") == []

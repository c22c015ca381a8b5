"""One daemon with small limits for all tests of bad input; after each test it lives and nothing is lost."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.conf_edit import set_key
from gateway.demo.smsc import DemoSmsc
from tests.system.bad_input.common import (
    LIMIT,
    WORD,
    rows,
)
from tests.system.gate import Gate, Sink

PLUGIN = '''
"""A channel like the telephone's whose reading never ends for some messages."""
import time
from gateway.api import hookimpl
from gateway_plugins.phone_transcript import PhoneTranscript

class Stuck(PhoneTranscript):
    """Reads in a worker; the word STUCK makes it hang."""
    kind = "stuck"
    reads_in = "parse"

    def read(self, raw):
        while b"STUCK" in raw.body:
            time.sleep(1)
        return super().read(raw)

@hookimpl
def channels() -> list[type[Stuck]]:
    """The channel of this plugin."""
    return [Stuck]
'''


@pytest.fixture(scope="package")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gate, Sink]]:
    """One daemon for all tests here, with small limits, and the mail server behind it."""
    made = Gate(tmp_path_factory.mktemp("bad"))
    configure(made)
    made.run_command("check")
    sink = Sink(made.base + 5)
    sink.start()
    made.start()
    yield made, sink
    made.stop()
    sink.stop()
    made.run_command("audit", "verify")
    for kept in (made.log, made.state / "audit.jsonl"):
        assert WORD.encode() not in kept.read_bytes(), f"{kept.name} holds a word of a report"
    assert b"Traceback" not in made.log.read_bytes()


@pytest.fixture(scope="package")
def gate(house: tuple[Gate, Sink]) -> Gate:
    return house[0]


def configure(gate: Gate) -> None:
    spool = gate.conf / "spool"
    spool.mkdir()
    (gate.conf / "plugins.d").mkdir()
    (gate.conf / "plugins.d" / "stuck.py").write_text(PLUGIN, "utf-8")
    (gate.conf / "channels.d" / "stuck.toml").write_text(
        f'[channel.stuck]\nkind = "stuck"\nport = {gate.base + 3}\ntoken = "phone-token"\n', "utf-8"
    )
    for name, path, value in (
        ("gateway.toml", ("limits", "max_message_bytes"), LIMIT),
        ("gateway.toml", ("limits", "parse_seconds"), 3.0),
        ("gateway.toml", ("limits", "parts_seconds"), 1.0),
        ("channels.d/phone.toml", ("channel", "phone", "spool"), str(spool)),
        ("channels.d/phone.toml", ("channel", "phone", "spool_seconds"), 0.1),
        ("channels.d/phone.toml", ("channel", "phone", "settle_seconds"), 0.5),
        ("channels.d/fax.toml", ("channel", "fax", "ocr"), False),
    ):
        file = gate.conf / name
        file.write_text(set_key(file.read_text("utf-8"), path, value), "utf-8")


@pytest.fixture(autouse=True)
def nothing_lost(gate: Gate) -> Iterator[None]:
    """After each test the daemon lives, what was accepted before is still there, and nothing waits to be read."""
    before = {m["id"] for m in rows(gate)}
    yield
    gate.until(lambda: all(m["state"] != "accepted" for m in rows(gate)), "nothing stays accepted")
    assert before <= {m["id"] for m in rows(gate)}
    assert gate.process is not None and gate.process.poll() is None


@pytest_asyncio.fixture
async def smsc(gate: Gate, reactor: Any) -> AsyncIterator[DemoSmsc]:
    """The carrier, to which the daemon comes by itself."""
    made = DemoSmsc("gateway", gate.secret("smpp-password"))
    await made.start(f"tcp:{gate.base + 4}:interface=127.0.0.1")
    await made.wait_bound(10)
    yield made
    await made.stop()

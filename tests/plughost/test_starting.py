"""An isolated plugin that fails at its start, crashes or rests: what is tried again, what may be used, what may be told."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from gateway.conf_load import check
from gateway.core.outcomes import Delivered, TryLater
from gateway.faults import ConfError
from gateway.host import Host
from gateway.plughost import guard
from gateway.plughost.child import Child, PluginFailed
from gateway.plughost.hub import hub
from gateway.plughost.wire import Load, Made, Told, pack, unpack
from gateway.telling import tell
from gateway.ways import _told
from tests.plughost.test_proxies import DELIVERY, Kept, conf, english, made, until  # noqa: F401 - fixtures
from tests.system.gate import Gate

WORDS = "云台区仓库起火三人死亡"
DAY = date(2026, 3, 1)
FRAIL = """
import os
from types import SimpleNamespace
from gateway.api import Delivered, Field, Message, Settings, hookimpl

class S(Settings):
    flag: str = Field(description="a file that keeps it from starting")

class Base:
    Settings = S
    def __init__(self, name, settings, services=None):
        self.flag, self.up = settings.flag, False
    def _start(self):
        if os.path.exists(self.flag):
            raise ValueError(open(self.flag, encoding="utf-8").read())
        self.up = True
    async def stop(self): ...

class Out(Base):
    kind = "frail_out"
    async def start(self): self._start()
    async def send(self, delivery): return Delivered((str(self.up),))

class In(Base):
    kind, channel, reads_in = "frail_in", "sms", "inline"
    async def start(self, intake): self._start()
    def health(self): return SimpleNamespace(state="up" if self.up else "down", detail="")
    def read(self, raw): return Message(text="")

@hookimpl
def transports(): return [Out]

@hookimpl
def channels(): return [In]
"""


@pytest.fixture
def frail(conf: Path, tmp_path: Path) -> Path:  # noqa: F811
    write(conf, tmp_path / "flag")
    return conf


def write(conf: Path, flag: Path) -> None:  # noqa: F811
    (conf / "plugins.d").mkdir(exist_ok=True)
    (conf / "plugins.d" / "frail.py").write_text(FRAIL, encoding="utf-8")
    text = "".join(f"[{sort}.frail]\nkind = 'frail_{way}'\nisolation = 'process'\nflag = '{flag}'\n"
                   for sort, way in (("channel", "in"), ("transport", "out")))  # fmt: skip
    (conf / "channels.d" / "frail.toml").write_text(text)


def test_a_process_that_ends_leaves_no_dead_descriptor_to_the_next() -> None:
    asyncio.run(_descriptors())  # on asyncio's own loop, as the guards


async def _descriptors() -> None:
    async def serve(_call: Any) -> bytes:
        return b""

    for _ in range(2):
        child = Child.spawn("p", serve=serve, noted=lambda *_: None, ended=lambda *_: None, largest=1 << 20)
        await child.open()
        unpack(await child.call("load", "", pack(Load(plugin="p", source="file", file=os.devnull)), 10), Told)
        numbers = [stream.fileno() for stream in (child.process.stdout, child.process.stderr) if stream]
        child.end("test")
        time.sleep(0.3)
        await until(lambda child=child: child.process.stderr.closed)
        listened = set(asyncio.get_running_loop()._selector.get_map())  # type: ignore[attr-defined]
        assert not listened & set(numbers)


async def test_what_could_not_start_after_a_crash_is_tried_again_and_not_used_before(
    frail: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "RETRY_FIRST", 0.1, raising=False)
    channel, transport = made(frail, "channels", "frail"), made(frail, "transports", "frail")
    await channel.start(Kept())
    await transport.start()
    assert await transport.send(DELIVERY) == Delivered(("True",))
    (tmp_path / "flag").write_text(WORDS)
    os.kill(hub.pids()["frail"], signal.SIGKILL)
    await until(lambda: "ValueError (frail.py:" in channel.health().detail)
    assert channel.health().state == "down"
    assert WORDS not in channel.health().detail
    outcome = await transport.send(DELIVERY)
    assert isinstance(outcome, TryLater)
    assert "frail has not started: ValueError (frail.py:" in outcome.why
    (tmp_path / "flag").unlink()
    await until(lambda: channel.health().state == "up")
    await until(lambda: not transport.placed.waits)
    assert await transport.send(DELIVERY) == Delivered(("True",))


async def test_a_plugin_that_answers_nonsense_to_make_is_tried_again(frail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "RETRY_FIRST", 0.1, raising=False)
    transport = made(frail, "transports", "frail")
    await transport.start()
    rubbish, real = [True], guard.unpack
    monkeypatch.setattr(guard, "unpack", lambda data, kind: real(b"\xc1" if kind is Made and rubbish else data, kind))
    os.kill(hub.pids()["frail"], signal.SIGKILL)
    await until(lambda: "answered nonsense to make" in transport.placed.why)
    rubbish.clear()
    await until(lambda: not transport.placed.waits)
    assert await transport.send(DELIVERY) == Delivered(("True",))
    rubbish.append(True)
    with pytest.raises(PluginFailed, match="answered nonsense to make"):
        await made(frail, "transports", "frail").start()


async def test_a_restart_that_ends_in_any_exception_is_tried_again(frail: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    transport = made(frail, "transports", "frail")
    await transport.start()
    real, times = transport.guard._run, []

    async def run(*given: Any) -> None:
        times.append(1)
        if len(times) == 1:
            raise RuntimeError(WORDS)
        await real(*given)

    monkeypatch.setattr(transport.guard, "_run", run)
    os.kill(hub.pids()["frail"], signal.SIGKILL)
    await until(lambda: len(times) > 1 and not transport.placed.waits)
    assert await transport.send(DELIVERY) == Delivered(("True",))


async def test_a_table_that_was_good_is_good_while_its_plugin_rests(frail: Path) -> None:
    transport = made(frail, "transports", "frail")
    await transport.start()
    hub.limits = hub.limits.model_copy(update={"failures": 1, "rest_seconds": 600.0})
    os.kill(hub.pids()["frail"], signal.SIGKILL)
    await until(lambda: "frail" not in hub.pids())
    await until(lambda: transport.guard.record.resting)
    config = check(frail, Host.load(frail), today=DAY)
    assert "frail" in [one.name for one in config.transports]
    file = frail / "channels.d" / "frail.toml"
    file.write_text(file.read_text().replace("flag'", "flag2'"))
    with pytest.raises(ConfError) as caught:
        check(frail, Host.load(frail), today=DAY)
    assert all("this table is new or changed, and only the plugin can check it" in str(f) for f in caught.value.faults)
    assert len(caught.value.faults) == 2


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ValueError(WORDS), "ValueError"),
        (OSError(98, "Address already in use"), "OSError: [Errno 98] Address already in use"),
        (FileNotFoundError(2, "No such file", WORDS), "FileNotFoundError: [Errno 2] No such file"),
        (OSError(WORDS), "OSError"),
        (type("Foreign", (OSError,), {})(5, WORDS), "Foreign"),
    ],
)
def test_only_the_systems_own_text_is_told(error: Exception, told: str) -> None:
    assert tell(error) == told
    assert _told(error) == told


@pytest.mark.parametrize("isolation", ["process", "inline"])
def test_no_word_of_a_report_is_kept_of_a_start_that_fails(isolation: str, tmp_path: Path) -> None:
    gate, flag = Gate(tmp_path), tmp_path / "flag"
    write(gate.conf, flag)
    file = gate.conf / "channels.d" / "frail.toml"
    file.write_text(file.read_text().replace("'process'", f"'{isolation}'"))
    flag.write_text(WORDS)
    gate.start()
    try:
        gate.until(lambda: "could not start: " in gate.log.read_text(), "the alarm")
    finally:
        gate.stop()
    kept = gate.log.read_text() + (gate.state / "audit.jsonl").read_text()
    assert WORDS not in kept
    assert ascii(WORDS)[1:-1] not in kept
    assert "ValueError (frail.py:" in kept


@pytest.mark.parametrize("command", ["check", "plugins"])
def test_a_command_that_has_asked_an_isolated_plugin_ends_without_a_word_of_it(command: str, tmp_path: Path) -> None:
    gate = Gate(tmp_path)

    def errors() -> bytes:
        line = [sys.executable, "-m", "gateway", "--conf", str(gate.conf), command]
        return subprocess.run(line, env=gate.env, capture_output=True, timeout=60, check=True).stderr

    without = errors()
    write(gate.conf, tmp_path / "flag")
    assert errors() == without
    assert b"Traceback" not in without

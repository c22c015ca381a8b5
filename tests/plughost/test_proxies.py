"""The classes of an isolated plugin are used as any others: settings, sending, routing, reading, and every way to fail."""

from __future__ import annotations

import asyncio
import os
import shutil
import time
from collections.abc import Iterator
from datetime import date, datetime
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec
import pytest

from gateway import house, i18n
from gateway.conf_load import check, load
from gateway.core.model import Delivery, Incident, Message, RawMessage, Report
from gateway.core.outcomes import Delivered, Refused, TryLater
from gateway.explain import Explainer, throwaway_key
from gateway.faults import ConfError
from gateway.host import Host
from gateway.plughost import guard
from gateway.plughost.child import PluginDown
from gateway.plughost.hub import hub
from gateway.settings_model import PluginsSection
from gateway.workers import WorkerFailed, WorkerPool

ROOT = Path(__file__).parent.parent.parent
PLUGIN = Path(__file__).with_name("plugin.py")
DAY = date(2026, 3, 1)
DELIVERY = Delivery(
    id="d1", incident=None, destination="x", transport="out", address="a", subject="", text="hello", short_text=""
)
FAST = {"call_seconds": 1.0, "hang_seconds": 1.5, "restart_min": 0.01, "restart_max": 0.05, "failures": 100, "memory_mb": 256}
"""Short times, and no rest."""


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    hub.close()
    hub.limits = PluginsSection()
    i18n.use("zh")


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    made = tmp_path / "conf"
    shutil.copytree(ROOT / "conf", made)
    (made / "plugins.d").mkdir(exist_ok=True)
    shutil.copy(PLUGIN, made / "plugins.d" / "plugin.py")
    tables = "[channel.bad]\nkind = 'bad_line'\nisolation = 'process'\n[transport.out]\nkind = 'bad_out'\n"
    (made / "channels.d" / "bad.toml").write_text(tables)
    (made / "routes.d" / "bad.toml").write_text("[router.bad]\nkind = 'bad_route'\n[reader.bad]\nkind = 'bad_read'\n")
    toml = made / "gateway.toml"
    toml.write_text(toml.read_text().replace("[plugins]", "[plugins]\n" + "\n".join(f"{k} = {v}" for k, v in FAST.items())))
    return made


def made(conf: Path, sort: str, name: str) -> Any:
    config = check(conf, Host.load(conf), today=DAY)
    found = next(c for c in getattr(config, sort) if c.name == name)
    return found.cls(found.name, found.settings)


def test_a_file_that_is_to_run_apart_is_never_imported_here(conf: Path) -> None:
    import sys

    host = Host.load(conf)
    assert host.faults == []
    shown = next(p for p in host.plugins() if p["name"] == "plugin")
    assert shown["isolation"] == "process"
    assert shown["kinds"] == ["bad_line", "bad_out", "bad_route", "bad_read"]
    assert "gateway_local_plugin" not in sys.modules
    assert list(hub.pids()) == ["plugin"]


def test_settings_are_validated_by_their_own_class_at_their_own_line(conf: Path) -> None:
    (conf / "channels.d" / "bad.toml").write_text(
        "[channel.bad]\nkind = 'bad_line'\nisolation = 'process'\nport = 99999\ntokn = 'x'\ntoken = 'No Name'\n"
        "[transport.out]\nkind = 'bad_out'\nisolation = 'inline'\n"
    )
    with pytest.raises(ConfError) as caught:
        check(conf, Host.load(conf), today=DAY)
    assert [str(f) for f in caught.value.faults] == [
        "channels.d/bad.toml:4: channel.bad.port: is 99999; allowed: ≤ 65535",
        "channels.d/bad.toml:5: channel.bad.tokn: unknown key 'tokn', did you mean 'token'?; allowed: port, token",
        "channels.d/bad.toml:6: channel.bad.token: has the wrong form; allowed: a secret that it is lent",
        "channels.d/bad.toml:9: transport.out.isolation: plugin plugin runs in a process of its own; allowed: process",
    ]


def test_isolation_is_one_of_two_words(conf: Path) -> None:
    (conf / "channels.d" / "bad.toml").write_text("[transport.out]\nkind = 'to_mail'\nisolation = 'thread'\n")
    with pytest.raises(ConfError) as caught:
        check(conf, Host.load(conf), today=DAY)
    assert "channels.d/bad.toml:3: transport.out.isolation: allowed: inline, process" in [str(f) for f in caught.value.faults]


async def until(look: Any, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not look():
        assert time.monotonic() < end
        await asyncio.sleep(0.02)


SENDS = {
    "raises": "plugin plugin: send raised KeyError (plugin.py:",
    "hangs": "plugin plugin: did not answer send within 1 s",
    "busy": "plugin plugin: did not answer send within 1 s",
    "sleeps": "plugin plugin: did not answer send within 1 s",
    "leaks": "plugin plugin: ",
    "exits": "plugin plugin: its process ended (exit 7)",
    "segfault": "plugin plugin: its process ended (signal 11)",
    "rubbish": "plugin plugin: answered nonsense to send (dict is no outcome)",
    "notes": "plugin plugin: did not answer send within 1 s",
    "pipe": "plugin plugin: ",
    "bomb": "plugin plugin: ",
}


async def test_a_transport_that_fails_in_any_way_is_tried_later_and_comes_back(conf: Path) -> None:
    transport = made(conf, "transports", "out")
    await transport.start()
    for what, expected in SENDS.items():
        process = hub.pids().get("plugin")
        outcome = await transport.send(msgspec.structs.replace(DELIVERY, text=f"do {what}"))
        assert isinstance(outcome, TryLater), what
        assert outcome.why.startswith(expected), what
        if what == "bomb":  # its answer may come before the next count of its processes
            await until(lambda process=process: hub.pids().get("plugin") != process)
        for _ in range(300):
            if (again := await transport.send(DELIVERY)) == Delivered(("d1-1",)):
                break
            await asyncio.sleep(0.02)
        assert again == Delivered(("d1-1",)), what
    for what in ("forks", "prints"):
        assert await transport.send(msgspec.structs.replace(DELIVERY, text=f"do {what}")) == Delivered(())
    await transport.stop()


async def test_the_words_of_a_server_that_a_plugin_passes_on_quote_no_report(conf: Path) -> None:
    transport = made(conf, "transports", "out")
    await transport.start()
    outcome = await transport.send(msgspec.structs.replace(DELIVERY, text="do quotes 石桥县河湾村一处民房倒塌"))
    assert isinstance(outcome, Refused)
    assert outcome.why.startswith("550 5.7.1 not wanted: …") and not set("石桥县河湾村一处民房倒塌") & set(outcome.why)
    said: list[str] = []
    hub._tell = lambda _plugin, why: said.append(why)
    try:
        outcome = await transport.send(msgspec.structs.replace(DELIVERY, text="do names 石桥县河湾村一处民房倒塌"))
        assert isinstance(outcome, TryLater)
        await until(lambda: said)
        for told in (outcome.why, *said):
            assert "send raised …" in told and not set("石桥县河湾村一处民房倒塌") & set(told)
    finally:
        hub._tell = None
    await transport.stop()


async def test_an_alarm_names_the_plugin_and_a_plugin_that_goes_on_failing_rests(conf: Path) -> None:
    transport = made(conf, "transports", "out")
    hub.limits = hub.limits.model_copy(update={"failures": 2, "rest_seconds": 600.0})
    said: list[tuple[str, str]] = []
    hub._tell = lambda plugin, why: said.append((plugin, why))
    try:
        await transport.start()
        for _ in range(2):
            await transport.send(msgspec.structs.replace(DELIVERY, text="do exits"))
            await asyncio.sleep(0.6)
        assert [plugin for plugin, _why in said] == ["plugin", "plugin"]
        assert said[0][1].startswith("its process ended (exit 7); failure 1, it is started again in 0.0 s")
        assert said[1][1] == "its process ended (exit 7); failure 2, it rests for 600 s"
        outcome = await transport.send(DELIVERY)
        assert isinstance(outcome, TryLater)
        assert outcome.why.endswith("tried again in 599 s") or outcome.why.endswith("tried again in 600 s")
    finally:
        hub._tell = None


async def test_a_plugin_that_rests_is_still_known_when_the_configuration_is_read_again(conf: Path) -> None:
    transport = made(conf, "transports", "out")
    hub.limits = hub.limits.model_copy(update={"failures": 1, "rest_seconds": 600.0})
    await transport.send(msgspec.structs.replace(DELIVERY, text="do exits"))
    hub.now(asyncio.sleep(0), 1)
    again = Host.load(conf)
    assert again.faults == []
    assert again.kinds["transports"]["bad_out"] is type(transport), "the same class: nothing of it has changed"


class Kept:
    """An intake that keeps what it is given."""

    def __init__(self) -> None:
        self.raws: list[RawMessage] = []

    async def accept(self, raw: RawMessage) -> Any:
        self.raws.append(raw)
        return msgspec.defstruct("A", [("id", str), ("duplicate_of", str | None)])(f"m{len(self.raws)}", None)


class Lent:
    max_bytes = 1000

    def secret(self, name: str) -> str:
        return {"phone-token": "s3cret"}[name]


async def test_a_channel_listens_in_its_process_and_is_answered_after_intake(conf: Path, unused_tcp_port: int) -> None:
    (conf / "channels.d" / "bad.toml").write_text(
        f"[channel.bad]\nkind = 'bad_line'\nisolation = 'process'\nport = {unused_tcp_port}\n[transport.out]\nkind = 'bad_out'\n"
    )
    config = check(conf, Host.load(conf), today=DAY)
    found = next(c for c in config.channels if c.name == "bad")
    channel, intake = found.cls("bad", found.settings, Lent()), Kept()
    assert channel.reads_in == "parse"
    await channel.start(intake)
    reader, writer = await asyncio.open_connection("127.0.0.1", unused_tcp_port)
    writer.write("起火\n".encode())
    assert await reader.readline() == b"OK m1\n"
    assert intake.raws[0].body.decode() == "起火"
    assert intake.raws[0].received_at.utcoffset().total_seconds() == 8 * 3600
    assert await WorkerPool("parse", 1, 256, 5.0).read(channel, intake.raws[0]) == Message(text="起火")
    with pytest.raises(WorkerFailed, match="plugin plugin: read raised UnicodeDecodeError"):
        await WorkerPool("parse", 1, 256, 5.0).read(channel, msgspec.structs.replace(intake.raws[0], body=b"\xff"))
    for _ in range(100):
        if channel.health().state == "up":
            break
        await asyncio.sleep(0.05)
    assert channel.health().detail == f"port {unused_tcp_port}"
    writer.close()
    await channel.stop()


async def test_a_secret_that_is_missing_is_told_when_the_channel_starts(conf: Path) -> None:
    channel = made(conf, "channels", "bad")
    channel.placed.services = type("None_", (), {"secret": lambda self, name: {}[name]})()
    with pytest.raises(Exception, match="plugin plugin: SecretError: secret phone-token is missing"):
        await channel.start(Kept())


NIGHT = datetime.fromisoformat("2026-03-06T22:00:00+08:00")


def test_a_dry_run_asks_isolated_routers_and_readers(conf: Path) -> None:
    config = check(conf, Host.load(conf), today=DAY)
    explainer = Explainer(house.build(config, bureau_public=throwaway_key()))
    line = {"id": "1", "channel": "sms", "received_at": NIGHT.isoformat(), "sender": "+8613800000001",
            "text": "青山区政府办报告：今日21时30分，青山区长江路仓库起火，3人死亡。"}  # fmt: skip
    told = explainer.explain(line)
    assert "处理突发事件领导小组办公室" in told["route"]
    assert {"item": None, "because": "read in MainThread"} in told["review"]
    explainer.close()


@pytest.mark.parametrize("what", ["busy", "raises", "rubbish"])
def test_a_router_that_fails_raises_in_time_and_leaves_the_others_alone(conf: Path, what: str) -> None:
    config = check(conf, Host.load(conf), today=DAY)
    found = next(c for c in config.routers if c.name == "bad")
    router = found.cls(found.name, found.settings)
    incident = Incident(id="i", number="2026-0001", title=what, state="open", items=(), kinds=(), report=Report(text=""),
                        first_received_at=NIGHT)  # fmt: skip
    with pytest.raises((PluginDown, RuntimeError), match="plugin plugin: "):
        router.route(incident, config.calendar.moment(NIGHT), config.directory)


BROKEN = {
    "hangs": ("import time\ntime.sleep(3600)\n", "does not load: did not answer load within 2 s"),
    "exits": ("import os\nos._exit(3)\n", "does not load: its process ended (exit 3)"),
    "crashes": ("import ctypes\nctypes.string_at(0)\n", "does not load: its process ended (signal 11)"),
    "missing": ("import no_such_module\n", "does not load: ModuleNotFoundError: No module named 'no_such_module'"),
    "version": ("REQUIRES_API = 2\n", "needs plugin API 2; this gateway has 1"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_another_distribution_that_cannot_be_loaded_is_named_and_the_rest_starts(
    name: str, conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distribution(tmp_path / "site", BROKEN[name][0] + dedent('kind = "their_line"\n'))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    toml = conf / "gateway.toml"
    toml.write_text(toml.read_text().replace("[plugins]", "[plugins]\nstart_seconds = 2.0"))
    (conf / "channels.d" / "theirs.toml").write_text("[channel.theirs]\nkind = 'their_line'\n")
    host = Host.load(conf)
    [fault] = host.faults
    assert fault.key.startswith("theirs")
    assert BROKEN[name][1] in fault.text
    config = load(conf, host, today=DAY)
    assert [str(w) for w in config.warnings if w.grave] == [str(fault)], (
        "a warning the daemon alarms on, and nothing that follows from it"
    )
    assert "bad" in [c.name for c in config.channels]
    with pytest.raises(ConfError):
        check(conf, host, today=DAY)


def test_another_distribution_runs_apart_without_being_asked(conf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    (conf / "plugins.d" / "plugin.py").unlink()
    distribution(tmp_path / "site", PLUGIN.read_text("utf-8"))
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    host = Host.load(conf)
    assert host.faults == []
    shown = next(p for p in host.plugins() if p["name"] == "theirs")
    assert (shown["source"], shown["isolation"]) == ("their-plugin", "process")
    assert "their_plugin_module" not in sys.modules
    config = check(conf, host, today=DAY)
    assert "bad" in [c.name for c in config.channels]


def distribution(site: Path, text: str) -> None:
    """A distribution with an entry point, as a wheel installs it."""
    info = site / "their_plugin-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: their-plugin\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[gateway.plugins]\ntheirs = their_plugin_module\n")
    (site / "their_plugin_module.py").write_text(text, encoding="utf-8")


def test_nothing_of_the_daemons_secrets_reaches_the_process(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", "/run/credentials/x")
    Host.load(conf)
    pid = hub.pids()["plugin"]
    assert b"CREDENTIALS" not in Path(f"/proc/{pid}/environ").read_bytes()
    assert os.getpgid(pid) == pid


def test_the_process_ends_when_nothing_is_made_from_it(conf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guard, "IDLE_SECONDS", 0.05)
    Host.load(conf)
    for _ in range(100):
        if not hub.pids():
            break
        hub.now(asyncio.sleep(0.02), 1)
    assert hub.pids() == {}


async def test_what_a_bundled_channel_has_besides_goes_through(conf: Path) -> None:
    text = "[channel.bad]\nkind = 'email_smtp'\nisolation = 'process'\nport = 26991\n"
    mail = (conf / "channels.d" / "mail.toml").read_text()
    (conf / "channels.d" / "bad.toml").write_text(text + "".join(_required(mail)))
    (conf / "routes.d" / "bad.toml").unlink()
    channel = made(conf, "channels", "bad")
    assert channel.bundled
    assert channel.listens() == (("127.0.0.1", 26991),)
    assert not hasattr(channel, "read_apart"), "its mail is read in the worker processes"


def _required(mail: str) -> Iterator[str]:
    """The example's own keys of its mail channel, but for the port."""
    for line in mail.splitlines():
        if line.startswith(("addresses", "host =")):
            yield line + "\n"

"""The self-test runs through real carriers and back: the demo SMSC by SMPP, and our own SMTP door by SMTP, on loopback.

The time that is judged is the test's own; only the wire takes real time.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gateway import house, init, maintenance, preparing, register
from gateway.alarm_ways import AlarmWays
from gateway.alarms import Alarms
from gateway.canary import Canaries
from gateway.conf_edit import set_key
from gateway.conf_load import load
from gateway.core import canary
from gateway.core.model import Message, RawMessage
from gateway.demo.smsc import DemoSmsc
from gateway.desk import Desk
from gateway.explain import throwaway_key
from gateway.faults import ConfError
from gateway.host import Host
from gateway.intake import Intake, take_in
from gateway.secrets import Secrets
from gateway.settings_care import AlarmsSection, CanaryEntry
from gateway.store import Store, StoreKeys, deliveries, incidents, messages, notes
from gateway.ways import Ways
from tests.system.gate import free_base
from tests.watch.conftest import START, Carrier, Clock, changed, events

OWN = "+8613900000999"
SMS = CanaryEntry(name="sms", transport="sms", address=OWN, via="sms", every_minutes=60, within_minutes=10)
MAIL = CanaryEntry(name="mail", transport="mail", address="report@gateway.test", via="mail", every_minutes=60, within_minutes=10)


class Gate:
    """Ways, intake and desk of one run of the daemon, over the demo SMSC; mail goes out to our own door."""

    def __init__(self, folder: Path, clock: Clock, *entries: CanaryEntry) -> None:
        self.folder, self.clock, self.entries = folder, clock, entries
        if not (folder / "conf").exists():
            init.write(folder / "conf", demo=True, base_port=free_base())
            file = folder / "conf" / "channels.d" / "mail.toml"
            text = file.read_text("utf-8")
            file.write_text(
                set_key(text, ("transport", "mail", "port"), self._config().channels[_mail(self._config())].settings.port)
            )
        self.config = changed(self._config(), canaries=entries, alarms=AlarmsSection(ways=(
            {"transport": "sms", "address": "+8613900000100", "name": "值班长"}, {"transport": "mail", "address": "ops@gateway.test"},
        )))  # fmt: skip

    def _config(self) -> Any:
        return load(self.folder / "conf", Host.load())

    @asynccontextmanager
    async def running(self, *, channels: bool = True) -> AsyncIterator[None]:
        secrets = Secrets(self.config.secrets)
        self.store = Store.open(f"sqlite:///{self.folder}/store.db", StoreKeys.load(secrets.path("store-key")), self.clock)
        self.alarms = Alarms(self.store, self.clock)
        self.ways = Ways(self.config, secrets, self.alarms, now=self.clock, on_error=lambda error: None)
        made = house.build(self.config, bureau_public=throwaway_key())
        self.desk = Desk(
            self.store, made, self.ways.readers, {}, clock=self.clock, alarms=self.alarms, wake_dispatch=lambda: None
        )  # fmt: skip
        for channel in self.ways.channels.values():
            channel.reads_in = "inline"  # no workers here
        intake = Intake(
            self.store, clock=self.clock, max_bytes=1 << 20, repeat_seconds=60, alarms=self.alarms, wake=self.desk.wake,
            take_receipt=lambda tx, receipt, now: None, wake_dispatch=lambda: None,
        )  # fmt: skip
        self.canaries = Canaries(self.store, self.ways.transports, entries=lambda: self.entries, clock=self.clock)
        self.alarm_ways = AlarmWays(self.store, self.alarms, self.ways.transports, config=lambda: self.config, clock=self.clock)
        self.store.write_now(self.alarm_ways._open)
        self.desk.start()
        await self.ways.start("transport")
        if channels:
            await self.ways.start("channel", ["sms", "mail"], intake=intake)
        try:
            yield
        finally:
            await self.ways.stop("channel")
            await self.desk.stop(5)
            await self.ways.stop("transport")
            self.store.close()

    async def begin(self) -> None:
        """Send what is due; the channel may be connecting still."""
        await until(lambda: all(c.health().state == "up" for n, c in self.ways.channels.items() if n in ("sms", "mail")))
        await self.canaries.look()

    def state(self, name: str = "sms") -> canary.State:
        found = self.store.read_now(lambda tx: notes.get(tx, f"canary:{name}", canary.State))
        assert found is not None
        return found

    def told(self) -> list[tuple[str, dict[str, Any]]]:
        return [(one.event, one.data) for one in events(self.store, "canary_failed", "canary_returned", "alarm")]

    def ignored(self) -> list[str | None]:
        return [row.why for row in self.store.read_now(messages.rows) if row.state == "ignored"]


def _mail(config: Any) -> int:
    return next(n for n, one in enumerate(config.channels) if one.name == "mail")


async def until(predicate: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not predicate():
            await asyncio.sleep(0.02)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
async def smsc(tmp_path: Path, clock: Clock, reactor: Any) -> AsyncIterator[DemoSmsc]:
    gate = Gate(tmp_path, clock)
    port = next(one for one in gate.config.channels if one.name == "sms").settings.port
    made = DemoSmsc("gateway", Secrets(gate.config.secrets).text("smpp-password"), now=clock)
    made.own_numbers = {OWN}
    await made.start(f"tcp:{port}:interface=127.0.0.1")
    yield made
    await made.stop()


async def test_it_goes_out_and_comes_back_by_sms_and_by_mail_and_is_no_incident(
    tmp_path: Path, clock: Clock, smsc: DemoSmsc
) -> None:
    gate = Gate(tmp_path, clock, SMS, MAIL)
    async with gate.running():
        await gate.begin()
        await until(lambda: gate.state("sms").done and gate.state("mail").done)
        assert smsc.sent[0].text.startswith("网关自检 ")
        assert gate.ignored() == ["canary", "canary"]
        assert gate.store.read_now(incidents.rows) == []
        assert gate.store.read_now(deliveries.rows) == []
        assert gate.told() == []
        assert [one.data["why"] for one in events(gate.store, "ignored")] == ["canary", "canary"]
        clock.on(minutes=59)
        await gate.canaries.look()
        assert len(smsc.sent) == 1
        clock.on(minutes=1)
        await gate.canaries.look()
        await until(lambda: gate.state("sms").done and len(smsc.sent) == 2)
        assert gate.told() == []


async def test_a_dead_carrier_is_an_alarm_by_another_way_and_its_recovery_is_on_record(
    tmp_path: Path, clock: Clock, smsc: DemoSmsc
) -> None:
    gate = Gate(tmp_path, clock, SMS)
    smsc.echo_after = None
    async with gate.running():
        sms, mail = Carrier(carrier="sms"), Carrier()
        gate.alarm_ways._transports = {"sms": sms, "mail": mail}
        await gate.begin()
        clock.on(minutes=10)
        await gate.canaries.look()
        assert gate.told() == []
        clock.on(seconds=1)
        await gate.canaries.look()
        ((failed, data), (alarm, raised)) = gate.told()
        assert (failed, data["name"], data["via"], data["transport"], data["minutes"]) == (
            "canary_failed",
            "sms",
            "sms",
            "sms",
            10,
        )
        assert (alarm, raised["what"], raised["page"]) == ("alarm", "canary", "runbook/canary.md")
        await gate.alarm_ways.look()
        assert (len(sms.sent), len(mail.sent)) == (0, 1)
        await gate.canaries.look()
        assert len(gate.told()) == 2, "once"
        smsc.echo_after = 0.0
        clock.on(minutes=50)
        await gate.canaries.look()
        await until(lambda: gate.state().done)
        assert gate.told()[2:] == [("canary_returned", {**data, "minutes": 0, "late": False})]
        clock.on(minutes=61)
        await gate.canaries.look()
        await until(lambda: gate.state().done)
        assert len(gate.told()) == 3


async def test_a_carrier_that_does_not_take_it_is_tried_again_until_the_time_is_over(
    tmp_path: Path, clock: Clock, smsc: DemoSmsc
) -> None:
    gate = Gate(tmp_path, clock, SMS)
    smsc.submit_status = 0x14
    async with gate.running():
        await gate.begin()
        assert not gate.state().taken
        smsc.submit_status = 0
        await gate.canaries.look()
        await until(lambda: gate.state().done)
        clock.on(hours=1)
        await smsc.stop()
        await gate.canaries.look()
        assert not gate.state().taken
        clock.on(minutes=11)
        await gate.canaries.look()
        assert [name for name, _data in gate.told()] == ["canary_failed", "alarm"]


async def test_one_that_comes_late_is_known_and_is_no_recovery(tmp_path: Path, clock: Clock, smsc: DemoSmsc) -> None:
    gate = Gate(tmp_path, clock, SMS)
    smsc.echo_after = 0.5
    async with gate.running():
        await gate.begin()
        clock.on(minutes=11)
        await gate.canaries.look()
        await until(lambda: len(gate.told()) == 3)
        name, data = gate.told()[2]
        assert (name, data["late"], data["minutes"]) == ("canary_returned", True, 11)
        assert gate.state().failing, "slow is not well"
        assert gate.store.read_now(incidents.rows) == []
        smsc.echo_after = 0.0
        clock.on(minutes=50)
        await gate.canaries.look()
        await until(lambda: not gate.state().failing)


async def test_a_restart_in_between_sends_none_twice_and_gives_the_carrier_its_time(
    tmp_path: Path, clock: Clock, smsc: DemoSmsc
) -> None:
    gate = Gate(tmp_path, clock, SMS)
    smsc.echo_after = 1.0
    async with gate.running():
        await gate.begin()
        first = gate.state()
        assert first.taken
    clock.on(minutes=30)
    gate = Gate(tmp_path, clock, SMS)
    async with gate.running():
        await gate.begin()
        assert (gate.state(), len(smsc.sent)) == (first, 1), "not judged by the time that we were away"
        clock.on(minutes=9)
        await gate.canaries.look()
        await until(lambda: gate.state().done)
        assert gate.told() == [] and len(smsc.sent) == 1


async def test_a_crash_between_the_note_and_the_send_sends_the_same_again(tmp_path: Path, clock: Clock, smsc: DemoSmsc) -> None:
    gate = Gate(tmp_path, clock, SMS)
    async with gate.running():
        gate.store.write_now(lambda tx: gate.canaries._decide(tx, SMS, clock()))
        noted = gate.state()
        assert not noted.taken
    async with gate.running():
        await gate.begin()
        await until(lambda: gate.state().done)
        assert gate.state().id == noted.id
        assert noted.id in smsc.sent[0].text


async def test_maintenance_covers_it(tmp_path: Path, clock: Clock, smsc: DemoSmsc) -> None:
    gate = Gate(tmp_path, clock, SMS)
    smsc.echo_after = None
    async with gate.running():
        gate.store.write_now(lambda tx: maintenance.begin(tx, clock(), minutes=60, why="割接", by="op", channel="sms"))
        await gate.begin()
        clock.on(minutes=11)
        await gate.canaries.look()
        assert [(name, data.get("maintenance")) for name, data in gate.told()] == [("canary_failed", None), ("alarm", True)]


# what the desk takes for a canary


def taken(
    tmp_path: Path, text: str, *, via: str = "sms", automatic: bool = False, keys: bytes = bytes(32)
) -> tuple[str, canary.State]:
    """A text at the desk of a gateway that waits for a canary with the id ``IDS``; what became of it, and of the canary."""
    clock = Clock()
    gate = Gate(tmp_path, clock, SMS)
    store = Store.open("sqlite://", StoreKeys(bytes(32)), clock)
    made = house.build(gate.config, bureau_public=throwaway_key())
    state = canary.State(id=IDS, begun_at=clock(), taken=True)
    store.write_now(lambda tx: notes.put(tx, "canary:sms", state))
    raw = RawMessage(channel="sms", via=via, received_at=clock(), sender=OWN, body=text.encode(), content_type="x")
    id_ = store.write_now(lambda tx: take_in(tx, raw, clock(), 60)).id
    row = store.read_now(lambda tx: messages.get(tx, id_))
    ready = preparing.prepare(made, row, Message(text=text, automatic=automatic))
    action = store.write_now(lambda tx: register.take(tx, made, row, ready, clock())).action
    after = store.read_now(lambda tx: notes.get(tx, "canary:sms", canary.State))
    assert after is not None
    store.close()
    return action, after


IDS = "01JQ0000000000000000000000"


def token(id_: str = IDS, keys: bytes = bytes(32)) -> str:
    return f"{id_}-{StoreKeys(keys).digest(canary.PURPOSE, id_.encode())[: canary.MARK]}"


def test_only_a_token_of_ours_is_one(tmp_path: Path) -> None:
    assert taken(tmp_path, canary.words(token()))[0] == "ignore"
    assert taken(tmp_path, f"【移动】{canary.words(token())} 退订回T")[1].done, "whatever the carrier puts around it"
    forged = token(keys=os.urandom(32))
    report = f"{canary.words(forged)} 白水县委办报告：今日9时许，白水县一仓库发生火灾，造成1人死亡。"
    action, state = taken(tmp_path, report)
    assert (action, state.done) == ("new", False), "nobody hides a report behind a token of his own making"


def test_what_proves_nothing_of_the_way_is_ignored_and_the_test_goes_on(tmp_path: Path) -> None:
    for more in ({"via": "phone"}, {"automatic": True}):
        action, state = taken(tmp_path, canary.words(token()), **more)
        assert (action, state.done) == ("ignore", False)
    assert taken(tmp_path, canary.words(token("01JQ0000000000000000000001")))[0] == "ignore", "one that is long forgotten"


# the pure part


class CarrierOfChance(RuleBasedStateMachine):
    """Looks, returns, restarts and idle time in any order: at most one is on its way, each that is given up is given up after its
    time alone, and every return is known for what it is."""

    every, within = timedelta(minutes=60), timedelta(minutes=10)

    @initialize()
    def begin(self) -> None:
        self.now = self.up_since = START
        self.state: canary.State | None = None
        self.begun: dict[str, datetime] = {}
        self.failed: list[str] = []

    @rule(minutes=st.integers(0, 90))
    def wait(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule()
    def restart(self) -> None:
        self.up_since = self.now

    @rule(takes=st.booleans())
    def look(self, takes: bool) -> None:
        before = self.state
        step = canary.step(before, self.now, self.up_since, self.every, self.within)
        if step == "begin":
            assert before is None or (before.done and self.now - before.begun_at >= self.every)
            self.state = canary.begun(before, f"c{len(self.begun)}", self.now)
            self.begun[self.state.id] = self.now
        elif step == "fail":
            assert before is not None and self.now - max(before.begun_at, self.up_since) > self.within
            self.failed.append(before.id)
            self.state = canary.failed(before)
        elif step == "send" and takes:
            assert before is not None
            self.state = canary.taken(before)

    @rule(pick=st.integers(0, 30))
    def comes_back(self, pick: int) -> None:
        if self.state is None:
            return
        id_ = list(self.begun)[pick % len(self.begun)]
        open_, lost, failing = not self.state.done and id_ == self.state.id, id_ in self.state.lost, self.state.failing
        self.state, how = canary.back(self.state, id_)
        assert how == ("late" if lost else "recovered" if open_ and failing else "in time" if open_ else "again")

    @invariant()
    def known(self) -> None:
        if getattr(self, "state", None) is not None:
            assert self.state is not None
            assert set(self.state.lost) <= set(self.failed)
            assert len(self.failed) == len(set(self.failed)), "each is given up once"


TestCarrierOfChance = CarrierOfChance.TestCase


@given(st.text(max_size=30), st.text(max_size=30))
def test_a_token_is_found_in_any_text_and_nothing_else_is(before: str, after: str) -> None:
    assert canary.tokens([f"{before} {token()} {after}"])[0] == tuple(token().split("-")) or canary.tokens([before])
    assert all(len(id_) == 26 and len(mark) == 20 for id_, mark in canary.tokens([before + after]))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("every_minutes = 10.0\nwithin_minutes = 10.0\n", "within_minutes < every_minutes"),
        ("transport = \"fax\"\n", "canary[0].transport"),
        ("via = \"nowhere\"\n", "canary[0].via"),
        ("name = \"A B\"\n", "canary[0].name"),
    ],
)  # fmt: skip
def test_a_wrong_canary_is_told(tmp_path: Path, text: str, fault: str) -> None:
    conf = tmp_path / "conf"
    init.write(conf)
    whole = {"name": '"x"', "transport": '"sms"', "address": f'"{OWN}"', "via": '"sms"'}
    whole |= dict(line.split(" = ") for line in text.splitlines())
    file = conf / "gateway.toml"
    file.write_text(file.read_text("utf-8") + "\n[[canary]]\n" + "".join(f"{k} = {v}\n" for k, v in whole.items()), "utf-8")
    with pytest.raises(ConfError) as caught:
        load(conf, Host.load())
    (found,) = [str(one) for one in caught.value.faults]
    assert fault in found and found.startswith("gateway.toml:")

"""A carrier that is away, slow, refusing, hanging up or repeating itself, over the real store and dispatcher: nothing lost, nothing
doubled but the part whose answer was cut off. Time is the test's own."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from ismg import Ismg, deliver_body
from sms_bench import NOW, PASSWORD, until

from gateway.api import RawMessage
from gateway.demo.smsc import DemoSmsc, deliver_sm
from gateway.dispatch import Dispatcher
from gateway.intake import Intake, take_in
from gateway.settling import take_receipt
from gateway.store import deliveries, messages
from gateway.testing import MemoryServices
from gateway.trying import Rules
from gateway_plugins.carrier.session import endpoint
from gateway_plugins.cmpp import inbound as cmpp_inbound
from gateway_plugins.cmpp.pdu import Deliver
from gateway_plugins.smpp import inbound as smpp_inbound
from gateway_plugins.smpp import text
from gateway_plugins.smpp.pdu import Command, Pdu, Status
from gateway_plugins.smpp.session import Session, SessionSettings
from gateway_plugins.sms_cmpp import CmppSettings, SmsCmpp
from gateway_plugins.sms_smpp import SmppSettings, SmsSmpp
from gateway_plugins.to_sms import ToSms, ToSmsSettings
from tests.peers.kannel import free_port
from tests.test_dispatch import BACKOFF, Desk, rounds

pytestmark = pytest.mark.usefixtures("reactor")

RULES = Rules(fallback_after=1000, give_up_after=86_400, send_timeout=5)
WORDS = "石桥县山体滑坡，道路中断。" * 8


class Line:
    """A carrier, the channel to it, and the desk behind."""

    def __init__(self, desk: Desk, kind: str) -> None:
        self.desk, self.kind, self.port = desk, kind, free_port()
        self.services = MemoryServices(secrets={"s": PASSWORD})
        quick = {"port": self.port, "reconnect_min": 0.02, "reconnect_max": 0.05, "request_timeout": 0.3}
        self.channel: Any
        if kind == "smpp":
            self.smsc: Any = DemoSmsc("gateway", PASSWORD)
            self.channel = SmsSmpp("sms", SmppSettings(system_id="gateway", password="s", **quick), self.services)
        else:
            self.smsc = Ismg("2.0", PASSWORD)
            self.channel = SmsCmpp("sms", CmppSettings(sp_id="901234", secret="s", **quick), self.services)
        self.services.channels["sms"] = self.channel
        self.intake = Intake(
            desk.store, clock=desk.clock, max_bytes=100_000, repeat_seconds=86_400, alarms=desk.alarms, wake=lambda channel, of: None,
            take_receipt=lambda tx, receipt, now: take_receipt(tx, receipt, now, BACKOFF, RULES), wake_dispatch=lambda: None,
        )  # fmt: skip
        to_sms: Any = ToSms("sms", ToSmsSettings(carrier="sms"), self.services)
        self.dispatcher = Dispatcher(
            desk.store, {"sms": to_sms}, backoff=BACKOFF, rules=RULES, owner="here", clock=desk.clock, alarms=desk.alarms
        )

    async def come(self) -> None:
        """The carrier is there."""
        await self.smsc.start(f"tcp:{self.port}:interface=127.0.0.1" if self.kind == "smpp" else self.port)
        await until(lambda: bool(self.channel.health().state == "up"))

    def arrived(self) -> list[bytes]:
        """The content of each part that the carrier took."""
        return (
            [sm.short_message for sm in self.smsc.submitted]
            if self.kind == "smpp"
            else [one["content"] for one in self.smsc.submits]
        )

    def queue(self) -> str:
        return self.desk.store.write_now(self._put)

    def _put(self, tx: Any) -> str:
        row = deliveries.DeliveryRow(
            id=tx.new_id(), incident=None, destination="duty_room", transport="sms", address="+8613800000009",
            created_at=self.desk.clock(), next_try_at=self.desk.clock(), ways=(),
        )  # fmt: skip
        deliveries.insert(tx, row, deliveries.Content(subject="s", text="t", short_text=WORDS))
        return str(row.id)


@asynccontextmanager
async def line(path: Path, kind: str) -> AsyncIterator[Line]:
    desk = Desk(path / "gateway.db")
    made = Line(desk, kind)
    await made.channel.start(made.intake)
    try:
        yield made
    finally:
        await made.channel.stop()
        await made.smsc.stop()
        desk.store.close()


@pytest.mark.parametrize("kind", ["smpp", "cmpp"])
async def test_a_carrier_that_is_away_for_an_hour_gets_everything_once(tmp_path: Path, kind: str) -> None:
    async with line(tmp_path, kind) as one:
        ids = [one.queue() for _ in range(3)]
        for _ in range(36):
            await rounds(one.dispatcher)
            one.desk.clock.on(seconds=100)
        assert {one.desk.row(id).state for id in ids} == {"waiting"}
        await one.come()
        for _ in range(6):
            one.desk.clock.on(seconds=101)
            await rounds(one.dispatcher)
        assert {one.desk.row(id).state for id in ids} == {"delivered"}
        assert len(one.arrived()) == len(set(one.arrived())) == 6  # two parts each, their references differ


async def test_the_session_goes_on_trying_through_an_hour_and_binds_within_a_minute_of_its_end() -> None:
    port, waited, tries = free_port(), 0.0, 0

    async def sleep(seconds: float) -> None:
        nonlocal waited, tries
        assert seconds <= 60
        waited, tries = waited + seconds, tries + 1
        if waited >= 3600 and smsc.port == 0:
            await smsc.start(f"tcp:{port}:interface=127.0.0.1")
        await asyncio.sleep(0)

    async def deliver(_pdu: Pdu) -> int:
        return 0

    smsc = DemoSmsc("gateway", PASSWORD)
    settings = SessionSettings(endpoint=endpoint("127.0.0.1", port), name="gateway", password=PASSWORD)
    session = Session(settings, deliver, random=Random(1), sleep=sleep)
    session.start()
    try:
        await smsc_bound(smsc)
        assert 60 <= tries <= 150
        assert 3600 <= waited < 3660
    finally:
        await session.stop()
        await smsc.stop()


async def smsc_bound(smsc: DemoSmsc) -> None:
    await until(lambda: smsc.binds == 1, 20)


@pytest.mark.parametrize("kind", ["smpp", "cmpp"])
async def test_a_silent_carrier_is_asked_again_and_gets_it_once(tmp_path: Path, kind: str) -> None:
    async with line(tmp_path, kind) as one:
        await one.come()
        one.smsc.silent = {4}
        id = one.queue()
        for _ in range(2):
            await rounds(one.dispatcher)
            one.desk.clock.on(seconds=101)
        assert one.desk.row(id).state == "waiting"
        one.smsc.silent = set()
        await rounds(one.dispatcher)
        assert one.desk.row(id).state == "delivered"
        assert len(one.arrived()) == 2


@pytest.mark.parametrize("kind", ["smpp", "cmpp"])
async def test_a_busy_carrier_gets_each_part_once_and_a_refusing_one_nothing_more(tmp_path: Path, kind: str) -> None:
    async with line(tmp_path, kind) as one:
        await one.come()
        busy(one, True)
        id = one.queue()
        await rounds(one.dispatcher)
        assert (one.desk.row(id).state, one.desk.row(id).next_try_at > one.desk.clock()) == ("waiting", True)
        busy(one, False)
        taken = len(one.arrived())
        one.desk.clock.on(seconds=101)
        await rounds(one.dispatcher)
        assert one.desk.row(id).state == "delivered"
        assert len(one.arrived()) - taken == 2
        refuse(one)
        again = one.queue()
        await rounds(one.dispatcher, 2)
        one.desk.clock.on(hours=1)
        await rounds(one.dispatcher, 2)
        assert one.desk.row(again).state == "refused"


def busy(one: Line, now: bool) -> None:
    if one.kind == "smpp":
        one.smsc.submit_status = Status.ESME_RTHROTTLED if now else 0
    else:
        one.smsc.result = 8 if now else 0


def refuse(one: Line) -> None:
    if one.kind == "smpp":
        one.smsc.submit_status = Status.ESME_RINVDSTADR
    else:
        one.smsc.result = 13


async def test_an_answer_cut_in_the_middle_doubles_that_part_alone(tmp_path: Path) -> None:
    async with line(tmp_path, "cmpp") as one:
        await one.come()
        one.smsc.cut_numbers = {2}
        id = one.queue()
        await rounds(one.dispatcher)
        assert one.desk.row(id).state == "waiting"
        await one.smsc.bound()
        await until(lambda: bool(one.channel.health().state == "up"))
        one.desk.clock.on(seconds=101)
        await rounds(one.dispatcher)
        assert one.desk.row(id).state == "delivered"
        first, second, again = one.arrived()
        assert first != second and second == again


@pytest.mark.parametrize("early", [False, True])
async def test_receipts_that_come_twice_or_before_the_answer_are_on_record_once_a_part(tmp_path: Path, early: bool) -> None:
    async with line(tmp_path, "cmpp") as one:
        await one.come()
        one.smsc.reports, one.smsc.early, one.smsc.twice = "DELIVRD", early, True
        id = one.queue()
        await rounds(one.dispatcher)
        await until(lambda: one.smsc.seen[0x8000_0005] == 4)
        assert one.desk.row(id).state == "delivered"
        assert one.desk.events().count("receipt") == 2


async def test_a_carrier_that_hangs_up_in_the_middle_of_a_part_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Five parts, the line falls in the third; the carrier begins again from the first."""
    async with line(tmp_path, "cmpp") as one:
        await one.come()
        bodies = [
            deliver_body("2.0", bytes((5, 0, 3, 9, 5, n)) + f"第{n}段".encode("utf-16-be"), udhi=1, msg_id=n) for n in range(1, 6)
        ]  # fmt: skip
        assert await one.smsc.deliver(*bodies[:2]) == [0, 0]
        whole = (12 + len(bodies[2])).to_bytes(4, "big") + b"\0\0\0\x05\0\0\0\x09" + bodies[2]
        one.smsc.write(whole[:40])
        await asyncio.sleep(0.01)
        one.smsc.cut()
        await one.smsc.bound()
        assert await one.smsc.deliver(*bodies) == [0] * 5
        found = one.desk.store.read_now(messages.counts)
        assert sum(found.values()) == 1


PARTS = [f"第{n}段" + WORDS[:50] for n in range(1, 6)]


def smpp_parts(reference: int) -> list[RawMessage]:
    made = []
    for number, words in enumerate(PARTS, 1):
        part = text.Outgoing(encoding="ucs2", data=words.encode("utf-16-be"), udh=bytes((5, 0, 3, reference, 5, number)))
        pdu = Pdu(command=Command.DELIVER_SM, sequence=1, body=deliver_sm("+8613900000021", "1069", part))
        made.append(smpp_inbound.raw_message(pdu, via="sms", received_at=NOW))
    return made


def cmpp_parts(reference: int) -> list[RawMessage]:
    return [
        cmpp_inbound.raw_message(
            Deliver(
                msg_id=reference * 10 + number, dest_id="1069", src_terminal_id="13900000021", tp_udhi=1, msg_fmt=8,
                msg_content=bytes((5, 0, 3, reference, 5, number)) + words.encode("utf-16-be"),
            ),
            via="sms", received_at=NOW,
        )
        for number, words in enumerate(PARTS, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(("parts", "kind"), [(smpp_parts, "smpp"), (cmpp_parts, "cmpp")])
async def test_five_parts_in_each_of_120_orders_are_joined_right_by_the_store(
    tmp_path: Path, parts: Callable[[int], list[RawMessage]], kind: str
) -> None:
    async with line(tmp_path, kind) as one:
        for reference, order in enumerate(itertools.permutations(range(5)), 1):
            given = parts(reference)
            made = None
            for number in order:
                made = one.desk.store.write_now(lambda tx, raw=given[number]: take_in(tx, raw, one.desk.clock(), 3600))
            assert made is not None and made.message is not None
            raw = one.desk.store.read_now(lambda tx, id=made.message: messages.raw(tx, id))
            assert one.channel.read(raw).text == "".join(PARTS), order

"""A mailbox whose server is down, slow, closes within a literal, talks rubbish or refuses: an alarm, nothing lost, on it goes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway_plugins.email_imap import EmailImap
from gateway_plugins.email_pop3 import EmailPop3
from gateway_plugins.mailbox import hand
from tests.channel_fakes import FakeIntake, FakeServices
from tests.mail.odd_boxes import BODY, OddImap, OddPop3, OddServer

KINDS = {"imap": (EmailImap, OddImap), "pop3": (EmailPop3, OddPop3)}
SECRET = "b0x-secret"


class House:
    def __init__(self, kind: str) -> None:
        self.cls, server = KINDS[kind]
        self.server: OddServer = server()
        self.intake, self.services = FakeIntake(), FakeServices(max_bytes=100_000, secrets={"box-pw": SECRET})
        self.channel: Any = None

    async def start(self, **more: Any) -> None:
        await self.server.start()
        self.channel = self.made(**more)
        await self.channel.start(self.intake)

    def made(self, **more: Any) -> Any:
        settings: Any = self.cls.Settings
        usual: dict[str, Any] = {
            "host": "127.0.0.1", "port": self.server.port, "security": "none", "username": "report@gateway.test", "password": "box-pw",
            "poll_seconds": 0.05, "timeout_seconds": 0.6, "reconnect_min": 0.02, "reconnect_max": 0.1,
        }  # fmt: skip
        return self.cls("box", settings(**(usual | more)), self.services)

    async def until(self, seen: Any) -> None:
        async with asyncio.timeout(10):
            while not seen():
                await asyncio.sleep(0.01)

    async def recovered(self) -> None:
        """The server is good again: the mail comes, and the channel says so."""
        self.server.mode = "good"
        await self.until(lambda: not self.server.mails and self.intake.messages)
        await self.until(lambda: self.channel.health().state == "up")


@pytest_asyncio.fixture(params=["imap", "pop3"])
async def house(request: pytest.FixtureRequest) -> AsyncIterator[House]:
    made = House(request.param)
    yield made
    if made.channel is not None:
        await asyncio.wait_for(made.channel.stop(), 5)
    await made.server.stop()


@pytest.mark.parametrize(
    "mode", ["rubbish", "hang", "cut", "cut-login", "huge", "flood", "slow", "rubbish-search", "rubbish-fetch", "no-validity"]
)
async def test_trouble_is_one_alarm_and_nothing_is_marked_or_lost(
    house: House, mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    if isinstance(house.server, OddPop3) and mode in ("huge", "rubbish-search", "no-validity"):
        mode = "cut"
    house.server.mode = mode
    await house.start()
    await house.until(lambda: house.services.alarms)
    await asyncio.sleep(0.3)
    assert house.intake.messages == []
    assert 1 in house.server.mails, "still there"
    assert len(house.services.alarms) <= 4, house.services.alarms
    await house.recovered()
    assert [raw.body for raw in house.intake.messages] == [BODY]
    told = " ".join(house.services.alarms) + caplog.text
    assert "化工厂" not in told and SECRET not in told and "nonsense" not in told


async def test_nobody_there_then_somebody(house: House) -> None:
    await house.server.start()
    port = house.server.port
    await house.server.stop()
    house.channel = house.made(port=port)
    await house.channel.start(house.intake)
    await house.until(lambda: house.services.alarms)
    await asyncio.sleep(0.3)
    assert len(house.services.alarms) == 1
    await house.server.start()
    await house.recovered()


async def test_a_refused_login_waits_long_and_is_told_once(house: House) -> None:
    house.server.mode = "refuse"
    await house.start(reconnect_max=0.4)
    await house.until(lambda: house.services.alarms)
    await asyncio.sleep(0.6)
    assert len(house.services.alarms) == 1
    assert "report@gateway.test" in house.services.alarms[0] and "go away" not in house.services.alarms[0]
    logins = sum(said.upper().startswith(("LOGIN", "PASS")) for said in house.server.commands)
    assert logins <= 3, "an account must not be locked by our own tries"
    await house.recovered()


async def test_a_line_lost_at_login_is_no_refusal(house: House) -> None:
    house.server.mode = "cut-login"
    await house.start(reconnect_max=30)
    await house.until(lambda: house.services.alarms)
    assert "report@gateway.test" not in house.services.alarms[0]


async def test_a_mail_that_breaks_the_line_each_time_holds_up_nobody(house: House) -> None:
    house.server.mails = {number: BODY + str(number).encode() + b"\r\n" for number in range(1, 6)}
    house.server.poison = {2}
    await house.start()
    await house.until(lambda: set(house.server.mails) == {2})
    await house.until(lambda: any("report@gateway.test" in alarm for alarm in house.services.alarms))
    house.server.mails[9] = BODY + b"9\r\n"
    await house.until(lambda: set(house.server.mails) == {2})
    bodies = {raw.body[-3:-2] for raw in house.intake.messages}
    assert bodies == {b"1", b"3", b"4", b"5", b"9"}
    await house.until(lambda: house.channel.health().state == "up")


async def test_a_mail_that_vanished_is_passed_over(house: House) -> None:
    if not isinstance(house.server, OddImap):
        return
    house.server.mails = {1: BODY, 2: BODY + b"2\r\n"}
    taken = house.intake.accept

    async def accept(raw: Any) -> Any:
        house.server.mails.pop(2, None)  # somebody else moved it meanwhile
        return await taken(raw)

    house.intake.accept = accept  # type: ignore[method-assign]
    await house.start()
    await house.until(lambda: not house.server.mails)
    assert len(house.intake.messages) == 1
    assert house.services.alarms == []


async def test_a_pop3_quit_that_is_cut_off_deletes_nothing_and_the_copy_has_the_same_id() -> None:
    house = House("pop3")
    house.server.mode = "cut-quit"
    await house.start()
    await house.until(lambda: len(house.intake.messages) >= 2)
    house.server.mode = "good"
    await house.until(lambda: not house.server.mails)
    await house.channel.stop()
    await house.server.stop()
    assert {(raw.carrier_id, raw.body) for raw in house.intake.messages} == {("pop3:u1", BODY)}


async def test_a_pop3_server_without_uidl_and_one_in_use() -> None:
    house = House("pop3")
    assert isinstance(house.server, OddPop3)
    house.server.uidl, house.server.mode = False, "in-use"
    await house.start(reconnect_max=30)
    await house.until(lambda: house.services.alarms)
    house.server.mode = "good"
    await house.until(lambda: not house.server.mails)
    await house.channel.stop()
    await house.server.stop()
    assert house.intake.messages[0].carrier_id is None


@pytest.mark.parametrize("late", ["moved", "before", "idling"])
async def test_a_mail_that_is_told_of_just_before_the_wait_is_not_waited_for(late: str) -> None:
    house = House("imap")
    assert isinstance(house.server, OddImap)
    house.server.late = late
    await house.start(idle_seconds=600, poll_seconds=600, timeout_seconds=5)
    await house.until(lambda: len(house.intake.messages) == 2 and not house.server.mails)
    await house.channel.stop()
    await house.server.stop()
    assert house.services.alarms == []


async def test_a_stop_beside_a_server_that_says_nothing_is_quick(house: House) -> None:
    house.server.mode = "hang"
    await house.start(timeout_seconds=60)
    await asyncio.sleep(0.1)
    began = asyncio.get_running_loop().time()
    await house.channel.stop()
    assert asyncio.get_running_loop().time() - began < 3
    assert house.channel.health().state == "down"


async def test_a_server_that_tells_of_what_is_not_there_is_not_asked_without_a_pause() -> None:
    house = House("imap")
    assert isinstance(house.server, OddImap)
    house.server.chatters = True
    await house.start(idle_seconds=600, poll_seconds=0.4)
    await house.until(lambda: not house.server.mails)
    before = len(house.server.commands)
    await asyncio.sleep(1.2)
    asked = [said for said in house.server.commands[before:] if "SEARCH" in said]
    assert 1 <= len(asked) <= 2 * 3 + 2, "a look, a pause, a look"
    house.server.mails[3] = BODY
    await house.until(lambda: not house.server.mails)
    await house.channel.stop()
    await house.server.stop()
    assert house.services.alarms == []


@pytest.mark.parametrize("turns", range(4))
async def test_a_stop_that_comes_with_an_answer_ends_the_fetching(house: House, monkeypatch: pytest.MonkeyPatch, turns: int) -> None:
    stops: list[asyncio.Task[None]] = []

    async def stop() -> None:
        for _turn in range(turns):
            await asyncio.sleep(0)
        await house.channel.stop()

    def told(*answer: Any) -> None:
        tell(*answer)
        if house.intake.messages and not stops:
            stops.append(asyncio.create_task(stop()))

    tell = hand._tell
    monkeypatch.setattr(hand, "_tell", told)
    await house.start(timeout_seconds=5)
    await house.until(lambda: stops and stops[0].done())
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "mailbox-box"]
    assert house.services.alarms == []


async def test_the_loop_is_never_held_up(house: House) -> None:
    house.server.mode = "slow"
    await house.start(timeout_seconds=2)
    longest, loop = 0.0, asyncio.get_running_loop()
    for _ in range(100):
        before = loop.time()
        await asyncio.sleep(0.005)
        longest = max(longest, loop.time() - before - 0.005)
    assert longest < 1, "calls that block are in a thread of their own"

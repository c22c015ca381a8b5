"""Reports fetched from a real Dovecot by IMAP and POP3: marked only when they are stored, never lost, never reported twice."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from gateway.api import RawMessage
from gateway.intake import take_in
from gateway.store import Store, StoreKeys, messages
from gateway_plugins.email_imap import EmailImap
from gateway_plugins.email_pop3 import EmailPop3
from tests.channel_fakes import FakeIntake, FakeServices
from tests.mail.test_email_tls import certificate as certificate  # noqa: PLC0414 - a fixture
from tests.peers.mail_peers import PASSWORD, USER, Dovecot, until

WORDS = "石桥县河湾村一处民房倒塌，两人被压，消防已到场。"


def mail(number: int = 0, words: str = WORDS) -> bytes:
    return (
        f"Return-Path: <clerk{number}@example.test>\r\nReceived: from a by b id {number}; Mon, 23 Nov 2026 09:30:0{number % 10} +0800\r\n"
        f"From: Clerk <clerk{number}@example.test>\r\nSubject: report {number}\r\nMessage-ID: <{number}@example.test>\r\n"
        f"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n{words}{number}\r\n"
    ).encode()


class StoreIntake(FakeIntake):
    """The real store behind ``accept``; ``dies`` is the crash after the commit and before the mark."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self.store = Store.open(f"sqlite:///{folder}/gateway.db", StoreKeys(os.urandom(32)), clock=lambda: datetime.now(UTC))
        self.dies: Callable[[], None] | None = None

    async def accept(self, raw: RawMessage) -> Any:
        accepted = await self.store.write(lambda tx: take_in(tx, raw, datetime.now(UTC), 3600))
        self.messages.append(raw)
        if self.dies is not None:
            self.dies()
            await asyncio.sleep(60)
        return accepted

    def reported(self) -> tuple[int, int]:
        """How many mails are there to be read, and how many are linked to an earlier copy."""
        rows = self.store.read_now(lambda tx: messages.rows(tx, limit=1000))
        return sum(row.state == "accepted" for row in rows), sum(row.state == "duplicate" for row in rows)


def imap(dovecot: Dovecot, services: FakeServices, **more: Any) -> EmailImap:
    given = {"port": dovecot.imap, "security": "none", **more}
    return EmailImap("box", _settings(EmailImap, given), services)


def pop3(dovecot: Dovecot, services: FakeServices, **more: Any) -> EmailPop3:
    given = {"port": dovecot.pop3, "security": "none", **more}
    return EmailPop3("box", _settings(EmailPop3, given), services)


def _settings(cls: Any, given: dict[str, Any]) -> Any:
    usual = {"host": "127.0.0.1", "username": USER, "password": "box-pw", "poll_seconds": 0.1, "timeout_seconds": 5,
             "reconnect_min": 0.05, "reconnect_max": 0.2}  # fmt: skip
    return cls.Settings(**(usual | given))


@pytest_asyncio.fixture
async def dovecot() -> AsyncIterator[Dovecot]:
    made = Dovecot()
    await made.start()
    yield made
    await made.close()


@pytest.fixture
def services() -> FakeServices:
    return FakeServices(secrets={"box-pw": PASSWORD})


BOTH = pytest.mark.parametrize("make", [imap, pop3], ids=["imap", "pop3"])


@BOTH
async def test_mails_are_fetched_in_order_and_marked(dovecot: Dovecot, services: FakeServices, make: Any) -> None:
    for number in range(60):
        dovecot.put(mail(number))
    channel, intake = make(dovecot, services), FakeIntake()
    await channel.start(intake)
    await until(lambda: len(intake.messages) == 60 and not dovecot.flags())
    assert channel.health().state == "up"
    await channel.stop()
    assert [channel.read(raw).text for raw in intake.messages] == [f"{WORDS}{number}" for number in range(60)]
    first = channel.read(intake.messages[0])
    assert (first.sender, first.message_id) == ("clerk0@example.test", "<0@example.test>")
    assert intake.messages[0].body == mail(0)
    assert services.alarms == []
    if make is imap:
        assert len(dovecot.folder_of("Gateway")) == 60, "moved, not lost"


@pytest.mark.parametrize("after", ["seen", "delete", "move"])
async def test_what_becomes_of_a_stored_mail(dovecot: Dovecot, services: FakeServices, after: str) -> None:
    dovecot.put(mail(1))
    channel, intake = imap(dovecot, services, after=after), FakeIntake()
    intake.gate = asyncio.Event()
    await channel.start(intake)
    await asyncio.sleep(0.5)
    assert dovecot.flags() == [""], "not marked before it is stored"
    intake.gate.set()
    wanted: list[str] = ["S"] if after == "seen" else []
    await until(lambda: dovecot.flags() == wanted)
    await channel.stop()
    assert len(dovecot.folder_of("Gateway")) == (1 if after == "move" else 0)
    assert len(intake.messages) == 1


@pytest.mark.parametrize("security", ["none", "tls"])
async def test_idle_tells_of_a_new_mail_at_once(services: FakeServices, certificate: tuple[Path, Path], security: str) -> None:
    dovecot = Dovecot(certificate=certificate)
    await dovecot.start()
    try:
        port = dovecot.imaps if security == "tls" else dovecot.imap
        channel = imap(dovecot, services, security=security, port=port, verify=False, poll_seconds=600, idle_seconds=600)
        intake = FakeIntake()
        await channel.start(intake)
        await until(lambda: channel.health().state == "up")
        # At whatever moment it comes: while the server waits, and just before the wait begins.
        for number, pause in enumerate((0.5, 0, 0, 0.01, 0.03, 0.05, 0.1, 0.5)):
            await asyncio.sleep(pause)
            dovecot.put(mail(number))
            await until(lambda n=number: len(intake.messages) == n + 1, seconds=30)
        await channel.stop()
    finally:
        await dovecot.close()


async def test_where_idle_and_move_are_not_offered(services: FakeServices) -> None:
    dovecot = Dovecot(imap_settings="  imap_capability = IMAP4rev1 UIDPLUS")
    await dovecot.start()
    try:
        channel, intake = imap(dovecot, services), FakeIntake()
        await channel.start(intake)
        await until(lambda: channel.health().state == "up")
        dovecot.put(mail(1))
        await until(lambda: len(intake.messages) == 1 and not dovecot.flags())
        await channel.stop()
        assert len(dovecot.folder_of("Gateway")) == 1
    finally:
        await dovecot.close()


@pytest.mark.parametrize("security", ["tls", "starttls"])
@BOTH
async def test_tls(services: FakeServices, certificate: tuple[Path, Path], make: Any, security: str) -> None:
    dovecot = Dovecot(certificate=certificate)
    await dovecot.start()
    try:
        dovecot.put(mail(1))
        tls = {imap: dovecot.imaps, pop3: dovecot.pop3s}[make]
        plain = {imap: dovecot.imap, pop3: dovecot.pop3}[make]
        given: dict[str, Any] = {"security": security, "port": tls if security == "tls" else plain}
        strict, intake = make(dovecot, services, **given), FakeIntake()
        assert await strict.probe() is not None, "a certificate that nobody signed is none"
        channel = make(dovecot, services, verify=False, **given)
        assert await channel.probe() is None
        await channel.start(intake)
        await until(lambda: len(intake.messages) == 1)
        await channel.stop()
    finally:
        await dovecot.close()


@BOTH
async def test_starttls_that_is_asked_for_and_not_there_sends_no_password(dovecot: Dovecot, services: FakeServices, make: Any) -> None:
    channel = make(dovecot, services, security="starttls")
    assert "TLS" in (await channel.probe() or "")
    assert "Login" not in dovecot.told()


@BOTH
async def test_a_crash_between_commit_and_mark_links_the_second_copy(
    dovecot: Dovecot, services: FakeServices, tmp_path: Path, make: Any
) -> None:
    for number in range(3):
        dovecot.put(mail(number))
    intake = StoreIntake(tmp_path)
    channel = make(dovecot, services)
    died = asyncio.Event()
    intake.dies = died.set
    await channel.start(intake)
    await died.wait()
    await channel.stop()
    assert intake.reported() == (1, 0)
    assert len(dovecot.flags()) == 3, "nothing was marked"
    intake.dies = None
    channel = make(dovecot, services)
    await channel.start(intake)
    await until(lambda: not dovecot.flags())
    await channel.stop()
    assert intake.reported() == (3, 1), "three reports; the copy of the first is linked to it"


@pytest.mark.parametrize("after", ["move", "seen"])
async def test_a_new_uidvalidity_loses_nothing_and_reports_nothing_twice(
    dovecot: Dovecot, services: FakeServices, tmp_path: Path, after: str
) -> None:
    for number in range(3):
        dovecot.put(mail(number))
    intake = StoreIntake(tmp_path)
    stored, down = intake.accept, asyncio.Event()

    async def accept(raw: RawMessage) -> Any:
        accepted = await stored(raw)
        if len(intake.messages) == 2 and not down.is_set():
            await dovecot.stop()  # between commit and mark
            down.set()
        return accepted

    intake.accept = accept  # type: ignore[method-assign]
    channel = imap(dovecot, services, after=after)
    await channel.start(intake)
    await down.wait()
    await asyncio.sleep(1.1)  # UIDVALIDITY is a time in seconds
    dovecot.rebuilt()
    await dovecot.start()
    await until(lambda: dovecot.flags() == (["S"] * 3 if after == "seen" else []))
    await channel.stop()
    assert intake.reported() == (3, 1), "the second copy is linked, although its UID says nothing any more"
    assert sum("UIDVALIDITY" in alarm for alarm in services.alarms) == 1, services.alarms


@BOTH
async def test_a_server_that_is_down_for_a_while(dovecot: Dovecot, services: FakeServices, make: Any) -> None:
    channel, intake = make(dovecot, services), FakeIntake()
    await channel.start(intake)
    await until(lambda: channel.health().state == "up")
    await dovecot.stop()
    await until(lambda: channel.health().state == "connecting")
    await until(lambda: services.alarms)
    await asyncio.sleep(0.6)
    told = len(services.alarms)
    assert told <= 2, "the same trouble is one alarm, not one at each attempt"
    dovecot.put(mail(1))
    await dovecot.start()
    await until(lambda: len(intake.messages) == 1)
    await until(lambda: channel.health().state == "up")
    await channel.stop()
    assert not any(WORDS[:4] in alarm or PASSWORD in alarm for alarm in services.alarms)


@BOTH
async def test_a_server_that_stops_answering(dovecot: Dovecot, services: FakeServices, make: Any) -> None:
    dovecot.put(mail(1))
    channel, intake = make(dovecot, services, timeout_seconds=0.5), FakeIntake()
    dovecot.freeze()
    await channel.start(intake)
    await until(lambda: services.alarms)
    dovecot.thaw()
    await until(lambda: len(intake.messages) == 1)
    await until(lambda: not dovecot.flags())
    await channel.stop()


@BOTH
async def test_a_refused_login_is_an_alarm_and_is_tried_seldom(dovecot: Dovecot, make: Any) -> None:
    services = FakeServices(secrets={"box-pw": "wrong-secret"})
    # Dovecot lets those wait longer and longer who do not know the password.
    channel, intake = make(dovecot, services, reconnect_max=60, timeout_seconds=30), FakeIntake()
    assert USER in (await channel.probe() or "")
    await channel.start(intake)
    await until(lambda: services.alarms, seconds=40)
    assert USER in services.alarms[0] and "wrong-secret" not in services.alarms[0]
    assert channel.health().state == "connecting"
    await asyncio.sleep(0.5)
    assert len(services.alarms) == 1
    await channel.stop()


@BOTH
async def test_storage_trouble_leaves_the_mail_where_it_is(dovecot: Dovecot, services: FakeServices, make: Any) -> None:
    dovecot.put(mail(1))
    channel, intake = make(dovecot, services), FakeIntake()
    intake.trouble = True
    await channel.start(intake)
    await until(lambda: services.alarms)
    assert dovecot.flags() == [""]
    intake.trouble = False
    await until(lambda: len(intake.messages) == 1 and not dovecot.flags())
    await channel.stop()


@BOTH
async def test_a_mail_over_the_limit_stays_and_holds_up_nobody(dovecot: Dovecot, services: FakeServices, make: Any) -> None:
    services.max_bytes = 20_000
    dovecot.put(mail(0, "很长。" * 10_000))
    dovecot.put(mail(1))
    channel, intake = make(dovecot, services), FakeIntake()
    await channel.start(intake)
    await until(lambda: len(intake.messages) == 1 and len(dovecot.flags()) == 1)
    await asyncio.sleep(0.5)
    assert len(services.alarms) == 1 and "20000" in services.alarms[0]
    await channel.stop()
    assert len(intake.messages) == 1


@BOTH
async def test_odd_mails_come_whole(dovecot: Dovecot, services: FakeServices, make: Any) -> None:
    long = b"Subject: long\r\n\r\n" + b"a" * 100_000 + b"\r\n"
    dots = b"Subject: dots\r\n\r\n.\r\n..\r\n.hidden\r\n"
    for one in (long, dots, b"Subject: none\r\n\r\n", b"no header at all\r\n"):
        dovecot.put(one)
    channel, intake = make(dovecot, services), FakeIntake()
    await channel.start(intake)
    await until(lambda: len(intake.messages) == 4 and not dovecot.flags())
    await channel.stop()
    assert [raw.body for raw in intake.messages][:2] == [long, dots]

"""Mail out against a real SMTP server on loopback: what becomes of each answer, and what the office gets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio

from gateway import i18n
from gateway.api import Delivered, Delivery, Refused, TryLater
from gateway.demo.mailsink import DemoMailSink
from gateway_plugins.smtpout import lines
from gateway_plugins.to_mail import MailSettings, ToMail
from tests.channel_fakes import FakeServices, free_port


@pytest.fixture(autouse=True)
def english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


def delivery(**changed: Any) -> Delivery:
    values: dict[str, Any] = {
        "id": "d-0001", "incident": "2026-0123", "destination": "committee_office", "transport": "mail",
        "address": "office@gateway.test", "subject": "【紧急】白水县\n青石镇交通事故〔2026〕0123",
        "text": "白水县青石镇发生一起交通事故。\n死亡 2 人。\n", "short_text": "",
    }  # fmt: skip
    return Delivery(**(values | changed))


def transport(port: int, **changed: Any) -> ToMail:
    settings = MailSettings(**({"port": port, "from_address": "gateway@gateway.test", "timeout_seconds": 2} | changed))
    return ToMail("mail", settings, FakeServices(secrets={"smtp-password": "hunter-secret"}))


@pytest_asyncio.fixture
async def sink() -> AsyncIterator[DemoMailSink]:
    made = DemoMailSink()
    await made.start()
    yield made
    await made.stop()


async def test_delivered_with_the_queue_id_and_the_text_arrives_whole(sink: DemoMailSink) -> None:
    assert await transport(sink.port).send(delivery()) == Delivered(("000001",))
    mail = await sink.wait_for(lambda mail: mail.header("X-Gateway-Delivery") == "d-0001", 2)
    assert mail.recipient == "office@gateway.test"
    assert mail.sender == "gateway@gateway.test"
    assert mail.header("Subject") == "【紧急】白水县 青石镇交通事故〔2026〕0123"
    assert mail.header("X-Gateway-Incident") == "2026-0123"
    assert mail.text.replace("\r\n", "\n") == "白水县青石镇发生一起交通事故。\n死亡 2 人。\n"
    assert mail.data.isascii(), "no 8-bit octets on the way"


async def test_a_second_attempt_is_recognisable(sink: DemoMailSink) -> None:
    sender = transport(sink.port)
    await sender.send(delivery(attempt=1))
    await sender.send(delivery(attempt=2))
    first, second = sink.mails
    for name in ("Message-ID", "X-Gateway-Delivery", "X-Gateway-Incident"):
        assert first.header(name) == second.header(name) != ""


async def test_an_answer_says_that_a_machine_wrote_it_and_what_it_answers_to(sink: DemoMailSink) -> None:
    """RFC 3834: without this two machines would answer each other for ever."""
    headers = {"Auto-Submitted": "auto-replied", "In-Reply-To": "<1@unit.test>", "References": "<1@unit.test>"}
    await transport(sink.port).send(delivery(headers=headers))
    mail = await sink.wait_for(lambda mail: True, 2)
    assert {name: mail.header(name) for name in headers} == headers


async def test_headers_of_the_delivery_come_along_and_cannot_forge_others(sink: DemoMailSink) -> None:
    headers = {"X-Gateway-Copy": "1", "X-Gateway-Incident": "2026-0124", "Bcc": "thief@example.test", "X-Bad\r\nEvil": "x"}
    await transport(sink.port).send(delivery(headers=headers))
    (mail,) = sink.mails
    assert mail.header("X-Gateway-Copy") == "1" and mail.header("Auto-Submitted") == ""
    assert mail.header("X-Gateway-Incident") == "2026-0124"
    assert b"thief" not in mail.data
    assert b"Evil" not in mail.data


@pytest.mark.parametrize("at", ["RCPT", "DATA"])
@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ("451 4.3.0 busy with 绝密件", TryLater("the mail server answered 451 4.3.0")),
        ("450 greylisted", TryLater("the mail server answered 450")),
        ("550 5.1.1 unknown", Refused("the mail server answered 550 5.1.1")),
        ("554 rejected", Refused("the mail server answered 554")),
    ],
)
async def test_refusals(sink: DemoMailSink, at: str, answer: str, outcome: object) -> None:
    sink.answer, sink.answer_at = answer, at
    assert await transport(sink.port).send(delivery()) == outcome


async def test_the_mails_of_an_incident_are_one_thread_and_answers_go_where_they_are_read(sink: DemoMailSink) -> None:
    sender = transport(sink.port, reply_to="report@gateway.test")
    await sender.send(delivery(id="d-1"))
    await sender.send(delivery(id="d-2"))
    await sender.send(delivery(id="d-3", incident="2026-0124"))
    await sender.send(delivery(id="d-4", incident=None))
    threads = [mail.header("References") for mail in sink.mails]
    assert threads[0] == threads[1] == "<incident-2026-0123@gateway.test>"
    assert threads[2] == "<incident-2026-0124@gateway.test>" and threads[3] == ""
    assert [mail.header("In-Reply-To") for mail in sink.mails] == threads
    assert len({mail.header("Message-ID") for mail in sink.mails}) == 4
    assert {mail.header("Reply-To") for mail in sink.mails} == {"report@gateway.test"}


class Odd:
    """A mail server that answers some addresses otherwise, and may hang or hang up after its yes."""

    def __init__(self, refuses: dict[str, str], after: str = "") -> None:
        self.refuses, self.after, self.taken = refuses, after, []  # type: ignore[var-annotated]
        self.lines, self.open, self.still, self.enough = 0, 0, True, ""

    async def __aenter__(self) -> Odd:
        await self.start()
        return self

    async def __aexit__(self, *_given: object) -> None:
        self.stop()

    async def start(self, port: int = 0) -> None:
        self.server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self.server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        self.server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to: list[str] = []
        mails = 0
        self.lines, self.open = self.lines + 1, self.open + 1
        writer.write(b"220 odd\r\n")
        while line := (await reader.readline()).decode():
            answer = "250 ok"
            if line.startswith("RSET") and not self.still:
                await reader.read()
            if line.startswith("MAIL") and mails >= 2 and self.enough:
                answer = self.enough
            elif line.startswith("RCPT"):
                address = line.partition("<")[2].partition(">")[0]
                answer = self.refuses.get(address, answer)
                to += [address] if answer.startswith("2") else []
            elif line.startswith("DATA"):
                writer.write(b"354 go\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                self.taken.append(to)
                to, mails = [], mails + 1
                answer = "250 2.0.0 Ok: queued as ABC"
            writer.write(answer.encode() + b"\r\n")
            if line.startswith("DATA") and self.after == "hang up":
                break
            if line.startswith("QUIT") or (line.startswith("DATA") and self.after == "hang"):
                await reader.read() if self.after == "hang" else None
                break
        self.open -= 1
        writer.close()


BOTH = "one@gateway.test, two@gateway.test"


async def test_two_addresses_of_an_office_are_one_mail() -> None:
    async with Odd({}) as server:
        assert await transport(server.port).send(delivery(address=BOTH)) == Delivered(("ABC",))
        assert server.taken == [["one@gateway.test", "two@gateway.test"]]


async def test_only_the_address_that_said_later_is_tried_again() -> None:
    async with Odd({"two@gateway.test": "450 4.2.0 greylisted"}) as server:
        sender = transport(server.port)
        first = await sender.send(delivery(address=BOTH))
        assert isinstance(first, TryLater) and "450 4.2.0" in first.why
        server.refuses = {}
        assert await sender.send(delivery(address=BOTH, attempt=2, progress=first.progress)) == Delivered(("ABC",))
        assert server.taken == [["one@gateway.test"], ["two@gateway.test"]], "nobody has it twice"


async def test_an_address_that_is_gone_is_an_alarm_and_the_office_has_the_mail_by_the_other() -> None:
    async with Odd({"two@gateway.test": "550 5.1.1 unknown"}) as server:
        sender = transport(server.port)
        assert await sender.send(delivery(address=BOTH)) == Delivered(("ABC",))
        (alarm,) = sender.services.alarms  # type: ignore[union-attr]
        assert "two@gateway.test" in alarm and "5.1.1" in alarm and "one@" not in alarm


async def test_all_addresses_refused() -> None:
    gone, later = "550 5.1.1 unknown", "450 4.2.0 later"
    for refuses, kind in (((gone, gone), Refused), ((gone, later), TryLater), ((later, later), TryLater)):
        async with Odd(dict(zip(("one@gateway.test", "two@gateway.test"), refuses, strict=True))) as server:
            assert isinstance(await transport(server.port).send(delivery(address=BOTH)), kind)
            assert server.taken == []


@pytest.mark.parametrize("after", ["hang", "hang up"])
async def test_a_yes_stands_whatever_becomes_of_the_line(after: str) -> None:
    async with Odd({}, after) as server:
        assert await transport(server.port).send(delivery()) == Delivered(("ABC",)), "a second try would be a second mail"


async def test_a_connection_stands_by_for_the_next_mail_and_ends_with_the_transport() -> None:
    async with Odd({}) as server:
        sender = transport(server.port, keep_seconds=60)
        for number in range(3):
            assert await sender.send(delivery(address=f"{number}@gateway.test")) == Delivered(("ABC",))
        assert (server.lines, server.open) == (1, 1)
        assert server.taken == [["0@gateway.test"], ["1@gateway.test"], ["2@gateway.test"]]
        await sender.stop()
        async with asyncio.timeout(2):
            while server.open:
                await asyncio.sleep(0.01)


async def test_at_one_time_each_mail_has_a_connection_and_all_stand_by_afterwards() -> None:
    async with Odd({}) as server:
        sender = transport(server.port, keep_seconds=60)
        for _round in range(2):
            await asyncio.gather(*(sender.send(delivery()) for _ in range(5)))
        assert (server.lines, len(server.taken)) == (5, 10)
        await sender.stop()


async def test_nobody_takes_a_connection_that_stood_by_long_enough() -> None:
    async with Odd({}) as server:
        sender = transport(server.port, keep_seconds=0.05)
        await sender.send(delivery())
        async with asyncio.timeout(2):
            while server.open:
                await asyncio.sleep(0.01)
        assert isinstance(await sender.send(delivery()), Delivered)
        never = transport(server.port, keep_seconds=0)
        await never.send(delivery())
        await never.send(delivery())
        assert server.lines == 4


async def test_what_becomes_of_a_line_that_stands_by_costs_the_next_mail_no_try(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "STILL_SECONDS", 0.05)
    async with Odd({}, "hang up") as server:
        sender = transport(server.port, keep_seconds=60)
        assert [await sender.send(delivery()) for _ in range(3)] == [Delivered(("ABC",))] * 3
        assert (server.lines, len(server.taken)) == (3, 3)
    async with Odd({}) as server:
        sender = transport(server.port, keep_seconds=60)
        await sender.send(delivery())
        server.still = False
        assert await sender.send(delivery()) == Delivered(("ABC",)), "one that says nothing is not waited for"
        assert server.lines == 2


@pytest.mark.parametrize("enough", ["421 4.7.0 closing", "452 4.5.3 enough", "550 5.7.0 too many messages in this session"])
async def test_a_connection_that_has_had_its_share_of_mails_costs_the_next_one_no_try(enough: str) -> None:
    async with Odd({}) as server:
        server.enough = enough
        sender = transport(server.port, keep_seconds=60)
        assert [await sender.send(delivery()) for _ in range(5)] == [Delivered(("ABC",))] * 5
        assert (server.lines, len(server.taken)) == (3, 5)
        await sender.stop()


async def test_a_line_that_was_refused_something_is_not_used_again() -> None:
    async with Odd({"gone@gateway.test": "550 5.1.1 gone"}) as server:
        sender = transport(server.port, keep_seconds=60)
        assert isinstance(await sender.send(delivery(address="gone@gateway.test")), Refused)
        assert isinstance(await sender.send(delivery()), Delivered)
        assert server.lines == 2
        await sender.stop()


async def test_nobody_there_is_later() -> None:
    outcome = await transport(free_port()).send(delivery())
    assert isinstance(outcome, TryLater)
    assert "SMTPConnect" in outcome.why or "refused" in outcome.why.lower()


async def test_a_server_that_says_nothing_is_later() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(silent, "127.0.0.1", 0)
    outcome = await transport(server.sockets[0].getsockname()[1], timeout_seconds=0.2).send(delivery())
    assert isinstance(outcome, TryLater)
    server.close()


@pytest.mark.parametrize("greeting", [b"554 go away\r\n", b"421 4.3.2 closing\r\n", b"\x00\xff nonsense\r\n", b""])
async def test_a_server_that_is_not_ready_is_later(greeting: bytes) -> None:
    async def odd(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(greeting)
        writer.close()

    server = await asyncio.start_server(odd, "127.0.0.1", 0)
    outcome = await transport(server.sockets[0].getsockname()[1], timeout_seconds=1).send(delivery())
    assert isinstance(outcome, TryLater)
    server.close()


async def test_an_account_that_the_server_does_not_know_is_later_and_says_no_password(sink: DemoMailSink) -> None:
    outcome = await transport(sink.port, username="gateway", password="smtp-password").send(delivery())
    assert isinstance(outcome, TryLater)
    assert "hunter" not in outcome.why


async def test_starttls_that_is_asked_for_and_not_there_is_later(sink: DemoMailSink) -> None:
    assert isinstance(await transport(sink.port, security="starttls").send(delivery()), TryLater)
    assert sink.mails == []


@pytest.mark.parametrize("address", ["", "office", "a@b.test\r\nRCPT TO:<c@d.test>", "a@b.test, c", ",", "<a@b.test>"])
async def test_what_is_no_address_is_refused_without_a_connection(address: str) -> None:
    assert isinstance(await transport(free_port()).send(delivery(address=address)), Refused)


async def test_cancelled_in_mid_flight_leaves_the_place_free(sink: DemoMailSink) -> None:
    sender = transport(sink.port, max_connections=1)
    task = asyncio.create_task(sender.send(delivery()))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert isinstance(await sender.send(delivery()), Delivered)


async def test_no_log_line_holds_text_or_secret(sink: DemoMailSink, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    await transport(sink.port).send(delivery())
    sink.answer = "550 5.7.1 rejected: 青石镇"
    await transport(sink.port, username="gateway", password="smtp-password").send(delivery())
    assert "青石镇" not in caplog.text
    assert "hunter" not in caplog.text


async def test_the_sink_tells_when_nothing_comes(sink: DemoMailSink) -> None:
    with pytest.raises(TimeoutError):
        await sink.wait_for(lambda mail: True, 0.05)

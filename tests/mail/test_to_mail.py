"""Mail out against a real SMTP server on loopback: what becomes of each answer, and what the office gets."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from gateway.api import Delivered, Delivery, Refused, TryLater
from gateway.demo.mailsink import DemoMailSink
from gateway_plugins.to_mail import MailSettings, ToMail
from tests.channel_fakes import FakeServices, free_port


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


async def test_headers_of_the_delivery_come_along_and_cannot_forge_others(sink: DemoMailSink) -> None:
    headers = {"X-Gateway-Copy": "1", "X-Gateway-Incident": "2026-0124", "Bcc": "thief@example.test", "X-Bad\r\nEvil": "x"}
    await transport(sink.port).send(delivery(headers=headers))
    (mail,) = sink.mails
    assert mail.header("X-Gateway-Copy") == "1"
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


@pytest.mark.parametrize("address", ["", "office", "a@b.test\r\nRCPT TO:<c@d.test>", "a@b.test, c@d.test", "<a@b.test>"])
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

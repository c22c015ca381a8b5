"""The mail channel on real sockets: what each sender is answered, and what intake is given."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator

import aiosmtplib
import pytest
import pytest_asyncio

from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from tests.channel_fakes import NOW, FakeIntake, FakeServices, free_port

REPORT = (
    b"From: clerk@example.test\r\nTo: report@gateway.test\r\nSubject: report\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    + "云台区化工厂昨夜起火，伤亡不详。\r\n".encode()
)
LIMIT = 200_000


class House:
    """A started channel with its fakes."""

    def __init__(self, channel: EmailSmtp, intake: FakeIntake, services: FakeServices) -> None:
        self.channel, self.intake, self.services = channel, intake, services

    @property
    def port(self) -> int:
        return self.channel.ports[0]

    @property
    def lmtp(self) -> int:
        return self.channel.ports[1]


@pytest_asyncio.fixture
async def house() -> AsyncIterator[House]:
    settings = EmailSettings(
        port=0, lmtp_port=free_port(), addresses=("report@gateway.test", "duty@gateway.test"),
        max_connections=4, max_connections_each=3, max_recipients=3, timeout_seconds=5, hostname="gw.gateway.test",
    )  # fmt: skip
    services = FakeServices(max_bytes=LIMIT)
    channel, intake = EmailSmtp("mail", settings, services), FakeIntake()
    await channel.start(intake)
    yield House(channel, intake, services)
    await channel.stop()


class Talk:
    """A raw SMTP dialogue."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def to(cls, port: int) -> Talk:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def reply(self) -> str:
        lines = []
        while True:
            line = (await asyncio.wait_for(self.reader.readline(), 5)).decode().rstrip("\r\n")
            lines.append(line)
            if line[3:4] != "-":
                return "\n".join(lines)

    async def say(self, line: str | bytes) -> str:
        self.writer.write((line.encode() if isinstance(line, str) else line) + b"\r\n")
        await self.writer.drain()
        return await self.reply()

    def close(self) -> None:
        self.writer.close()


async def begin(port: int, *recipients: str, hello: str = "EHLO tester", sender: str = "clerk@example.test") -> Talk:
    talk = await Talk.to(port)
    await talk.reply()
    await talk.say(hello)
    await talk.say(f"MAIL FROM:<{sender}>")
    for recipient in recipients:
        await talk.say(f"RCPT TO:<{recipient}>")
    return talk


async def test_accepted_with_its_id_after_intake_said_so(house: House) -> None:
    _, text = await aiosmtplib.send(
        REPORT,
        sender="clerk@example.test",
        recipients=["report@gateway.test"],
        hostname="127.0.0.1",
        port=house.port,
        start_tls=False,
    )
    assert text == "2.0.0 accepted as m1"
    (raw,) = house.intake.messages
    assert (raw.channel, raw.via, raw.sender, raw.recipient) == ("email", "mail", "clerk@example.test", "report@gateway.test")
    assert raw.body == REPORT
    assert raw.received_at == NOW
    assert raw.content_type == "message/rfc822"
    assert raw.carrier_id is None
    assert raw.meta["peer"] == "127.0.0.1"
    assert raw.meta["protocol"] == "SMTP"
    assert house.channel.read(raw).text == "云台区化工厂昨夜起火，伤亡不详。"


async def test_no_answer_before_the_commit(house: House) -> None:
    house.intake.gate = asyncio.Event()
    talk = await begin(house.port, "report@gateway.test")
    await talk.say("DATA")
    answer = asyncio.create_task(talk.say(b"Subject: x\r\n\r\nbody\r\n."))
    done, _ = await asyncio.wait([answer], timeout=0.2)
    assert not done, "answered before intake did"
    house.intake.gate.set()
    assert (await answer).startswith("250 2.0.0 accepted as m1")
    talk.close()


async def test_storage_trouble_is_temporary_and_the_next_try_is_taken(house: House) -> None:
    house.intake.trouble = True
    talk = await begin(house.port, "report@gateway.test")
    await talk.say("DATA")
    assert (await talk.say(b"x\r\n.")).startswith("451 4.3.0")
    house.intake.trouble = False
    await talk.say("MAIL FROM:<clerk@example.test>")
    await talk.say("RCPT TO:<report@gateway.test>")
    await talk.say("DATA")
    assert (await talk.say(b"x\r\n.")).startswith("250 2.0.0")
    talk.close()


async def test_unknown_recipient(house: House) -> None:
    talk = await begin(house.port)
    assert (await talk.say("RCPT TO:<nobody@gateway.test>")).startswith("550 5.1.1")
    assert (await talk.say("RCPT TO:<REPORT@Gateway.test>")).startswith("250")
    talk.close()


async def test_too_many_recipients_is_temporary_for_those_too_many(house: House) -> None:
    talk = await begin(house.port, *["report@gateway.test"] * 3)
    assert (await talk.say("RCPT TO:<duty@gateway.test>")).startswith("452 4.5.3")
    talk.close()


async def test_size_is_announced_and_a_larger_mail_refused_by_name_of_the_limit(house: House) -> None:
    talk = await Talk.to(house.port)
    await talk.reply()
    assert f"SIZE {LIMIT}" in await talk.say("EHLO tester")
    refusal = await talk.say(f"MAIL FROM:<clerk@example.test> SIZE={LIMIT + 1}")
    assert refusal.startswith("552 5.3.4")
    assert str(LIMIT) in refusal
    await talk.say("MAIL FROM:<clerk@example.test>")
    await talk.say("RCPT TO:<report@gateway.test>")
    await talk.say("DATA")
    refusal = await talk.say(b"x" * 70 + (b"\r\n" + b"y" * 70) * (LIMIT // 72 + 10) + b"\r\n.")
    assert refusal.startswith("552 5.3.4")
    assert str(LIMIT) in refusal
    assert house.intake.messages == []
    talk.close()


async def test_long_lines_as_of_fax_servers_are_taken(house: House) -> None:
    talk = await begin(house.port, "report@gateway.test")
    await talk.say("DATA")
    assert (await talk.say(b"Subject: x\r\n\r\n" + b"a" * 100_000 + b"\r\n.")).startswith("250")
    assert b"a" * 100_000 in house.intake.messages[0].body
    talk.close()


async def test_only_crlf_dot_crlf_ends_a_mail(house: House) -> None:
    talk = await begin(house.port, "report@gateway.test")
    await talk.say("DATA")
    talk.writer.write(b"one\n.\nMAIL FROM:<smuggled@example.test>\r\ntwo\r.\rthree")
    assert (await talk.say(b"\r\n.")).startswith("250")
    assert len(house.intake.messages) == 1
    assert b"smuggled" in house.intake.messages[0].body
    talk.close()


async def test_null_sender_is_taken_and_flagged(house: House) -> None:
    talk = await begin(house.port, "report@gateway.test", sender="")
    await talk.say("DATA")
    assert (await talk.say(b"Subject: bounce\r\n\r\ncould not deliver\r\n.")).startswith("250")
    (raw,) = house.intake.messages
    assert raw.sender == ""
    message = house.channel.read(raw)
    assert message.automatic
    assert "null_sender" in message.flags
    talk.close()


async def test_empty_and_binary_mails_are_taken(house: House) -> None:
    for body in (b"", bytes(range(256)).replace(b"\r", b"").replace(b"\n", b"") * 20):
        talk = await begin(house.port, "report@gateway.test")
        await talk.say("DATA")
        assert (await talk.say(body + b"\r\n." if body else b".")).startswith("250")
        talk.close()
    assert len(house.intake.messages) == 2


async def test_lmtp_answers_once_for_each_recipient(house: House) -> None:
    talk = await begin(house.lmtp, "report@gateway.test", "duty@gateway.test", hello="LHLO tester")
    await talk.say("DATA")
    assert (await talk.say(b"Subject: x\r\n\r\nbody\r\n.")).startswith("250 2.0.0 accepted as m1")
    assert (await talk.reply()).startswith("250 2.0.0 accepted as m1")
    assert len(house.intake.messages) == 1, "one mail for one channel is one message"
    assert house.intake.messages[0].meta["protocol"] == "LMTP"
    assert (await talk.say("NOOP")).startswith("250"), "exactly two replies were sent"
    talk.close()


async def test_lmtp_refuses_an_oversize_mail_once_for_each_recipient(house: House) -> None:
    talk = await begin(house.lmtp, "report@gateway.test", "duty@gateway.test", hello="LHLO tester")
    await talk.say("DATA")
    assert (await talk.say((b"y" * 70 + b"\r\n") * (LIMIT // 70) + b".")).startswith("552 5.3.4")
    assert (await talk.reply()).startswith("552 5.3.4")
    assert (await talk.say("NOOP")).startswith("250")
    talk.close()


async def test_what_nobody_foresaw_is_temporary_for_each_recipient(house: House) -> None:
    async def broken(raw: object) -> None:
        raise RuntimeError("a fault of ours")

    house.intake.accept = broken  # type: ignore[assignment]
    talk = await begin(house.lmtp, "report@gateway.test", "duty@gateway.test", hello="LHLO tester")
    await talk.say("DATA")
    assert (await talk.say(b"x\r\n.")).startswith("451 4.3.0")
    assert (await talk.reply()).startswith("451 4.3.0")
    assert (await talk.say("NOOP")).startswith("250")
    talk.close()


async def test_two_channels_share_a_listener(house: House) -> None:
    fax = FakeIntake()
    house.channel.register(("fax@gateway.test",), channel="fax", via="fax", intake=fax)
    talk = await begin(house.lmtp, "report@gateway.test", "fax@gateway.test", hello="LHLO tester")
    await talk.say("DATA")
    fax.trouble = True
    assert (await talk.say(b"Subject: x\r\n\r\nbody\r\n.")).startswith("250")
    assert (await talk.reply()).startswith("451"), "each recipient has the answer of its own channel"
    talk.close()
    fax.trouble = False
    talk = await begin(house.port, "report@gateway.test", "fax@gateway.test")
    await talk.say("DATA")
    assert (await talk.say(b"Subject: x\r\n\r\nbody\r\n.")).startswith("250")
    talk.close()
    assert [raw.channel for raw in fax.messages] == ["fax"]
    assert [raw.channel for raw in house.intake.messages] == ["email", "email"]


async def test_smtp_answers_with_the_trouble_of_any_channel(house: House) -> None:
    fax = FakeIntake()
    fax.trouble = True
    house.channel.register(("fax@gateway.test",), channel="fax", via="fax", intake=fax)
    talk = await begin(house.port, "report@gateway.test", "fax@gateway.test")
    await talk.say("DATA")
    assert (await talk.say(b"x\r\n.")).startswith("451"), (
        "so that the sender comes again; the copy that is here is then a duplicate"
    )
    talk.close()


async def test_a_channel_that_left_is_no_recipient(house: House) -> None:
    house.channel.register(("fax@gateway.test",), channel="fax", via="fax", intake=FakeIntake())
    house.channel.forget("fax")
    talk = await begin(house.port)
    assert (await talk.say("RCPT TO:<fax@gateway.test>")).startswith("550 5.1.1")
    talk.close()


async def test_connections_are_limited_per_address_and_places_come_back(house: House) -> None:
    talks = [await Talk.to(house.port) for _ in range(3)]
    assert all([(await talk.reply()).startswith("220") for talk in talks])
    refused = await Talk.to(house.port)
    assert (await refused.reply()).startswith("421 4.3.2")
    assert await refused.reader.read() == b""
    refused.close()
    assert (await talks[0].say("QUIT")).startswith("221")
    talks[0].close()
    await asyncio.sleep(0.05)
    again = await Talk.to(house.port)
    assert (await again.reply()).startswith("220")
    for talk in (*talks[1:], again):
        talk.close()


async def test_an_idle_session_ends() -> None:
    channel = EmailSmtp("mail", EmailSettings(port=0, addresses=("a@b.test",), timeout_seconds=0.1), FakeServices())
    await channel.start(FakeIntake())
    talk = await Talk.to(channel.ports[0])
    await talk.reply()
    assert await asyncio.wait_for(talk.reader.read(), 5) == b""
    talk.close()
    await channel.stop()


async def test_a_connection_lost_during_data_gives_no_message(house: House) -> None:
    talk = await begin(house.port, "report@gateway.test")
    await talk.say("DATA")
    talk.writer.write(b"Subject: half\r\n\r\nhalf a rep")
    await talk.writer.drain()
    talk.close()
    await asyncio.sleep(0.05)
    assert house.intake.messages == []
    assert house.channel.health().state == "up"


async def test_stop_ends_sessions_and_frees_the_port(house: House) -> None:
    port = house.port
    talk = await begin(port, "report@gateway.test")
    await house.channel.stop()
    assert await asyncio.wait_for(talk.reader.read(), 5) == b"421 4.3.2 going down, try again later\r\n"
    talk.close()
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)
    assert house.channel.health().state == "down"


async def test_a_taken_port_is_an_error_at_start(house: House) -> None:
    second = EmailSmtp("second", EmailSettings(port=house.port, addresses=("a@b.test",)), FakeServices())
    with pytest.raises(OSError):
        await second.start(FakeIntake())


async def test_no_log_line_holds_a_word_of_the_mail(house: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for trouble in (False, True):
        house.intake.trouble = trouble
        talk = await begin(house.port, "report@gateway.test", "nobody@gateway.test")
        await talk.say("DATA")
        await talk.say("Subject: 机密件\r\n\r\n绝密内容甲乙丙 canary-words\r\n.".encode())
        await talk.say("绝密 canary-words".encode())
        talk.close()
    assert "canary" not in caplog.text
    assert "绝密" not in caplog.text


async def test_eight_bit_senders_do_not_break_the_session(house: House) -> None:
    talk = await Talk.to(house.port)
    await talk.reply()
    await talk.say("EHLO tester")
    assert (await talk.say(b"MAIL FROM:<" + "张明".encode("gbk") + b"@example.test>"))[:1] in "25"
    assert (await talk.say("RSET")).startswith("250")
    assert (await talk.say("MAIL FROM:<张明@example.test> SMTPUTF8")).startswith("250")
    await talk.say("RCPT TO:<report@gateway.test>")
    await talk.say("DATA")
    assert (await talk.say(b"x\r\n.")).startswith("250")
    assert house.intake.messages[0].sender == "张明@example.test"
    talk.close()

"""Every limit of the mail listener, and the ends of data that a smuggler would have us take for one."""

from __future__ import annotations

import asyncio
import base64
import gc
import socket
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.smtpin.data import Collector
from tests.channel_fakes import FakeIntake, FakeServices
from tests.mail.test_email_smtp import Talk, begin

ADDRESS = "report@gateway.test"
NOT_AN_END = {
    "LF . LF": b"\n.\n", "LF . CRLF": b"\n.\r\n", "CRLF . LF": b"\r\n.\n", "CR . CR": b"\r.\r", "CR . CRLF": b"\r.\r\n",
    "CRLF . CR": b"\r\n.\r", "LF . CR": b"\n.\r", "CR . LF": b"\r.\n", "CR . LF CR": b"\r.\n\r", "CRLF NUL . CRLF": b"\r\n\0.\r\n",
    "CRLF . NUL CRLF": b"\r\n.\0\r\n", "CRLF . space CRLF": b"\r\n. \r\n",
}  # fmt: skip


async def started(**more: Any) -> tuple[EmailSmtp, FakeIntake, int]:
    channel, intake = EmailSmtp("mail", EmailSettings(port=0, addresses=(ADDRESS,), **more), FakeServices()), FakeIntake()
    await channel.start(intake)
    return channel, intake, channel.ports[0]


@pytest.mark.parametrize("ending", NOT_AN_END.values(), ids=NOT_AN_END)
async def test_what_is_no_end_of_data_ends_no_mail(ending: bytes) -> None:
    """CR LF . CR LF, which is one, closes each of these mails."""
    channel, intake, port = await started()
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")
    smuggled = b"MAIL FROM:<thief@example.test>\r\nRCPT TO:<report@gateway.test>\r\nDATA\r\nSubject: forged\r\n\r\nforged"
    answer = await talk.say(b"Subject: x\r\n\r\n" + "村口起火".encode() + ending + smuggled + b"\r\n.")
    assert answer.startswith("250 2.0.0 accepted as m1")
    assert (await talk.say("NOOP")).startswith("250"), "one mail had one answer, nothing of it was taken for commands"
    talk.close()
    await channel.stop()
    (raw,) = intake.messages
    assert raw.sender == "clerk@example.test"
    message = channel.read(raw)
    assert "村口起火" in message.text and "forged" in message.text and "\0" not in message.text and "\r" not in message.text
    bare = ending.replace(b"\r\n", b"")
    assert ("bare_line_ends" in message.flags) is (b"\r" in bare or b"\n" in bare)
    assert ("nul_removed" in message.flags) is (b"\0" in ending)


async def test_the_end_in_pieces_is_the_end() -> None:
    channel, intake, port = await started()
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")
    for octet in b"Subject: x\r\n\r\nfire\r\n.\r\n":
        talk.writer.write(bytes([octet]))
        await talk.writer.drain()
    assert (await talk.reply()).startswith("250 2.0.0 accepted as m1")
    talk.close()
    await channel.stop()
    assert intake.messages[0].body == b"Subject: x\r\n\r\nfire\r\n"


async def test_commands_in_one_go_are_answered_in_order() -> None:
    channel, intake, port = await started()
    talk = await Talk.to(port)
    await talk.reply()
    assert "PIPELINING" in await talk.say("EHLO tester")
    talk.writer.write(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<report@gateway.test>\r\nRCPT TO:<nobody@gateway.test>\r\nDATA\r\n")
    assert [(await talk.reply())[:3] for _ in range(4)] == ["250", "250", "550", "354"]
    assert (await talk.say(b"x\r\n.")).startswith("250")
    talk.close()
    await channel.stop()
    assert len(intake.messages) == 1


async def test_commands_are_limited() -> None:
    channel, _intake, port = await started(max_commands=20)
    talk = await Talk.to(port)
    await talk.reply()
    answers = [await talk.say("NOOP") for _ in range(21)]
    assert {answer[:3] for answer in answers[:20]} == {"250"}
    assert answers[20].startswith("421 4.7.0")
    assert await talk.reader.read() == b""
    talk.close()
    await channel.stop()


async def test_sessions_are_limited_over_all_addresses() -> None:
    channel, _intake, port = await started(max_connections=3, max_connections_each=3)
    talks = [await Talk.to(port) for _ in range(4)]
    assert [(await talk.reply())[:3] for talk in talks] == ["220", "220", "220", "421"]
    for talk in talks:
        talk.close()
    await channel.stop()


async def test_one_address_leaves_room_for_another() -> None:
    channel, _intake, port = await started(host="127.0.0.1", max_connections=4, max_connections_each=2)
    greedy = [await Talk.to(port) for _ in range(3)]
    assert [(await talk.reply())[:3] for talk in greedy] == ["220", "220", "421"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
    assert (await reader.readline()).startswith(b"220"), "another address has its own share"
    writer.close()
    for talk in greedy:
        talk.close()
    await channel.stop()


async def test_a_session_ends_in_time_however_busy_it_is() -> None:
    channel, intake, port = await started(timeout_seconds=30, session_seconds=1.0)
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")

    async def drip() -> None:
        while True:
            talk.writer.write(b"x")
            await asyncio.sleep(0.02)

    dripping = asyncio.create_task(drip())
    assert (await asyncio.wait_for(talk.reader.read(), 5)).startswith(b"421 4.4.2")
    dripping.cancel()
    talk.close()
    await channel.stop()
    assert intake.messages == []


async def test_a_slow_mail_is_taken_as_long_as_octets_come() -> None:
    channel, intake, port = await started(timeout_seconds=0.3)
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")
    for _ in range(10):
        talk.writer.write(b"slow line\r\n")
        await asyncio.sleep(0.08)
    assert (await talk.say(b".")).startswith("250"), "0.8 s in all, never 0.3 s without an octet"
    talk.close()
    await channel.stop()
    assert len(intake.messages) == 1


async def test_a_mail_with_intake_has_its_answer_although_the_session_is_over() -> None:
    channel, intake, port = await started(session_seconds=0.2)
    intake.gate = asyncio.Event()
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")
    answer = asyncio.create_task(talk.say(b"x\r\n."))
    await asyncio.sleep(0.5)
    assert not answer.done()
    intake.gate.set()
    assert (await answer).startswith("250 2.0.0")
    talk.close()
    await channel.stop()


async def test_who_guesses_passwords_is_sent_away() -> None:
    settings = EmailSettings(port=0, addresses=(ADDRESS,), accounts={"relay": "relay-pw"})
    channel = EmailSmtp("mail", settings, FakeServices(secrets={"relay-pw": "right"}))
    await channel.start(FakeIntake())
    listeners: Any = channel._listeners
    assert listeners.accounts.check(None, None, None, "PLAIN", _login(b"relay", b"right")).success
    talk = await Talk.to(channel.ports[0])
    await talk.reply()
    assert "AUTH" not in await talk.say("EHLO tester"), "not before TLS"
    guess = base64.b64encode(b"\0relay\0right").decode()
    assert [(await talk.say(f"AUTH PLAIN {guess}"))[:3] for _ in range(4)] == ["538", "538", "538", "421"]
    talk.close()
    await channel.stop()


def _login(name: bytes, password: bytes) -> Any:
    from aiosmtpd.smtp import LoginPassword

    return LoginPassword(name, password)


async def test_the_auth_parameter_of_a_mail_is_taken() -> None:
    channel, intake, port = await started()
    talk = await Talk.to(port)
    await talk.reply()
    await talk.say("EHLO tester")
    assert (await talk.say("MAIL FROM:<a@b.test> SIZE=10 AUTH=<> BODY=8BITMIME")).startswith("250")
    await talk.say(f"RCPT TO:<{ADDRESS}>")
    await talk.say("DATA")
    assert (await talk.say(b"x\r\n.")).startswith("250")
    talk.close()
    await channel.stop()
    assert intake.messages[0].sender == "a@b.test"


@pytest.mark.parametrize("octets", [998, 1000, 1001, 65_536, 1_000_000])
async def test_long_lines(octets: int) -> None:
    channel, intake, port = await started()
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")
    assert (await talk.say(b"Subject: x\r\n\r\n" + b"a" * octets + b"\r\n.")).startswith("250")
    talk.close()
    await channel.stop()
    assert b"a" * octets + b"\r\n" in intake.messages[0].body


@pytest.mark.parametrize("octets", [1 << 20, (1 << 20) + 1, 3 << 20])
async def test_a_line_may_be_as_long_as_the_mail(octets: int) -> None:
    channel, intake, port = await started()
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")
    answer = await talk.say(b"Subject: x\r\n\r\n" + b"a" * octets + b"\rMAIL FROM:<thief@example.test>\r\n.")
    assert answer.startswith("250")
    assert (await talk.say("NOOP")).startswith("250")
    talk.close()
    await channel.stop()
    assert len(intake.messages) == 1 and len(intake.messages[0].body) > octets


async def test_a_mail_that_comes_before_it_was_asked_for_is_whole() -> None:
    channel, intake, port = await started()
    talk = await begin(port, ADDRESS)
    talk.writer.write(b"DATA\r\nSubject: x\r\n\r\n..dot\r\n.\r\nNOOP\r\n")
    assert [(await talk.reply())[:3] for _ in range(3)] == ["354", "250", "250"]
    talk.writer.write(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<report@gateway.test>\r\nDATA\r\n.\r\nQUIT\r\n")
    assert [(await talk.reply())[:3] for _ in range(5)] == ["250", "250", "354", "250", "221"]
    talk.close()
    await channel.stop()
    assert [raw.body for raw in intake.messages] == [b"Subject: x\r\n\r\n.dot\r\n", b""]


@given(
    st.lists(st.sampled_from([b"\r", b"\n", b".", b"a", b"\r\n", b"\r\n.", b"\r\n..", b"\0"]), max_size=30),
    st.lists(st.integers(1, 7), max_size=40),
)
def test_what_is_collected_is_what_the_standard_says_however_it_is_cut(tokens: list[bytes], cuts: list[int]) -> None:
    wire = b"".join(tokens) + b"\r\n.\r\nNEXT"
    whole = b"\r\n" + wire
    end = whole.index(b"\r\n.\r\n")
    lines = whole[: end + 2].split(b"\r\n")
    wanted = b"\r\n".join(line.removeprefix(b".") for line in lines)[2:]
    collector, at, rest = Collector(10_000), 0, None
    for cut in [*cuts, len(wire)]:
        if (rest := collector.feed(wire[at : at + cut])) is not None or at >= len(wire):
            break
        at += cut
    assert collector.mail() == wanted
    assert rest is not None and rest + wire[at + cut :] == whole[end + 5 :]


async def test_a_large_mail_of_short_lines_holds_up_nobody() -> None:
    channel, intake, port = await started()
    talk = await begin(port, ADDRESS)
    await talk.say("DATA")
    longest, before, loop = 0.0, time.thread_time(), asyncio.get_running_loop()

    def turned() -> None:
        nonlocal longest, before, again
        longest, before = max(longest, time.thread_time() - before), time.thread_time()
        again = loop.call_soon(turned)

    def send() -> None:
        with socket.create_connection(("127.0.0.1", port)) as line:
            told = line.makefile("rb")
            for said in (b"HELO x", b"MAIL FROM:<a@b.test>", f"RCPT TO:<{ADDRESS}>".encode(), b"DATA"):
                told.readline()
                line.sendall(said + b"\r\n")
            told.readline()
            line.sendall(b"ab\r\n" * 2_000_000 + b".\r\n")
            assert told.readline().startswith(b"250")

    again = loop.call_soon(turned)
    gc.disable()  # the garbage of all other tests is not what is measured
    try:
        await asyncio.to_thread(send)
    finally:
        gc.enable()
        again.cancel()
    talk.close()
    await channel.stop()
    assert len(intake.messages[0].body) == 8_000_000
    assert 0 < longest < 0.05, "processor time of the loop's thread in one turn"

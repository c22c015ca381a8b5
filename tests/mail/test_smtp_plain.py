"""The plain session answers as aiosmtpd does, takes the same mails, and goes over to aiosmtpd where it must."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.smtpin.plain import PlainSession
from tests.channel_fakes import FakeIntake, FakeServices
from tests.mail.dialogues import ODD, USUAL, WHOLE, both, cut

LINES = st.lists(st.sampled_from([WHOLE, *((one,) for one in (*USUAL, *ODD))]), max_size=20)
HELLO = (b"EHLO a",)


@settings(max_examples=250, deadline=None)
@given(LINES, st.booleans(), st.lists(st.floats(0, 1), max_size=6))
@example([(b"MAIL FROM:<a@b>",)] * 8, True, [])
@example([(b"EHLO a",)] * 8, True, [])
@example([WHOLE] * 8, True, [0.5])
@example([(b"MAIL FROM:<" + b"a" * 520 + b"@b.cn>",)], True, [])
@example([(b"MAIL FROM:<a@b.cn> SIZE=3000",), WHOLE], True, [])
@example([WHOLE[:3], (b"x" * 3000, b".")], True, [])
@example([(b"x" * 600,), (b"NOOP",)], True, [0.1, 0.2])
@example([(b"RCPT TO:<report@gateway.test>",), WHOLE], False, [])
@example([(WHOLE[0],), *[(WHOLE[1],)] * 5, WHOLE[2:]], True, [])
def test_every_dialogue_has_the_answers_that_aiosmtpd_gives(lines: list[Any], greets: bool, places: list[float]) -> None:
    said = [one for some in ([HELLO, *lines] if greets else lines) for one in some]
    ours, theirs = both(cut(b"\r\n".join([*said, b""]), places))
    assert ours == theirs


async def told(reader: asyncio.StreamReader) -> bytes:
    return await asyncio.wait_for(reader.readline(), 20)


@pytest.fixture
async def channel() -> Any:
    made = EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",), max_connections_each=2), FakeServices())
    intake = FakeIntake()
    await made.start(intake)
    yield made, intake
    await made.stop()


async def test_a_session_is_plain_until_something_unusual_comes(channel: Any) -> None:
    made, intake = channel
    reader, writer = await asyncio.open_connection("127.0.0.1", made.ports[0])
    assert await told(reader) == b"220 localhost ready\r\n"
    guests = made._door.guests
    for kind in (True, True, False):
        writer.write(b"HELO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<report@gateway.test>\r\nDATA\r\nx\r\n.\r\n")
        answers = [await told(reader) for _each in range(5)]
        assert answers[-1].startswith(b"250 2.0.0 accepted as m")
        assert [isinstance(one, PlainSession) for one in guests.sessions] == [kind]
        if len(intake.messages) == 2:
            writer.write(b"VRFY <a@b>\r\n")
            assert (await told(reader)).startswith(b"252 ")
    assert guests.by_address == {"127.0.0.1": 1}, "it is counted once"
    writer.close()


async def test_who_reads_no_answers_is_not_listened_to(channel: Any) -> None:
    made, _intake = channel
    reader, writer = await asyncio.open_connection("127.0.0.1", made.ports[0])
    await told(reader)
    [session] = made._door.guests.sessions
    session.transport.set_write_buffer_limits(0)
    session.pause_writing()
    writer.write(b"NOOP\r\n" * 900)
    while not session._ahead:
        await asyncio.sleep(0.001)
    assert session.said["noop"] == 0
    session.resume_writing()
    assert [await told(reader) for _each in range(900)] == [b"250 OK\r\n"] * 900
    assert not session._ahead
    writer.close()


async def test_the_place_is_free_when_the_farewell_was_said(channel: Any) -> None:
    made, _intake = channel
    for _each in range(30):
        two = [await asyncio.open_connection("127.0.0.1", made.ports[0]) for _both in range(2)]
        for reader, writer in two:
            assert (await told(reader)).startswith(b"220 ")
            writer.write(b"QUIT\r\n")
        for reader, _writer in two:
            assert await told(reader) == b"221 Bye\r\n"

"""The short cuts of a mail session do what aiosmtpd does: the same addresses, the same dialogue."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP
from hypothesis import example, given
from hypothesis import strategies as st

from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from gateway_plugins.smtpin import listener
from gateway_plugins.smtpin.quick import Quick
from gateway_plugins.smtpin.session import SmtpSession
from tests.channel_fakes import FakeIntake, FakeServices

SIGNS = st.sampled_from([*"abzAZ019.@<>()\"\\ =?-_+,;:[]\t!#/'~{}", "SIZE=10", "<a@b.cn>", "=?utf-8?q?a?=", "中", "\x00", "BODY=8BITMIME"])


class Plain(SMTP):
    def __init__(self) -> None:
        """Only for its ``_getaddr``."""


class Short(Quick, Plain):
    """The same with the short cut before it."""


def parsed(session: Any, text: str) -> Any:
    try:
        return session._getaddr(text)
    except Exception as error:  # aiosmtpd lets some of the standard library's through
        return type(error)


@given(st.lists(SIGNS, max_size=14).map("".join) | st.lists(SIGNS, max_size=8).map(lambda some: f"<{''.join(some)}> SIZE=7"))
@example("<duty@gateway.test> SIZE=4096 BODY=8BITMIME")
@example("<duty@gateway.test>")
@example("<duty@gateway.test>  SIZE=1")
@example("<duty@gateway.test> (a remark) SIZE=1")
@example("<=?utf-8?q?a?=@gateway.test>")
@example("<a=?b?q?c?=@gateway.test>")
def test_an_address_is_what_aiosmtpd_makes_of_it(text: str) -> None:
    assert parsed(Short(), text) == parsed(Plain(), text)


COMMANDS = (
    b"EHLO a", b"HELO a", b"EHLO", b"MAIL FROM:<duty@gateway.test>", b"MAIL FROM:<duty@gateway.test> SIZE=10 BODY=8BITMIME", b"MAIL FROM:<>",
    b"MAIL FROM:duty@gateway.test", b"MAIL FROM:<duty@gateway.test> SIZE=99999999999", b"MAIL FROM:<a b@c>", b"RCPT TO:<report@gateway.test>",
    b"RCPT TO:<nobody@gateway.test>", b"RCPT TO:<report@gateway.test> NOTIFY=NEVER", b"RCPT", b"DATA", b"DATA x", b"RSET", b"NOOP", b"NOOP x",
    b"VRFY <report@gateway.test>", b"HELP", b"HELP MAIL", b"EXPN x", b"STARTTLS", b"AUTH PLAIN", b"XYZ", b"", b"\xff\xfe", b"MAIL " + b"x" * 600,
    b"MAIL FROM:<duty@gateway.test> SMTPUTF8", b"QUIT", b"text\r\n.",
)  # fmt: skip


async def dialogue(port: int, said: list[bytes]) -> list[bytes]:
    """Every answer to commands that come in one go; accepted mails without their ids."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\r\n".join([*said, b"QUIT", b""]))
    try:
        told = await asyncio.wait_for(reader.read(-1), 20)
    finally:
        writer.close()
    return [line[:22] for line in told.split(b"\r\n")]


@pytest.mark.parametrize("seed", range(3))
async def test_a_dialogue_is_answered_as_by_aiosmtpd_alone(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> EmailSmtp:
        return EmailSmtp("mail", EmailSettings(port=0, addresses=("report@gateway.test",), max_connections_each=40), FakeServices())

    class Slow(SmtpSession):
        _getaddr = SMTP._getaddr
        _reset_timeout = SMTP._reset_timeout
        _timeout_cb = SMTP._timeout_cb

    class NoMould:
        def __init__(self, make: Any) -> None:
            self.session = make

    ours, theirs = made(), made()
    await ours.start(FakeIntake())
    with monkeypatch.context() as patched:
        patched.setattr(listener, "Mould", NoMould)
        patched.setattr("gateway_plugins.email_smtp.SmtpSession", Slow)
        await theirs.start(FakeIntake())
    chance = random.Random(seed)
    try:
        for _ in range(60):
            said = [b"EHLO a"] * chance.randrange(2) + [chance.choice(COMMANDS) for _ in range(chance.randrange(1, 12))]
            assert await dialogue(ours.ports[0], said) == await dialogue(theirs.ports[0], said), said
    finally:
        await ours.stop()
        await theirs.stop()

"""What is said to the mail listener to make it take something for what it is not. The ends of DATA one by one, times and shares of
addresses are shown in ``tests/mail/test_email_limits.py``; here the daemon is asked what it has made of it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.hostile.conftest import COMMANDS
from tests.hostile.stand import Stand
from tests.mail.test_email_limits import NOT_AN_END

REPORT = b"report@gateway.test"
BODY = b"Subject: x\r\n\r\nhello\r\n"


class Line:
    """A connection on which anything may be said."""

    def __init__(self, made: Stand, port: int = 0) -> None:
        self.socket: Any = socket.create_connection(("127.0.0.1", made.gate.base + port), 30)
        self.file = self.socket.makefile("rb")

    def say(self, *lines: bytes) -> list[str]:
        """Say them in one go; an answer to each."""
        self.socket.sendall(b"".join(line + b"\r\n" for line in lines))
        return [self.reply() for _ in lines]

    def reply(self) -> str:
        """One whole answer; its last line."""
        while (line := self.file.readline())[3:4] == b"-":
            pass
        return bytes(line).decode("utf-8", "replace").strip()

    def rest(self) -> bytes:
        """All that still comes until the other side closes."""
        with contextlib.suppress(ConnectionError):
            return bytes(self.file.read())
        return b""

    def tls(self) -> None:
        """Go on encrypted."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        self.socket = context.wrap_socket(self.socket)
        self.file = self.socket.makefile("rb")


@pytest.fixture
def line(made: Stand) -> Iterator[Line]:
    opened = Line(made)
    yield opened
    opened.socket.close()


def ready(line: Line) -> Line:
    assert line.reply().startswith("220")
    assert line.say(b"EHLO x")[0].startswith("250")
    return line


def count(made: Stand) -> int:
    return len(made.gate.ask("messages", limit=10_000))


def test_no_other_ending_ends_a_mail(made: Stand, line: Line) -> None:
    ready(line)
    before = count(made)
    thief = b"MAIL FROM:<thief@example.test>\r\nRCPT TO:<report@gateway.test>\r\nDATA\r\nSubject: forged\r\n\r\nforged"
    for ending in NOT_AN_END.values():
        line.say(b"MAIL FROM:<a@b.test>", b"RCPT TO:<" + REPORT + b">", b"DATA")
        assert line.say(BODY + ending + thief + b"\r\n.")[0].startswith("250 2.0.0 accepted as")
    assert count(made) == before + len(NOT_AN_END)
    assert "thief@example.test" not in {row["sender"] for row in made.gate.ask("messages", limit=100)}


def test_what_is_said_in_clear_after_starttls_is_thrown_away(made: Stand, line: Line) -> None:
    """CVE-2024-34083 and its kind: said before encryption began, obeyed after it."""
    ready(line)
    before = count(made)
    injected = (b"EHLO thief", b"MAIL FROM:<thief@example.test>", b"RCPT TO:<" + REPORT + b">", b"DATA", BODY + b".")
    line.socket.sendall(b"STARTTLS\r\n" + b"".join(one + b"\r\n" for one in injected))
    assert line.reply().startswith("220")
    with contextlib.suppress(OSError):
        line.tls()
        # Whatever was thrown in is not answered: the next answers are to what is said now, and nobody has said EHLO or MAIL yet.
        first = line.say(b"RCPT TO:<" + REPORT + b">")[0]
        assert first[:3] in ("503", "530", ""), first
        assert line.say(b"NOOP")[0][:3] in ("250", "")
    assert count(made) == before


def test_commands_before_the_greeting_are_answered_in_order(made: Stand) -> None:
    line = Line(made)
    before = count(made)
    line.socket.sendall(b"EHLO x\r\nMAIL FROM:<a@b.test>\r\nRCPT TO:<nobody@gateway.test>\r\nQUIT\r\n")
    assert [line.reply()[:3] for _ in range(5)] == ["220", "250", "250", "550", "221"]
    assert count(made) == before
    line.socket.close()


def test_commands_that_are_too_long_are_refused_and_kept_nowhere(made: Stand, line: Line) -> None:
    ready(line)
    for long in (b"MAIL FROM:<" + b"a" * 5000 + b"@b.test>", b"NOOP " + b"x" * 50_000, b"\xff" * 30_000):
        assert line.say(long)[0][:3] in ("500", "501", "553", "421")
    for _megabyte in range(32):  # never a line end
        with contextlib.suppress(OSError):
            line.socket.sendall(b"x" * 1024 * 1024)
    assert made.memory() < 400


def test_five_thousand_recipients(made: Stand, line: Line) -> None:
    ready(line)
    line.say(b"MAIL FROM:<a@b.test>")
    answers = [line.say(b"RCPT TO:<" + REPORT + b">")[0] for _ in range(COMMANDS)]
    assert [answer[:3] for answer in answers].count("250") == 20
    assert {answer[:9] for answer in answers[20:]} == {"452 4.5.3"}
    with contextlib.suppress(OSError):
        for _ in range(5000 - COMMANDS):
            line.socket.sendall(b"RCPT TO:<" + REPORT + b">\r\n")
    assert line.rest().startswith(b"421 4.7.0"), "one who goes on is sent away"


def test_recipients_in_disguise_are_nobodys(line: Line) -> None:
    ready(line)
    line.say(b"MAIL FROM:<a@b.test>")
    for to in (b"<@evil.test:other@elsewhere.test>", b"<report%gateway.test@elsewhere.test>", b"<elsewhere.test!report>", b"<report@gateway.test@elsewhere.test>",
               b"<report@gateway.test\0@elsewhere.test>", b"<report>", b"<>", b"<|/bin/sh>", b"<report@[127.0.0.1]>", b"<report@gateway.test.>"):  # fmt: skip
        assert line.say(b"RCPT TO:" + to)[0][:1] == "5", to
    for verb in (b"VRFY report@gateway.test", b"EXPN staff", b"TURN", b"BDAT 5 LAST", b"XCLIENT ADDR=127.0.0.1"):
        assert line.say(verb)[0][:3] in ("252", "500", "502", "550", "501", "503"), verb


def test_bare_line_ends_and_nul_begin_no_command(made: Stand, line: Line) -> None:
    ready(line)
    before = count(made)
    for said in (
        b"NOOP\rMAIL FROM:<thief@example.test>", b"MAIL FROM:<a@b.test>\rRCPT TO:<report@gateway.test>", b"NOOP\0\0MAIL FROM:<thief@example.test>",
        b"\0", b"HELP\x1b[2J", b"RSET \xe2\x80\xa8MAIL",
    ):  # fmt: skip
        line.say(said)
        assert line.say(b"RSET")[0].startswith("250"), "one line had one answer"
    assert count(made) == before
    assert b"\x1b" not in made.gate.log.read_bytes() and "thief" not in made.gate.log.read_text()


def test_what_follows_data_is_commands_again_and_no_part_of_the_mail(made: Stand, line: Line) -> None:
    ready(line)
    line.say(b"MAIL FROM:<a@b.test>", b"RCPT TO:<" + REPORT + b">")
    line.socket.sendall(b"DATA\r\n" + BODY + b".\r\nMAIL FROM:<second@b.test>\r\nRSET\r\nXYZ\r\n")
    answers = [line.reply() for _ in range(5)]
    assert [answer[:3] for answer in answers] == ["354", "250", "250", "250", "500"]
    raw = made.gate.ask("open", id=answers[1].rpartition(" ")[2])
    assert raw["size"] == len(BODY)


def test_a_client_that_speaks_another_language_is_let_go(made: Stand) -> None:
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
    for port in (0, 1):
        for said in (hello * 100, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n" * 50, bytes(100_000)):
            line = Line(made, port)
            with contextlib.suppress(OSError):
                line.socket.sendall(said)
                line.socket.shutdown(socket.SHUT_WR)
            line.rest()
            line.socket.close()
    assert made.alive


def test_connections_that_say_nothing_keep_nobody_out(made: Stand) -> None:
    silent = []
    for number in range(150):  # more than may be at one time
        local = (f"127.0.{1 + number // 15}.{1 + number % 15}", 0)
        silent.append(socket.create_connection(("127.0.0.1", made.gate.base), 10, local))
    began = time.monotonic()
    while True:  # a mail server comes again
        with contextlib.suppress(OSError, AssertionError):
            line = ready(Line(made))
            break
        assert time.monotonic() - began < 30, "somebody has to make room"
        time.sleep(0.2)
    assert [answer[:3] for answer in line.say(b"MAIL FROM:<a@b.test>", b"RCPT TO:<" + REPORT + b">")] == ["250", "250"]
    for one in (*silent, line.socket):
        one.close()

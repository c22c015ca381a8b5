"""Sends letters by their ways until they are taken, and what strangers send besides: bad credentials, rubbish, refused reports."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import smtplib
import socket
from urllib.parse import quote

from gateway.demo.smsc import DemoSmsc
from gateway_plugins.smpp.link import LinkLost, NoAnswer
from tests.canaries.house import House
from tests.canaries.letters import Letter
from tests.canaries.words import Words

TRIES = 200
PAUSE = 0.2
TOKEN = "token-of-the-cloud"


async def send(house: House, letter: Letter) -> None:
    """Send it again and again, as carriers do, until the gateway says yes or never."""
    for _try in range(TRIES):
        try:
            if await _once(house, letter):
                return
        except (OSError, EOFError, TimeoutError, LinkLost, NoAnswer, smtplib.SMTPException, http.client.HTTPException):
            pass
        await asyncio.sleep(PAUSE)
    raise AssertionError(f"not taken: {letter.way}")


async def _once(house: House, letter: Letter) -> bool:
    gate, parts = house.gate, letter.parts
    match letter.way:
        case "sms":
            return await _sms(house.smsc, letter)
        case "mail" | "fax":
            lmtp = letter.way == "mail" and len(parts["data"]) % 2 == 0
            return await asyncio.to_thread(_mail, gate.base + lmtp, parts["sender"], parts["to"], parts["data"], lmtp=lmtp)
        case "phone" | "call":
            headers = {"Authorization": f"Bearer {gate.secret('phone-token')}", **parts["headers"]}
            return await asyncio.to_thread(_post, gate.base + 2, "/phone", parts["body"], headers) < 500
        case "cloud":
            return await asyncio.to_thread(_post, gate.base + 6, f"/sms?token={TOKEN}", parts["body"], parts["headers"]) < 500
        case "spool":
            waiting = house.spool / f".{parts['name']}"
            waiting.write_bytes(parts["data"])
            waiting.rename(house.spool / parts["name"])
            return True
    port = house.line_ports[len(letter.text) % 2]
    return await asyncio.to_thread(_line, port, letter.text.encode())


async def _sms(smsc: DemoSmsc, letter: Letter) -> bool:
    statuses = await smsc.deliver(letter.parts["sender"], letter.parts["recipient"], letter.text, seconds=10)
    return set(statuses) == {0}


def _mail(port: int, sender: str, to: str, data: bytes, *, lmtp: bool) -> bool:
    with (smtplib.LMTP if lmtp else smtplib.SMTP)("127.0.0.1", port, timeout=20) as client:  # type: ignore[call-arg]
        client.ehlo("unit")
        client.mail(sender)
        client.rcpt(to)
        return client.data(data)[0] == 250


def _post(port: int, path: str, body: bytes, headers: dict[str, str]) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    try:
        connection.request("POST", path, body, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status
    finally:
        connection.close()


def _line(port: int, data: bytes) -> bool:
    with socket.create_connection(("127.0.0.1", port), 10) as wire:
        wire.settimeout(10)
        wire.sendall(data + b"\n")
        return wire.makefile().readline() == "OK\n"


async def stranger(house: House, words: Words, number: int) -> None:
    """One of those who may not, or who do not know how: each is refused, or not understood."""
    new = lambda place: words.new(place, "stranger", True)  # noqa: E731
    gate = house.gate
    bearer = f"Bearer {gate.secret('phone-token')}"
    json_type = {"Content-Type": "application/json"}
    # httplib refuses blanks and letters outside ASCII in a path: they are written as an address writes them.
    posts = {
        0: lambda: _post(gate.base + 2, "/phone", b"{}", {"Authorization": f"Bearer {new('password')}", **json_type}),
        1: lambda: _post(gate.base + 2, f"/{new('HTTP path')}/x?a={new('HTTP path')}", b"{}", {"Authorization": bearer}),
        2: lambda: _post(gate.base + 2, "/phone", f'{{"call_id": "{new("refused body")}"'.encode(), {"Authorization": bearer, **json_type}),
        3: lambda: _post(
            gate.base + 2, "/phone", f'{{"{new("HTTP field")}": 1, "call_id": ["{new("refused body")}"]}}'.encode(),
            {"Authorization": bearer, **json_type},
        ),
        4: lambda: _post(gate.base + 2, "/phone", b"x", {"Authorization": bearer, "Content-Type": f"x/{new('HTTP header')}"}),
        5: lambda: _post(gate.base + 6, f"/sms?token={new('password')}", f'[{{"content": "{new("refused body")}"}}]'.encode(), json_type),
        6: lambda: _post(
            gate.base + 3, "/signin", f"name={new('account')}&password={quote(new('password'))}".encode(),
            {"Content-Type": "application/x-www-form-urlencoded"},
        ),
        7: lambda: _post(gate.base + 3, f"/a/{new('HTTP path')}", b"", {}),
        8: lambda: _smtp(gate.base, f"X{new('SMTP command')} a", f"MAIL FROM:<{new('SMTP command')}> {new('SMTP command')}=1"),
        9: lambda: _smtp(gate.base, "MAIL FROM:<zhb@yuntai.gateway.test>", f"RCPT TO:<{new('refused recipient')}@gateway.test>"),
        10: lambda: _smtp(gate.base, "AUTH PLAIN " + base64.b64encode(f"\0{new('account')}\0{new('password')}".encode()).decode()),
        11: lambda: house.ask("incident", number=new("account")),
    }  # fmt: skip
    which = number % (len(posts) + 1)
    if which == len(posts):
        with contextlib.suppress(LinkLost):
            house.smsc.link.transport.write(b"\0\0\0\x20" + new("no PDU").encode() + b"\0" * 12)  # type: ignore[union-attr]
        return
    with contextlib.suppress(OSError, EOFError, smtplib.SMTPException, http.client.HTTPException, TimeoutError):
        await asyncio.to_thread(posts[which])


def _smtp(port: int, *commands: str) -> None:
    with smtplib.SMTP("127.0.0.1", port, timeout=20) as client:
        client.ehlo("unit")
        for command in commands:
            client.docmd(command)

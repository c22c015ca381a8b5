"""What is said to the HTTP doors (telephone, callbacks, console) to smuggle, to exhaust or to look where nobody may.

What callers without a token, wrong JSON and bodies over the limit are told: ``tests/phone``, ``tests/system/bad_input``.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import re
import socket
import time
from pathlib import Path

import pytest

from tests.hostile.stand import CLOUD, Stand
from tests.system.bad_input.common import call
from tests.system.gate import post_phone

ROOT = Path(__file__).parents[2]
DOORS = {"phone": 2, "console": 3, "callbacks": 6}
BODY = json.dumps(call("smuggled", "石桥县民房起火")).encode()
MEGA = 1024 * 1024


def request(made: Stand, *head: bytes, body: bytes = b"", path: bytes = b"/phone", method: bytes = b"POST", version: bytes = b"HTTP/1.1") -> bytes:
    """A request that is right but for what is added."""
    token = CLOUD.encode() if path.startswith(b"/sms") else made.gate.secret("phone-token").encode()
    lines = [method + b" " + path + b" " + version, b"Host: gateway", b"Authorization: Bearer " + token, b"Content-Type: application/json", *head]
    return b"\r\n".join(lines) + b"\r\n\r\n" + body


def said(made: Stand, door: str, data: bytes, seconds: float = 20.0) -> bytes:
    """Everything that comes back."""
    with socket.create_connection(("127.0.0.1", made.gate.base + DOORS[door]), seconds) as line:
        with contextlib.suppress(OSError):
            line.sendall(data)
            line.shutdown(socket.SHUT_WR)
        told = b""
        with contextlib.suppress(OSError):
            while piece := line.recv(65_536):
                told += piece
        return told


def statuses(told: bytes) -> list[int]:
    return [int(line.split()[1]) for line in told.split(b"\r\n") if line.startswith(b"HTTP/1.")]


def calls(made: Stand) -> int:
    return len([row for row in made.gate.ask("messages", limit=10_000) if row["channel"] in ("phone", "sms")])


SMUGGLED = BODY + b"POST /phone HTTP/1.1\r\nHost: x\r\n\r\n"
LENGTH = b"Content-Length: %d" % len(BODY)
ODD: dict[str, tuple[tuple[bytes, ...], bytes]] = {
    "two lengths": ((b"Content-Length: 4", LENGTH), BODY),
    "two lengths in one": ((b"Content-Length: 4, %d" % len(BODY),), BODY),
    "length and chunks": ((LENGTH, b"Transfer-Encoding: chunked"), b"0\r\n\r\n" + BODY),
    "chunks by another name": ((b"Transfer-Encoding: xchunked",), b"0\r\n\r\n" + BODY),
    "chunks twice": ((b"Transfer-Encoding: chunked, chunked",), b"0\r\n\r\n" + BODY),
    "chunks, a blank before": ((b"Transfer-Encoding : chunked",), b"0\r\n\r\n" + BODY),
    "a negative length": ((b"Content-Length: -1",), BODY),
    "a length with a sign": ((b"Content-Length: +5",), BODY),
    "a length in hexadecimal": ((b"Content-Length: 0x10",), BODY),
    "a length beyond counting": ((b"Content-Length: " + b"9" * 40,), BODY),
    "a folded header": ((LENGTH, b"X-Odd: a\r\n b: c"), BODY),
    "a header without a name": ((LENGTH, b": x"), BODY),
    "a NUL in a header": ((LENGTH, b"X-Odd: a\0b"), BODY),
    "a bare line end in a header": ((LENGTH, b"X-Odd: a\rX-Caller: 110"), BODY),
    "a header of a MiB": ((LENGTH, b"X-Odd: " + b"a" * MEGA), BODY),
    "a hundred thousand headers": ((LENGTH, *(b"X-%d: a" % n for n in range(100_000))), BODY),
    "a chunk beyond counting": ((b"Transfer-Encoding: chunked",), b"F" * 40 + b"\r\n" + BODY),
    "a chunk of no number": ((b"Transfer-Encoding: chunked",), b"zz\r\n" + BODY),
    "an upgrade": ((b"Content-Length: 0", b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), b""),
}
"""Nothing of these may be taken, or only as what it says plainly."""


@pytest.mark.parametrize("door", ["phone", "callbacks", "console"])
def test_odd_requests_smuggle_nothing(made: Stand, door: str) -> None:
    before = calls(made)
    for name, (head, body) in ODD.items():
        path = {"phone": b"/phone", "callbacks": b"/sms", "console": b"/sign-in"}[door]
        told = statuses(said(made, door, request(made, *head, body=body, path=path), 1.5))
        fine = {"a folded header"}
        assert all(status >= 400 for status in told) or name in fine or door == "console", (name, told)
        assert 500 not in told, (name, told)
    # One of a folded header may have been a plain call.
    assert calls(made) <= before + 2
    assert made.alive


def test_a_second_request_in_a_body_is_none(made: Stand) -> None:
    before = calls(made)
    inner = request(made, b"X-Call-Id: inner", LENGTH, body=BODY)
    told = said(made, "phone", request(made, b"Content-Length: %d" % len(inner), body=inner))
    assert statuses(told)[0] == 400 and len(statuses(told)) == 1, "it was a body, and no JSON"
    told = said(made, "phone", request(made, b"Transfer-Encoding: chunked", body=b"%x\r\n%s\r\n0\r\nX-Trailer: y\r\nContent-Length: 9\r\n\r\n" % (len(BODY), BODY)))
    assert statuses(told) == [200], "trailers change nothing"
    assert calls(made) == before + 1


def test_paths_lead_nowhere_else(made: Stand) -> None:
    for door in DOORS:
        for path in (b"/../../../../etc/passwd", b"/static/../../../gateway.toml", b"/static/%2e%2e/%2e%2e/gateway.toml", b"/static/..%2f..%2f..%2fsecrets%2fstore-key",
                     b"/static//etc/passwd", b"/phone%00", b"//phone", b"/phone/", b"/phone/..;/metrics", b"http://evil.test/metrics", b"*", b"/" + b"a" * 200_000):  # fmt: skip
            told = said(made, door, request(made, b"Connection: close", path=path, method=b"GET"))
            assert b"root:" not in told and b"[gateway]" not in told and b"store-key" not in told
            assert all(status != 500 for status in statuses(told)), (door, path, told[:200])
    for method in (b"TRACE", b"CONNECT", b"DELETE", b"PUT", b"A" * 5000):
        assert all(status in (400, 404, 405, 431) for status in statuses(said(made, "phone", request(made, b"Connection: close", method=method))))


def test_other_protocols_end_no_more_than_their_connection(made: Stand) -> None:
    """HTTP/2 in clear, with a flood of resets and of headers that go on and on (CVE-2023-44487, CVE-2024-27316): not spoken here."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"
    resets = b"".join(b"\0\0\5\1\4" + n.to_bytes(4, "big") + b"\x82\x84\x87\x41\0" + b"\0\0\4\3\0" + n.to_bytes(4, "big") + b"\0\0\0\x08" for n in range(1, 6001, 2))
    going_on = b"\0\0\1\1\0\0\0\0\1\x82" + b"\0\0\1\x09\0\0\0\0\1\x84" * 20_000
    for door in ("phone", "console"):
        for data in (preface + resets, preface + going_on, b"\x16\x03\x01" * 1000, b"GET /\r\n", bytes(200_000), b"GET / HTTP/9.9\r\n\r\n"):
            assert b"\0\0\0\4" not in said(made, door, data, 1), "no frame comes back"
    assert made.alive


def test_who_does_not_end_a_request_is_cut_off(made: Stand) -> None:
    """A header that never ends, and a body of an octet now and then: neither is waited for."""
    whole = request(made, b"Content-Length: 1000")
    for start in (whole[:40], whole):
        with socket.create_connection(("127.0.0.1", made.gate.base + 2), 30) as line:
            line.sendall(start)
            began, line_open = time.monotonic(), True
            line.settimeout(0.2)
            while line_open and time.monotonic() - began < 25:
                try:
                    line.sendall(b"x")
                    line_open = line.recv(4096) != b""
                except TimeoutError:
                    continue
                except OSError:
                    line_open = False
            assert not line_open, start[-20:]


def test_many_silent_connections_keep_no_caller_waiting(made: Stand) -> None:
    silent = []
    for number in range(300):
        silent.append(socket.create_connection(("127.0.0.1", made.gate.base + DOORS[("phone", "console", "callbacks")[number % 3]]), 10))
    status, _answer = post_phone(made.gate.base + 2, made.gate.secret("phone-token"), call("beside-300", "石桥县民房起火"))
    assert status == 200
    for one in silent:
        one.close()


def test_a_body_that_unfolds_or_nests_is_refused_in_time(made: Stand) -> None:
    for body in (b"[" * MEGA, b'{"a":' * 300_000, b'{"segments":[' + b"{}," * 500_000 + b"{}]}", b'"' + b"\\u0000" * 300_000 + b'"', b"1" * MEGA):
        for door, path in (("phone", "/phone"), ("callbacks", "/sms")):
            connection = http.client.HTTPConnection("127.0.0.1", made.gate.base + DOORS[door], timeout=30)
            token = CLOUD if door == "callbacks" else made.gate.secret("phone-token")
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
            connection.request("POST", path, body, headers)
            assert connection.getresponse().status in (200, 400), (door, body[:20])


# Read in the code.

COMPARED = re.compile(r"\b(?:\w+\.)*_?(?:token|password|secret|signature|mac|otp)\b (?:==|!=) (?![\"'0-9]|None\b)|(?:==|!=) (?:\w+\.)*_?(?:token|password|secret|signature|otp)\b(?!\()")
"""Something that is called like a secret, and ``==`` or ``!=`` between it and anything but a constant."""


def test_secrets_are_compared_in_constant_time() -> None:
    code = {file: file.read_text("utf-8") for folder in ("gateway", "plugins") for file in (ROOT / folder).rglob("*.py")}
    assert [(file.name, found[0]) for file, text in code.items() for found in COMPARED.finditer(text)] == []
    for file in ("plugins/phone/door.py", "plugins/smshttp/provider.py", "plugins/smtpin/accounts.py", "gateway/duty/links.py", "gateway/console/door.py",
                 "gateway/console/front.py", "gateway/canary.py", "plugins/httpout/signing.py"):  # fmt: skip
        assert "hmac.compare_digest(" in (ROOT / file).read_text("utf-8"), file

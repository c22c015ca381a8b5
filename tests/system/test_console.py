"""The console of a real daemon: beside the figures or at a socket of its own, by TLS, over a restart, with an open stream at a stop."""

from __future__ import annotations

import asyncio
import re
import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.conf_edit import set_key
from tests.system.gate import Gate
from tests.system.test_people import record

TEXT = "云台区政府办报告：今日8时许，云台区文昌街一家具厂发生火灾，造成1人死亡、2人受伤。报告人：李军"
HEADERS = {"Sec-Fetch-Site": "same-origin"}


class Person:
    """Somebody with a browser."""

    def __init__(self, base: str, trusted: Path | None = None) -> None:
        self.base = base
        self.trust: Any = ssl.create_default_context(cafile=str(trusted)) if trusted else True

    async def __aenter__(self) -> Person:
        self.http = aiohttp.ClientSession(
            self.base, cookie_jar=aiohttp.CookieJar(unsafe=True), headers=HEADERS, timeout=aiohttp.ClientTimeout(20)
        )
        return self

    async def __aexit__(self, *why: object) -> None:
        await self.http.close()

    async def get(self, path: str) -> str:
        async with self.http.get(path, ssl=self.trust) as answer:
            return await answer.text()

    async def post(self, path: str, **fields: str) -> tuple[int, str]:
        async with self.http.post(path, data=fields, ssl=self.trust, allow_redirects=False) as answer:
            return answer.status, await answer.text()

    async def sign_in(self, account: str, password: str) -> int:
        status, _page = await self.post(
            "/signin", account=account, password=password, code="", before=_field(await self.get("/signin"), "before")
        )
        return status

    async def until(self, path: str, what: str, seconds: float = 30) -> str:
        for _ in range(int(seconds / 0.1)):
            if what in (page := await self.get(path)):
                return page
            await asyncio.sleep(0.1)
        raise AssertionError(f"{what} never came: {page[-2000:]}")


def _field(page: str, name: str) -> str:
    return re.findall(rf'name="{name}" value="([^"]*)"', page)[-1]


def certificate(folder: Path) -> tuple[Path, bytes]:
    """A certificate for 127.0.0.1 and its key."""
    import ipaddress

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "duty.test")])
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    made = made.not_valid_before(datetime.now(UTC) - timedelta(days=1)).not_valid_after(datetime.now(UTC) + timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    file = folder / "console.pem"
    file.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return file, pem


async def test_from_a_call_to_an_acknowledgement_and_a_stop_with_an_open_board(gate: Gate) -> None:
    gate.start()
    async with Person(f"http://127.0.0.1:{gate.base + 3}") as clerk:
        assert "gateway_accept_seconds" in await clerk.get("/metrics") and '"status":"up"' in await clerk.get("/health")
        assert await clerk.sign_in("clerk", gate.secret("console-clerk")) == 303
        async with clerk.http.get("/stream") as stream:
            first = await stream.content.readuntil(b"}\n\n")
            assert b"event: board" in first and b'"unheld": []' in first
            page = await clerk.get("/phone")
            form = {"mark": _field(page, "mark"), "id": _field(page, "id"), "caller": "+8613800000002", "text": TEXT}
            assert (await clerk.post("/phone", **form))[0] == 303
            told = await stream.content.readuntil(b"-0001\"]")
            assert "家具厂" not in told.decode(), "a board is told of by number alone"
            assert "家具厂" in await clerk.until("/", "n2026")
            before = time.monotonic()
            await asyncio.to_thread(gate.stop)
            assert time.monotonic() - before < 15 and await stream.content.read() is not None
    assert [line["by"] for line in record(gate, "signed_in")] == ["李值班"]
    assert record(gate, "phone_logged")[0]["by"] == "clerk"
    assert gate.secret("console-clerk") not in (gate.state / "audit.jsonl").read_text() + gate.log.read_text()


async def test_by_tls_at_a_socket_of_its_own_over_a_restart(gate: Gate, tmp_path: Path) -> None:
    file, key = certificate(tmp_path)
    conf = gate.conf / "gateway.toml"
    text = set_key(conf.read_text(), ("http", "port"), gate.base + 2)
    # The telephone's port is not needed here; the figures get it.
    text = set_key(set_key(text, ("console", "certificate"), str(file)), ("console", "port"), gate.base + 3)
    conf.write_text(text)
    phone = gate.conf / "channels.d/phone.toml"
    phone.write_text(set_key(phone.read_text(), ("channel", "phone", "enabled"), False))
    gate.start()
    gate.until(lambda: "console-key" in gate.log.read_text(), "the missing key is an alarm, and the daemon runs")
    gate.stop()
    secret = gate.conf / "secrets/console-key"
    secret.write_bytes(key)
    secret.chmod(0o600)
    gate.start()
    gate.run_command("user", "add", "ma", "--role", "clerk", "--person", "马值班", "--stdin", data=b"a-long-enough-password\n")
    gate.run_command("user", "add", "short", "--role", "operator", "--stdin", data=b"short\n", code=2)
    async with Person(f"https://127.0.0.1:{gate.base + 3}", file) as person, Person(f"http://127.0.0.1:{gate.base + 2}") as figures:
        assert "gateway_accept_seconds" in await figures.get("/metrics")
        assert await person.sign_in("ma", "a-long-enough-password") == 303
        [cookie] = [one for one in person.http.cookie_jar if one.key == "__Host-gateway"]
        assert cookie["secure"] and cookie["httponly"] and cookie["samesite"].lower() == "strict"
        assert "马值班" in await person.get("/")
        await asyncio.to_thread(gate.stop)
        gate.start()
        assert "马值班" in await person.get("/"), "a restart signs nobody out"
        gate.run_command("user", "disable", "ma")
        assert "马值班" not in await person.get("/")
        assert await person.sign_in("ma", "a-long-enough-password") == 403
    assert '"name": "ma"' in gate.run_command("user", "list", "--json")
    gate.run_command("audit", "verify")


async def test_without_a_console_in_conf_there_is_none(gate: Gate) -> None:
    conf = gate.conf / "gateway.toml"
    conf.write_text(set_key(conf.read_text(), ("console", "enabled"), False))
    gate.start()
    async with Person(f"http://127.0.0.1:{gate.base + 3}") as person, person.http.get("/signin") as answer:
        assert answer.status == 404 and "gateway_accept_seconds" in await person.get("/metrics")

"""STARTTLS on the listener, with a certificate made for the test; and what a stop means for those who are connected."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import aiosmtplib
import pytest
import pytest_asyncio
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from tests.channel_fakes import FakeIntake, FakeServices, free_port

NAME = "gw.gateway.test"
REPORT = b"From: clerk@example.test\r\nTo: report@gateway.test\r\nSubject: report\r\n\r\nsynthetic\r\n"


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate that signs itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME), x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "certificate.pem", folder / "key.pem"


class House:
    def __init__(self, channel: EmailSmtp, intake: FakeIntake) -> None:
        self.channel, self.intake = channel, intake


@pytest_asyncio.fixture
async def house(certificate: tuple[Path, Path]) -> AsyncIterator[House]:
    settings = EmailSettings(
        port=0, lmtp_port=free_port(), addresses=("report@gateway.test",), hostname=NAME, timeout_seconds=5,
        tls_certificate=str(certificate[0]), tls_key=str(certificate[1]),
    )  # fmt: skip
    channel, intake = EmailSmtp("mail", settings, FakeServices()), FakeIntake()
    await channel.start(intake)
    yield House(channel, intake)
    await channel.stop()


def trusting(certificate: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(certificate))


async def say(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, line: bytes) -> str:
    """One command and its whole reply; an empty line waits for the greeting alone."""
    writer.write(line + b"\r\n" if line else b"")
    reply = b""
    while True:
        got = await asyncio.wait_for(reader.readline(), 5)
        reply += got
        if got[3:4] != b"-":
            return reply.decode()


@pytest.mark.parametrize(("listener", "hello"), [(0, b"EHLO client"), (1, b"LHLO client")], ids=["smtp", "lmtp"])
async def test_a_mail_over_starttls(house: House, certificate: tuple[Path, Path], listener: int, hello: bytes) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", house.channel.ports[listener])
    await say(reader, writer, b"")
    assert "STARTTLS" in await say(reader, writer, hello)
    assert (await say(reader, writer, b"STARTTLS")).startswith("220")
    await writer.start_tls(trusting(certificate[0]), server_hostname=NAME)
    assert writer.get_extra_info("cipher") is not None
    assert "STARTTLS" not in await say(reader, writer, hello)
    await say(reader, writer, b"MAIL FROM:<clerk@example.test>")
    await say(reader, writer, b"RCPT TO:<report@gateway.test>")
    assert (await say(reader, writer, b"DATA")).startswith("354")
    assert (await say(reader, writer, REPORT + b".")).startswith("250 2.0.0 accepted as m1")
    writer.close()
    assert [raw.body for raw in house.intake.messages] == [REPORT]
    assert house.intake.messages[0].meta["peer"] == "127.0.0.1"


async def test_a_client_that_does_not_trust_us_leaves_nothing_behind(house: House) -> None:
    client = aiosmtplib.SMTP(hostname="127.0.0.1", port=house.channel.ports[0], start_tls=False, timeout=5)
    await client.connect()
    with pytest.raises((aiosmtplib.SMTPException, ssl.SSLError)):
        await client.starttls(server_hostname=NAME, tls_context=ssl.create_default_context())
    client.close()
    async with asyncio.timeout(5):
        while house.channel._door.guests.sessions:  # type: ignore[union-attr]
            await asyncio.sleep(0)
    assert house.intake.messages == []


async def test_commands_sent_before_tls_are_not_taken_after_it(house: House, certificate: tuple[Path, Path]) -> None:
    """Plain text injected behind STARTTLS must not become part of the protected dialogue (CVE-2011-0411)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", house.channel.ports[0])
    await reader.readline()
    writer.write(b"STARTTLS\r\nEHLO injected.example.test\r\nMAIL FROM:<thief@example.test>\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"220")
    await writer.start_tls(trusting(certificate[0]), server_hostname=NAME)
    writer.write(b"RCPT TO:<report@gateway.test>\r\n")
    assert (await asyncio.wait_for(reader.readline(), 5)).startswith(b"503")
    writer.close()


async def test_a_missing_certificate_is_named(tmp_path: Path) -> None:
    settings = EmailSettings(port=0, addresses=("report@gateway.test",), tls_certificate=str(tmp_path / "none.pem"))
    with pytest.raises(OSError, match="No such file"):
        await EmailSmtp("mail", settings, FakeServices()).start(FakeIntake())


async def test_a_mail_with_intake_has_its_answer_before_a_stop(house: House) -> None:
    house.intake.gate = asyncio.Event()
    reader, writer = await asyncio.open_connection("127.0.0.1", house.channel.ports[0])
    for line in (b"", b"HELO client", b"MAIL FROM:<clerk@example.test>", b"RCPT TO:<report@gateway.test>", b"DATA"):
        await say(reader, writer, line)
    writer.write(REPORT + b".\r\n")
    idle, idle_writer = await asyncio.open_connection("127.0.0.1", house.channel.ports[0])
    await idle.readline()
    async with asyncio.timeout(5):
        while not any(session.handing_over for session in house.channel._door.guests.sessions):  # type: ignore[union-attr]
            await asyncio.sleep(0)
    stopping = asyncio.create_task(house.channel.stop())
    assert (await asyncio.wait_for(idle.read(), 5)).startswith(b"421 4.3.2")
    house.intake.gate.set()
    answers = (await asyncio.wait_for(reader.read(), 5)).split(b"\r\n")
    assert answers[0].startswith(b"250 2.0.0 accepted as ")
    assert answers[1].startswith(b"421 4.3.2")
    await stopping
    for one in (writer, idle_writer):
        one.close()

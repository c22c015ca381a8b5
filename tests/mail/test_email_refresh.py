"""A renewed certificate at a reload: the next session gets it, the one that stands goes on."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway_plugins.email_smtp import EmailSettings, EmailSmtp
from tests.channel_fakes import FakeIntake, FakeServices

NAME = "gw.gateway.test"


def write_certificate(folder: Path, serial: int) -> None:
    """A certificate that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(serial)
    made = builder.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


async def session(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter, int]:
    """A session under TLS, and the serial number of the certificate that it was shown."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    await reader.readline()
    writer.write(b"STARTTLS\r\n")
    assert (await reader.readline()).startswith(b"220")
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    await writer.start_tls(context, server_hostname=NAME)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    return reader, writer, x509.load_der_x509_certificate(shown).serial_number


async def test_a_renewed_certificate_serves_from_the_next_session_on(tmp_path: Path) -> None:
    write_certificate(tmp_path, 1)
    settings = EmailSettings(
        port=0, addresses=("report@gateway.test",), hostname=NAME, timeout_seconds=5,
        tls_certificate=str(tmp_path / "certificate.pem"), tls_key=str(tmp_path / "key.pem"),
    )  # fmt: skip
    channel = EmailSmtp("mail", settings, FakeServices())
    await channel.start(FakeIntake())
    try:
        old_reader, old_writer, serial = await session(channel.ports[0])
        assert serial == 1
        write_certificate(tmp_path, 2)
        await channel.refresh()
        _reader, writer, serial = await session(channel.ports[0])
        assert serial == 2
        old_writer.write(b"NOOP\r\n")
        assert (await old_reader.readline()).startswith(b"250")
        (tmp_path / "certificate.pem").write_text("half of a certific")
        with pytest.raises(OSError):
            await channel.refresh()
        assert (await session(channel.ports[0]))[2] == 2, "what cannot be read is not used"
        for one in (writer, old_writer):
            one.close()
    finally:
        await channel.stop()

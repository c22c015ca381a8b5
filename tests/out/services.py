"""What the tests of ways out share: a dispatcher over a real store, certificates made for the test, a recording HTTPS server."""

from __future__ import annotations

import asyncio
import contextlib
import os
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from gateway.alarms import Alarms
from gateway.core.model import Incident, Report
from gateway.dispatch import Dispatcher
from gateway.store import Store, StoreKeys, deliveries, incidents
from gateway.testing import MemoryClock
from gateway.trying import Backoff, Rules

LOOPBACK = ("127.0.0.0/8", "::1/128")
WORDS = "今日9时20分，青山区幸福路一居民楼起火，1人死亡，3人受伤。"


class Queue:
    """A store with one incident and a dispatcher over real transports; time moves only when told."""

    def __init__(self, path: Path, clock: MemoryClock, transports: dict[str, Any]) -> None:
        self.clock = clock
        self.store = Store.open(f"sqlite:///{path}/queue.db", StoreKeys(os.urandom(32)), clock=clock)
        self.dispatcher = Dispatcher(
            self.store, transports, backoff=Backoff(), rules=Rules(send_timeout=20), owner="here", clock=clock,
            alarms=Alarms(self.store, clock),
        )  # fmt: skip
        self.incident = self.store.write_now(self._incident)

    def _incident(self, tx: Any) -> Incident:
        made = Incident(
            id=tx.new_id(), number=incidents.next_number(tx, 2026), title="t", state="open", items=(), kinds=(),
            report=Report(text=""), first_received_at=self.clock(),
        )  # fmt: skip
        incidents.insert(tx, made)
        return made

    def put(self, transport: str, address: str, text: str = WORDS, destination: str = "duty_room") -> str:
        def insert(tx: Any) -> str:
            row = deliveries.DeliveryRow(
                id=tx.new_id(), incident=self.incident.id, destination=destination, transport=transport, address=address,
                created_at=self.clock(), next_try_at=self.clock(),
            )  # fmt: skip
            deliveries.insert(tx, row, deliveries.Content(subject="【紧急信息】〔2026〕0001", text=text, short_text="短文 〔0001〕"))
            return row.id

        return self.store.write_now(insert)

    def row(self, id: str) -> deliveries.DeliveryRow:
        return self.store.read_now(lambda tx: deliveries.get(tx, id))

    async def round(self) -> None:
        """One round of what is due, to its end."""
        while await self.dispatcher.step(self.clock()):
            while self.dispatcher._sending:
                await asyncio.wait(self.dispatcher._sending)

    async def pass_time(self, minutes: float, step: float = 60) -> None:
        """Let time go by in steps of so many seconds, trying whatever falls due."""
        for _ in range(round(minutes * 60 / step)):
            await self.round()
            self.clock.advance(step)
        await self.round()

    def close(self) -> None:
        self.store.close()


def certificate(folder: Path, *names: str) -> tuple[Path, Path]:
    """A certificate that signs itself, for ``names``, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway test")])
    now = datetime.now(UTC)
    alternative = [x509.IPAddress(ip_address(name)) if name[0].isdigit() else x509.DNSName(name) for name in names]
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(alternative), critical=False)
        .sign(key, hashes.SHA256())
    )
    folder.mkdir(exist_ok=True)
    (folder / "certificate.pem").write_bytes(made.public_bytes(Encoding.PEM))
    (folder / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return folder / "certificate.pem", folder / "key.pem"


class Seen:
    """What a server was sent: one (head, body) a request."""

    def __init__(self) -> None:
        self.port = 0
        self.requests: list[tuple[str, bytes]] = []
        self.connections = 0


@contextlib.asynccontextmanager
async def server(answer: bytes = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", tls: tuple[Path, Path] | None = None,
                 host: str = "127.0.0.1") -> AsyncIterator[Seen]:  # fmt: skip
    """A server that keeps what it is sent and answers every request with these very bytes."""
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError), contextlib.closing(writer):
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            fields = {n.lower(): v.strip() for n, _, v in (line.partition(":") for line in head.split("\r\n"))}
            seen.requests.append((head, await reader.readexactly(int(fields.get("content-length", "0")))))
            writer.write(answer)
            await writer.drain()

    context = None
    if tls is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*map(str, tls))
    listening = await asyncio.start_server(serve, host, 0, ssl=context)
    seen.port = int(listening.sockets[0].getsockname()[1])
    try:
        yield seen
    finally:
        listening.close()


def header(head: str, name: str) -> str:
    """A header's value; empty where it is not there."""
    return next((v.strip() for n, _, v in (line.partition(":") for line in head.split("\r\n")) if n.lower() == name), "")

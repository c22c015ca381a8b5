"""What other gateways send us (from_gateway): reports from below, which are answered once they are stored, and acknowledgements
from above, which become receipts of our own deliveries. Format: docs/transports/to_gateway.md.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, ClassVar, Literal

from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gateway.api import (
    Channel,
    Field,
    Intake,
    Malformed,
    Message,
    RawMessage,
    Receipt,
    SecretName,
    Services,
    Settings,
    StorageTrouble,
    TooLarge,
    TransportName,
    _,
    hookimpl,
)
from gateway_plugins.httpout import signing
from gateway_plugins.levels import wire
from gateway_plugins.phone.door import Server
from gateway_plugins.to_gateway import reference

log = logging.getLogger(__name__)

PATH = "/gateway/v1"
RETRY_AFTER_SECONDS = 10


class FromGatewaySettings(Settings):
    """``[channel.NAME]`` with ``kind = "from_gateway"``."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: int = Field(8443, ge=0, le=65535, description="its port; 0 takes any free one")
    certificate: str = Field("", description="PEM file of our certificate; empty: no TLS, for a proxy on this host to add")
    key: str = Field("", description="PEM file of its key")
    senders: dict[str, SecretName] = Field(
        description="the other gateways by name → name of the secret to check with: whsec_… that both have, or its public whpk_…"
    )
    known_as: dict[str, str] = Field(
        {}, description="name of a gateway → telephone number or mail address by which directory.toml knows its office"
    )
    acknowledge_by: TransportName | Literal[""] = Field(
        "", description="to_gateway transport by which a sender is told that a person here has its report; empty: it is not told"
    )
    tolerance_seconds: float = Field(300, gt=0, le=86400, description="how far the sender's clock and ours may be apart")
    timeout_seconds: float = Field(30, gt=0, description="a request ends after so long without an octet")


class FromGateway:
    """The channel."""

    kind: ClassVar[str] = "from_gateway"
    channel: ClassVar[Channel] = "email"
    reads_in: ClassVar[Literal["inline", "parse", "ocr"]] = "inline"
    Settings = FromGatewaySettings

    def __init__(self, name: str, settings: FromGatewaySettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._server: Server | None = None
        self._intake: Intake | None = None

    @property
    def port(self) -> int:
        """Where it listens; 0 before it does."""
        return self._server.port if self._server is not None else 0

    async def start(self, intake: Intake) -> None:
        """Listen. Raises ``OSError`` where the port is taken or a certificate cannot be read."""
        assert self.services is not None
        for secret in self.settings.senders.values():
            for key in self.services.secret(secret).split():
                signing.usable(key)
        self._intake = intake
        app = Starlette(routes=[Route(PATH, self._take, methods=["POST"])])
        server = Server(
            app, timeout_seconds=self.settings.timeout_seconds, certificate=self.settings.certificate, key=self.settings.key
        )
        await server.start(self.settings.host, self.settings.port)
        self._server = server

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        if self._server is not None:
            await self._server.stop()
            self._server = None

    def health(self) -> Any:
        """Up while it listens."""
        up = self._server is not None and self._server.up
        return SimpleNamespace(state="up" if up else "down", detail=_("port {port}").format(port=self.port) if up else "")

    def listens(self) -> Sequence[tuple[str, int]]:
        """The one door."""
        return [(self.settings.host, self.settings.port)]

    async def _take(self, request: Request) -> Response:
        assert self.services is not None
        assert self._intake is not None
        try:
            body = await self._body(request)
            sender = request.headers.get(wire.FROM, "")
            if not self._genuine(request, sender, body):
                return JSONResponse({"error": "the signature, its time or the sender is not accepted"}, 401)
            told = wire.parsed(body)
            if isinstance(told, wire.Acknowledged):
                ref = reference(sender, told.delivery)
                await self._intake.receipt(Receipt(via=self.name, ref=ref, state="acknowledged", detail=told.by))
                return JSONResponse({"id": told.delivery})
            accepted = await self._intake.accept(self._raw(sender, told, body))
        except ClientDisconnect:
            return Response(status_code=400)
        except TooLarge:
            return JSONResponse({"error": f"body: over the limit of {self.services.max_bytes} bytes"}, 413)
        except Malformed as fault:
            return JSONResponse({"error": str(fault)}, 400)
        except StorageTrouble:
            return JSONResponse({"error": "storage trouble, try again later"}, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        return JSONResponse({"id": accepted.duplicate_of or accepted.id})

    async def _body(self, request: Request) -> bytes:
        assert self.services is not None
        taken = bytearray()
        over = False
        async for chunk in request.stream():
            # Read on for a while: many clients look for the answer only when they have written everything.
            over = over or len(taken) + len(chunk) > self.services.max_bytes
            taken += chunk
            if len(taken) > 4 * self.services.max_bytes:
                break
        if over:
            raise TooLarge
        return bytes(taken)

    def _genuine(self, request: Request, sender: str, body: bytes) -> bool:
        assert self.services is not None
        secret = self.settings.senders.get(sender)
        at = request.headers.get(signing.TIMESTAMP, "")
        if secret is None or not (at.isascii() and at.isdigit() and len(at) < 15):
            return False
        if abs(self.services.now().timestamp() - int(at)) > self.settings.tolerance_seconds:
            return False
        keys = self.services.secret(secret).split()
        return signing.genuine(keys, request.headers.get(signing.ID, ""), at, request.headers.get(signing.SIGNATURE, ""), body)

    def _raw(self, sender: str, told: wire.Report, body: bytes) -> RawMessage:
        assert self.services is not None
        return RawMessage(
            channel=self.channel, via=self.name, received_at=self.services.now(), sender=sender, carrier_id=told.delivery,
            body=body, content_type="application/json",
            meta={"gateway": sender, "acknowledge_to": sender, "acknowledge": told.delivery},
        )  # fmt: skip

    def read(self, raw: RawMessage) -> Message:
        """The report as it was sent. What that gateway tells of one incident of its own is one thread here."""
        told = wire.parsed(raw.body)
        if not isinstance(told, wire.Report):
            raise Malformed("field 'type' is not 'report'")
        sender = raw.meta.get("gateway", "")
        thread = f"<{told.incident}@{sender}>" if told.incident and sender else None
        return Message(
            text=wire.elsewhere(told.text, sender), subject=wire.elsewhere(told.subject, sender), message_id=thread,
            in_reply_to=thread, sender=self.settings.known_as.get(sender, ""),
        )  # fmt: skip


@hookimpl
def channels() -> list[type[FromGateway]]:
    """The channel of this plugin."""
    return [FromGateway]

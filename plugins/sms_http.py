"""SMS in and out through a cloud carrier: its callbacks by HTTP, and a request to it for each text that goes out.

What the callbacks hold and how they prove themselves: ``gateway_plugins.smshttp.providers``. The provider's own yes is said only
when every message of a callback is on stable storage.
"""

from __future__ import annotations

import logging
import uuid
from datetime import UTC
from typing import Any, ClassVar, Literal

from msgspec import Struct
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
    Outcome,
    RawMessage,
    Receipt,
    Refused,
    SecretName,
    Services,
    StorageTrouble,
    TooLarge,
    TryLater,
    _,
    hookimpl,
    inherited,
)
from gateway_plugins.httpout import post
from gateway_plugins.phone.door import RETRY_AFTER_SECONDS, Server, TooLong, bounded_body
from gateway_plugins.phone.formats import few
from gateway_plugins.smshttp.provider import Asked, Call, Sending, Sends
from gateway_plugins.smshttp.providers import PROVIDERS

log = logging.getLogger(__name__)

ELEMENT = "application/vnd.sms-http.{provider}+json"
WHOLE = "application/vnd.sms-http.unread"


class HttpSmsSettings(post.HttpSettings):
    """[channel.NAME] with kind = "sms_http". Times in seconds."""

    provider: Literal["aliyun", "tencent", "twilio"] = Field(description="whose callbacks: aliyun, tencent or twilio")
    host: str = Field("127.0.0.1", description="address to listen on; TLS is the reverse proxy's")
    port: int = Field(8090, ge=0, le=65535, description="HTTP port; 0 takes any free one")
    socket: str = Field("", description="systemd socket taken instead of host and port where it was passed; empty: never")
    path: str = Field("/sms", pattern="^/", description="path of the callbacks")
    secret: SecretName = Field(
        description="name of the secret that proves a callback: the token in its URL, or twilio's auth token"
    )
    public_url: str = Field("", description="URL of the callbacks as the provider was given it; twilio signs it")
    idle_seconds: float = Field(30, gt=0, description="a callback ends after so long without an octet")
    api_url: str = Field("", description="the provider's API, such as https://dysmsapi.aliyuncs.com; empty: nothing is sent")
    account: str = Field("", description="account at the API (AccessKeyId, Account SID)")
    api_secret: SecretName = Field("", description="name of the secret of that account; empty: the one that proves callbacks")
    source: str = Field("", description="what we send under: signature (aliyun) or number (twilio)")
    template: str = Field("", description="template that is nothing but its variable content (aliyun)")


class HttpSmsHealth(Struct, frozen=True):
    """How the door is."""

    state: Literal["up", "connecting", "down"]
    detail: str


class SmsHttp:
    """The channel; ``to_sms`` gives it whole texts."""

    kind: ClassVar[str] = "sms_http"
    channel: ClassVar[Channel] = "sms"
    reads_in: ClassVar[Literal["inline"]] = "inline"
    Settings = HttpSmsSettings

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None:
        self.name = name
        self.settings: HttpSmsSettings = settings
        self.services = services
        self.provider = PROVIDERS[settings.provider]
        self.port = 0
        self._server: Server | None = None
        self._alarmed = False

    async def start(self, intake: Intake) -> None:
        """Listen. Raises ``OSError`` when the port is taken."""
        assert self.services is not None
        s = self.settings
        secret, services = self.services.secret(s.secret), self.services

        async def callback(request: Request) -> Response:
            return await self._callback(request, intake, secret, services)

        app = Starlette(routes=[Route(s.path, callback, methods=["POST"])])
        self._server = Server(app, timeout_seconds=s.idle_seconds)
        await self._server.start(s.host, s.port, inherited(s.socket))
        self.port = self._server.port
        if s.api_url:
            await post.prepare(s)

    async def stop(self) -> None:
        """Finish what is being answered, then close."""
        if self._server is not None:
            await self._server.stop()
            self._server = None
        self.port = 0

    def listens(self) -> list[tuple[str, int]]:
        """The door of the callbacks."""
        return [(self.settings.host, self.settings.port)] if self.settings.port else []

    async def probe(self) -> str | None:
        """Whether the API can be reached, where one is named. Nothing is sent to it."""
        return await post.probed(self.settings.api_url, self.settings) if self.settings.api_url else None

    def health(self) -> HttpSmsHealth:
        if self._server is None or not self._server.up:
            return HttpSmsHealth("down", _("not listening"))
        return HttpSmsHealth("up", _("{host} port {port}").format(host=self.settings.host, port=self.port))

    def read(self, raw: RawMessage) -> Message:
        """The text of one message. Raises ``Malformed``."""
        if raw.content_type == WHOLE:
            raise Malformed("the callback is not one of this provider's")
        words, unread = self.provider.text(raw.body)
        return Message(text=words, unread=unread)

    # in

    async def _callback(self, request: Request, intake: Intake, secret: str, services: Services) -> Response:
        try:
            body = await bounded_body(request, services.max_bytes)
            query = dict(request.query_params)
            url = self.settings.public_url or str(request.url)
            call = Call(url=url, query=query, headers={name.lower(): value for name, value in request.headers.items()}, body=body)
            if not self.provider.proven(call, secret):
                return JSONResponse({"error": "the callback does not prove itself"}, 401)
            await self._take(call, intake, services)
        except ClientDisconnect:
            return Response(status_code=400)
        except (TooLong, TooLarge):
            return JSONResponse({"error": f"body: over the limit of {services.max_bytes} bytes"}, 413)
        except Malformed as fault:
            return JSONResponse({"error": str(fault)}, 400)
        except StorageTrouble:
            return JSONResponse({"error": "storage trouble, try again later"}, 503, {"Retry-After": str(RETRY_AFTER_SECONDS)})
        content_type, yes = self.provider.yes
        return Response(yes, media_type=content_type)

    async def _take(self, call: Call, intake: Intake, services: Services) -> None:
        """Store every message and every receipt of a callback. One that is the provider's and is not understood is stored whole
        for a person: said no to, it would be gone after a few tries."""
        try:
            few(call.body)
            messages, reports = self.provider.taken(call)
        except Malformed as fault:
            if not call.body.strip():
                raise
            if not self._alarmed:
                self._alarmed = True
                services.alarm(_("a callback is not understood: {why}").format(why=fault), channel=self.name)
            await intake.accept(
                RawMessage(
                    channel="sms", via=self.name, received_at=services.now(), sender="", body=call.body, content_type=WHOLE
                )
            )
            return
        made = ELEMENT.format(provider=self.provider.name)
        for one in messages:
            await intake.accept(
                RawMessage(
                    channel="sms", via=self.name, received_at=services.now(), sender=one.sender, recipient=one.recipient,
                    carrier_id=one.carrier_id, body=one.element, content_type=made,
                )
            )  # fmt: skip
        for report in reports:
            await intake.receipt(Receipt(via=self.name, ref=report.ref, state=report.state, detail=report.detail))

    # out

    async def send_text(self, to: str, text: str, *, key: str, receipt: bool) -> Outcome:
        """Ask the provider to send. No answer in time is TryLater: the message may then arrive twice."""
        s, provider = self.settings, self.provider
        if self.services is None or not s.api_url or not isinstance(provider, Sends):
            return Refused(_("channel {name} does not send").format(name=self.name))
        asked = provider.ask(
            Sending(
                api_url=s.api_url, account=s.account, secret=self.services.secret(s.api_secret or s.secret), source=s.source,
                template=s.template, callback=s.public_url if receipt else "", to=to, text=text, key=key,
                now=self.services.now().astimezone(UTC), nonce=uuid.uuid4().hex,
            )
        )  # fmt: skip
        return await self._sent(asked, provider)

    async def _sent(self, asked: Asked, provider: Sends) -> Outcome:
        try:
            answer = await post.post(asked.url, asked.body, asked.headers, self.settings)
        except (post.Closed, post.Unreachable) as error:
            return TryLater(str(error))
        return post.judged(answer, self.name) or provider.sent(answer.body)


@hookimpl
def channels() -> list[type[SmsHttp]]:
    """The channel of this plugin."""
    return [SmsHttp]

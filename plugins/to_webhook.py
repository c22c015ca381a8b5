"""Any HTTPS service (to_webhook): a signed JSON document for each delivery. Standard Webhooks 1.0 (standardwebhooks.com).

``webhook-id`` is the delivery's id, the same at each attempt, and so is the body: the other side tells a repeat by it.
"""

from __future__ import annotations

import json
import re
from typing import Any, ClassVar

from gateway.api import Delivered, Delivery, Field, Outcome, Refused, SecretName, Services, TryLater, _, hookimpl
from gateway_plugins.httpout import signing
from gateway_plugins.httpout.post import Closed, HttpSettings, Unreachable, judged, looked_up, post, prepare, probed

REF = re.compile(r"[\w.:-]{1,80}")


class WebhookSettings(HttpSettings):
    """``[transport.NAME]`` with ``kind = "to_webhook"``."""

    url: str = Field(pattern=r"^https?://[^\s@]+$", description="where to post: https://…, without a password in it")
    keys: tuple[SecretName, ...] = Field(
        ("webhook-key",), min_length=1, description="names of the secrets to sign with (whsec_… or whsk_…), the newest first"
    )


class ToWebhook:
    """Posts; keeps no state of its own."""

    kind: ClassVar[str] = "to_webhook"
    Settings = WebhookSettings

    def __init__(self, name: str, settings: WebhookSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self.resolve = looked_up

    async def start(self) -> None:
        """Nothing to open: each delivery has a connection of its own."""
        await prepare(self.settings)

    async def stop(self) -> None:
        """Nothing to close."""

    async def probe(self) -> str | None:
        """The keys, then the connection and the certificate; nothing is posted."""
        try:
            for key in self._keys():
                signing.usable(key)
        except signing.BadKey as error:
            return str(error)
        return await probed(self.settings.url, self.settings)

    async def send(self, delivery: Delivery) -> Outcome:
        """2xx: taken. 4xx that speaks of this message: never by this way. Everything else: later."""
        assert self.services is not None
        body = document(delivery)
        try:
            signed = signing.headers(self._keys(), header_id(delivery.id), int(self.services.now().timestamp()), body)
            heads = {**signed, "Content-Type": "application/json", "User-Agent": "jibao-gateway"}
            answer = await post(self.settings.url, body, heads, self.settings, self.resolve)
        except signing.BadKey as error:
            return TryLater(str(error))
        except (Unreachable, Closed) as error:
            return TryLater(str(error))
        if answer.status == 410:
            return Refused(_("the service says that it is there no longer (410)"))
        return judged(answer, _("the service")) or Delivered(ref(answer.body))

    def _keys(self) -> list[str]:
        assert self.services is not None
        return [self.services.secret(name) for name in self.settings.keys]


def header_id(id: str) -> str:
    """The id as a header may carry it; the full stop is the separator of what is signed."""
    return re.sub(r"[^A-Za-z0-9_-]", "-", id)


def document(delivery: Delivery) -> bytes:
    """The body: the same bytes at each attempt."""
    data = {"delivery": delivery.id, "incident": delivery.incident, "to": delivery.address, "office": delivery.destination}
    data |= {"subject": delivery.subject, "text": delivery.text, "short_text": delivery.short_text}
    return json.dumps({"type": "report", "data": data}, ensure_ascii=False).encode("utf-8", "replace")


def ref(body: bytes) -> tuple[str, ...]:
    """The peer's own id of it, where it gives one that is a plain word."""
    try:
        found: Any = json.loads(body)["id"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return ()
    return (found,) if isinstance(found, str) and REF.fullmatch(found) else ()


@hookimpl
def transports() -> list[type[ToWebhook]]:
    """The transport of this plugin."""
    return [ToWebhook]

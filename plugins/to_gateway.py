"""The gateway of another level (to_gateway): a signed report to its from_gateway channel, and acknowledgements back down.

The body and ``webhook-id`` are the same at each attempt, and the other side keeps what it has once. What a person there
acknowledges comes back by our own from_gateway channel as a receipt. Format: docs/transports/to_gateway.md.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.api import ChannelName, Delivered, Delivery, Field, Outcome, Refused, SecretName, Services, TryLater, _, hookimpl
from gateway_plugins.httpout import signing
from gateway_plugins.httpout.post import Closed, HttpSettings, Unreachable, judged, looked_up, post, prepare, probed
from gateway_plugins.levels import wire
from gateway_plugins.to_webhook import header_id, ref


class GatewaySettings(HttpSettings):
    """``[transport.NAME]`` with ``kind = "to_gateway"``."""

    name: str = Field(pattern=wire.NAME, description="our own name, as the other gateways have it in senders")
    gateways: dict[str, str] = Field(
        description="the other gateways: address as in directory.toml → where its from_gateway channel listens, https://…/gateway/v1"
    )
    keys: dict[str, SecretName] = Field(
        description="address → name of the secret to sign with: whsec_… that both have, or our private whsk_…"
    )
    channel: ChannelName = Field(description="the from_gateway channel by which acknowledgements come back")


class ToGateway:
    """Posts; keeps no state of its own."""

    kind: ClassVar[str] = "to_gateway"
    Settings = GatewaySettings

    def __init__(self, name: str, settings: GatewaySettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self.resolve = looked_up

    @property
    def receipts_from(self) -> str:
        """The channel that acknowledgements come by."""
        return self.settings.channel

    async def start(self) -> None:
        """Nothing to open: each delivery has a connection of its own."""
        await prepare(self.settings)

    async def stop(self) -> None:
        """Nothing to close."""

    async def probe(self) -> str | None:
        """Keys, connections and certificates of all; the first that is wrong."""
        for address, url in self.settings.gateways.items():
            try:
                for key in self._keys(address):
                    signing.usable(key)
            except signing.BadKey as error:
                return _("{name}: {why}").format(name=address, why=error)
            if (why := await probed(url, self.settings)) is not None:
                return _("{name}: {why}").format(name=address, why=why)
        return None

    async def send(self, delivery: Delivery) -> Outcome:
        """200 with an id: on stable storage there. 4xx that speaks of this document: never by this way. Else later."""
        assert self.services is not None
        url = self.settings.gateways.get(delivery.address)
        if url is None or delivery.address not in self.settings.keys:
            return Refused(_("no gateway of that name in gateways and keys"))
        body = wire.document(delivery)
        try:
            signed = signing.headers(
                self._keys(delivery.address), header_id(delivery.id), int(self.services.now().timestamp()), body
            )
            heads = {**signed, wire.FROM: self.settings.name, "Content-Type": "application/json"}
            answer = await post(url, body, heads, self.settings, self.resolve)
        except (signing.BadKey, Unreachable, Closed) as error:
            return TryLater(str(error))
        verdict = judged(answer, _("the other gateway"))
        if verdict is not None:
            return verdict
        theirs = ref(answer.body)
        if not theirs:
            return TryLater(_("the other gateway did not say that it has it"))
        return Delivered((reference(delivery.address, delivery.id), *theirs))

    def _keys(self, address: str) -> list[str]:
        assert self.services is not None
        return self.services.secret(self.settings.keys[address]).split() if address in self.settings.keys else []


def reference(gateway: str, delivery: str) -> str:
    """By which a receipt finds its delivery: only the gateway that was sent it can acknowledge it."""
    return f"{gateway}/{delivery}"


@hookimpl
def transports() -> list[type[ToGateway]]:
    """The transport of this plugin."""
    return [ToGateway]

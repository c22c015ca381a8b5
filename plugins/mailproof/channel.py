"""What a mail channel does for evidence of the sender: the relay's word as it reads, the DNS's word when asked to vouch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from msgspec.structs import replace

from gateway.api import Message, RawMessage
from gateway_plugins.mailproof.judge import relay_flags


class Proof(Protocol):
    """The keys that are needed of a channel's settings."""

    @property
    def authserv_ids(self) -> tuple[str, ...]: ...
    @property
    def dns_servers(self) -> tuple[str, ...]: ...
    @property
    def dns_seconds(self) -> float: ...


def with_evidence(message: Message, raw: RawMessage, settings: Proof) -> Message:
    """``message`` with what a trusted relay says of its sender, and whether whoever handed it over had logged in. Pure."""
    found = relay_flags(raw.body, settings.authserv_ids)
    if "account" in raw.meta:
        found = (*found, "sender_logged_in")
    return replace(message, flags=(*message.flags, *found)) if found else message


def asked(raw: RawMessage, settings: Proof, relays: Iterable[str] = ()) -> tuple[str, ...]:
    """What the DNS says of a mail's sender. Slow: for a worker process."""
    from gateway_plugins.mailproof import ask

    return ask.check(
        raw.body,
        peer=raw.meta.get("peer", ""),
        helo=raw.meta.get("helo", ""),
        mail_from=raw.sender,
        relays=relays,
        resolver=ask.resolver(settings.dns_servers, settings.dns_seconds),
    )

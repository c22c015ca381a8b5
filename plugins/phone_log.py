"""The telephone log form (电话记录单): a clerk writes down a call, by ``gateway phone-log``.

Wire: docs/channels/phone_log.md. The form is stored by the command itself before it answers with the id, with or without a
daemon; this channel is what reads it. The same form comes by HTTP through ``phone_transcript``.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from msgspec import Struct

from gateway.api import Channel, Intake, Message, RawMessage, Services, Settings, _, hookimpl
from gateway_plugins.phone import slip


class PhoneLogSettings(Settings):
    """``[channel.phone-log]`` with ``kind = "phone_log"``; it has no keys of its own."""


class State(Struct, frozen=True):
    """How the channel is, for ``gateway channels``."""

    state: Literal["up", "connecting", "down"]
    detail: str = ""


class PhoneLog:
    """Reads what ``gateway phone-log`` has stored. Nothing listens."""

    kind: ClassVar[str] = "phone_log"
    channel: ClassVar[Channel] = "phone"
    reads_in: ClassVar[Literal["inline"]] = "inline"
    content_type: ClassVar[str] = slip.TYPE
    Settings = PhoneLogSettings

    def __init__(self, name: str, settings: PhoneLogSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self._up = False

    async def start(self, intake: Intake) -> None:
        """Nothing is opened: the command has its own way in."""
        self._up = True

    async def stop(self) -> None:
        self._up = False

    def health(self) -> State:
        return State("up" if self._up else "down", _("by the command gateway phone-log"))

    def read(self, raw: RawMessage) -> Message:
        """What was said and who called. Raises ``Malformed``."""
        return slip.message(slip.read(raw.body))


@hookimpl
def channels() -> list[type[PhoneLog]]:
    """The channel of this plugin."""
    return [PhoneLog]

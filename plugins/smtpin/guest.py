"""A channel whose mail comes in through the listener of another: it takes addresses of its own there. Which of the two starts
first does not matter."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar, Literal

from msgspec import Struct

from gateway.api import Channel, Intake, Services, _

RETRY_SECONDS = 0.2


class Guest:
    """``name`` of ``channel`` at the ``email_smtp`` channel called ``listener``."""

    def __init__(self, name: str, channel: Channel, listener: str, addresses: tuple[str, ...], services: Services) -> None:
        self.name, self.channel, self.listener, self.addresses = name, channel, listener, addresses
        self.services = services
        self.registered = False
        self._retry: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> bool:
        """The listener is not there yet."""
        return self._retry is not None

    def arrive(self, intake: Intake) -> None:
        """Register, now or as soon as the listener is there."""
        self._retry = None
        host = self.services.channel(self.listener)
        if host is None:
            self._retry = asyncio.get_running_loop().call_later(RETRY_SECONDS, self.arrive, intake)
            return
        host.register(self.addresses, channel=self.channel, via=self.name, intake=intake)
        self.registered = True

    def leave(self) -> None:
        """Take no more mail."""
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if self.registered and (host := self.services.channel(self.listener)) is not None:
            host.forget(self.name)
        self.registered = False


class State(Struct, frozen=True):
    """How the channel is, for ``gateway channels``."""

    state: Literal["up", "connecting", "down"]
    detail: str = ""


class GuestChannel:
    """Base of the channels that take addresses on another channel's listener; which of the two starts first does not matter.
    Their settings have ``listener`` and ``addresses``."""

    channel: ClassVar[Channel]

    def __init__(self, name: str, settings: Any, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._guest: Guest | None = None

    async def start(self, intake: Intake) -> None:
        """Register with the listener, now or as soon as it is there."""
        assert self.services is not None
        self._guest = Guest(self.name, self.channel, self.settings.listener, self.settings.addresses, self.services)
        self._guest.arrive(intake)

    async def stop(self) -> None:
        """Take no more mail."""
        if self._guest is not None:
            self._guest.leave()
            self._guest = None

    def remark(self) -> str:
        """What else an operator should know of a channel that is up."""
        return ""

    def health(self) -> State:
        if self._guest is not None and self._guest.registered:
            return State("up", _("by channel {name}").format(name=self.settings.listener) + self.remark())
        waiting = _("waiting for channel {name}").format(name=self.settings.listener)
        return State("connecting" if self._guest is not None else "down", waiting)

"""A mailbox as a channel, whatever its protocol: fetched, stored, and only then marked."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

from gateway.api import Channel, Intake, Message, RawMessage, Services, _
from gateway_plugins.mailbox.box import Box
from gateway_plugins.mailbox.fetcher import Fetcher, State
from gateway_plugins.mailbox.probe import probe
from gateway_plugins.mailbox.settings import BoxSettings
from gateway_plugins.mailproof.channel import asked, with_evidence
from gateway_plugins.mailtext import read_mail
from gateway_plugins.mailtext.origin import with_sender


class MailboxChannel(ABC):
    """One mailbox. A protocol names its ``kind``, its ``Settings``, whether a session lasts between two looks, and its box."""

    kind: ClassVar[str]
    channel: ClassVar[Channel] = "email"
    reads_in: ClassVar[Literal["parse"]] = "parse"
    Settings: ClassVar[type[BoxSettings]]
    lasting: ClassVar[bool]

    def __init__(self, name: str, settings: BoxSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services
        self._fetcher: Fetcher | None = None

    @abstractmethod
    def box(self) -> Box:
        """The mailbox, not yet opened."""

    def secret(self) -> str:
        """The password of the account, as it is now."""
        assert self.services is not None
        return self.services.secret(self.settings.password)

    async def start(self, intake: Intake) -> None:
        """Begin to fetch; a server that is away holds up nothing."""
        assert self.services is not None
        self._fetcher = Fetcher(self.name, self.settings, self.services, self.box(), lasting=self.lasting)
        self._fetcher.start(intake)

    async def stop(self) -> None:
        """Fetch no more."""
        if self._fetcher is not None:
            await self._fetcher.stop()

    def health(self) -> State:
        return self._fetcher.health() if self._fetcher is not None else State("down", _("not started"))

    async def probe(self) -> str | None:
        """Connect, log in and look; nothing is fetched."""
        return await probe(self.box())

    def read(self, raw: RawMessage) -> Message:
        """MIME undone; the sender is the one that the delivering server wrote down, else the one the mail names."""
        return with_evidence(with_sender(read_mail(raw.body), raw.body), raw, self.settings)

    @property
    def vouches(self) -> bool:
        """Whether there is a resolver to be asked."""
        return bool(self.settings.dns_servers)

    def vouch(self, raw: RawMessage) -> tuple[str, ...]:
        """DKIM of a mail, and DMARC as far as that decides it: who handed it over is not known here."""
        return asked(raw, self.settings)

"""What the pages work with: the daemon's own parts, lent."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from gateway import house as houses
from gateway.core.model import Attachment, Message, RawMessage
from gateway.house import House
from gateway.judging import Judged
from gateway.operations import Live
from gateway.settings import Config
from gateway.settings_web import ConsoleSection
from gateway.store import Store
from gateway.workers import WorkerFailed


class Reads(Protocol):
    """Undoes a carrier's format and judges what it held; the second value says why it could not. Raises what judging raises."""

    async def __call__(self, raw: RawMessage) -> tuple[Judged, str | None]: ...


class Pictures(Protocol):
    """A page of a message as a PNG. Raises ``WorkerFailed``."""

    async def __call__(self, raw: RawMessage, page: int) -> Attachment: ...


async def _no_pictures(raw: RawMessage, page: int) -> Attachment:
    raise WorkerFailed("no worker")


async def _reads_nothing(raw: RawMessage) -> tuple[Judged, str | None]:
    return Judged(message=Message(text="")), "no reader"


@dataclass(slots=True)
class Services:
    """Lent to the console. ``section`` is as it was at start; everything else is as it is now."""

    live: Live
    section: ConsoleSection
    transports: Mapping[str, Any] = field(default_factory=dict)
    failed: Callable[[str, str], str] = lambda sort, name: ""
    """Why a channel or transport could not start; empty where it did."""
    read: Reads = _reads_nothing
    picture: Pictures = _no_pictures
    tried: Callable[[Mapping[str, bytes]], Config] | None = None
    """The configuration as it would be with other files. Raises ``ConfError``."""

    @property
    def store(self) -> Store:
        return self.live.store

    @property
    def config(self) -> Config:
        return self.live.config

    @property
    def house(self) -> House:
        """What decisions are made with at this instant."""
        return self.live.house() if self.live.house is not None else houses.build(self.config, bureau_public=b"")

"""A fax machine (to_fax): the report as A4 pages, through HylaFAX (``fax_jobs``).

Delivered means that the fax server has the job; that the other machine has the pages, or that it never picked up, comes back as
a receipt. The job carries the delivery's id: a repeat finds the first one.
"""

from __future__ import annotations

import re
from typing import ClassVar

from gateway.api import ChannelName, Delivery, Field, Outcome, Refused, Services, TryLater, _, hookimpl
from gateway_plugins.paper.sheet import NoFont, PaperSettings, TooLong, font_file, pages

_NUMBER = re.compile(r"\+?[0-9][0-9,*#]{2,31}")


class FaxSettings(PaperSettings):
    """``[transport.NAME]`` with ``kind = "to_fax"``."""

    carrier: ChannelName = Field(description="the fax_jobs channel to send through, by its name in conf/channels.d")
    prefix: str = Field("", pattern=r"^[0-9,*#]{0,8}$", description="dialled before every number, such as 9, for an outside line")


class ToFax:
    """The transport."""

    kind: ClassVar[str] = "to_fax"
    Settings = FaxSettings

    def __init__(self, name: str, settings: FaxSettings, services: Services | None = None) -> None:
        self.name = name
        self.settings = settings
        self.services = services

    @property
    def receipts_from(self) -> str:
        """The channel that what became of a fax comes by."""
        return self.settings.carrier

    async def start(self) -> None:
        """Nothing to start: the carrier runs by itself."""

    async def stop(self) -> None:
        """Nothing to stop."""

    async def probe(self) -> str | None:
        """Whether there is a font; the fax server is the channel's to look at."""
        try:
            font_file(self.settings)
        except NoFont as missing:
            return str(missing)
        return None

    async def send(self, delivery: Delivery) -> Outcome:
        """The pages, then the job."""
        number = dialled(delivery.address, self.settings.prefix)
        if number is None:
            return Refused(_("the number of the destination is not a fax number"))
        carrier = self.services.channel(self.settings.carrier) if self.services is not None else None
        if carrier is None or not hasattr(carrier, "fax"):
            return TryLater(_("the carrier {name} is not running").format(name=self.settings.carrier))
        try:
            paper = await pages(self.services, delivery, "tiff", self.settings)
        except NoFont as missing:
            return TryLater(str(missing))
        except TooLong as long:
            return Refused(str(long))
        outcome: Outcome = await carrier.fax(number, paper, delivery.id)
        return outcome


def dialled(address: str, prefix: str) -> str | None:
    """An address as it is dialled: without the marks that people write between digits; None where it is no number."""
    bare = re.sub(r"[ ()（）-]", "", address)
    return prefix + bare if _NUMBER.fullmatch(bare) else None


@hookimpl
def transports() -> list[type[ToFax]]:
    """The transport of this plugin."""
    return [ToFax]

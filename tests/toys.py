"""A way in or out that only notes what is done with it, and configurations made of such."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any, ClassVar

from gateway.api import Settings
from gateway.conf_book import Book
from gateway.settings import Config, Configured

SHIPPED = Path(__file__).parent.parent / "conf"
CONFIG = Book(SHIPPED).load()


class Toy:
    """A way that notes what is done with it; it starts unless its port is taken."""

    kind: ClassVar[str] = "toy"
    channel: ClassVar[str] = "sms"
    taken: ClassVar[set[int]] = set()
    log: ClassVar[list[str]] = []

    class Settings(Settings):
        port: int = 1
        on: str = ""
        secret: str = ""

    def __init__(self, name: str, settings: Any, services: Any) -> None:
        self.name, self.settings, self.services = name, settings, services

    async def start(self, _intake: Any = None) -> None:
        if self.settings.on:
            self.services.channel(self.settings.on)
        if self.settings.secret:
            self.services.secret(self.settings.secret)
        if self.settings.port in self.taken:
            raise OSError(98, f"port {self.settings.port} is taken")
        self.log.append(f"+{self.name}")

    async def stop(self) -> None:
        self.log.append(f"-{self.name}")


def toy(name: str, where: str = "x:1", **keys: Any) -> Configured:
    made = {f.name: "in-process" for f in dataclasses.fields(Configured) if f.default is dataclasses.MISSING}
    return Configured(**{**made, "name": name, "kind": "toy", "cls": Toy, "settings": Toy.Settings(**keys), "where": where})


def conf(*channels: Configured, transports: tuple[Configured, ...] = ()) -> Config:
    return dataclasses.replace(CONFIG, channels=channels, transports=transports)

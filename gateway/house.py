"""The house: the configuration and the plugins made from it, as the desk needs them. Nothing here has started yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.settings import Config


@dataclass(frozen=True, slots=True)
class House:
    """What every decision is made with."""

    config: Config
    routers: Mapping[str, Any]
    readers: Mapping[str, Any]
    classifiers: Mapping[str, Any]
    bureau_public: bytes
    trusted: Callable[[], bool] = lambda: True
    """Whether the clock may be believed: while it may not, nothing is judged."""

    @property
    def on_paper(self) -> frozenset[str]:
        """The transports that end on paper, and are to send papers there rather than plain pages."""
        return frozenset(one.name for one in self.config.transports if getattr(one.settings, "form", "") == "paper")

    def local(self, at: datetime) -> datetime:
        """``at`` in the city's own time."""
        return at.astimezone(ZoneInfo(self.config.timezone))

    @property
    def asks_elsewhere(self) -> bool:
        """Whether a reader or classifier runs in a process of its own: then the loop must not wait for it."""
        return any(getattr(plugin, "apart", False) for plugin in (*self.readers.values(), *self.classifiers.values()))


def build(config: Config, *, bureau_public: bytes, trusted: Callable[[], bool] = lambda: True) -> House:
    """Make the pure plugins (routers, readers, classifiers) of a configuration."""

    def made(configured: Any) -> dict[str, Any]:
        return {c.name: c.cls(c.name, c.settings) for c in configured}

    return House(
        config=config,
        routers=made(config.routers),
        readers=made(config.readers),
        classifiers=made(config.classifiers),
        bureau_public=bureau_public,
        trusted=trusted,
    )

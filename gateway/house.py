"""The house: the configuration and the plugins made from it, as the desk needs them. Nothing here has started yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.core.calendar import fixed
from gateway.judging import Rules, reporting
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
    rules: Rules = field(init=False)
    """All that a text is judged by."""

    def __post_init__(self) -> None:
        config = self.config
        rules = Rules(
            chars=config.limits.text_chars,
            timezone=config.timezone,
            units=reporting(config.directory),
            gazetteer=config.gazetteer,
            words=config.words,
            catalogue=config.catalogue,
        )
        object.__setattr__(self, "rules", rules)  # frozen: it is made of ``config`` once, also where that is replaced

    @property
    def on_paper(self) -> frozenset[str]:
        """The transports that end on paper, and are to send papers there rather than plain pages."""
        return frozenset(one.name for one in self.config.transports if getattr(one.settings, "form", "") == "paper")

    def local(self, at: datetime) -> datetime:
        """``at`` in the city's own time, as an instant that can be reckoned with."""
        return fixed(at.astimezone(ZoneInfo(self.config.timezone)))

    @property
    def asks(self) -> bool:
        """Whether a reader or classifier gives an opinion on what was judged."""
        return bool(self.readers or self.classifiers)

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

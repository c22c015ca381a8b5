"""Trying a changed catalogue on past messages: the same stream through two configurations, and what they decide otherwise."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway import house
from gateway.conf_files import steady
from gateway.conf_load import load
from gateway.core.errors import Malformed
from gateway.explain import Explainer, throwaway_key
from gateway.faults import ConfError
from gateway.host import Host
from gateway.i18n import _
from gateway.settings import Config

CATALOGUE = "catalogue.toml"
NEW = "catalogue.toml.new"
"""Beside the present one, where a change waits to be tried."""
SETS = ("items", "review", "route")
VALUES = ("action", "severity", "event_class")


@dataclass(frozen=True, slots=True)
class Difference:
    """What is otherwise for one message: names gained and lost (with the reason of what was gained), values before and after."""

    line: int
    id: Any
    gained: dict[str, dict[str, str]]
    lost: dict[str, dict[str, str]]
    changed: dict[str, tuple[str | None, str | None]]

    def plain(self) -> dict[str, Any]:
        """As JSON shows it."""
        made: dict[str, Any] = {"line": self.line, "id": self.id}
        for name in SETS:
            if self.gained[name] or self.lost[name]:
                made[name] = {"gained": self.gained[name], "lost": self.lost[name]}
        return made | {name: {"from": old, "to": new} for name, (old, new) in self.changed.items()}


def changed_config(conf: Path, other: Path) -> Config:
    """``conf`` with the catalogue of ``other``, a file or a conf folder. Everything that refers to its items and kinds is
    checked again. Raises ``ConfError``, its faults in the name of ``other``."""
    files = dict(steady(conf))
    source = other / CATALOGUE if other.is_dir() else other
    files[CATALOGUE] = source.read_bytes()
    try:
        return load(conf, Host.load(conf), files=files)
    except ConfError as error:
        faults = (dataclasses.replace(f, file=str(source)) if f.file == CATALOGUE else f for f in error.faults)
        raise ConfError(faults) from None


def replay(present: Config, other: Config, lines: Iterable[str]) -> Iterator[Difference | None]:
    """One answer for each message of one stream (the input of ``explain --batch``): None where nothing is otherwise.

    Both sides see the whole stream, so that a follow-up meets what its own side made of the first report. Raises
    ``Malformed`` with the number of the line.
    """
    sides = [Explainer(house.build(config, bureau_public=throwaway_key())) for config in (present, other)]
    try:
        for number, text in enumerate(lines, 1):
            if not text.strip():
                continue
            try:
                line = json.loads(text)
                if not isinstance(line, dict):
                    raise Malformed(_("not a JSON object"))
                before, after = (_decision(side.explain(line)) for side in sides)
            except (json.JSONDecodeError, Malformed) as fault:
                raise Malformed(_("line {number}: {fault}").format(number=number, fault=fault)) from None
            yield _difference(number, line.get("id"), before, after)
    finally:
        for side in sides:
            side.close()


def _decision(shown: dict[str, Any]) -> dict[str, Any]:
    """What matters of an explanation: names with their reasons, and plain values."""
    severity, event_class = shown["severity"], shown["event_class"]
    level = severity and severity["level"] and ("至少" if severity["at_least"] else "") + severity["level"]
    return {
        "items": {match["item"]: (match["why"] or [""])[0] for match in shown["catalogue"]},
        "review": {doubt["item"]: doubt["because"] for doubt in shown["review"] if doubt["item"]},
        "route": {office: shown["route_because"][office] for office in shown["route"]},
        "action": shown["action"],
        "severity": level or None,
        "event_class": event_class and f"{event_class['code']} {event_class['name']}",
    }


def _difference(number: int, name: Any, before: dict[str, Any], after: dict[str, Any]) -> Difference | None:
    found = Difference(
        line=number,
        id=name,
        gained={key: {n: why for n, why in after[key].items() if n not in before[key]} for key in SETS},
        lost={key: {n: why for n, why in before[key].items() if n not in after[key]} for key in SETS},
        changed={key: (before[key], after[key]) for key in VALUES if before[key] != after[key]},
    )
    return found if found.changed or any((*found.gained.values(), *found.lost.values())) else None

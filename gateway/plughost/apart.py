"""Which plugins run in a process of their own: those of other people's distributions, and what conf says so of.

Read before any plugin is imported, from conf/ as it stands; what is wrong with conf/ is said by ``gateway.conf_load``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gateway.settings_model import PluginsSection

OURS = "jibao-gateway"
CHOICES = ("process", "inline")


def ours(distribution: str | None) -> bool:
    """Whether a distribution is the gateway's own."""
    return re.sub(r"[-_.]+", "-", distribution or "").lower() == OURS


def asked(conf_dir: Path | None) -> frozenset[str]:
    """The kinds that a table of conf/ wants in a process of their own."""
    found = set()
    for path in sorted((*conf_dir.glob("channels.d/*.toml"), *conf_dir.glob("routes.d/*.toml"))) if conf_dir else ():
        for sort in _tables(path).values():
            for table in sort.values() if isinstance(sort, dict) else ():
                if isinstance(table, dict) and table.get("isolation") == "process" and isinstance(table.get("kind"), str):
                    found.add(table["kind"])
    return frozenset(found)


def limits(conf_dir: Path | None) -> PluginsSection:
    """The section [plugins] of gateway.toml; the defaults where it cannot be read."""
    try:
        return PluginsSection.model_validate((_tables(conf_dir / "gateway.toml") if conf_dir else {}).get("plugins", {}))
    except ValidationError:
        return PluginsSection()


def provides(source: str, kinds: frozenset[str]) -> bool:
    """Whether a plugin's text names one of ``kinds`` as a whole string: enough to decide where it is to be imported."""
    return any(text in kinds for text in _strings(source))


def _strings(source: str) -> Iterator[str]:
    yield from re.findall(r"[\"']([A-Za-z_]\w*)[\"']", source)


def _tables(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8-sig"))
    except (OSError, ValueError):
        return {}

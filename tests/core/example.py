"""The example configuration of the repository, as the pure rooms see it, and a short way to read one message."""

from __future__ import annotations

import tomllib
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

from gateway import reading
from gateway.core.catalogue import Catalogue, classify
from gateway.core.directory import Unit
from gateway.core.model import Classification, Message, Report
from gateway.reading.gazetteer import Gazetteer
from gateway.reading.words import Words

CONF = Path(__file__).parents[2] / "conf"
NOW = "2026-04-10T17:00:00+08:00"


def conf(name: str) -> dict[str, Any]:
    """One file of conf/."""
    return tomllib.loads((CONF / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def catalogue() -> Catalogue:
    """The example catalogue."""
    return Catalogue.parse(conf("catalogue"))


@cache
def _places() -> tuple[Gazetteer, Words]:
    return Gazetteer.parse(conf("gazetteer")), Words.parse(conf("reading"))


def read(text: str, at: str = NOW, *, channel: str = "sms", subject: str = "", unit: Unit | None = None, **more: Any) -> Report:
    """Read one text as it would come in at ``at``."""
    gazetteer, words = _places()
    message = Message(text=text, subject=subject, **more)
    received = datetime.fromisoformat(at)
    return reading.read(message, channel=channel, received_at=received, sender_unit=unit, gazetteer=gazetteer, words=words)


def judge(text: str, at: str = NOW, *, subject: str = "") -> tuple[Report, Classification]:
    """Read and classify one text."""
    report = read(text, at, subject=subject)
    return report, classify(catalogue(), report, subject=subject)

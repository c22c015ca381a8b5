"""A message is judged: its marking is looked for, it is read and classified. Pure, with plain data for rules: what goes to a
worker to be undone is judged there, too, and takes no time of the daemon; only what is undone in the daemon and short is judged
in it.

No text made here is in an operator's language: workers do not know which that is.
"""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from datetime import datetime
from functools import cached_property
from typing import Protocol
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Struct

from gateway import gist, reading
from gateway.core import catalogue, render
from gateway.core.directory import Directory, Unit, sender_key
from gateway.core.model import FIGURES, Channel, Classification, Message, Report
from gateway.reading import Gazetteer, Words

BODY_ALONE = 60
"""Characters from which a body is taken to tell something itself, not only to point to its attachments."""


class Packed(Struct, frozen=True):
    """Rules on their way to a worker, under a name that is theirs alone; without ``data`` where the worker has them."""

    name: str
    data: bytes = b""

    def unpacked(self) -> Rules:
        """The rules themselves. Only for what our own daemon sent."""
        rules: Rules = pickle.loads(self.data)  # noqa: S301 - see Rules.packed
        return rules


class Rules(Struct, frozen=True, kw_only=True, dict=True):
    """All that a text is judged by, and no more: a worker that reads hostile input need not hold the directory.

    ``units`` holds name and county of those who report, by ``sender_key``; ``chars`` is the length of the texts that go on.
    """

    chars: int
    timezone: str
    units: dict[str, Unit]
    gazetteer: Gazetteer
    words: Words
    catalogue: catalogue.Catalogue

    def packed(self) -> Packed:
        """For a worker; made once, in some milliseconds, or seventy with ten thousand units.

        Pickled: they hold compiled expressions, and it goes one way only, from the daemon down the pipe to its own child. What
        comes back is msgpack, and nothing in the daemon is ever unpickled.
        """
        return self._packed

    @cached_property
    def _packed(self) -> Packed:
        data = pickle.dumps(self, pickle.HIGHEST_PROTOCOL)
        return Packed(hashlib.sha256(data).hexdigest(), data)


class Came(Protocol):
    """What a carrier said of a message: a raw message, or its row in the store."""

    @property
    def channel(self) -> Channel: ...
    @property
    def received_at(self) -> datetime: ...
    @property
    def sender(self) -> str: ...


class Judged(Struct, frozen=True, kw_only=True):
    """A message without its files, read and classified; a ``marking`` replaces the report. ``sender`` is who sent it, as it says
    itself or as the carrier said."""

    message: Message
    sender: str = ""
    report: Report | None = None
    found: Classification = Classification()
    marking: str | None = None


def reporting(directory: Directory) -> dict[str, Unit]:
    """What ``Rules.units`` holds of ``directory``."""
    return {key: Unit(name=unit.name, county=unit.county) for key, unit in directory.by_sender.items()}


def judge(rules: Rules, came: Came, message: Message, meta: Mapping[str, str], flags: tuple[str, ...] = ()) -> Judged:
    """Read and classify ``message``, unless a marking ends that.

    ``meta`` is what the store says of a long message in parts: that its other parts were sealed away (then so is this).
    ``flags`` are further remarks, on its sender.
    """
    looked = look(rules, came, message, meta, flags)
    if looked.marking:
        return looked
    sender, body = looked.sender, looked.message
    unit = rules.units.get(sender_key(sender))
    message = _with_attachments(body)
    report, found = _read(rules, came, message, unit)
    if "attachment_beside" in message.flags and says_nothing(report, found):
        # However long a cover note is, the report is what came with it.
        message = _with_attachments(body, alone=None)
        report, found = _read(rules, came, message, unit)
    return Judged(message=message, sender=sender, report=report, found=found)


def look(rules: Rules, came: Came, message: Message, meta: Mapping[str, str], flags: tuple[str, ...] = ()) -> Judged:
    """``message`` in texts of the length that goes on, looked through for a marking in every text there is, and nothing more. In
    time linear in the text."""
    # A fax server's envelope names the server; the page says who sent it.
    sender = message.sender or came.sender
    whole = gist.of(message, rules.chars)
    message = msgspec.structs.replace(whole.message, flags=tuple(dict.fromkeys((*whole.message.flags, *flags))))
    return Judged(message=message, sender=sender, marking=whole.marking or ("parts sealed" if "sealed_parts" in meta else None))


def _read(rules: Rules, came: Came, message: Message, unit: Unit | None) -> tuple[Report, Classification]:
    """``message`` read and classified."""
    report = reading.read(
        message,
        channel=came.channel,
        received_at=came.received_at.astimezone(ZoneInfo(rules.timezone)),
        sender_unit=unit,
        gazetteer=rules.gazetteer,
        words=rules.words,
    )
    return report, catalogue.classify(rules.catalogue, report, subject=message.subject)


def says_nothing(report: Report, found: Classification) -> bool:
    """Whether a text tells of no incident: no item, no doubt, no figure that is known."""
    if found.items or found.review or report.drill or report.correction or report.withdrawal:
        return False
    return all((figure := getattr(report, name)) is None or figure.value is None for name in FIGURES)


def _with_attachments(message: Message, alone: int | None = BODY_ALONE) -> Message:
    """Where the body only points to its attachments, their text is read as the report; beside a body that tells something
    itself (``alone`` characters or more; None: whatever its length) they are named for a person to compare."""
    # The text of a fax is that of its pages: it is judged already.
    texts = [(a.name, a.text) for a in message.attachments if a.text and a.text.strip() and a.text not in message.text]
    if not texts:
        return message
    if alone is not None and len(render.canonical(message.text)) >= alone:
        return msgspec.structs.replace(message, flags=(*message.flags, "attachment_beside"))
    joined = "\n".join([message.text.rstrip(), *(f"【{name}】\n{text}" for name, text in texts)]).lstrip("\n")
    return msgspec.structs.replace(message, text=joined, page_ends=())

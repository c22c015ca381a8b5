"""The wire between the daemon and a plugin's own process: frames of four octets of length and one msgpack value.

Either side calls the other with a ``Call``, answered by a ``Done`` of the same id; a ``Note`` asks for no answer. Instants
travel as ISO 8601, so that a local time stays local. Everything that arrives is checked against its type.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from gateway.core.calendar import Moment
from gateway.core.directory import Directory
from gateway.core.model import Classification, Destination, Doubt, Incident, Match, Message, Report
from gateway.core.outcomes import Delivered, Outcome, Refused, TryLater
from gateway.workers import FRAME

T = TypeVar("T")

SMALL = 1024 * 1024
"""Largest answer and note, in bytes; only a call may carry a whole message."""
OVERHEAD = 1024 * 1024
LINE = 300
"""Characters kept of any remark that a plugin makes."""


class WireFault(Exception):
    """What came over the wire is no frame of this protocol. The text says why, without a word of it."""


class Call(Struct, frozen=True, tag="call"):
    """``do`` something with the object ``name``."""

    id: int
    do: str
    name: str = ""
    data: bytes = b""


class Done(Struct, frozen=True, tag="done"):
    """The answer to a call; ``failed`` is the kind of the exception where there was one."""

    id: int
    data: bytes = b""
    failed: str = ""
    why: str = ""


class Note(Struct, frozen=True, tag="note"):
    """A remark of the plugin's process: ``alarm``, ``raised`` or ``forked``."""

    what: str
    why: str = ""


class Load(Struct, frozen=True):
    """The plugin to load: an entry point's ``value``, with its ``path`` on the import path, or a ``file`` of plugins.d in its
    ``version``."""

    plugin: str
    source: str
    value: str = ""
    file: str = ""
    path: str = ""
    version: str = ""
    lang: str = "zh"
    memory_mb: int = 512


class FieldAbout(Struct, frozen=True):
    """One key of a settings class; ``inner`` are the keys of the table that it holds."""

    name: str
    description: str = ""
    required: bool = False
    default: Any = None
    inner: tuple[FieldAbout, ...] = ()


BESIDES = ("probe", "listens", "refresh")
"""What a channel or transport may have besides: see ``Probed``, ``Listening`` and ``Refreshed`` in ``gateway.api``."""


class About(Struct, frozen=True):
    """A class that a plugin provides, without the class: all that the rest of the house asks of it. ``besides`` are the
    members that it need not have (``BESIDES``)."""

    hook: str
    kind: str
    name: str
    module: str
    file: str = ""
    channel: str = ""
    reads_in: str = ""
    carrier: bool = False
    receipted: bool = False
    besides: tuple[str, ...] = ()
    settings: tuple[FieldAbout, ...] = ()


class Told(Struct, frozen=True):
    """What a loaded plugin is: its classes, and its faults as (file, line, key, text)."""

    hooks: tuple[str, ...] = ()
    classes: tuple[About, ...] = ()
    faults: tuple[tuple[str, int, str, str], ...] = ()


class Table(Struct, frozen=True):
    """A table of conf/ to be validated by its class: JSON, and the names that exist."""

    hook: str
    kind: str
    data: bytes
    context: dict[str, dict[str, str]] | None = None


class Checked(Struct, frozen=True):
    """The settings as JSON with the secrets they name, or what is wrong with them, as pydantic tells it."""

    settings: bytes = b""
    secrets: tuple[str, ...] = ()
    errors: tuple[dict[str, Any], ...] = ()


class Said(Struct, frozen=True):
    """What ``probe`` (``why``) or ``listens`` (``doors``) answered."""

    why: str | None = None
    doors: tuple[tuple[str, int], ...] = ()


class Make(Struct, frozen=True):
    """An object to be made. ``secrets`` are values by name."""

    hook: str
    kind: str
    name: str
    settings: bytes
    zone: str = "UTC"
    max_bytes: int = 0
    secrets: dict[str, str] = {}


class Made(Struct, frozen=True):
    """The object stands; ``receipts_from`` is the channel of a transport's receipts."""

    receipts_from: str = ""


class Accepted(Struct, frozen=True):
    """What intake answered."""

    id: str
    duplicate_of: str | None = None


class Submit(Struct, frozen=True):
    """One SMS part for a carrier: the arguments of ``SmsCarrier.submit``."""

    carrier: str
    to: str
    part: bytes
    encoding: str
    udh: bytes
    receipt: bool


class Route(Struct, frozen=True):
    """The arguments of a router; the directory is told once, by ``directory``."""

    incident: Incident
    moment: Moment
    directory: Directory | None = None


class Look(Struct, frozen=True):
    """The arguments of a reader (``message``) or a classifier (``found``)."""

    report: Report
    message: Message | None = None
    found: Classification | None = None


class Opinions(Struct, frozen=True):
    """What routers, readers and classifiers may answer."""

    destinations: tuple[Destination, ...] = ()
    matches: tuple[Match, ...] = ()
    doubts: tuple[Doubt, ...] = ()


class Answered(Struct, frozen=True):
    """An outcome: exactly one of the three."""

    delivered: Delivered | None = None
    later: TryLater | None = None
    refused: Refused | None = None

    @classmethod
    def of(cls, outcome: Any) -> Answered:
        """Raises ``WireFault`` for what is no outcome."""
        match outcome:
            case Delivered():
                return cls(delivered=outcome)
            case TryLater():
                return cls(later=outcome)
            case Refused():
                return cls(refused=outcome)
        raise WireFault(f"{type(outcome).__name__} is no outcome")

    def outcome(self) -> Outcome:
        """Raises ``WireFault`` where it is none or several."""
        given = [one for one in (self.delivered, self.later, self.refused) if one is not None]
        if len(given) != 1:
            raise WireFault("not exactly one outcome")
        return given[0]


Frame = Call | Done | Note
_frames = msgspec.msgpack.Decoder(Frame)
_encode = msgspec.msgpack.Encoder().encode


def pack(value: Any) -> bytes:
    """A value as it travels."""
    return _encode(msgspec.to_builtins(value, builtin_types=(bytes,)))


def unpack(data: bytes, kind: type[T]) -> T:
    """A value that arrived. Raises ``WireFault``."""
    try:
        return msgspec.msgpack.decode(data, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireFault(f"no {kind.__name__}") from error


def framed(frame: Frame) -> bytes:
    """A frame with its length before it."""
    data = _encode(frame)
    return FRAME.pack(len(data)) + data


async def read_frame(stream: asyncio.StreamReader, largest: int) -> Frame:
    """The next frame. Raises ``WireFault``, or ``IncompleteReadError`` at the end of the stream."""
    (size,) = FRAME.unpack(await stream.readexactly(FRAME.size))
    if size > largest:
        raise WireFault(f"a frame of {size} bytes, the limit is {largest}")
    data = await stream.readexactly(size)
    try:
        frame: Frame = _frames.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise WireFault("a frame that is none") from None
    if size > SMALL and not isinstance(frame, Call):
        raise WireFault(f"an answer of {size} bytes, the limit is {SMALL}")
    return frame

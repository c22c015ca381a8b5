"""The form of an audit line, and how lines are chained.

A line is canonical JSON in UTF-8 (sorted keys, no spaces, nothing escaped that need not be), with ``prev`` and ``hash``
last, 64 hex digits each, so that a verifier cuts bytes instead of parsing. ``hash`` is over the line's bytes before
``,"hash":``; ``prev`` is the hash of the line before, zeros for the first.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

import msgspec

from gateway.store.journal import Entry

Algorithm = Literal["sha256", "sm3"]
ALGORITHMS: tuple[Algorithm, ...] = ("sha256", "sm3")
GENESIS = "0" * 64
END = len(',"hash":""}\n') + 64
"""Bytes of a line from ``,"hash":`` to its end, line end included."""

_TAIL = re.compile(rb',"seq":([1-9][0-9]{0,17}),"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"}\n\Z')
_encode = msgspec.json.Encoder(order="sorted").encode


def body(entry: Entry, seq: int, prev: str) -> bytes:
    """The bytes of an event's line that are hashed."""
    event = entry.event
    shown: dict[str, Any] = {"at": event.at.isoformat(timespec="microseconds"), "event": event.event, "seq": seq}
    for name in ("incident", "message", "delivery", "by"):
        value = getattr(event, name)
        if value is not None:
            shown[name] = value
    if entry.public:
        shown["data"] = entry.public
    return _encode(shown)[:-1] + f',"prev":"{prev}"'.encode()


def digest(hashed: bytes, algorithm: Algorithm) -> str:
    """The hash of a line's bytes, in hex."""
    return hashlib.new(algorithm, hashed).hexdigest()


def line(hashed: bytes, hash_: str) -> bytes:
    """The whole line."""
    return hashed + f',"hash":"{hash_}"}}\n'.encode()


class Tail(msgspec.Struct, frozen=True):
    """The end of a line: its place, the hash before and its own."""

    seq: int
    prev: str
    hash: str


def tail(text: bytes) -> Tail | None:
    """The end of a line; None where it has not the form of an audit line."""
    found = _TAIL.search(text[-220:])
    if found is None:
        return None
    return Tail(int(found[1]), found[2].decode(), found[3].decode())

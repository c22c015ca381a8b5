"""A captured message: one real ``RawMessage`` as a file, to be read again by a plugin under work.

The file is JSON: the fields of ``RawMessage``, ``body`` in base64, with ``format`` and ``version`` before them. It holds a
report, so it is written for its owner alone and never over another file. ``gateway message ID --capture FILE`` makes one.
"""

from __future__ import annotations

import base64
import os
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from gateway.api import Malformed, Message, Part, RawMessage
from gateway.i18n import _

FORMAT, VERSION = "gateway-capture", 1


class Capture(msgspec.Struct, frozen=True, kw_only=True):
    """What the file holds. msgspec writes ``body`` as base64."""

    format: str = FORMAT
    version: int = VERSION
    channel: str
    via: str
    received_at: datetime
    sender: str
    body: bytes
    content_type: str
    recipient: str = ""
    carrier_id: str | None = None
    part: Part | None = None
    meta: dict[str, str] = {}


def write(path: Path, raw: RawMessage) -> None:
    """Write ``raw`` to a new file that only its owner may read. Raises ``FileExistsError`` and other ``OSError``s."""
    capture = Capture(**{name: getattr(raw, name) for name in raw.__struct_fields__})
    data = msgspec.json.format(msgspec.json.encode(capture), indent=1)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as file:
        file.write(data + b"\n")


def of(shown: dict[str, Any]) -> RawMessage:
    """The message that the operation ``open`` shows."""
    return RawMessage(
        channel=shown["channel"],
        via=shown["via"],
        received_at=datetime.fromisoformat(shown["received_at"]),
        sender=shown["sender"],
        recipient=shown["recipient"],
        carrier_id=shown["carrier_id"],
        content_type=shown["content_type"],
        body=base64.b64decode(shown["raw"]),
        meta=shown["meta"],
    )


def load(path: Path) -> RawMessage:
    """The message of a captured file. Raises ``Malformed`` with where and what; ``OSError``."""
    try:
        capture = msgspec.json.decode(path.read_bytes(), type=Capture)
        if capture.format != FORMAT or capture.version != VERSION:
            text = _("is {format} version {version}; allowed: {allowed} version {have}")
            told = text.format(format=capture.format[:40], version=capture.version, allowed=FORMAT, have=VERSION)
            raise Malformed(f"{path}: {told}")
        if capture.received_at.tzinfo is None:
            raise Malformed(f"{path}: received_at: {_('has no offset')}")
        given: dict[str, Any] = msgspec.structs.asdict(capture)
        del given["format"], given["version"]
        # RawMessage is made by convert, so that a channel that is none of ours is told like a wrong type.
        return msgspec.convert(given, RawMessage)
    except msgspec.ValidationError as error:
        raise Malformed(f"{path}: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"{path}: {_('is no captured message')} ({type(error).__name__})") from None


def replay(cls: type[Any], settings: Any, raw: RawMessage | Path) -> Message:
    """Let a channel class read a captured message once more, as the desk does: nothing is written anywhere.

    Raises ``Malformed`` where the channel cannot read it, AssertionError where it breaks a rule of ``read``.
    """
    from gateway.testing.channels import check_read

    return check_read(cls, settings, load(raw) if isinstance(raw, Path) else raw)

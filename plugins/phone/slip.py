"""The clerk's telephone log form (电话记录单): what a clerk noted of a call. Pure.

JSON: ``{"form": "phone-log", "call_id", "caller", "text", "clerk", "unit", "name", "called", "started_at", "remark"}``; needed
are ``caller`` (the number), ``text`` (what was said) and ``clerk``. By HTTP ``call_id`` is needed as well.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from gateway.api import Malformed, Message

TYPE = "application/vnd.jibao.phone-log+json"
LONGEST = 20_000
NEEDED = ("caller", "text", "clerk")


class Slip(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A form that is filled in. ``unit`` and ``name`` are who called (来电单位, 来电人), ``remark`` what the clerk proposes
    (拟办意见): it is kept and shown, never judged as a report."""

    form: str = "phone-log"
    call_id: str = ""
    caller: str
    text: str
    clerk: str
    unit: str = ""
    name: str = ""
    called: str = ""
    started_at: datetime | None = None
    remark: str = ""


_decoder = msgspec.json.Decoder(Slip)


def read(body: bytes) -> Slip:
    """The form. Raises ``Malformed`` with where and what; it never quotes a value."""
    try:
        slip = _decoder.decode(body)
    except msgspec.ValidationError as error:
        what, mark, where = str(error).rpartition(" - at ")
        raise Malformed(f"{where.strip('`')}: {what}" if mark else f"$: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Malformed("body: not JSON") from None
    for name in NEEDED:
        if not getattr(slip, name).strip():
            raise Malformed(f"$.{name}: is empty")
    if len(slip.text) > LONGEST:
        raise Malformed(f"$.text: has {len(slip.text)} characters, allowed are {LONGEST}")
    if slip.started_at is not None and slip.started_at.tzinfo is None:
        raise Malformed("$.started_at: has no offset; allowed: 2026-11-23T09:21:00+08:00")
    return slip


def message(slip: Slip) -> Message:
    """What was said, then who called, as a signature that the reader knows. What the clerk proposes is beside it, as quoted
    text."""
    text = _line(slip.text)
    who = [f"报告单位：{_line(slip.unit)}"] * bool(slip.unit.strip()) + [f"报告人：{_line(slip.name)}"] * bool(slip.name.strip())
    signed = "，".join([*who, f"电话：{slip.caller.strip()}"] if who else [])
    noted = [f"拟办意见：{_line(slip.remark)}"] * bool(slip.remark.strip()) + [f"记录人：{_line(slip.clerk)}"]
    return Message(
        text=f"{text}\n{signed}" if signed else text, quoted="\n".join(noted), sent_at=slip.started_at, sender=slip.caller.strip()
    )


def _line(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "").strip()

"""Transcripts as they arrive: JSON with speakers or of a recogniser, WebVTT (and SRT), plain text, the telephone log form. Pure.

Sources: the JSON form in docs/channels/phone_transcript.md; WebVTT, W3C Candidate Recommendation 4 April 2019 (voice spans).
"""

from __future__ import annotations

import io
import json
import re
from datetime import datetime
from typing import Any, Literal

import msgspec
import webvtt
from msgspec import Struct

from gateway.api import Attachment, Malformed, Message
from gateway_plugins.mailtext.charset import decode
from gateway_plugins.phone import recognisers, slip

MOST_ELEMENTS = 100_000
JSON, VTT, SRT, PLAIN = "application/json", "text/vtt", "application/x-subrip", "text/plain"
NO_SPEECH = "no speech in the transcript"
NOT_TRANSCRIBED = "recording not transcribed: 1"
_VOICE = re.compile(r"<v(?:\.[^\s>]*)?[ \t]+([^>]{1,200})>")
_SPAN = re.compile(r"</?[a-zA-Z0-9.:][^>]{0,200}>|</?[a-zA-Z]>")
_CUE_TIME = re.compile(r"\d\d:\d\d[.,:]\d+[\d.,:]*\s+-->\s+\d")


class Segment(Struct, frozen=True):
    """What one person said without a break. ``start`` and ``end`` in seconds or as hh:mm:ss; not used to decide anything."""

    text: str
    speaker: str = ""
    start: float | str | None = None
    end: float | str | None = None


class Transcript(Struct, frozen=True):
    """The JSON form. ``call_id`` is the carrier's id of the call: the same call sent again is the same message."""

    call_id: str
    caller: str
    segments: list[Segment]
    called: str = ""
    started_at: datetime | None = None


_decoder = msgspec.json.Decoder(Transcript)


def transcript(body: bytes) -> Transcript:
    """The JSON form read. Raises ``Malformed`` with where and what."""
    try:
        found = _decoder.decode(body)
    except msgspec.ValidationError as error:
        raise Malformed(_placed(str(error))) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Malformed(f"body: not JSON ({_offset(str(error))})") from None
    except RecursionError:
        raise Malformed("body: nested too deeply") from None
    for name, value in (("call_id", found.call_id), ("caller", found.caller)):
        if not value.strip():
            raise Malformed(f"$.{name}: is empty")
    return found


def sort_of(body: bytes) -> Literal["transcript", "slip", "recogniser"]:
    """Which of the JSON forms this is: our own transcript, the telephone log form, or what a recogniser wrote."""
    try:
        value: Any = json.loads(body)
    except (ValueError, RecursionError):
        return "transcript"  # which says what is wrong with it
    if isinstance(value, dict) and value.get("form") == "phone-log":
        return "slip"
    return "recogniser" if recognisers.known(value) else "transcript"


def few(body: bytes) -> None:
    """Raises ``Malformed`` for JSON of more elements than any call has: each costs far more memory and time than its octets."""
    if body.count(b",") >= MOST_ELEMENTS:
        raise Malformed(f"$: has more than {MOST_ELEMENTS} elements")


def check(body: bytes, content_type: str) -> None:
    """Whether ``body`` can be read. Raises ``Malformed`` with where and what; called before a receipt is given."""
    if not body.strip():
        raise Malformed("body: is empty")
    if content_type == JSON:
        few(body)
        sort = sort_of(body)
        if sort == "slip":
            slip.read(body)
        elif sort == "recogniser":
            recognisers.turns(json.loads(body))
        else:
            transcript(body)
    elif content_type in (VTT, SRT):
        captions(body, content_type)


def read(body: bytes, content_type: str) -> Message:
    """The transcript as a message, a line ``speaker：text`` for each turn. Raises ``Malformed``."""
    if content_type == JSON:
        sort = sort_of(body)
        if sort == "slip":
            return slip.message(slip.read(body))
        if sort == "recogniser":
            return _message([_line(speaker, text) for speaker, text in recognisers.turns(json.loads(body))])
        found = transcript(body)
        lines = [_line(segment.speaker, segment.text) for segment in found.segments]
        return _message(lines, sent_at=found.started_at)
    if content_type.startswith("audio/"):
        recording = Attachment(name="", content_type=content_type, data=body)
        return Message(text="", attachments=(recording,), unread=NOT_TRANSCRIBED)
    if content_type in (VTT, SRT):
        return _message([_line(speaker, text) for speaker, text in captions(body, content_type)])
    done = decode(body, None)
    if _binary(done.text):
        raise Malformed("body: is not text")
    text = done.text.replace("\r\n", "\n").replace("\r", "\n").strip()
    flags = ("charset_repaired",) if done.repaired and not _utf8(body) else ()
    return Message(text=text, flags=flags, unread=None if text else NO_SPEECH)


def captions(body: bytes, content_type: str) -> list[tuple[str, str]]:
    """Speaker and text of each caption. Raises ``Malformed``."""
    source = decode(body, None).text.replace("\r\n", "\n").replace("\r", "\n").lstrip("\ufeff")
    if content_type == VTT and re.match(r"WEBVTT(?:[ \t\n]|$)", source) is None:
        raise Malformed("line 1: does not begin with WEBVTT")
    try:
        kind = "vtt" if content_type == VTT else "srt"
        found = webvtt.from_buffer(io.StringIO(source), format=kind).captions
    except (webvtt.errors.MalformedFileError, webvtt.errors.MalformedCaptionError, ValueError, IndexError) as error:
        raise Malformed(f"captions: cannot be read ({type(error).__name__})") from None
    times = len(_CUE_TIME.findall(source))
    if times > len(found):
        raise Malformed(f"captions: {times} times are given but {len(found)} captions can be read")
    turns: list[tuple[str, str]] = []
    for caption in found:
        turns.extend(_voices(caption.raw_text))
    return turns


def _voices(text: str) -> list[tuple[str, str]]:
    """The voice spans of one caption; a caption without any has no speaker."""
    marks = list(_VOICE.finditer(text))
    if not marks:
        return [("", _SPAN.sub("", text))]
    turns = [("", _SPAN.sub("", text[: marks[0].start()]))]
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        turns.append((mark[1].strip(), _SPAN.sub("", text[mark.end() : following.start() if following else len(text)])))
    return [turn for turn in turns if turn[1].strip()]


def _line(speaker: str, text: str) -> str:
    words = re.sub(r"\s*\n\s*", " ", text).strip().replace("\0", "")
    who = re.sub(r"\s+", " ", speaker).strip().replace("\0", "")
    return f"{who}：{words}" if who and words else words


def _message(lines: list[str], *, sent_at: datetime | None = None) -> Message:
    text = "\n".join(line for line in lines if line)
    aware = sent_at if sent_at is not None and sent_at.tzinfo is not None else None
    return Message(text=text, sent_at=aware, unread=None if text else NO_SPEECH)


def _placed(error: str) -> str:
    """msgspec's ``what - at `$.where``` the other way round; it never quotes a value."""
    what, mark, where = error.rpartition(" - at ")
    return f"{where.strip('`')}: {what}" if mark else f"$: {error}"


def _offset(error: str) -> str:
    found = re.search(r"byte \d+", error)
    return found[0] if found else "cut short"


def _utf8(body: bytes) -> bool:
    try:
        body.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _binary(text: str) -> bool:
    sample = text[:4000]
    odd = sum(1 for c in sample if (c < " " and c not in "\t\n\r\x0b\x0c") or c in "�\x7f")
    return odd > max(8, len(sample) // 10)

"""What stands in the folders: a received message, a status report, a message to send. Pure: bytes and names in, values out.

smstools 3: the manual's page "SMS file format": headers, an empty line, the text. gammu-smsd 1.42, backend FILES: ``IN…`` files
whose name holds sender and place, in the form that ``inboxformat`` asks for (detail, unicode, standard); ``OUT…`` files to send.
"""

from __future__ import annotations

import re
from typing import Literal

import msgspec
from msgspec import Struct

from gateway.api import Malformed, Message, _
from gateway_plugins.smpp import inbound, text
from gateway_plugins.smsspool import guess

PART_TYPE = "application/vnd.sms-spool.part+json"
Form = Literal["smstools", "gammu"]

_NAME = re.compile(r"^IN(\d{8}_\d{6}_\d{2})_(.*)_(\d{2})\.[a-z]+$", re.IGNORECASE)
_HEX = re.compile(r"[^0-9A-Fa-f]")
_BINARY = ("binary", "8bit")


class StoredPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stored form of one part, as it stood in its file: ``content`` and the user data header ``udh`` in hexadecimal, and what
    the daemon calls its character set."""

    content: str
    label: str = ""
    udh: str = ""


class Found(Struct, frozen=True, kw_only=True):
    """One part in a file: who sent it, its stored form, and where it stands, if it says so."""

    sender: str
    part: StoredPart
    place: text.Concat | None = None


class Report(Struct, frozen=True, kw_only=True):
    """A status report of smstools; ``status`` is TP-Status (3GPP TS 23.040 section 9.2.3.15)."""

    ref: str
    status: int


def headers(body: bytes) -> tuple[dict[str, str], bytes]:
    """The headers of a smstools file, names in small letters, and what follows them."""
    head, _found, content = body.partition(b"\n\n")
    lines = head.decode("latin-1").splitlines()
    return {key.strip().lower(): value.strip() for key, _colon, value in (line.partition(":") for line in lines)}, content


def smstools(body: bytes) -> list[Found]:
    """The part in a file of smstools's incoming folder. Raises ``Malformed`` where it is none."""
    told, content = headers(body)
    if "from" not in told:
        raise Malformed("the file has no header From")
    sender = told["from"]
    if told.get("from_toa", "").startswith("91") and sender[:1].isdigit():
        sender = f"+{sender}"
    udh = bytes.fromhex(even(told.get("udh-data", "")))
    part = StoredPart(content=content.hex(), label=told.get("alphabet", ""), udh=udh.hex())
    return [Found(sender=sender, part=part, place=text.split_header(udh)[0])]


def report(body: bytes) -> Report | None:
    """The status report in a file of smstools's report folder; None where it is none. Raises ``Malformed``."""
    told, content = headers(body)
    words = content.decode("latin-1")
    number, status = re.search(r"^Message_id: *(\d+)", words, re.MULTILINE), re.search(r"^Status: *(\d+)", words, re.MULTILINE)
    if not words.startswith("SMS STATUS REPORT"):
        return None
    if number is None or status is None:
        raise Malformed("the status report has no Message_id or no Status")
    return Report(ref=reference(told.get("from", ""), number[1]), status=int(status[1]))


def reference(number: str, message_id: str) -> str:
    """What a modem's report is matched by: the number and the reference of the radio, which is used again after 255 messages."""
    return f"{number.lstrip('+s')}/{message_id}"


def gammu(name: str, body: bytes) -> list[Found]:
    """The parts in a file of gammu-smsd's inbox; with ``detail`` one file holds all that came. Raises ``Malformed``."""
    if b"[SMSBackup" in body[:4096]:
        return [_section(section) for section in body.split(b"[SMSBackup")[1:]]
    found = _NAME.match(name)
    if found is None:
        raise Malformed("the file's name is not one that gammu-smsd gives")
    label = "binary" if name.lower().endswith(".bin") else ""
    return [Found(sender=found[2], part=StoredPart(content=body.hex(), label=label))]


def companions(name: str) -> str | None:
    """What the names of all parts of one message begin with, where gammu-smsd writes a file for each; None for other names."""
    found = _NAME.match(name)
    return None if found is None else f"IN{found[1]}_{found[2]}_"


def sequence(name: str) -> int:
    """Which part a file of gammu-smsd is, from 0."""
    found = _NAME.match(name)
    return 0 if found is None else int(found[3])


def _section(section: bytes) -> Found:
    values: dict[str, str] = {}
    for line in section.decode("latin-1").splitlines():
        key, equals, value = line.partition("=")
        if equals and not line.startswith(";"):
            values[key.strip().lower()] = value.strip().strip('"')
    binary = "8bit" in values.get("coding", "").lower()
    numbered = sorted(key for key in values if re.fullmatch(r"text\d\d", key))
    content = bytes.fromhex(even("".join(values[key] for key in numbered)))
    udh = bytes.fromhex(even(values.get("udh", "")))
    label = "binary" if binary else "ucs2"
    part = StoredPart(content=content.hex(), label=label, udh=udh.hex())
    return Found(sender=values.get("number", ""), part=part, place=text.split_header(udh)[0])


def even(digits: str) -> str:
    """Hexadecimal digits alone, an even number of them."""
    kept = _HEX.sub("", digits)
    return kept[: len(kept) - len(kept) % 2]


def read(body: bytes) -> Message:
    """The text of a stored message: one part, or the list of all. Raises ``Malformed``."""
    pieces: list[str] = []
    repaired = binary = empty = False
    slots = _in_order([None if one is None else _stored(one) for one in inbound.bodies(body)])
    for number, part in enumerate(slots, 1):
        if part is None:
            pieces.append(text.missing_mark(number, len(slots)))
            continue
        content = bytes.fromhex(part.content)
        if part.label.lower() in _BINARY:
            binary |= bool(content)
            continue
        words, mended = guess.decode(content, part.label)
        empty |= not words
        repaired |= mended
        pieces.append(words)
    flags = (("partial", None in slots), ("charset_repaired", repaired))
    unread = _("part of the message is binary, not text") if binary else None
    if empty:
        unread = unread or _("the modem's daemon handed over a message without its text")
    return Message(text="".join(pieces), unread=unread, flags=tuple(flag for flag, there in flags if there))


def _stored(body: bytes) -> StoredPart:
    try:
        part = msgspec.json.decode(body, type=StoredPart)
        bytes.fromhex(part.content), bytes.fromhex(part.udh)
    except (msgspec.DecodeError, ValueError):
        raise Malformed("the stored part is not one of a spool") from None
    return part


def _in_order(parts: list[StoredPart | None]) -> list[StoredPart | None]:
    """Parts as their headers number them; as they are given where they have none."""
    places = [None if part is None else text.split_header(bytes.fromhex(part.udh))[0] for part in parts]
    told = [place for place in places if place is not None]
    if not told or len(told) < sum(part is not None for part in parts):
        return parts
    slots: list[StoredPart | None] = [None] * max(place.total for place in told)
    for part, place in zip(parts, places, strict=True):
        if place is not None and slots[place.number - 1] is None:
            slots[place.number - 1] = part
    return slots


def outgoing(form: Form, to: str, words: str, *, receipt: bool) -> bytes:
    """The file that tells the daemon to send ``words``, in UCS2; it cuts a long text itself."""
    if form == "gammu":
        return b"\xff\xfe" + words.encode("utf-16-le", "replace")
    number = to[1:] if to.startswith("+") else f"s{to}"
    head = f"To: {number}\nAlphabet: UCS\nReport: {'yes' if receipt else 'no'}\n\n"
    return head.encode("ascii") + words.encode("utf-16-be", "replace")


def outgoing_name(form: Form, to: str, key: str, *, receipt: bool) -> str:
    """The file's name, the same at every attempt of the same delivery. gammu-smsd asks for a priority, a date and a time in
    it, and sends in the order of names: the date stands still, the key decides."""
    safe = re.sub(r"[^A-Za-z0-9-]", "-", key)[:80]
    return f"OUTA20000101_000000_00_{to}_{safe}.txt{'d' if receipt else ''}" if form == "gammu" else f"gw-{safe}"

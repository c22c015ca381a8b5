"""Header fields of a mail: unfolding, encoded words, parameters, ids. Linear in the size of what is given.

Sources: RFC 5322 (fields), RFC 2047 (encoded words), RFC 2045 section 5.1 and RFC 2231 (parameters). What Chinese clients
send beside the standards is taken too: raw 8-bit octets, characters cut between two encoded words, encoded words in quotes.
"""

from __future__ import annotations

import base64
import binascii
import re
from datetime import datetime
from email.utils import parsedate_to_datetime
from urllib.parse import unquote_to_bytes

from msgspec import Struct

from gateway_plugins.mailtext.charset import Decoded, decode
from gateway_plugins.mailtext.limits import Limits

_FIELD = re.compile(rb"([!-9;-~]{1,200})[ \t]*:")
_WORD = re.compile(r"=\?([^?\s]{1,60})\?([bBqQ])\?([^?]*)\?=")
_MESSAGE_ID = re.compile(r"<[^<>\s]{1,990}>")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]+")
_NAME_PART = re.compile(r"([^*]+)(?:\*(\d{1,3}))?(\*)?$")
NAME_CHARS = 200


class Headers(Struct, frozen=True):
    """The fields of one part, names in lower case, values as octets. ``cut``: there were more than the limits allow."""

    fields: dict[str, list[bytes]]
    cut: bool = False

    def raw(self, name: str) -> bytes:
        """The first value of a field, or nothing."""
        return self.fields.get(name, [b""])[0]

    def word(self, name: str) -> str:
        """The first value in lower case, for fields that hold a keyword."""
        return self.raw(name).decode("latin-1").strip().lower()

    def has(self, name: str) -> bool:
        return name in self.fields


def parse(block: bytes, limits: Limits) -> Headers:
    """The fields of a header block whose lines end in LF. Lines that are no field are passed over."""
    cut = len(block) > limits.header_bytes
    lines = block[: limits.header_bytes].split(b"\n", limits.header_lines)
    if len(lines) > limits.header_lines:
        lines, cut = lines[:-1], True
    unfolded: dict[str, list[list[bytes]]] = {}
    pieces: list[bytes] = []
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            pieces.append(line)
            continue
        found = _FIELD.match(line)
        pieces = [line[found.end() :]] if found else []
        if found:
            unfolded.setdefault(found[1].decode("ascii").lower(), []).append(pieces)
    most = limits.header_value_bytes
    fields = {name: [b"".join(value).strip() for value in values] for name, values in unfolded.items()}
    cut = cut or any(len(value) > most for values in fields.values() for value in values)
    return Headers({name: [value[:most] for value in values] for name, values in fields.items()}, cut)


def is_field(line: bytes) -> bool:
    """Whether a line begins a header field."""
    return _FIELD.match(line) is not None


def text(value: bytes) -> Decoded:
    """An unstructured field as text: raw octets repaired, encoded words decoded, control characters out."""
    plain = decode(value, None)
    repaired = plain.repaired and not value.isascii()
    pieces: list[str] = []
    pending: list[tuple[str, bytes]] = []
    at = 0

    def flush() -> bool:
        bad = False
        for label, octets in _joined(pending):
            done = decode(octets, label)
            pieces.append(done.text)
            bad = bad or done.repaired
        pending.clear()
        return bad

    for found in _WORD.finditer(plain.text):
        between = plain.text[at : found.start()]
        if between.strip() or not pending:
            repaired = flush() or repaired
            pieces.append(between)
        pending.append((found[1].partition("*")[0].lower(), _word_octets(found[2], found[3])))
        at = found.end()
    repaired = flush() or repaired
    pieces.append(plain.text[at:])
    return Decoded(_CONTROL.sub(" ", "".join(pieces)).strip(), repaired)


def _joined(words: list[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Neighbouring words of one charset together: clients cut characters between them."""
    joined: list[tuple[str, list[bytes]]] = []
    for label, octets in words:
        if joined and joined[-1][0] == label:
            joined[-1][1].append(octets)
        else:
            joined.append((label, [octets]))
    return [(label, b"".join(octets)) for label, octets in joined]


def _word_octets(encoding: str, content: str) -> bytes:
    octets = content.encode("utf-8")
    if encoding in "qQ":
        return binascii.a2b_qp(octets.replace(b"_", b" "), header=False)
    return unbase64(octets)


def unbase64(octets: bytes) -> bytes:
    """Base64 as leniently as it is sent: foreign octets ignored, padding missing or in the middle."""
    out: list[bytes] = []
    for run in re.split(rb"=+", re.sub(rb"[^A-Za-z0-9+/=]+", b"", octets)):
        whole = run[: len(run) - (len(run) % 4 == 1)]
        if whole:
            out.append(base64.b64decode(whole + b"=" * (-len(whole) % 4)))
    return b"".join(out)


def parameters(value: bytes) -> tuple[str, dict[str, bytes]]:
    """A structured field such as Content-Type: its first word in lower case, and its parameters with quoting undone."""
    head, _, rest = value.partition(b";")
    found: dict[str, bytes] = {}
    at = 0
    while at < len(rest):
        at, name, content = _parameter(rest, at)
        if name and name not in found and len(found) < 100:
            found[name] = content
    return head.decode("latin-1").strip().strip('"').lower(), found


def _parameter(rest: bytes, at: int) -> tuple[int, str, bytes]:
    """The parameter that begins at ``at``; returns where the next one begins. ``;`` within quotes does not end it."""
    equals, end = rest.find(b"=", at), rest.find(b";", at)
    end = len(rest) if end < 0 else end
    if equals < 0 or equals > end:
        return end + 1, "", b""
    name = rest[at:equals].strip().decode("latin-1").lower()
    start = equals + 1
    while start < len(rest) and rest[start : start + 1] in (b" ", b"\t"):
        start += 1
    if rest[start : start + 1] != b'"':
        return end + 1, name, rest[start:end].strip()
    quoted = re.compile(rb'"((?:[^"\\]|\\.)*)"?', re.S).match(rest, start)
    assert quoted is not None
    after = rest.find(b";", quoted.end())
    return (len(rest) if after < 0 else after + 1), name, re.sub(rb"\\(.)", rb"\1", quoted[1], flags=re.S)


def parameter_text(found: dict[str, bytes], name: str) -> Decoded | None:
    """A parameter as text: RFC 2231 pieces joined, encoded words and raw 8-bit octets as well."""
    pieces: list[tuple[int, bool, bytes]] = []
    for key, content in found.items():
        part = _NAME_PART.match(key)
        if part is not None and part[1] == name:
            pieces.append((int(part[2] or 0), bool(part[3]), content))
    if not pieces:
        return None
    pieces.sort(key=lambda piece: piece[0])
    if not any(extended for _, extended, _ in pieces):
        return text(b"".join(content for _, _, content in pieces))
    label: str | None = None
    octets: list[bytes] = []
    for index, (_, extended, content) in enumerate(pieces):
        if index == 0 and extended and content.count(b"'") >= 2:
            charset, _, content = content.split(b"'", 2)  # noqa: PLW2901
            label = charset.decode("latin-1")
        octets.append(unquote_to_bytes(content) if extended else content)
    return decode(b"".join(octets), label)


def file_name(disposition: dict[str, bytes], content_type: dict[str, bytes]) -> Decoded:
    """The name of an attachment without folders and control characters; empty when it has none."""
    for found, name in ((disposition, "filename"), (content_type, "name")):
        value = parameter_text(found, name)
        if value is not None and value.text.strip():
            last = re.split(r"[/\\]", _CONTROL.sub("", value.text))[-1].strip()
            return Decoded(last[-NAME_CHARS:], value.repaired)
    return Decoded("")


def message_ids(value: bytes) -> tuple[str, ...]:
    """The ids of Message-ID, In-Reply-To or References, as sent."""
    return tuple(_MESSAGE_ID.findall(decode(value, None).text))


def message_id(value: bytes) -> str | None:
    """The id of the mail: in angle brackets, or whatever stands there instead."""
    ids = message_ids(value)
    return ids[0] if ids else text(value).text[:998] or None


def date(value: bytes) -> datetime | None:
    """The instant of a Date field; None when there is none or it states no zone."""
    try:
        found = parsedate_to_datetime(value[:200].decode("ascii", "replace"))
        return found if found.tzinfo is not None and found.utcoffset() is not None else None
    except (ValueError, TypeError, IndexError, OverflowError):
        return None

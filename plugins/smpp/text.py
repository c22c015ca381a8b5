"""Short messages as text: user data headers, concatenation, character sets, splitting for sending. Pure.

Sources: 3GPP TS 23.040 section 9.2.3.24 (user data header, concatenation), TS 23.038 (character sets), SMPP 3.4
sections 5.2.19 (data_coding) and 5.3.2.22-24 (sar_*).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from gateway_plugins.smpp import gsm

Coding = Literal[
    "gsm", "ucs2", "ascii", "latin-1", "gb18030", "utf-8", "iso8859-5", "iso8859-8", "shift_jis", "euc_kr", "binary"
]  # fmt: skip

SINGLE_UNITS, PART_UNITS = 70, 67
SINGLE_SEPTETS, PART_SEPTETS = 160, 153
MOST_PARTS = 255

# data_coding of SMPP 5.2.19; 15 is what Chinese carriers use for GB 18030 (as in CMPP).
_CODINGS: dict[int, Coding] = {
    1: "ascii", 2: "binary", 3: "latin-1", 4: "binary", 5: "shift_jis", 6: "iso8859-5", 7: "iso8859-8", 8: "ucs2",
    14: "euc_kr", 15: "gb18030",
}  # fmt: skip


class Concat(Struct, frozen=True):
    """Where a part stands: ``reference`` of the whole, ``total`` parts, ``number`` from 1."""

    reference: int
    total: int
    number: int


class Fragment(Struct, frozen=True, kw_only=True):
    """The content of one part, header removed; GSM text has one septet to an octet. ``cut``: shorter than announced."""

    coding: Coding
    data: bytes
    concat: Concat | None = None
    cut: bool = False


class Joined(Struct, frozen=True, kw_only=True):
    """Text of a whole message. ``repaired``: its label or bytes were wrong; ``binary``: some content is not text."""

    text: str
    partial: bool = False
    repaired: bool = False
    binary: bool = False


class Outgoing(Struct, frozen=True, kw_only=True):
    """One part to send. ``data`` is without the header; GSM text holds one septet to an octet."""

    encoding: Literal["gsm", "ucs2"]
    data: bytes
    udh: bytes = b""


def coding_of(data_coding: int, default: Coding = "gsm") -> Coding:
    """The character set that an SMPP data_coding names. Groups over 0x0F are those of TS 23.038 section 4."""
    if data_coding == 0:
        return default
    if data_coding <= 0x0F:
        return _CODINGS.get(data_coding, default)
    return dcs_coding(data_coding)


def dcs_coding(dcs: int) -> Coding:
    """The character set of a TP-DCS (TS 23.038 section 4)."""
    if dcs < 0x80:  # general data coding, marked for deletion or not: bits 3..2
        alphabets: tuple[Coding, ...] = ("gsm", "binary", "ucs2", "gsm")
        return alphabets[(dcs >> 2) & 3]
    if 0xE0 <= dcs <= 0xEF:
        return "ucs2"
    return "binary" if dcs >= 0xF0 and dcs & 0x04 else "gsm"


def split_header(data: bytes) -> tuple[Concat | None, int]:
    """Read a user data header at the start of ``data``: its concatenation, if any, and its length in octets.

    A header longer than the data is none at all: then all of it is text. As TS 23.040 asks, a concatenation with number
    0 or above its total is ignored.
    """
    if not data or 1 + data[0] > len(data):
        return None, 0
    end = 1 + data[0]
    found: Concat | None = None
    position = 1
    while position + 2 <= end:
        element, length = data[position], data[position + 1]
        value = data[position + 2 : min(position + 2 + length, end)]
        position += 2 + length
        if element == 0x00 and len(value) == 3:
            found = concat(value[0], value[1], value[2]) or found
        elif element == 0x08 and len(value) == 4:
            found = concat(value[0] << 8 | value[1], value[2], value[3]) or found
    return found, end


def concat(reference: int, total: int, number: int) -> Concat | None:
    """A concatenation that makes sense, else None; one part of one is a whole message."""
    return Concat(reference, total, number) if total > 1 and 1 <= number <= total else None


def decode(coding: Coding, data: bytes) -> tuple[str, bool]:
    """Text of ``data``, and whether it had to be repaired. Binary content gives no text."""
    if coding == "binary":
        return "", False
    if coding == "gsm":
        # A GSM octet has no eighth bit: where there is one the label lies, and the bytes are something else.
        return _guess(data) if any(octet > 0x7F for octet in data) else (gsm.decode(data), False)
    if coding == "ucs2":
        codec = "utf-16-le" if data[:2] == b"\xff\xfe" else "utf-16-be"
        text = data.decode(codec, "replace").removeprefix("\ufeff")
        return text, "\ufffd" in text
    try:
        return data.decode(coding), False
    except UnicodeDecodeError:
        return _guess(data)


def _guess(data: bytes) -> tuple[str, bool]:
    for codec in ("utf-8", "gb18030"):
        try:
            return data.decode(codec), True
        except UnicodeDecodeError:
            continue
    return data.decode("latin-1"), True


def missing_mark(number: int, total: int) -> str:
    """What stands in the text where a part never came."""
    return f"〔缺第{number}/{total}条〕"


def join(parts: Sequence[Fragment | None]) -> Joined:
    """The text of all parts, in whatever order they are given; None stands for one that never came.

    Neighbouring parts of one character set are put together as bytes first: a surrogate pair, an escape or a two-octet
    character may be cut between them.
    """
    slots = _in_order(parts)
    text: list[str] = []
    repaired = binary = False
    position = 0
    while position < len(slots):
        part = slots[position]
        if part is None:
            text.append(missing_mark(position + 1, len(slots)))
            position += 1
            continue
        data = bytearray()
        coding = part.coding
        while part is not None and part.coding == coding:
            data += part.data
            position += 1
            part = slots[position] if position < len(slots) else None
        piece, mended = decode(coding, bytes(data))
        text.append(piece)
        repaired |= mended
        binary |= coding == "binary" and bool(data)
    return Joined(
        text="".join(text), partial=None in slots or any(slot is not None and slot.cut for slot in slots),
        repaired=repaired, binary=binary,
    )  # fmt: skip


def _in_order(parts: Sequence[Fragment | None]) -> list[Fragment | None]:
    present = [part for part in parts if part is not None]
    places = [part.concat for part in present if part.concat is not None]
    if not places or len(places) < len(present):
        return list(parts)
    announced = max(place.total for place in places)
    slots: list[Fragment | None] = [None] * max(announced, len(parts) if None in parts else 0)
    for part in present:
        assert part.concat is not None
        if slots[part.concat.number - 1] is None:
            slots[part.concat.number - 1] = part
    return slots


def split(text: str, reference: int) -> tuple[Outgoing, ...]:
    """Cut ``text`` into parts: 160 or 153 septets where all of it is in the GSM alphabet, else 70 or 67 UTF-16 units.

    No escape sequence and no surrogate pair is cut. ``reference`` (its low octet is used) ties the parts together.
    Raises ``ValueError`` where more than 255 parts would be needed.
    """
    septets = gsm.characters(text)
    if septets is not None:
        return _outgoing("gsm", _chunks(septets, SINGLE_SEPTETS, PART_SEPTETS), reference)
    units = [char.encode("utf-16-be", "replace") for char in text]
    return _outgoing("ucs2", _chunks(units, 2 * SINGLE_UNITS, 2 * PART_UNITS), reference)


def _chunks(characters: Sequence[bytes], single: int, part: int) -> list[bytes]:
    whole = b"".join(characters)
    if len(whole) <= single:
        return [whole]
    chunks = [bytearray()]
    for character in characters:
        if len(chunks[-1]) + len(character) > part:
            chunks.append(bytearray())
        chunks[-1] += character
    return [bytes(chunk) for chunk in chunks]


def _outgoing(encoding: Literal["gsm", "ucs2"], chunks: Sequence[bytes], reference: int) -> tuple[Outgoing, ...]:
    total = len(chunks)
    if total == 1:
        return (Outgoing(encoding=encoding, data=chunks[0]),)
    if total > MOST_PARTS:
        raise ValueError(f"the text needs {total} parts; {MOST_PARTS} is the most that can be numbered")
    return tuple(
        Outgoing(encoding=encoding, data=chunk, udh=bytes((5, 0, 3, reference & 0xFF, total, number)))
        for number, chunk in enumerate(chunks, 1)
    )

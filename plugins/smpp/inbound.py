"""What a deliver_sm carries: a report's part as a raw message, or a delivery receipt. Pure.

SMPP 3.4 sections 4.6 (deliver_sm), 5.2.12 (esm_class), 5.3.2 (optional parameters), appendix B (the text of receipts).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from datetime import datetime

import msgspec
from msgspec import Struct

from gateway.api import Malformed, Message, Part, RawMessage, Receipt, _
from gateway_plugins.smpp import gsm0340, text
from gateway_plugins.smpp.pdu import Pdu, Sm, Tag

SMPP_TYPE = "application/vnd.smpp.deliver-sm+json"
HEX_TYPE = "application/vnd.3gpp.sms+hex"

_UDHI = 0x40
_MESSAGE_TYPE = 0x3C
_RECEIPT = 0x04
_INTERMEDIATE = 0x20
_INTERNATIONAL = 1

_RECEIPT_ID = re.compile(r"\bid:\s*(\S+)", re.IGNORECASE)
_RECEIPT_STATE = re.compile(r"\bstat:\s*([A-Z]+)", re.IGNORECASE)
_RECEIPT_ERROR = re.compile(r"\berr:\s*(\S+)", re.IGNORECASE)
_STATES = {
    1: "ENROUTE", 2: "DELIVRD", 3: "EXPIRED", 4: "DELETED", 5: "UNDELIV", 6: "ACCEPTD", 7: "UNKNOWN", 8: "REJECTD",
}  # fmt: skip
_GOOD = {"DELIVRD", "ACCEPTD"}
_UNFINISHED = {"ENROUTE"}


class StoredPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stored form of one deliver_sm: what is needed to read it, as it came. ``short_message`` is hexadecimal,
    the user data header still in it; ``sar`` is (reference, total, number) where the carrier says that in TLVs."""

    data_coding: int
    short_message: str
    esm_class: int = 0
    sar: tuple[int, int, int] | None = None


def number(ton: int, address: str) -> str:
    """An address as the carrier wrote it, with a + where it says that the number is international."""
    return f"+{address}" if ton == _INTERNATIONAL and address[:1].isdigit() else address


def raw_message(pdu: Pdu, *, via: str, received_at: datetime) -> RawMessage:
    """A deliver_sm as a raw message; ``part`` is set where it is a piece of a longer one."""
    sm = _sm(pdu)
    content = _content(pdu)
    sar = _sar(pdu)
    place = text.split_header(content)[0] if sm.esm_class & _UDHI else None
    place = place or (text.concat(*sar) if sar else None)
    sender = number(sm.source_addr_ton, sm.source_addr)
    recipient = number(sm.dest_addr_ton, sm.destination_addr)
    stored = StoredPart(data_coding=sm.data_coding, short_message=content.hex(), esm_class=sm.esm_class, sar=sar)
    meta = {"data_coding": str(sm.data_coding), "source_addr_ton": str(sm.source_addr_ton)}
    reference = pdu.tlv(Tag.USER_MESSAGE_REFERENCE)
    if reference is not None:
        meta["user_message_reference"] = str(int.from_bytes(reference, "big"))
    return RawMessage(
        channel="sms",
        via=via,
        received_at=received_at,
        sender=sender,
        recipient=recipient,
        body=msgspec.json.encode(stored),
        content_type=SMPP_TYPE,
        carrier_id=_message_id(pdu),
        part=None
        if place is None
        else Part(ref=f"{sender}/{recipient}/{place.reference}", number=place.number, total=place.total),
        meta=meta,
    )


def is_receipt(pdu: Pdu) -> bool:
    """Whether a deliver_sm speaks of a message of ours: by its class, or by the TLVs of a receipt."""
    kind = _sm(pdu).esm_class & _MESSAGE_TYPE
    if kind in {_RECEIPT, _INTERMEDIATE}:
        return True
    return kind == 0 and pdu.tlv(Tag.RECEIPTED_MESSAGE_ID) is not None and _state(pdu, _words(pdu)) is not None


def receipt(pdu: Pdu, *, via: str) -> Receipt | None:
    """The receipt that a deliver_sm carries; None where it reports a state that is not final.

    The TLVs win over the text. The id is kept as written. Raises ``Malformed`` where it has no id or no known state.
    """
    words = _words(pdu)
    found = _RECEIPT_ID.search(words)
    ref = _message_id(pdu) or (found.group(1) if found else None)
    state = _state(pdu, words)
    if not ref or state is None:
        raise Malformed("the receipt has no message id" if not ref else "the receipt has no known state")
    if state in _UNFINISHED or _sm(pdu).esm_class & _MESSAGE_TYPE == _INTERMEDIATE:
        return None
    error = _RECEIPT_ERROR.search(words)
    detail = state if error is None else f"{state} err:{error.group(1)[:16]}"
    return Receipt(via=via, ref=ref, state="delivered" if state in _GOOD else "failed", detail=detail)


def read(raw: RawMessage, default: text.Coding) -> Message:
    """The text of a stored message: one part's body, or the JSON list of all parts' bodies in base64 with null for one
    that never came. ``default`` is what the carrier means by data_coding 0. Raises ``Malformed``."""
    sent_at: datetime | None = None
    fragments: list[text.Fragment | None] = []
    for body in bodies(raw.body):
        if body is None:
            fragments.append(None)
        elif raw.content_type == HEX_TYPE:
            delivered = gsm0340.decode(_ascii(body))
            fragments.append(delivered.fragment)
            sent_at = sent_at or delivered.sent_at
        else:
            fragments.append(_fragment(body, default))
    return joined(fragments, sent_at)


def joined(fragments: Sequence[text.Fragment | None], sent_at: datetime | None = None) -> Message:
    """The message of all parts, with the remarks that its text calls for."""
    whole = text.join(fragments)
    flags = (("partial", whole.partial), ("charset_repaired", whole.repaired))
    return Message(
        text=whole.text,
        sent_at=sent_at,
        unread=_("part of the message is binary, not text") if whole.binary else None,
        flags=tuple(flag for flag, there in flags if there),
    )


def bodies(body: bytes) -> list[bytes | None]:
    """The parts of a stored message: one, or the JSON list that intake makes of several. Raises ``Malformed``."""
    if not body.startswith(b"["):
        return [body]
    try:
        listed = msgspec.json.decode(body, type=list[str | None])
        return [None if part is None else base64.b64decode(part, validate=True) for part in listed]
    except (msgspec.DecodeError, binascii.Error, ValueError):
        raise Malformed("the list of parts is not a JSON list of base64 strings") from None


def _fragment(body: bytes, default: text.Coding) -> text.Fragment:
    try:
        stored = msgspec.json.decode(body, type=StoredPart)
        data = bytes.fromhex(stored.short_message)
    except (msgspec.DecodeError, ValueError):
        raise Malformed("the stored part is not a deliver_sm") from None
    place, used = text.split_header(data) if stored.esm_class & _UDHI else (None, 0)
    if place is None and stored.sar is not None:
        place = text.concat(*stored.sar)
    return text.Fragment(coding=text.coding_of(stored.data_coding, default), data=data[used:], concat=place)


def _ascii(body: bytes) -> str:
    try:
        return body.decode("ascii")
    except UnicodeDecodeError:
        raise Malformed("the PDU is not hexadecimal") from None


def _sm(pdu: Pdu) -> Sm:
    assert isinstance(pdu.body, Sm)
    return pdu.body


def _content(pdu: Pdu) -> bytes:
    return _sm(pdu).short_message or pdu.tlv(Tag.MESSAGE_PAYLOAD) or b""


def _sar(pdu: Pdu) -> tuple[int, int, int] | None:
    values = [pdu.tlv(tag) for tag in (Tag.SAR_MSG_REF_NUM, Tag.SAR_TOTAL_SEGMENTS, Tag.SAR_SEGMENT_SEQNUM)]
    if any(value is None for value in values):
        return None
    reference, total, part = (int.from_bytes(value or b"", "big") for value in values)
    return reference, total, part


def _message_id(pdu: Pdu) -> str | None:
    value = pdu.tlv(Tag.RECEIPTED_MESSAGE_ID)
    return value.split(b"\0", 1)[0].decode("latin-1") or None if value else None


def _words(pdu: Pdu) -> str:
    sm = _sm(pdu)
    content = _content(pdu)
    used = text.split_header(content)[1] if sm.esm_class & _UDHI else 0
    return text.decode(text.coding_of(sm.data_coding, "latin-1"), content[used:])[0]


def _state(pdu: Pdu, words: str) -> str | None:
    value = pdu.tlv(Tag.MESSAGE_STATE)
    if value:
        return _STATES.get(value[0])
    found = _RECEIPT_STATE.search(words)
    if found is None:
        return None
    # Appendix B writes seven letters, many carriers write the whole word: the first five tell the states apart.
    word = found.group(1).upper()[:5]
    return next((state for state in _STATES.values() if state[:5] == word), None)

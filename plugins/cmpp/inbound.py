"""What a CMPP_DELIVER carries: a report's part as a raw message, or a status report on what we sent. Pure.

CMPP 2.0 and 3.0, section 8.4.5 (DELIVER; Msg_Content of a status report). Msg_Fmt: 0 ASCII, 3 to the card, 4 binary, 8 UCS2,
15 GB.
"""

from __future__ import annotations

from datetime import datetime

import msgspec
from msgspec import Struct

from gateway.api import Malformed, Message, Part, RawMessage, Receipt
from gateway_plugins.cmpp.pdu import Deliver
from gateway_plugins.smpp import inbound, text

CMPP_TYPE = "application/vnd.cmpp.deliver+json"

_FORMATS: dict[int, text.Coding] = {3: "ascii", 4: "binary", 8: "ucs2", 15: "gb18030"}
_GOOD = {"DELIVRD", "ACCEPTD"}
_UNFINISHED = {"ENROUTE"}


class StoredPart(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The stored form of one DELIVER: what is needed to read it, as it came. ``msg_content`` is hexadecimal, a user data header
    still in it."""

    msg_fmt: int
    msg_content: str
    tp_udhi: int = 0


def message_id(number: int) -> str:
    """A Msg_Id as it is shown and matched: 16 hexadecimal digits, leading zeros kept."""
    return f"{number:016x}"


def place(tp_udhi: int, content: bytes) -> tuple[text.Concat | None, int]:
    """Where a part stands, and the length of its header. Gateways are known that send the header of a long message with
    TP_udhi 0: six octets that announce a part are one all the same, as no text begins so."""
    if tp_udhi & 1:
        return text.split_header(content)
    if content[:3] == b"\x05\x00\x03":
        found, used = text.split_header(content)
        return (found, used) if found is not None else (None, 0)
    return None, 0


def raw_message(deliver: Deliver, *, via: str, received_at: datetime) -> RawMessage:
    """A DELIVER as a raw message; ``part`` is set where it is a piece of a longer one."""
    found, _used = place(deliver.tp_udhi, deliver.msg_content)
    stored = StoredPart(msg_fmt=deliver.msg_fmt, msg_content=deliver.msg_content.hex(), tp_udhi=deliver.tp_udhi)
    sender, recipient = deliver.src_terminal_id, deliver.dest_id
    return RawMessage(
        channel="sms",
        via=via,
        received_at=received_at,
        sender=sender,
        recipient=recipient,
        body=msgspec.json.encode(stored),
        content_type=CMPP_TYPE,
        carrier_id=message_id(deliver.msg_id) if deliver.msg_id else None,
        part=None
        if found is None
        else Part(ref=f"{sender}/{recipient}/{found.reference}", number=found.number, total=found.total),
        meta={"msg_fmt": str(deliver.msg_fmt), "service_id": deliver.service_id},
    )


def receipt(deliver: Deliver, *, via: str) -> Receipt | None:
    """The status report that a DELIVER carries; None where it reports a state that is not final.

    Its content: Msg_Id (8), Stat (7), Submit_time (10), Done_time (10), Dest_terminal_Id (21 or 32), SMSC_sequence (4). The
    carrier's own codes (MA:0001, CB:0007…) all say that it failed. Raises ``Malformed`` where it has no id or no state.
    """
    content = deliver.msg_content
    stat = content[8:15].split(b"\0", 1)[0].decode("latin-1").strip().upper()
    number = int.from_bytes(content[:8], "big")
    if len(content) < 15 or not number:
        raise Malformed("the status report has no Msg_Id")
    if not stat or not stat.isprintable():
        raise Malformed("the status report has no Stat")
    if stat in _UNFINISHED:
        return None
    return Receipt(via=via, ref=message_id(number), state="delivered" if stat in _GOOD else "failed", detail=stat)


def read(raw: RawMessage, default: text.Coding) -> Message:
    """The text of a stored message, of one part or of all. ``default`` is what the carrier means by Msg_Fmt 0. Raises
    ``Malformed``."""
    return inbound.joined([None if body is None else _fragment(body, default) for body in inbound.bodies(raw.body)])


def _fragment(body: bytes, default: text.Coding) -> text.Fragment:
    try:
        stored = msgspec.json.decode(body, type=StoredPart)
        data = bytes.fromhex(stored.msg_content)
    except (msgspec.DecodeError, ValueError):
        raise Malformed("the stored part is not a DELIVER") from None
    found, used = place(stored.tp_udhi, data)
    return text.Fragment(coding=_FORMATS.get(stored.msg_fmt, default), data=data[used:], concat=found)

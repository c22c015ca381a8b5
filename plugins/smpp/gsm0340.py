"""SMS-DELIVER as hexadecimal, the form in which modems and archives keep a received short message. Pure.

Layout: 3GPP TS 23.040 section 9.2.2.1, with the service centre's address in front (TS 27.005 section 3.1).
"""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from msgspec import Struct

from gateway.api import Malformed
from gateway_plugins.smpp import gsm, text

_DIGITS = "0123456789*#abc"


class SmsDeliver(Struct, frozen=True, kw_only=True):
    """One received part. ``sender`` has a + where the network gave an international number; ``sent_at`` is the service
    centre's time stamp, None where it is no date."""

    sender: str
    fragment: text.Fragment
    sent_at: datetime | None = None


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int, what: str) -> bytes:
        if self.position + count > len(self.data):
            raise Malformed(f"the PDU ends before {what}")
        self.position += count
        return self.data[self.position - count : self.position]

    def octet(self, what: str) -> int:
        return self.take(1, what)[0]


def decode(pdu: str) -> SmsDeliver:
    """Read one SMS-DELIVER in hexadecimal. Raises ``Malformed`` with where it stops making sense."""
    try:
        reader = _Reader(bytes.fromhex(pdu))
    except ValueError:
        raise Malformed("the PDU is not hexadecimal") from None
    reader.take(reader.octet("the service centre's address"), "the end of the service centre's address")
    first = reader.octet("the first octet")
    if first & 0x03:
        raise Malformed(f"message type {first & 0x03} is not SMS-DELIVER")
    sender = _address(reader)
    reader.octet("TP-PID")
    dcs = reader.octet("TP-DCS")
    if dcs < 0x80 and dcs & 0x20:
        raise Malformed("compressed text is not supported")
    sent_at = _time(reader.take(7, "TP-SCTS"))
    length = reader.octet("TP-UDL")
    fragment = _user_data(reader.data[reader.position :], length, text.dcs_coding(dcs), header=bool(first & 0x40))
    return SmsDeliver(sender=sender, fragment=fragment, sent_at=sent_at)


def _address(reader: _Reader) -> str:
    digits = reader.octet("TP-OA")
    kind = reader.octet("the type of TP-OA")
    octets = reader.take((digits + 1) // 2, "the end of TP-OA")
    if kind & 0x70 == 0x50:  # alphanumeric: packed septets, the length counts half octets
        return gsm.decode(gsm.unpack(octets, digits * 4 // 7))
    nibbles = [nibble for octet in octets for nibble in (octet & 0x0F, octet >> 4)][:digits]
    number = "".join(_DIGITS[nibble] for nibble in nibbles if nibble < 0x0F)
    return f"+{number}" if kind & 0x70 == 0x10 and number else number


def _time(octets: bytes) -> datetime | None:
    swapped = [(octet & 0x0F) * 10 + (octet >> 4) for octet in octets[:6]]
    zone = octets[6]
    quarters = (zone & 0x07) * 10 + (zone >> 4)
    offset = timedelta(minutes=15 * (-quarters if zone & 0x08 else quarters))
    try:
        return datetime(2000 + swapped[0], *swapped[1:], tzinfo=timezone(offset))  # type: ignore[arg-type, misc]
    except ValueError:
        return None


def _user_data(data: bytes, length: int, coding: text.Coding, *, header: bool) -> text.Fragment:
    concat, used = text.split_header(data) if header else (None, 0)
    if coding != "gsm":
        return text.Fragment(coding=coding, data=data[used:length], concat=concat, cut=len(data) < length)
    # TP-UDL counts septets, the header's among them; the text begins on a septet boundary.
    skipped = (used * 8 + 6) // 7
    septets = gsm.unpack(data[used:], length - skipped, fill=skipped * 7 - used * 8)
    return text.Fragment(coding="gsm", data=septets, concat=concat, cut=len(septets) < length - skipped)

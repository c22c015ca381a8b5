"""SMPP 3.4 PDUs as bytes and back, and the framing of a stream of them. Pure: no socket, no clock.

Wire format: "Short Message Peer to Peer Protocol Specification v3.4", sections 3 to 5. What a peer adds that the
specification does not know (tags, commands, bytes after the last whole TLV) is kept, so that a report is never refused
for the ornaments around it.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from enum import IntEnum
from typing import Any, ClassVar

from msgspec import Struct

from gateway_plugins.carrier import frames
from gateway_plugins.carrier.frames import Broken, Unwritable

HEADER = 16
DEFAULT_LIMIT = 70_000
"""Largest command_length taken: a message_payload of 65,535 octets and room for the rest."""

RESPONSE = 0x8000_0000
LAST_SEQUENCE = 0x7FFF_FFFF


class Command(IntEnum):
    """command_id, section 5.1.2.1."""

    GENERIC_NACK = 0x8000_0000
    BIND_RECEIVER = 0x0000_0001
    BIND_RECEIVER_RESP = 0x8000_0001
    BIND_TRANSMITTER = 0x0000_0002
    BIND_TRANSMITTER_RESP = 0x8000_0002
    SUBMIT_SM = 0x0000_0004
    SUBMIT_SM_RESP = 0x8000_0004
    DELIVER_SM = 0x0000_0005
    DELIVER_SM_RESP = 0x8000_0005
    UNBIND = 0x0000_0006
    UNBIND_RESP = 0x8000_0006
    BIND_TRANSCEIVER = 0x0000_0009
    BIND_TRANSCEIVER_RESP = 0x8000_0009
    ENQUIRE_LINK = 0x0000_0015
    ENQUIRE_LINK_RESP = 0x8000_0015
    ALERT_NOTIFICATION = 0x0000_0102
    DATA_SM = 0x0000_0103
    DATA_SM_RESP = 0x8000_0103


class Status(IntEnum):
    """command_status, section 5.1.3; only those that this side says or decides on."""

    ESME_ROK = 0x00
    ESME_RINVMSGLEN = 0x01
    ESME_RINVCMDLEN = 0x02
    ESME_RINVCMDID = 0x03
    ESME_RINVBNDSTS = 0x04
    ESME_RALYBND = 0x05
    ESME_RSYSERR = 0x08
    ESME_RINVSRCADR = 0x0A
    ESME_RINVDSTADR = 0x0B
    ESME_RBINDFAIL = 0x0D
    ESME_RINVPASWD = 0x0E
    ESME_RINVSYSID = 0x0F
    ESME_RMSGQFUL = 0x14
    ESME_RINVSERTYP = 0x15
    ESME_RINVESMCLASS = 0x43
    ESME_RSUBMITFAIL = 0x45
    ESME_RINVSRCTON = 0x48
    ESME_RINVSRCNPI = 0x49
    ESME_RINVDSTTON = 0x50
    ESME_RINVDSTNPI = 0x51
    ESME_RTHROTTLED = 0x58
    ESME_RX_T_APPN = 0x64
    ESME_RX_P_APPN = 0x65
    ESME_RX_R_APPN = 0x66


class Tag(IntEnum):
    """Tags of optional parameters, section 5.3.2."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


class PduError(Unwritable):
    """A PDU that cannot be written or read; ``status`` is the command_status to answer with."""

    def __init__(self, what: str, status: int = Status.ESME_RINVCMDLEN) -> None:
        super().__init__(what)
        self.status = status


class Body(Struct, frozen=True):
    """The mandatory parameters of one command. Its ``repr`` names the kind alone: passwords and texts reach no log."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Empty(Body, frozen=True):
    """A command without parameters: enquire_link, unbind, generic_nack."""


class Opaque(Body, frozen=True):
    """The bytes of a command that this codec does not know."""

    data: bytes = b""


class Bind(Body, frozen=True, kw_only=True):
    """bind_transceiver, bind_receiver, bind_transmitter (section 4.1)."""

    system_id: str = ""
    password: str = ""
    system_type: str = ""
    interface_version: int = 0x34
    addr_ton: int = 0
    addr_npi: int = 0
    address_range: str = ""


class BindResp(Body, frozen=True, kw_only=True):
    """The answer to a bind."""

    system_id: str = ""


class Sm(Body, frozen=True, kw_only=True):
    """submit_sm and deliver_sm (sections 4.4, 4.6): the same parameters in the same order."""

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    protocol_id: int = 0
    priority_flag: int = 0
    schedule_delivery_time: str = ""
    validity_period: str = ""
    registered_delivery: int = 0
    replace_if_present_flag: int = 0
    data_coding: int = 0
    sm_default_msg_id: int = 0
    short_message: bytes = b""


class Data(Body, frozen=True, kw_only=True):
    """data_sm (section 4.7): the text stands in the parameter message_payload."""

    service_type: str = ""
    source_addr_ton: int = 0
    source_addr_npi: int = 0
    source_addr: str = ""
    dest_addr_ton: int = 0
    dest_addr_npi: int = 0
    destination_addr: str = ""
    esm_class: int = 0
    registered_delivery: int = 0
    data_coding: int = 0


class SmResp(Body, frozen=True, kw_only=True):
    """The answer to submit_sm (the SMSC's message id, as written), deliver_sm (unused, empty) and data_sm."""

    message_id: str = ""


class Pdu(Struct, frozen=True, kw_only=True):
    """One PDU. ``tlvs`` keep order and repetition; ``trailing`` are bytes after the last whole TLV."""

    command: int
    sequence: int
    body: Body = Empty()
    status: int = 0
    tlvs: tuple[tuple[int, bytes], ...] = ()
    trailing: bytes = b""

    def tlv(self, tag: int) -> bytes | None:
        """The value of the first optional parameter of this tag, or None."""
        return next((value for found, value in self.tlvs if found == tag), None)

    def __repr__(self) -> str:
        return f"Pdu({command_name(self.command)}, sequence={self.sequence}, status={self.status:#x})"


def command_name(command: int) -> str:
    """The specification's word for a command_id, or the number."""
    try:
        return Command(command).name.lower()
    except ValueError:
        return f"{command:#010x}"


def status_name(status: int) -> str:
    """The specification's word for a command_status, or the number."""
    try:
        return Status(status).name
    except ValueError:
        return f"{status:#06x}"


# Per command: the type of its body. A body's fields are written in the order in which its type declares them: a string
# is a C-octet string, an int one octet, bytes are preceded by one octet of length. Limits count the closing NUL.
_BODIES: dict[int, type[Body]] = {
    Command.BIND_RECEIVER: Bind,
    Command.BIND_TRANSMITTER: Bind,
    Command.BIND_TRANSCEIVER: Bind,
    Command.BIND_RECEIVER_RESP: BindResp,
    Command.BIND_TRANSMITTER_RESP: BindResp,
    Command.BIND_TRANSCEIVER_RESP: BindResp,
    Command.SUBMIT_SM: Sm,
    Command.DELIVER_SM: Sm,
    Command.DATA_SM: Data,
    Command.DATA_SM_RESP: SmResp,
    Command.SUBMIT_SM_RESP: SmResp,
    Command.DELIVER_SM_RESP: SmResp,
    Command.ENQUIRE_LINK: Empty,
    Command.ENQUIRE_LINK_RESP: Empty,
    Command.UNBIND: Empty,
    Command.UNBIND_RESP: Empty,
    Command.GENERIC_NACK: Empty,
}
_LIMITS = {
    "system_id": 16, "password": 9, "system_type": 13, "address_range": 41, "service_type": 6, "source_addr": 21,
    "destination_addr": 21, "schedule_delivery_time": 17, "validity_period": 17, "message_id": 65, "short_message": 254,
}  # fmt: skip


def _layout(body: type[Body]) -> tuple[tuple[str, type], ...]:
    named = zip(body.__struct_fields__, body.__struct_defaults__, strict=True)
    return tuple((name, type(default)) for name, default in named)


_KINDS = (Empty, Bind, BindResp, Sm, Data, SmResp)
_LAYOUTS: dict[type[Body], tuple[tuple[str, type], ...]] = {body: _layout(body) for body in _KINDS}


def encode(pdu: Pdu) -> bytes:
    """The bytes of ``pdu``. Raises ``PduError`` where a value does not fit its field."""
    out = [pdu.body.data] if isinstance(pdu.body, Opaque) else list(_encode_fields(pdu.body))
    for tag, value in pdu.tlvs:
        if not 0 <= tag <= 0xFFFF or len(value) > 0xFFFF:
            raise PduError(f"TLV {tag:#06x} does not fit")
        out.append(struct.pack(">HH", tag, len(value)) + value)
    out.append(pdu.trailing)
    body = b"".join(out)
    try:
        return struct.pack(">IIII", HEADER + len(body), pdu.command, pdu.status, pdu.sequence) + body
    except struct.error:
        raise PduError("a field of the header does not fit in 32 bits") from None


def _encode_fields(body: Body) -> Iterator[bytes]:
    for name, kind in _LAYOUTS[type(body)]:
        value: Any = getattr(body, name)
        if kind is int:
            if not 0 <= value <= 255:
                raise PduError(f"{name} does not fit in one octet")
            yield bytes((value,))
        elif kind is bytes:
            if len(value) > _LIMITS[name]:
                raise PduError(f"{name} is longer than {_LIMITS[name]} octets", Status.ESME_RINVMSGLEN)
            yield bytes((len(value),)) + value
        else:
            yield _encode_cstring(name, value)


def _encode_cstring(name: str, value: str) -> bytes:
    try:
        raw = value.encode("latin-1")
    except UnicodeEncodeError:
        raise PduError(f"{name} holds characters outside Latin-1") from None
    if b"\0" in raw or len(raw) + 1 > _LIMITS[name]:
        raise PduError(f"{name} holds a NUL or is longer than {_LIMITS[name] - 1} octets")
    return raw + b"\0"


def decode(frame: bytes) -> Pdu:
    """Read one whole PDU. Raises ``PduError`` where its mandatory parameters are cut short."""
    if len(frame) < HEADER:
        raise PduError("shorter than a header")
    length, command, status, sequence = struct.unpack_from(">IIII", frame)
    if length != len(frame):
        raise PduError("command_length is not the length of the PDU")
    kind = _BODIES.get(command)
    if kind is None:
        return Pdu(command=command, status=status, sequence=sequence, body=Opaque(frame[HEADER:]))
    if len(frame) == HEADER and command & RESPONSE:
        # A negative answer may leave its body out (section 4.1.2 and others), and many peers always do.
        return Pdu(command=command, status=status, sequence=sequence, body=kind())
    values, position = _decode_fields(kind, frame)
    tlvs, end = _decode_tlvs(frame, position)
    return Pdu(
        command=command, status=status, sequence=sequence, body=kind(**values), tlvs=tlvs, trailing=frame[end:]
    )  # fmt: skip


def _decode_fields(kind: type[Body], frame: bytes) -> tuple[dict[str, Any], int]:
    """Read mandatory parameters. Lengths beyond the specification's are taken: real SMSCs have longer names. An answer
    may leave out its closing NUL: to refuse it would be to send the same message again."""
    values: dict[str, Any] = {}
    position = HEADER
    for name, what in _LAYOUTS[kind]:
        if what is str:
            end = frame.find(b"\0", position)
            if end < 0 and kind not in (BindResp, SmResp):
                raise PduError(f"{name} has no closing NUL")
            end = len(frame) if end < 0 else end
            values[name] = frame[position:end].decode("latin-1")
            position = min(end + 1, len(frame))
            continue
        if position >= len(frame):
            raise PduError(f"ends before {name}")
        octet = frame[position]
        position += 1
        values[name] = octet
        if what is bytes:
            if position + octet > len(frame):
                raise PduError(f"{name} is shorter than its length says", Status.ESME_RINVMSGLEN)
            values[name] = frame[position : position + octet]
            position += octet
    return values, position


def _decode_tlvs(frame: bytes, position: int) -> tuple[tuple[tuple[int, bytes], ...], int]:
    found: list[tuple[int, bytes]] = []
    while position + 4 <= len(frame):
        tag, length = struct.unpack_from(">HH", frame, position)
        if position + 4 + length > len(frame):
            break
        found.append((tag, frame[position + 4 : position + 4 + length]))
        position += 4 + length
    return tuple(found), position


def response(request: Pdu, body: Body | None = None, status: int = 0) -> Pdu:
    """The answer to ``request``: the same sequence, the command with the response bit set."""
    command = request.command | RESPONSE
    if body is None:
        body = _BODIES.get(command, Empty)()
    return Pdu(command=command, sequence=request.sequence, status=status, body=body)


def generic_nack(status: int, sequence: int = 0) -> Pdu:
    """generic_nack (section 4.3); sequence 0 where the PDU's own cannot be told."""
    return Pdu(command=Command.GENERIC_NACK, sequence=sequence, status=status)


class Framer(frames.Framer):
    """Cuts a stream into PDUs."""

    header: ClassVar[int] = HEADER

    def __init__(self, limit: int = DEFAULT_LIMIT) -> None:
        super().__init__(limit)

    def read(self, frame: bytes) -> Pdu | Broken:
        """The PDU, or what to answer."""
        return _read(frame)

    def lost(self) -> Broken:
        """A command_length that cannot be: section 4.3.1 asks for a generic_nack."""
        return Broken(answer=generic_nack(Status.ESME_RINVCMDLEN), fatal=True, why="command_length out of range")


def _read(frame: bytes) -> Pdu | Broken:
    try:
        return decode(frame)
    except PduError as error:
        # Only requests can fail to decode: answers and unknown commands take what is there.
        command, _, sequence = struct.unpack_from(">III", frame, 4)
        answer = Pdu(command=command | RESPONSE, sequence=sequence, status=error.status)
        return Broken(answer=answer, fatal=False, why=str(error))

"""CMPP 2.0 and 3.0 messages as bytes and back. Pure: no socket, no clock.

Wire format: 中国移动通信互联网短信网关接口协议 (China Mobile Peer to Peer) V2.0 and V3.0, section 8 of either. They differ in the
width of numbers and results and in what closes SUBMIT and DELIVER; there is one table for both here. Where a message's
lengths do not add up for the agreed version and do for the other, it is read as that: no report is refused for it.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Any, ClassVar, Literal, NamedTuple

from msgspec import Struct

from gateway_plugins.carrier import frames
from gateway_plugins.carrier.frames import Broken, Unwritable

HEADER = 12
LIMIT = 4096
"""Largest Total_Length taken: a SUBMIT to 100 numbers of 32 octets has 3,343."""

RESPONSE = 0x8000_0000
LAST_SEQUENCE = 0x7FFF_FFFF

Version = Literal["2.0", "3.0"]
NUMBERS: dict[Version, int] = {"2.0": 0x20, "3.0": 0x30}


class Command(IntEnum):
    """Command_Id."""

    CONNECT = 0x0000_0001
    CONNECT_RESP = 0x8000_0001
    TERMINATE = 0x0000_0002
    TERMINATE_RESP = 0x8000_0002
    SUBMIT = 0x0000_0004
    SUBMIT_RESP = 0x8000_0004
    DELIVER = 0x0000_0005
    DELIVER_RESP = 0x8000_0005
    ACTIVE_TEST = 0x0000_0008
    ACTIVE_TEST_RESP = 0x8000_0008


class PduError(Unwritable):
    """A message that cannot be written or read; ``result`` is the Result of a DELIVER_RESP."""

    def __init__(self, what: str, result: int = 1) -> None:
        super().__init__(what)
        self.result = result


class Body(Struct, frozen=True):
    """Its ``repr`` names the kind alone: digests and texts reach no log."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class Empty(Body, frozen=True):
    """TERMINATE, its answer, ACTIVE_TEST."""


class Opaque(Body, frozen=True):
    """The bytes of a command that this codec does not know."""

    data: bytes = b""


class Connect(Body, frozen=True, kw_only=True):
    """CMPP_CONNECT. ``timestamp`` is MMDDHHMMSS as a number."""

    source_addr: str
    authenticator: bytes
    version: int
    timestamp: int


class ConnectResp(Body, frozen=True, kw_only=True):
    """CMPP_CONNECT_RESP; ``status`` 0 lets us in."""

    status: int = 5
    authenticator: bytes = bytes(16)
    version: int = 0


class Submit(Body, frozen=True, kw_only=True):
    """CMPP_SUBMIT to one or more numbers."""

    msg_id: int = 0
    pk_total: int = 1
    pk_number: int = 1
    registered_delivery: int = 0
    msg_level: int = 0
    service_id: str = ""
    fee_user_type: int = 2
    fee_terminal_id: str = ""
    fee_terminal_type: int = 0
    tp_pid: int = 0
    tp_udhi: int = 0
    msg_fmt: int = 8
    msg_src: str = ""
    fee_type: str = "01"
    fee_code: str = "000000"
    valid_time: str = ""
    at_time: str = ""
    src_id: str = ""
    dest_terminal_ids: tuple[str, ...] = ()
    dest_terminal_type: int = 0
    msg_content: bytes = b""
    link_id: str = ""


class SubmitResp(Body, frozen=True, kw_only=True):
    """CMPP_SUBMIT_RESP: the gateway's id of the message, which its status report names again."""

    msg_id: int = 0
    result: int = 9


class Deliver(Body, frozen=True, kw_only=True):
    """CMPP_DELIVER: a message, or a status report where ``registered_delivery`` is 1."""

    msg_id: int = 0
    dest_id: str = ""
    service_id: str = ""
    tp_pid: int = 0
    tp_udhi: int = 0
    msg_fmt: int = 0
    src_terminal_id: str = ""
    src_terminal_type: int = 0
    registered_delivery: int = 0
    msg_content: bytes = b""
    link_id: str = ""


class DeliverResp(Body, frozen=True, kw_only=True):
    """CMPP_DELIVER_RESP."""

    msg_id: int = 0
    result: int = 0


class ActiveTestResp(Body, frozen=True, kw_only=True):
    """CMPP_ACTIVE_TEST_RESP."""

    reserved: int = 0


class Pdu(Struct, frozen=True, kw_only=True):
    """One message. ``trailing`` are bytes after the last field that its layout knows."""

    command: int
    sequence: int
    body: Body = Empty()
    trailing: bytes = b""

    def __repr__(self) -> str:
        return f"Pdu({command_name(self.command)}, sequence={self.sequence})"


def command_name(command: int) -> str:
    """The protocol's word for a Command_Id, or the number."""
    try:
        return Command(command).name
    except ValueError:
        return f"{command:#010x}"


class _Field(NamedTuple):
    """``kind``: an unsigned number, a NUL-padded string, raw octets, content behind its length, or strings behind their count."""

    name: str
    kind: Literal["number", "string", "octets", "content", "strings"]
    width: int = 0


def _layouts(version: Version) -> dict[type[Body], tuple[_Field, ...]]:
    new = version == "3.0"
    number, result = (32, 4) if new else (21, 1)

    def n(*names: str) -> tuple[_Field, ...]:
        return tuple(_Field(name, "number", 1) for name in names)

    def s(name: str, width: int) -> _Field:
        return _Field(name, "string", width)

    closing = s("link_id", 20) if new else s("link_id", 8)  # Reserve in 2.0
    msg_id = _Field("msg_id", "number", 8)
    content = _Field("msg_content", "content")
    return {
        Empty: (),
        Connect: (s("source_addr", 6), _Field("authenticator", "octets", 16), *n("version"), _Field("timestamp", "number", 4)),
        ConnectResp: (_Field("status", "number", result), _Field("authenticator", "octets", 16), *n("version")),
        Submit: (
            msg_id, *n("pk_total", "pk_number", "registered_delivery", "msg_level"), s("service_id", 10), *n("fee_user_type"),
            s("fee_terminal_id", number), *(n("fee_terminal_type") if new else ()), *n("tp_pid", "tp_udhi", "msg_fmt"),
            s("msg_src", 6), s("fee_type", 2), s("fee_code", 6), s("valid_time", 17), s("at_time", 17), s("src_id", 21),
            _Field("dest_terminal_ids", "strings", number), *(n("dest_terminal_type") if new else ()), content, closing,
        ),
        SubmitResp: (msg_id, _Field("result", "number", result)),
        Deliver: (
            msg_id, s("dest_id", 21), s("service_id", 10), *n("tp_pid", "tp_udhi", "msg_fmt"), s("src_terminal_id", number),
            *(n("src_terminal_type") if new else ()), *n("registered_delivery"), content, closing,
        ),
        DeliverResp: (msg_id, _Field("result", "number", result)),
        ActiveTestResp: n("reserved"),
    }  # fmt: skip


_LAYOUTS: dict[Version, dict[type[Body], tuple[_Field, ...]]] = {"2.0": _layouts("2.0"), "3.0": _layouts("3.0")}
_BODIES: dict[int, type[Body]] = {
    Command.CONNECT: Connect,
    Command.CONNECT_RESP: ConnectResp,
    Command.TERMINATE: Empty,
    Command.TERMINATE_RESP: Empty,
    Command.SUBMIT: Submit,
    Command.SUBMIT_RESP: SubmitResp,
    Command.DELIVER: Deliver,
    Command.DELIVER_RESP: DeliverResp,
    Command.ACTIVE_TEST: Empty,
    Command.ACTIVE_TEST_RESP: ActiveTestResp,
}
_CLOSING = "link_id"


def encode(pdu: Pdu, version: Version) -> bytes:
    """The bytes of ``pdu``. Raises ``PduError`` where a value does not fit its field."""
    if isinstance(pdu.body, Opaque):
        body = pdu.body.data
    else:
        body = b"".join(_octets(field, getattr(pdu.body, field.name)) for field in _LAYOUTS[version][type(pdu.body)])
    body += pdu.trailing
    return struct.pack(">III", HEADER + len(body), pdu.command, pdu.sequence) + body


def _octets(field: _Field, value: Any) -> bytes:
    name, kind, width = field
    if kind == "number":
        if not 0 <= value < 1 << 8 * width:
            raise PduError(f"{name} does not fit in {width} octets")
        return int(value).to_bytes(width, "big")
    if kind == "octets":
        if len(value) != width:
            raise PduError(f"{name} has not {width} octets")
        return bytes(value)
    if kind == "content":
        if len(value) > 255:
            raise PduError(f"{name} is longer than 255 octets", 6)
        return bytes((len(value),)) + bytes(value)
    if kind == "strings":
        if not 0 < len(value) <= 100:
            raise PduError(f"{name} holds none or more than 100")
        return bytes((len(value),)) + b"".join(_padded(name, one, width) for one in value)
    return _padded(name, value, width)


def _padded(name: str, value: str, width: int) -> bytes:
    try:
        octets = value.encode("latin-1")
    except UnicodeEncodeError:
        raise PduError(f"{name} holds characters outside Latin-1") from None
    if len(octets) > width or b"\0" in octets:
        raise PduError(f"{name} holds a NUL or is longer than {width} octets")
    return octets.ljust(width, b"\0")


def decode(frame: bytes, version: Version) -> Pdu:
    """Read one whole message. Raises ``PduError`` where a field before the closing one is cut short."""
    if len(frame) < HEADER:
        raise PduError("shorter than a header")
    length, command, sequence = struct.unpack_from(">III", frame)
    if length != len(frame):
        raise PduError("Total_Length is not the length of the message", 4)
    kind = _BODIES.get(command)
    if kind is None:
        return Pdu(command=command, sequence=sequence, body=Opaque(frame[HEADER:]))
    other: Version = "2.0" if version == "3.0" else "3.0"
    readings = [_try(kind, frame, one) for one in (version, other)]
    # The agreed layout, unless its lengths do not add up and those of the other one do.
    chosen = next((one for one in readings if one[2] == "exact"), readings[0])
    values, trailing, whole = chosen
    if whole == "cut":
        raise PduError("shorter than its fields", 4)
    return Pdu(command=command, sequence=sequence, body=kind(**values), trailing=trailing)


def _try(kind: type[Body], frame: bytes, version: Version) -> tuple[dict[str, Any], bytes, Literal["exact", "near", "cut"]]:
    """The fields by one layout, what is left over, and whether the lengths add up. Near: but for the closing field, which says
    nothing, or for octets after it."""
    values: dict[str, Any] = {}
    rest = frame[HEADER:]
    for field in _LAYOUTS[version][kind]:
        try:
            values[field.name], rest = _take(field, rest)
        except PduError:
            return values, rest, "near" if field.name == _CLOSING else "cut"
    return values, rest, "near" if rest else "exact"


def _take(field: _Field, rest: bytes) -> tuple[Any, bytes]:
    _name, kind, width = field
    count = 1
    if kind in ("content", "strings"):
        if not rest:
            raise PduError("ends before a length")
        count, rest = rest[0], rest[1:]
        width = count if kind == "content" else width * count
    if len(rest) < width:
        raise PduError("shorter than its fields")
    octets, rest = rest[:width], rest[width:]
    if kind == "number":
        return int.from_bytes(octets, "big"), rest
    if kind == "string":
        return _text(octets), rest
    if kind == "strings":
        return tuple(_text(octets[n : n + field.width]) for n in range(0, width, field.width)), rest
    return octets, rest


def _text(octets: bytes) -> str:
    return octets.split(b"\0", 1)[0].decode("latin-1").rstrip(" ")


def answer(request: Pdu, body: Body | None = None) -> Pdu:
    """The answer to ``request``: the same sequence, the command with the response bit set."""
    return Pdu(command=request.command | RESPONSE, sequence=request.sequence, body=body or Empty())


class Framer(frames.Framer):
    """Cuts a stream into messages of one version."""

    header: ClassVar[int] = HEADER

    def __init__(self, version: Version, limit: int = LIMIT) -> None:
        super().__init__(limit)
        self._version: Version = version

    def read(self, frame: bytes) -> Pdu | Broken:
        """The message, or what to answer: only a DELIVER has an answer that says what is wrong."""
        try:
            return decode(frame, self._version)
        except PduError as error:
            command, sequence = struct.unpack_from(">II", frame, 4)
            said = None
            if command == Command.DELIVER:
                msg_id = int.from_bytes(frame[HEADER : HEADER + 8], "big") if len(frame) >= HEADER + 8 else 0
                said = Pdu(
                    command=Command.DELIVER_RESP, sequence=sequence, body=DeliverResp(msg_id=msg_id, result=error.result)
                )  # fmt: skip
            return Broken(answer=said, fatal=False, why=str(error))

    def lost(self) -> Broken:
        """A Total_Length that cannot be; CMPP has no answer to that."""
        return Broken(answer=None, fatal=True, why="Total_Length out of range")

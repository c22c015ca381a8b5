"""The tree of MIME parts, in one pass over the octets and within limits (RFC 2045, 2046).

The standard library's parser is not used: its time on a list of parameters is quadratic, it knows no limit on parts or depth.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from msgspec import Struct, field

from gateway_plugins.mailtext import headers as h
from gateway_plugins.mailtext.limits import Limits

_KIND = re.compile(r"[\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80}", re.ASCII)
_TAIL = 200
_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Part(Struct):
    """One node: its fields, where its content (still encoded) lies in ``data``, its children. Nothing is copied for a level."""

    headers: h.Headers
    kind: str
    params: dict[str, bytes]
    disposition: str
    disposition_params: dict[str, bytes]
    data: bytes
    start: int
    end: int
    children: list[Part] = field(default_factory=list)

    @property
    def content(self) -> bytes:
        return self.data[self.start : self.end]


class Budget:
    """What has been used of the limits, and which of them were reached."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.parts = 0
        self.decoded = 0
        self.reached: dict[str, None] = {}
        self.flags: dict[str, None] = {}

    def reach(self, what: str) -> None:
        """Remember that something was left unread."""
        self.reached[what] = None

    def flag(self, what: str) -> None:
        """Remember a remark for the operator."""
        self.flags[what] = None

    def spend(self, octets: int) -> bool:
        """Whether so many decoded octets are still allowed."""
        self.decoded += octets
        if self.decoded > self.limits.decoded_bytes:
            self.reach(f"more than {self.limits.decoded_bytes} octets when decoded")
            return False
        return True


def parse(data: bytes, budget: Budget) -> Part:
    """The whole mail. Line ends are made LF; those that were not CRLF are flagged."""
    if _BARE.search(data):
        budget.flag("bare_line_ends")
    if b"\0" in data:
        budget.flag("nul_removed")
    lines = _unix(data)
    return _part(lines, 0, len(lines), budget, 0, "text/plain")


def _unix(data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")


def _part(data: bytes, start: int, end: int, budget: Budget, depth: int, default: str) -> Part:
    """The part that lies in ``data`` from ``start`` to ``end``, with all below it."""
    head, body = _head(data, start, end)
    fields = h.parse(head.replace(b"\0", b""), budget.limits)
    if fields.cut:
        budget.reach("header fields over the limit")
    kind, params = h.parameters(fields.raw("content-type"))
    if not _KIND.fullmatch(kind):
        kind = "text/plain" if kind else default
    disposition, disposition_params = h.parameters(fields.raw("content-disposition"))
    part = Part(fields, kind, params, disposition, disposition_params, data, body, end)
    budget.parts += 1
    if kind.startswith("multipart/"):
        _children(part, budget, depth)
    elif kind in ("message/rfc822", "message/global"):
        _inner_mail(part, budget, depth)
    return part


def _inner_mail(part: Part, budget: Budget, depth: int) -> None:
    """A mail as a part. It is seldom encoded; where it is not, its octets are those of the outer mail."""
    if depth >= budget.limits.depth:
        budget.reach(f"parts nested deeper than {budget.limits.depth}")
        return
    if budget.parts >= budget.limits.parts:
        budget.reach(f"more than {budget.limits.parts} parts")
        return
    data, start, end = part.data, part.start, part.end
    if part.headers.word("content-transfer-encoding") in ("base64", "quoted-printable"):
        data = _unix(transfer_decoded(part, budget))
        start, end = 0, len(data)
    part.children.append(_part(data, start, end, budget, depth + 1, "text/plain"))


def _head(data: bytes, start: int, end: int) -> tuple[bytes, int]:
    """The header block and where the content begins. A line that is no field ends the header, as an empty one does."""
    at = start
    if data.startswith((b"From ", b">From "), start):
        at = _line_end(data, start, end) + 1
    begin = at
    while at < end:
        stop = _line_end(data, at, end)
        if stop == at:
            return data[begin:at], at + 1
        line = data[at:stop]
        folded = line[:1] in (b" ", b"\t") and at > begin
        if not folded and not h.is_field(line.replace(b"\0", b"")):
            return data[begin:at], at
        at = stop + 1
    return data[begin:end], end


def _line_end(data: bytes, at: int, end: int) -> int:
    found = data.find(b"\n", at, end)
    return end if found < 0 else found


def _children(part: Part, budget: Budget, depth: int) -> None:
    """Cut a multipart at its boundary. Without a usable boundary, or too deep, it stays as it is."""
    limits = budget.limits
    if depth >= limits.depth:
        budget.reach(f"parts nested deeper than {limits.depth}")
        return
    boundary = part.params.get("boundary", b"").rstrip(b" \t")
    pieces = list(_pieces(part, b"--" + boundary, limits.parts + 1)) if boundary else []
    if not pieces:
        part.kind = "text/plain"
        budget.flag("boundary_missing")
        return
    default = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
    for start, end in pieces:
        if budget.parts >= limits.parts:
            budget.reach(f"more than {limits.parts} parts")
            return
        part.children.append(_part(part.data, start, end, budget, depth + 1, default))


def _pieces(part: Part, delimiter: bytes, most: int) -> Iterator[tuple[int, int]]:
    """Where the pieces between the delimiter lines lie; a missing last delimiter is made up for by the end."""
    data, line = part.data, b"\n" + delimiter
    start: int | None = None
    count = 0
    found = part.start - 1 if data.startswith(delimiter, part.start) else data.find(line, part.start, part.end)
    while found >= part.start - 1 and found + len(line) <= part.end and count < most:
        after = found + len(line)
        stop = _line_end(data, after, part.end)
        tail = data[after : min(stop, after + _TAIL)].strip(b" \t")
        if tail in (b"", b"--"):
            if start is not None:
                count += 1
                yield start, max(start, found)
            if tail == b"--":
                return
            start = min(stop + 1, part.end)
        found = data.find(line, stop, part.end)
        if found < 0:
            break
    if start is not None and count < most:
        yield start, part.end


def transfer_decoded(part: Part, budget: Budget) -> bytes:
    """The content with its transfer encoding undone; empty (and said so) once the limit for the whole mail is reached."""
    encoding = part.headers.word("content-transfer-encoding")
    if not budget.spend(len(part.content)):
        return b""
    if encoding == "base64":
        return h.unbase64(part.content)
    if encoding == "quoted-printable":
        return binascii.a2b_qp(part.content)
    if encoding in ("x-uuencode", "uuencode", "x-uue", "uue"):
        return _unuu(part.content)
    return part.content


def first_encoded(part: Part) -> bytes | None:
    """What base64 says up to its own end, where more follows it: the first line that is padded or shorter than those before
    it, or what stands before a longer one. None where the content is not base64 or ends there."""
    if part.headers.word("content-transfer-encoding") != "base64":
        return None
    content = part.content.lstrip(b"\n")
    usual, at = _line_end(content, 0, len(content)), 0
    while at < len(content):
        stop = _line_end(content, at, len(content))
        if stop - at > usual:
            return h.unbase64(content[:at])
        if stop - at < usual or b"=" in content[at:stop]:
            return h.unbase64(content[:stop]) if content[stop:].strip() else None
        at = stop + 1
    return None


def _unuu(content: bytes) -> bytes:
    """uuencode, as older fax servers send it. Lines that do not decode are left out."""
    out: list[bytes] = []
    begun = False
    for line in content.split(b"\n"):
        if not begun:
            begun = line.startswith(b"begin ")
            continue
        if line.strip() in (b"end", b"`"):
            break
        try:
            out.append(binascii.a2b_uu(line))
        except binascii.Error:
            continue
    return b"".join(out)

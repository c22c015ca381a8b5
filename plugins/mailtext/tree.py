"""The tree of MIME parts, in one pass over the octets and within limits (RFC 2045, 2046).

The standard library's parser is not used: its time on a list of parameters is quadratic, it knows no limit on parts or depth.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Iterator

from gateway_plugins.mailtext import headers as h
from gateway_plugins.mailtext.limits import Limits
from msgspec import Struct, field

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n")


class Part(Struct):
    """One node: its fields, its content still encoded, its children."""

    headers: h.Headers
    kind: str
    params: dict[str, bytes]
    disposition: str
    disposition_params: dict[str, bytes]
    content: bytes
    children: list[Part] = field(default_factory=list)

    def walk(self) -> Iterator[Part]:
        """This part and everything below, in order."""
        yield self
        for child in self.children:
            yield from child.walk()


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
    return _part(data.replace(b"\r\n", b"\n").replace(b"\r", b"\n"), budget, 0, "text/plain")


def _part(data: bytes, budget: Budget, depth: int, default: str) -> Part:
    head, content = _split(data)
    fields = h.parse(head.replace(b"\0", b""), budget.limits)
    if fields.cut:
        budget.reach("header fields over the limit")
    kind, params = h.parameters(fields.raw("content-type"))
    if not re.fullmatch(r"[\w!#$&^.+-]{1,80}/[\w!#$&^.+-]{1,80}", kind, re.ASCII):
        kind = default if not kind or "/" in kind or kind != "text" else "text/plain"
    disposition, disposition_params = h.parameters(fields.raw("content-disposition"))
    part = Part(fields, kind, params, disposition, disposition_params, content)
    budget.parts += 1
    if kind.startswith("multipart/"):
        _children(part, budget, depth)
    elif kind == "message/rfc822" or kind == "message/global":
        if depth >= budget.limits.depth:
            budget.reach(f"parts nested deeper than {budget.limits.depth}")
        elif budget.parts < budget.limits.parts:
            inner = transfer_decoded(part, budget).replace(b"\r\n", b"\n")
            part.children.append(_part(inner, budget, depth + 1, "text/plain"))
    return part


def _split(data: bytes) -> tuple[bytes, bytes]:
    """Header block and content. Content without any header is taken as such; so is the line that ends a header early."""
    at = 0
    if data.startswith(b"From ") or data.startswith(b">From "):
        at = data.find(b"\n") + 1
    start = at
    first = True
    while at < len(data):
        if data[at : at + 1] == b"\n":
            return data[start:at], data[at + 1 :]
        end = data.find(b"\n", at)
        line = data[at : len(data) if end < 0 else end]
        folded = line[:1] in (b" ", b"\t") and not first
        if not folded and not h.is_field(line.replace(b"\0", b"")):
            return data[start:at], data[at:]
        first = False
        at = len(data) if end < 0 else end + 1
    return data[start:], b""


def _children(part: Part, budget: Budget, depth: int) -> None:
    """Cut a multipart at its boundary. Without a usable boundary, or too deep, it stays as it is and is said to be unread."""
    limits = budget.limits
    boundary = part.params.get("boundary", b"").rstrip(b" \t")
    if not boundary:
        part.kind = "text/plain"
        budget.flag("boundary_missing")
        return
    if depth >= limits.depth:
        budget.reach(f"parts nested deeper than {limits.depth}")
        return
    default = "message/rfc822" if part.kind == "multipart/digest" else "text/plain"
    pieces = list(_pieces(part.content, b"--" + boundary, limits.parts + 1))
    if not pieces:
        part.kind = "text/plain"
        budget.flag("boundary_missing")
        return
    for piece in pieces:
        if budget.parts >= limits.parts:
            budget.reach(f"more than {limits.parts} parts")
            return
        part.children.append(_part(piece, budget, depth + 1, default))


def _pieces(content: bytes, delimiter: bytes, most: int) -> Iterator[bytes]:
    """What stands between the delimiter lines; a missing last one is made up for by the end."""
    text, line = b"\n" + content, b"\n" + delimiter
    start: int | None = None
    at, count = 0, 0
    while count < most and (found := text.find(line, at)) >= 0:
        end = text.find(b"\n", found + 1)
        end = len(text) if end < 0 else end
        tail = text[found + len(line) : end].strip(b" \t")
        at = end
        if tail not in (b"", b"--"):
            continue
        if start is not None:
            count += 1
            yield text[start : max(start, found)]
        if tail == b"--":
            return
        start = end + 1
    if start is not None and count < most:
        yield text[start:]


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

"""Who sent a mail that was fetched from a mailbox, where no envelope came along: Return-Path, else From. Source: RFC 5321 4.4."""

from __future__ import annotations

import re
from email.utils import getaddresses

from msgspec.structs import replace

from gateway.api import Message
from gateway_plugins.mailtext import headers as h
from gateway_plugins.mailtext.limits import Limits

_ADDRESS = re.compile(r"[^\s<>@,;:\"()\[\]\\]{1,64}@[A-Za-z0-9\u0080-\uffff.-]{1,253}")
_HEAD = re.compile(rb"\r?\n\r?\n")


def fields_of(body: bytes) -> h.Headers:
    """The header of a mail, whatever its line ends."""
    limits = Limits()
    head = body[: limits.header_bytes]
    end = _HEAD.search(head)
    return h.parse((head[: end.start()] if end else head).replace(b"\r\n", b"\n").replace(b"\r", b"\n"), limits)


def address(value: bytes) -> str:
    """The one address of a field; empty where there is none, or more than one."""
    text = value[:2000].decode("utf-8", "replace")
    found = [match for _name, one in getaddresses([text]) if (match := one.strip()) and _ADDRESS.fullmatch(match)]
    if not found:
        found = _ADDRESS.findall(text)
    return found[0] if len(found) == 1 else ""


def with_sender(message: Message, body: bytes) -> Message:
    """``message`` with its sender. An empty Return-Path is a machine's: automatic, and flagged."""
    fields = fields_of(body)
    path = fields.raw("return-path")
    if path.strip() == b"<>":
        return replace(message, sender=address(fields.raw("from")), automatic=True, flags=(*message.flags, "null_sender"))
    return replace(message, sender=address(path) or address(fields.raw("from")))

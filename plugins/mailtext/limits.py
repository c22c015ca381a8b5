"""How much of one mail is looked at. What lies beyond a limit is left unread and said so."""

from __future__ import annotations

from msgspec import Struct


class Limits(Struct, frozen=True, kw_only=True):
    """Limits for one mail; sizes in octets, ``html_chars`` in code points."""

    parts: int = 200
    depth: int = 20
    header_bytes: int = 256 * 1024
    header_value_bytes: int = 16 * 1024
    header_lines: int = 2000
    decoded_bytes: int = 64 * 1024 * 1024
    text_chars: int = 2_000_000

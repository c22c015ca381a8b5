"""The GSM 7-bit default alphabet with its extension table, and packed septets (3GPP TS 23.038, section 6). Pure."""

from __future__ import annotations

ESCAPE = 0x1B

BASIC = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION = {
    0x0A: "\f", 0x14: "^", 0x28: "{", 0x29: "}", 0x2F: "\\", 0x3C: "[", 0x3D: "~", 0x3E: "]", 0x40: "|", 0x65: "€",
}  # fmt: skip

_SEPTETS: dict[str, bytes] = {char: bytes((code,)) for code, char in enumerate(BASIC) if code != ESCAPE}
_SEPTETS.update({char: bytes((ESCAPE, code)) for code, char in EXTENSION.items()})


def decode(septets: bytes) -> str:
    """Text of septets, one to an octet. An unknown extension shows its basic character, as the standard asks; a lone
    escape shows a space; an octet over 0x7F shows U+FFFD."""
    out: list[str] = []
    escaped = False
    for septet in septets:
        if septet > 0x7F:
            out.append("\ufffd")
            escaped = False
        elif escaped:
            out.append(EXTENSION.get(septet, " " if septet == ESCAPE else BASIC[septet]))
            escaped = False
        elif septet == ESCAPE:
            escaped = True
        else:
            out.append(BASIC[septet])
    if escaped:
        out.append(" ")
    return "".join(out)


def characters(text: str) -> list[bytes] | None:
    """The septets of each character, one or two; None where a character is not in the alphabet."""
    found = [_SEPTETS.get(char) for char in text]
    return None if None in found else [septets for septets in found if septets is not None]


def pack(septets: bytes, fill: int = 0) -> bytes:
    """Septets as octets, least significant bits first, after ``fill`` zero bits."""
    value = 0
    for position, septet in enumerate(septets):
        value |= (septet & 0x7F) << (fill + 7 * position)
    return value.to_bytes((fill + 7 * len(septets) + 7) // 8, "little")


def unpack(octets: bytes, count: int, fill: int = 0) -> bytes:
    """``count`` septets from packed octets, fewer where the octets run out; ``fill`` bits at the start are skipped."""
    value = int.from_bytes(octets, "little") >> fill
    count = max(0, min(count, (8 * len(octets) - fill) // 7))
    return bytes((value >> (7 * position)) & 0x7F for position in range(count))

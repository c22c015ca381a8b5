"""A text as messages that a robot may send. Pure."""

from __future__ import annotations

import unicodedata

MARK = "（{n}/{total}）"
MARK_BYTES = len(MARK.format(n=99, total=99).encode())


def clean(text: str) -> str:
    """Without control characters and halves of surrogate pairs, which no service takes."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in lines if c in "\n\t" or unicodedata.category(c) not in ("Cc", "Cs"))


def split(text: str, tail: str, most: int) -> list[str]:
    """Pieces of at most ``most`` bytes in UTF-8, cut at a line's end where one is near, never inside a character; each but a
    single one is numbered, and ``tail`` closes every one."""
    room = most - len(tail.encode())
    if len(text.encode()) <= room:
        return [text + tail]
    room -= MARK_BYTES
    pieces = []
    while text:
        piece = text.encode()[:room].decode("utf-8", "ignore")
        if len(piece) < len(text) and (end := piece.rfind("\n", len(piece) // 2)) > 0:
            piece = piece[: end + 1]
        pieces.append(piece)
        text = text[len(piece) :]
    return [piece.rstrip("\n") + MARK.format(n=n, total=len(pieces)) + tail for n, piece in enumerate(pieces, 1)]

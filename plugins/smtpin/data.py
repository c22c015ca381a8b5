"""What comes after DATA, as it comes: found is the one end that there is, and dots that were added are taken away. Pure.

Source: RFC 5321 sections 4.1.1.4 and 4.5.2. Work is done on whole pieces, never line by line: a large mail of short lines must
not hold up everybody else.
"""

from __future__ import annotations

from collections.abc import Callable

END = b"\r\n.\r\n"
_STUFFED, _PLAIN = b"\r\n.", b"\r\n"
_KEPT = len(END) - 1


class Collector:
    """One mail's octets. ``limit`` counts them without added dots; beyond it, and where ``room`` says no to their number, nothing
    is kept, and the end is still looked for."""

    def __init__(self, limit: int, room: Callable[[int], bool] = lambda size: True) -> None:
        self.limit = limit
        self.too_much = False
        self.no_room = False
        self._room = room
        self._pieces: list[bytes] = []
        self._size = 0
        # The line end of the DATA command itself: an end may follow at once.
        self._carry = _PLAIN
        self._virtual = len(_PLAIN)

    def feed(self, octets: bytes) -> bytes | None:
        """Take a piece. None until the end has come; then what follows it, which is no part of the mail."""
        work = self._carry + octets
        end = work.find(END)
        if end >= 0:
            self._keep(work[: end + len(_PLAIN)])
            return work[end + len(END) :]
        cut = max(0, len(work) - _KEPT)
        # What is kept back may begin an end, and no line end is parted from its dot.
        if work[cut - 1 : cut + 2] == _STUFFED:
            cut -= 1
        elif work[cut - 2 : cut + 1] == _STUFFED:
            cut -= 2
        self._keep(work[:cut])
        self._carry = work[cut:]
        return None

    def mail(self) -> bytes:
        """The whole of it."""
        return b"".join(self._pieces)

    def _keep(self, piece: bytes) -> None:
        plain = piece.replace(_STUFFED, _PLAIN)
        if self._virtual and plain:
            skipped = min(self._virtual, len(plain))
            plain, self._virtual = plain[skipped:], self._virtual - skipped
        self._size += len(plain)
        if self._size > self.limit:
            self.too_much = True
            self._pieces.clear()
        elif self.no_room or not self._room(self._size):
            self.no_room = True
            self._pieces.clear()
        elif plain:
            self._pieces.append(plain)

"""Cuts a stream into PDUs that begin with their own length in four octets. Pure; the codec says what a PDU is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, ClassVar

from msgspec import Struct


class Unwritable(ValueError):
    """A value that does not fit its field."""


class Broken(Struct, frozen=True, kw_only=True):
    """Bytes that are no PDU: ``answer`` is what to send back, if anything; after a ``fatal`` one the stream has no frames."""

    answer: Any
    fatal: bool
    why: str


class Framer(ABC):
    """Holds at most one unfinished PDU of ``limit`` octets. A codec names ``header`` and gives ``read`` and ``lost``."""

    header: ClassVar[int] = 4

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._buffer = bytearray()
        self._dead = False

    @abstractmethod
    def read(self, frame: bytes) -> Any:
        """The PDU of a whole frame, or ``Broken``. Never raises."""

    @abstractmethod
    def lost(self) -> Broken:
        """What to make of a length that cannot be."""

    def feed(self, data: bytes) -> Iterator[Any]:
        """Take bytes as they arrive; yield every PDU that is whole. After a fatal fault nothing more comes out."""
        if self._dead:
            return
        self._buffer += data
        while len(self._buffer) >= 4:
            length = int.from_bytes(self._buffer[:4], "big")
            if not self.header <= length <= self.limit:
                self._dead = True
                self._buffer.clear()
                yield self.lost()
                return
            if len(self._buffer) < length:
                return
            frame = bytes(self._buffer[:length])
            del self._buffer[:length]
            yield self.read(frame)

    @property
    def pending(self) -> int:
        """Octets of a PDU that is not whole yet."""
        return len(self._buffer)

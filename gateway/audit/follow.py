"""Reading the audit log as it grows, also over a rotation: what ``tail -F`` does, without missing a line."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

PAUSE = 0.5
"""Seconds between looks."""


class Follower:
    """Hands out the lines of a file that may grow, be renamed and begun anew, or be cut. ``poll`` never waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._rest = b""

    def poll(self) -> list[str]:
        """The whole lines that have come since the last call."""
        lines: list[str] = []
        while True:
            if self._file is None and not self._open():
                return lines
            lines += self._read()
            if not self._renamed():
                return lines
            lines += self._read()  # what was written between our reading and the renaming
            self.close()

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file, self._rest = None, b""

    def _open(self) -> bool:
        try:
            self._file = self._path.open("rb")
        except FileNotFoundError:
            return False
        return True

    def _read(self) -> list[str]:
        assert self._file is not None
        if os.fstat(self._file.fileno()).st_size < self._file.tell():
            self._file.seek(0)
            self._rest = b""
        data = self._rest + self._file.read()
        whole, end, self._rest = data.rpartition(b"\n")
        return [line.decode("utf-8", "replace") for line in whole.split(b"\n")] if end else []

    def _renamed(self) -> bool:
        assert self._file is not None
        here = os.fstat(self._file.fileno())
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            return False  # renamed and not begun anew yet: the old one may still grow
        return (here.st_ino, here.st_dev) != (there.st_ino, there.st_dev)


def tail(path: Path, *, lines: int = 20, follow: bool = False, sleep: Callable[[float], object] = time.sleep) -> Iterator[str]:
    """The last ``lines`` lines of a log, without line ends, and with ``follow`` every one that comes, for ever."""
    follower = Follower(path)
    try:
        yield from deque(follower.poll(), maxlen=lines)
        while follow:
            sleep(PAUSE)
            yield from follower.poll()
    finally:
        follower.close()

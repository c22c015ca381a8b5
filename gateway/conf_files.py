"""The files of conf/ as they stand together: read once into memory, and not while somebody is writing them."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

Files = Mapping[str, bytes]
"""The files of conf/ by their names relative to it, as they stood at one instant."""
PATTERNS = ("*.toml", "*.csv", "*.d/*.toml", "*.d/*.py", "templates/*")
SETTLE_SECONDS = 0.05
"""A file that changed within this time may still be being written."""
UNSTEADY_SECONDS = 5.0


class Unsteady(Exception):
    """The configuration goes on changing while it is read. ``names`` are the files that did."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = tuple(names)
        super().__init__(", ".join(names))


def steady(
    root: Path, *, clock: Callable[[], float] = time.time, sleep: Callable[[float], None] = time.sleep
) -> dict[str, bytes]:
    """The files below ``root`` as they stand together, each read into memory once.

    Read again until nothing changes between the first file and the last, and no file is younger than ``SETTLE_SECONDS``.
    Raises ``Unsteady`` after ``UNSTEADY_SECONDS``. A file that cannot be read is left out; whoever asks for it is told why.
    """
    waited = 0.0
    while True:
        before = _stamps(root)
        read = _contents(root, before)
        after = _stamps(root)
        moved = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        now = clock()
        moved += [name for name, stamp in after.items() if abs(now - stamp[0] / 1e9) < SETTLE_SECONDS and name not in moved]
        if not moved:
            return read
        if waited >= UNSTEADY_SECONDS:
            raise Unsteady(moved)
        sleep(SETTLE_SECONDS / 2)
        waited += SETTLE_SECONDS / 2


def _stamps(root: Path) -> dict[str, tuple[int, int, int]]:
    """By which a change of a file is seen: its time, its size, which file it is."""
    stamps = {}
    for pattern in PATTERNS:
        for path in sorted(root.glob(pattern)):
            try:
                found = path.stat()
            except OSError:
                continue
            stamps[path.relative_to(root).as_posix()] = (found.st_mtime_ns, found.st_size, found.st_ino)
    return stamps


def _contents(root: Path, names: Iterable[str]) -> dict[str, bytes]:
    read = {}
    for name in names:
        with contextlib.suppress(OSError):
            read[name] = (root / name).read_bytes()
    return read

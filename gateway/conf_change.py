"""Changing a file of conf/ while the gateway runs: what would change, and the exchange of the file in one step.

``Exchange`` writes the new file beside the old one first; only a rename is left to be done once the change is on record. Whoever
changed the file in between is not overwritten.
"""

from __future__ import annotations

import contextlib
import difflib
import hashlib
import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MOST_BYTES = 512 * 1024
"""The largest file that is changed so; a larger one is for an editor."""
MOST_PAIRS = 4_000_000
"""Lines times lines that are compared one by one; of more, the old ones are shown as gone and the new ones as come."""
CONTEXT = 3


class ChangedMeanwhile(Exception):
    """Somebody else wrote the file since it was read."""


def content(path: Path) -> bytes | None:
    """What stands in a file; None where there is none. Raises ``OSError``."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return None


def digest(content: bytes | None) -> str:
    """By which a state of a file is known: SHA-256, hex; of one that is not there ``none``."""
    return "none" if content is None else hashlib.sha256(content).hexdigest()


def writable(folder: Path) -> bool:
    """Whether this process may put files into ``folder``; a read-only file system counts as well."""
    return os.access(folder, os.W_OK | os.X_OK, effective_ids=True)


def diff(name: str, old: str, new: str) -> list[str]:
    """The lines of a unified diff that ``patch -p1`` takes in the folder of conf; empty where nothing changes."""
    before, after = old.splitlines(), new.splitlines()
    same = 0
    while same < min(len(before), len(after)) and before[same] == after[same]:
        same += 1
    tail = 0
    while tail < min(len(before), len(after)) - same and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    if (len(before) - same - tail) * (len(after) - same - tail) > MOST_PAIRS:
        return _whole(name, before, after, same, tail)
    return list(difflib.unified_diff(before, after, f"a/{name}", f"b/{name}", lineterm="", n=CONTEXT))


def _whole(name: str, before: Sequence[str], after: Sequence[str], same: int, tail: int) -> list[str]:
    """One block: everything between what is the same at both ends."""
    start, end = max(0, same - CONTEXT), max(0, tail - CONTEXT)
    gone, come = before[same : len(before) - tail], after[same : len(after) - tail]
    first, last = before[start:same], before[len(before) - tail : len(before) - end]
    counts = [len(first) + len(part) + len(last) for part in (gone, come)]
    return [
        f"--- a/{name}", f"+++ b/{name}", f"@@ -{start + 1},{counts[0]} +{start + 1},{counts[1]} @@",
        *(f" {line}" for line in first), *(f"-{line}" for line in gone), *(f"+{line}" for line in come),
        *(f" {line}" for line in last),
    ]  # fmt: skip


def counted(lines: Sequence[str]) -> tuple[int, int]:
    """How many lines a diff adds and takes away."""
    body = lines[2:]
    return sum(line.startswith("+") for line in body), sum(line.startswith("-") for line in body)


@dataclass(slots=True)
class Exchange:
    """A new file that lies ready beside the old one."""

    path: Path
    old: bytes | None
    _ready: str

    @classmethod
    def prepare(cls, path: Path, old: bytes | None, new: bytes) -> Exchange:
        """Write ``new`` beside ``path``, with its mode and owner, synced. Raises ``ChangedMeanwhile`` where ``path`` is no longer
        as ``old`` has it, and ``OSError``."""
        path = path.resolve()
        if content(path) != old:
            raise ChangedMeanwhile
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
        made = cls(path, old, name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(new)
                _as_before(path, file.fileno())
                os.fsync(file.fileno())
        except BaseException:
            made.drop()
            raise
        return made

    def finish(self) -> None:
        """Put it in the place of the old one. Raises ``ChangedMeanwhile`` and ``OSError``; then nothing was changed."""
        try:
            if content(self.path) != self.old:
                raise ChangedMeanwhile
            os.replace(self._ready, self.path)
        except BaseException:
            self.drop()
            raise
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)

    def drop(self) -> None:
        """Leave everything as it is."""
        with contextlib.suppress(OSError):
            os.unlink(self._ready)


def _as_before(path: Path, handle: int) -> None:
    """Mode and owner of the file that is there; where there is none, readable as other files of conf are."""
    if not path.exists():
        os.fchmod(handle, 0o644)
        return
    found = path.stat()
    os.fchmod(handle, found.st_mode & 0o7777)
    if (found.st_uid, found.st_gid) != (os.geteuid(), os.getegid()) and os.geteuid() == 0:
        os.fchown(handle, found.st_uid, found.st_gid)

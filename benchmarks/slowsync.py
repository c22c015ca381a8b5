"""Counts the syncs of processes, and makes each of them last longer, for both sides of a comparison alike."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path

SOURCE = Path(__file__).with_suffix(".c")


class Syncs:
    """The shim for processes that are started with ``env``; ``micros`` are added to each fsync and fdatasync."""

    def __init__(self, folder: Path, micros: int = 0) -> None:
        folder.chmod(0o755)
        library, self._count = folder / "slowsync.so", folder / "syncs"
        if not library.exists():
            subprocess.run(["cc", "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
        self._count.write_bytes(bytes(8))
        self._count.chmod(0o666)
        self.env = {"LD_PRELOAD": str(library), "SYNC_COUNT": str(self._count), "SYNC_MICROS": str(micros)}

    @property
    def count(self) -> int:
        """How many there were since the start."""
        return int(struct.unpack("Q", self._count.read_bytes())[0])

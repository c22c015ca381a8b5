"""A disk that loses its power and fails on command: the process of ``platter.py``, seen from outside."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]


class Disk:
    """A mounted disk. ``mount`` is its folder."""

    def __init__(self, where: Path) -> None:
        self.mount = where / "disk"
        self.mount.mkdir(parents=True)
        self._socket = where / "disk.sock"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.platter", str(self.mount), str(self._socket)], cwd=ROOT
        )
        deadline = time.monotonic() + 15
        while not (self._socket.exists() and os.path.ismount(self.mount)):
            assert time.monotonic() < deadline and self._process.poll() is None, "the disk did not mount"
            time.sleep(0.02)

    def ask(self, do: str, **more: Any) -> Any:
        """Give a command."""
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(30)
            sock.connect(str(self._socket))
            sock.sendall(json.dumps({"do": do, **more}).encode() + b"\n")
            with sock.makefile() as answer:
                return json.loads(answer.readline())

    def rules(self, *rules: dict[str, Any], seed: int = 0) -> None:
        """From now on these faults; none: all is well."""
        self.ask("rules", rules=list(rules), seed=seed)

    def cut(self, seed: int) -> str:
        """Cut the power. Whoever had files open must be dead."""
        return str(self.ask("cut", seed=seed))

    def close(self) -> None:
        """Unmount and end."""
        subprocess.run(["fusermount3", "-u", "-z", str(self.mount)], check=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        self._process.kill()
        self._process.wait()

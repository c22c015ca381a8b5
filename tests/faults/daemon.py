"""One daemon process: started anew with its own Python, or forked by the nursery of ``runner``."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
RUNNER = ("-m", "tests.faults.runner")
_nursery: subprocess.Popen[str] | None = None


class Daemon:
    """A process by its id, whoever its parent is."""

    def __init__(self, pid: int, parent: subprocess.Popen[bytes] | None = None) -> None:
        self.pid = pid
        self._parent = parent
        self._watch = os.pidfd_open(pid)

    @property
    def alive(self) -> bool:
        return self._watch >= 0 and not select.select([self._watch], [], [], 0)[0]

    def signal(self, number: int) -> None:
        """Send a signal; nothing happens to one that is dead."""
        with contextlib.suppress(ProcessLookupError):
            if self.alive:
                signal.pidfd_send_signal(self._watch, number)

    def wait(self, seconds: float) -> None:
        """See it gone, by SIGKILL after ``seconds``."""
        if self._watch >= 0 and not select.select([self._watch], [], [], seconds)[0]:
            self.signal(signal.SIGKILL)
            select.select([self._watch], [], [], 10)
        if self._parent is not None:
            self._parent.wait(10)
        if self._watch >= 0:
            os.close(self._watch)
            self._watch = -1


def executed(conf: Path, log: Path, env: dict[str, str], how: tuple[str, ...], before: tuple[str, ...]) -> Daemon:
    """``gateway run`` as an operator starts it, behind the command ``before``; with ``how`` through the runner."""
    command = [sys.executable, *RUNNER, str(conf), *how] if how else [sys.executable, "-m", "gateway", "--conf", str(conf), "run"]
    with log.open("ab") as file:
        parent = subprocess.Popen([*before, *command], stdout=file, stderr=file, env=env, cwd=ROOT)
    return Daemon(parent.pid, parent)


def forked(conf: Path, log: Path, env: dict[str, str], how: tuple[str, ...]) -> Daemon:
    """The same out of the nursery, without the second of imports."""
    global _nursery
    if _nursery is None or _nursery.poll() is not None:
        _nursery = subprocess.Popen(
            [sys.executable, *RUNNER, "--nursery"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=env, cwd=ROOT
        )
    assert _nursery.stdin is not None and _nursery.stdout is not None
    _nursery.stdin.write(json.dumps({"conf": str(conf), "log": str(log), "how": how, "env": env}) + "\n")
    _nursery.stdin.flush()
    return Daemon(int(_nursery.stdout.readline()))


def close_nursery() -> None:
    """End the nursery; what it bore is ended by its stand."""
    global _nursery
    if _nursery is not None:
        assert _nursery.stdin is not None
        _nursery.stdin.close()
        _nursery.wait(10)
        _nursery = None

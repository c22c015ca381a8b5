"""Runs ``gateway.testing.run`` in a child process and keeps time: a plugin under test may never come back.

A check that takes longer than it may, and one in which the process dies, is told as failed; the rest goes on in a new process.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from gateway import i18n
from gateway.i18n import _

LONGEST_LINE = 1 << 22


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """What the child is to do. ``start`` is the number of the first check; ``out`` the descriptor for its lines."""

    file: str
    settings: str | None
    captures: tuple[str, ...]
    start: int
    out: int
    lang: str


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the child. ``begins`` comes before a check; ``output`` is what a replayed message became."""

    result: Literal["begins", "ok", "failed", "skipped", "output"]
    kind: str
    check: str
    why: str = ""

    def plain(self) -> dict[str, Any]:
        """As a JSON object of ``gateway plugins test --json``."""
        made: dict[str, Any] = msgspec.to_builtins(self)
        return made


def named(file: Path) -> str:
    """The plugin's name: that of the file, or of the package whose first file it is."""
    return file.resolve().parent.name if file.stem == "__init__" else file.stem


def checks(file: Path, settings: Path | None, captures: Sequence[Path], seconds: float) -> Iterator[Line]:
    """Every check's result, in order; each may take ``seconds``."""
    start = 0
    while True:
        child = _Child.started(
            Job(
                file=str(file),
                settings=str(settings) if settings else None,
                captures=tuple(map(str, captures)),
                start=start,
                out=-1,
                lang=i18n.lang(),
            )
        )
        try:
            begun = None
            while (line := child.line(seconds if begun else seconds + START_SECONDS)) is not None:
                if line.result == "begins":
                    begun, start = line, start + 1
                    continue
                if line.result != "output":
                    begun = None
                yield line
            why = child.ended()
        finally:
            child.kill()
        if begun is None:
            if why:
                yield Line(result="failed", kind=named(file), check="load", why=why)
            return
        yield Line(
            result="failed",
            kind=begun.kind,
            check=begun.check,
            why=why or _("took longer than {seconds:g} s").format(seconds=seconds),
        )
        if start == 1:
            # What cannot be loaded has no further checks.
            return


START_SECONDS = 30.0
"""For the interpreter and the imports, before the first check begins."""


@dataclass(slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    out: int
    held: bytes = b""
    late: bool = False

    @classmethod
    def started(cls, job: Job) -> _Child:
        read, write = os.pipe()
        command = [sys.executable, "-m", "gateway.testing.run"]
        told = msgspec.json.encode(msgspec.structs.replace(job, out=write)).decode()
        try:
            process = subprocess.Popen([*command, told], stdin=subprocess.DEVNULL, pass_fds=(write,), start_new_session=True)  # noqa: S603
        finally:
            os.close(write)
        return cls(process, read)

    def line(self, seconds: float) -> Line | None:
        """The next line; None where there is no more, or none came in time."""
        until = time.monotonic() + seconds
        while b"\n" not in self.held:
            ready = select.select([self.out], [], [], max(0.0, until - time.monotonic()))[0]
            if not ready:
                self.late = True
                return None
            data = os.read(self.out, 65536)
            if not data or len(self.held) > LONGEST_LINE:
                return None
            self.held += data
        first, _newline, self.held = self.held.partition(b"\n")
        return msgspec.json.decode(first, type=Line)

    def ended(self) -> str:
        """Why it ended before it was done; empty where it did not, or ended well."""
        if self.late:
            return ""
        try:
            code = self.process.wait(5)
        except subprocess.TimeoutExpired:
            return ""
        return _("the process ended with {code}").format(code=code) if code else ""

    def kill(self) -> None:
        """End it and whatever it has started, also where it has ended itself."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self.out)

"""Kinds of storage fault: what each does to a running gateway, and how it is taken back."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

WAL, DB, LOG = "gateway.db-wal", "gateway.db", "audit.jsonl"
Rule = dict[str, Any]


def rule(ops: str, error: str | None = None, match: str = "", **more: Any) -> Rule:
    """A rule of ``platter.Platter``."""
    return {"ops": ops.split(), "match": match, **({"error": error} if error else {}), **more}


@dataclass(frozen=True)
class Place:
    """Where the state lies, and which process has it."""

    state: Path
    pid: int
    disk: Any = None


Struck = Callable[[], bool]
"""Whether a fault has hit anything yet; where nobody can tell, it has."""
Fault = Callable[[Place, Random], AbstractContextManager[Struck]]


def at_once() -> bool:
    """Of a fault that hits by being there."""
    return True


def ruled(*rules: Rule) -> Fault:
    """A fault of the disk of ``platter.py``."""

    @contextmanager
    def fault(place: Place, random: Random) -> Iterator[Struck]:
        place.disk.rules(*rules, seed=random.randrange(1 << 30))

        def struck() -> bool:
            return bool(place.disk.ask("stat")["hits"])

        yield struck
        hit = struck()
        place.disk.rules()
        assert hit, f"the fault {rules} never struck"

    return fault


def full_after(most: int) -> Fault:
    """A disk that has a little room left, so that some writes of a transaction still fit."""

    @contextmanager
    def fault(place: Place, random: Random) -> Iterator[Struck]:
        with ruled(rule("write", room=random.randrange(most)))(place, random) as struck:
            yield struck

    return fault


HOLDER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=30)
db.execute(sys.argv[2])
db.execute("SELECT count(*) FROM messages").fetchall()
print("held", flush=True)
sys.stdin.read()
"""


def held(statement: str) -> Fault:
    """Another process holds the data base."""

    @contextmanager
    def fault(place: Place, random: Random) -> Iterator[Struck]:
        import sys

        command = [sys.executable, "-c", HOLDER, str(place.state / DB), statement]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None and holder.stdin is not None
            assert holder.stdout.readline() == b"held\n"
            yield at_once
            holder.stdin.close()
            holder.wait(20)

    return fault


def limited(what: int, number: Callable[[Place], int]) -> Fault:
    """A limit of the running process is lowered (prlimit)."""

    @contextmanager
    def fault(place: Place, random: Random) -> Iterator[Struck]:
        soft, hard = resource.prlimit(place.pid, what)
        resource.prlimit(place.pid, what, (number(place), hard))
        yield at_once
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(place.pid, what, (soft, hard))

    return fault


@contextmanager
def stuffed(place: Place, random: Random) -> Iterator[Struck]:
    """A file beside the store takes all the room of a real file system but a few octets."""
    stuffing = place.state / "stuffing"
    with stuffing.open("wb") as file:
        size = 1 << 20
        while size:
            try:
                os.write(file.fileno(), bytes(size))
            except OSError:
                size //= 2
    yield at_once
    stuffing.unlink()


@contextmanager
def no_room_for_names(place: Place, random: Random) -> Iterator[Struck]:
    """The file system has no inodes left and is full as well."""
    folder = place.state / "names"
    folder.mkdir(exist_ok=True)
    with stuffed(place, random):
        with contextlib.suppress(OSError):
            for number in range(100_000):
                (folder / str(number)).touch()
        yield at_once
    for one in folder.iterdir():
        one.unlink()
    folder.rmdir()


def preloaded(failure: str) -> Fault:
    """libfiu, preloaded into the daemon, fails its calls of the C library."""

    @contextmanager
    def fault(place: Place, random: Random) -> Iterator[Struck]:
        subprocess.run(
            ["fiu-ctrl", "-c", f"enable_random name={failure},probability=0.6", str(place.pid)], check=True, timeout=20
        )
        yield at_once
        if Path(f"/proc/{place.pid}").exists():
            subprocess.run(["fiu-ctrl", "-c", f"disable name={failure}", str(place.pid)], check=True, timeout=20)

    return fault


def _largest(place: Place) -> int:
    return max(path.stat().st_size for path in place.state.iterdir() if path.is_file()) // 2


def _descriptors(place: Place) -> int:
    return len(os.listdir(f"/proc/{place.pid}/fd"))


ON_DISK: dict[str, Fault] = {
    "disk full": full_after(60_000),
    "quota": ruled(rule("write", "EDQUOT")),
    "read-only": ruled(rule("mutating", "EROFS")),
    "sync of the store fails": ruled(rule("fsync", "EIO", WAL)),
    "sync of the store fails and forgets": ruled(rule("fsync", "EIO", WAL, forget=True)),
    "sync of the store fails now and then, and forgets": ruled(rule("fsync", "EIO", WAL, forget=True, chance=0.5)),
    "full at sync": ruled(rule("fsync", "ENOSPC", WAL, forget=True)),
    "writes of the store fail": ruled(rule("write", "EIO", WAL)),
    "writes of the store fail now and then": ruled(rule("write", "EIO", WAL, chance=0.3)),
    "writes of the store are torn": ruled(rule("write", "EIO", WAL, torn=True, chance=0.3)),
    "short writes": ruled(rule("write", match=WAL, short=True)),
    "checkpoint writes fail": ruled(rule("write", "EIO", DB)),
    "checkpoint sync fails": ruled(rule("fsync", "EIO", DB)),
    "checkpoint sync fails and forgets": ruled(rule("fsync", "EIO", DB, forget=True)),
    "writes of the record fail": ruled(rule("write", "EIO", LOG)),
    "lines of the record are torn": ruled(rule("write", "ENOSPC", LOG, torn=True)),
    "lines of the record are torn and stay": ruled(rule("write", "ENOSPC", LOG, torn=True), rule("truncate", "EIO", LOG)),
    "sync of the record fails": ruled(rule("fsync", "EIO", LOG)),
    "sync of the record fails and forgets": ruled(rule("fsync", "EIO", LOG, forget=True)),
    "nothing can be opened": ruled(rule("fsync", "EIO", WAL), rule("open open-write create", "EACCES")),
    "reads fail": ruled(rule("fsync", "EIO", WAL), rule("read", "EIO")),
    "disk gone": ruled(rule("all", "EIO")),
    "stale handles": ruled(rule("all", "ESTALE")),
    "slow sync": ruled(rule("fsync", seconds=0.7)),
    "sync hangs": ruled(rule("fsync", match=WAL, seconds=7.0)),
    "locked": held("BEGIN IMMEDIATE"),
    "locked for reading too": held("BEGIN EXCLUSIVE"),
    "a reader that never ends": held("BEGIN"),
    "file size limit": limited(resource.RLIMIT_FSIZE, _largest),
    "no descriptors left": limited(resource.RLIMIT_NOFILE, _descriptors),
}
ON_TMPFS: dict[str, Fault] = {"full tmpfs": stuffed, "full tmpfs without inodes": no_room_for_names}
ON_EXT4: dict[str, Fault] = {"full ext4": stuffed}
PRELOADED: dict[str, Fault] = {
    "libfiu: sync": preloaded("posix/io/sync/*"),
    "libfiu: write": preloaded("posix/io/rw/pwrite*"),
}

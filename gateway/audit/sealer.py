"""The one sealer: gives committed events their places in the chain, then writes their lines and syncs them.

The chain is settled in the data base first; the file follows it. Whatever the file lacks after a crash is appended at the
next run; what a power cut tore, a last line or sectors before it, is cut first; and a file that was renamed by logrotate is left
alone and a new one begun.
"""

from __future__ import annotations

import gzip
import logging
import os
import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import get_args

import msgspec

from gateway.audit import chain
from gateway.audit.chain import Algorithm
from gateway.audit.outside import Tree, Wrong, leaf_hash
from gateway.i18n import _
from gateway.store import Store, Tx, journal, notes
from gateway.store.journal import Entry, Sealed

log = logging.getLogger(__name__)

BATCH = 1000
MODE = 0o640
_BLOCK = 1 << 16
_RENEWED = 4 << 20
"""More than a batch of lines has octets, and no more than that is ever written without a sync."""


TREE = "audit_tree"


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """The tree as the store remembers it: its size, its right edge in hex, its algorithm."""

    size: int
    edge: tuple[str, ...]
    algorithm: Algorithm = "sha256"


class AuditMismatch(Exception):
    """The audit log and the journal disagree: one of them was changed or set back. The text says where."""


class Sealer:
    """Seals the events of ``store`` into the file ``path``. Used by one thread at a time.

    ``now`` is asked for ``lag`` alone: lines carry the instants of their events. ``algorithm`` is for new lines.
    """

    def __init__(self, store: Store, path: Path, now: Callable[[], datetime], *, algorithm: Algorithm = "sha256") -> None:
        self._store = store
        self._path = path
        self._now = now
        self._algorithm: Algorithm = algorithm
        self._file: int | None = None
        self._seq = 0
        self._tree = Tree(algorithm=algorithm)
        self._tree_lock = threading.Lock()

    def head(self) -> tuple[int, bytes, str]:
        """Size, root and algorithm of the tree over all lines that are written and synced; for any thread."""
        with self._tree_lock:
            return self._tree.size, self._tree.root(), self._tree.algorithm

    @property
    def written(self) -> int:
        """The place of the last line that is in the file and synced."""
        return self._seq

    def run_once(self) -> int:
        """Seal and write up to ``BATCH`` events; returns how many lines were written, 0 when all is done.

        Raises ``StorageTrouble``, ``OSError`` where the file cannot be written (nothing is lost: the next run goes on),
        ``AuditMismatch``.
        """
        if self._file is None:
            self._begin()
        fresh: list[tuple[int, bytes]] = []
        if self._store.read_now(lambda tx: journal.unsealed(tx, 1)):
            fresh = self._store.write_now(self._seal)
        if not fresh or fresh[0][0] != self._seq + 1:
            # Another node, or a run that was broken off, has sealed what is not in the file yet.
            behind = self._store.read_now(lambda tx: journal.sealed_after(tx, self._seq, BATCH))
            fresh = [(entry.seq or self._seq, _line(entry)) for entry in behind]
        if fresh:
            self._append(fresh)
        return len(fresh)

    def lag(self) -> timedelta:
        """How long the oldest event without a seal has waited; zero when all are sealed."""
        waiting = self._store.read_now(lambda tx: journal.unsealed(tx, 1))
        return self._now() - waiting[0].event.at if waiting else timedelta(0)

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def _seal(self, tx: Tx) -> list[tuple[int, bytes]]:
        """Give the next events their places; returns these with their lines, which may be written once this is committed."""
        journal.lock_chain(tx)
        last = journal.last_sealed(tx)
        seq, prev = (last.seq or 0, last.hash or chain.GENESIS) if last else (0, chain.GENESIS)
        sealed, lines = [], []
        for entry in journal.unsealed(tx, BATCH):
            seq += 1
            hashed = chain.body(entry, seq, prev)
            hash_ = chain.digest(hashed, self._algorithm)
            sealed.append(Sealed(id=entry.id, seq=seq, prev=prev, hash=hash_))
            lines.append((seq, chain.line(hashed, hash_)))
            prev = hash_
        journal.mark_sealed(tx, sealed)
        if self._seq:
            journal.note_written(tx, self._path.name, self._seq)
            edge = tuple(node.hex() for node in self._tree.edge)
            notes.put(tx, TREE, Kept(size=self._tree.size, edge=edge, algorithm=self._tree.algorithm))  # type: ignore[arg-type]
        return lines

    def _append(self, sealed: list[tuple[int, bytes]]) -> None:
        self._follow_rotation()
        assert self._file is not None
        data = b"".join(line for _seq, line in sealed)
        size = os.fstat(self._file).st_size
        try:
            _write(self._file, data)
            os.fsync(self._file)
        except OSError:
            # Half a line must not stand there while lines come behind it.
            try:
                os.ftruncate(self._file, size)
            except OSError:
                self.close()
            raise
        self._seq = sealed[-1][0]
        self._grow(data.splitlines())

    def _grow(self, lines: list[bytes]) -> None:
        with self._tree_lock:
            for one in lines:
                self._tree.append(leaf_hash(one, self._tree.algorithm))

    def _plant(self) -> None:
        """The tree over what is written: as remembered, and what came after that from the journal."""
        kept = self._store.read_now(lambda tx: notes.get(tx, TREE, Kept))
        tree = Tree(algorithm=self._algorithm)
        if kept is not None and kept.size <= self._seq:
            try:
                tree = Tree(kept.size, [bytes.fromhex(node) for node in kept.edge], kept.algorithm)
            except (Wrong, ValueError):
                log.warning("audit log: the tree is made anew")
        self._tree = tree
        while self._tree.size < self._seq:
            behind = self._store.read_now(lambda tx: journal.sealed_after(tx, self._tree.size, BATCH))
            wanted = [_line(entry)[:-1] for entry in behind if (entry.seq or 0) <= self._seq]
            if not wanted:
                break
            self._grow(wanted)

    def _begin(self) -> None:
        """Open the file, cut a torn line and find out up to where lines are there."""
        self._file = _open(self._path)
        try:
            _cut_torn(self._file)
            _renew(self._path)
            end = _last_line(_reader(self._file))
            if end is None:
                self._seq = self._elsewhere()
            else:
                self._seq = self._agreed(self._path, end)
            self._plant()
        except BaseException:
            self.close()
            raise

    def _elsewhere(self) -> int:
        """Up to where lines were written before this empty file: noted in the store, or seen in rotated files."""
        seq = self._store.read_now(lambda tx: journal.written(tx, self._path.name))
        for path in siblings(self._path):
            end = _last_of(path)
            found = chain.tail(end) if end is not None else None
            if found is not None and found.seq > seq:
                seq = self._agreed(path, end or b"")
        return seq

    def _agreed(self, path: Path, end: bytes) -> int:
        """The place of a file's last line, which must be the journal's. Raises ``AuditMismatch``."""
        found = chain.tail(end)
        entry = self._store.read_now(lambda tx: journal.sealed_at(tx, found.seq)) if found is not None else None
        if found is None or entry is None or entry.hash != found.hash or not _unchanged(end, found.hash):
            where = _("its last line is not an audit line") if found is None else _("at place {seq}").format(seq=found.seq)
            text = _("{path} and the journal disagree: {where}; keep the file as it is and begin another")
            raise AuditMismatch(text.format(path=path, where=where))
        return found.seq

    def _follow_rotation(self) -> None:
        """Where the file was renamed, begin a new one under the old name."""
        assert self._file is not None
        here = os.fstat(self._file)
        try:
            there = os.stat(self._path)
        except FileNotFoundError:
            there = None
        if there is None or (there.st_ino, there.st_dev) != (here.st_ino, here.st_dev):
            self.close()
            self._file = _open(self._path)
            log.info("audit log begun anew after rotation")


def siblings(path: Path) -> list[Path]:
    """Rotated files beside ``path``, in no particular order: ``audit.jsonl.1``, ``audit.jsonl-20260305``, also ``.gz``."""
    found = []
    for other in path.parent.glob(f"{path.name}[.-]*"):
        middle = other.name.removeprefix(path.name)[1:].removesuffix(".gz")
        if middle.replace("-", "").isdigit():
            found.append(other)
    return sorted(found)


def _line(entry: Entry) -> bytes:
    hashed = chain.body(entry, entry.seq or 0, entry.prev or chain.GENESIS)
    return chain.line(hashed, entry.hash or chain.GENESIS)


def _open(path: Path) -> int:
    new = not path.exists()
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, MODE)
    if new:
        os.fchmod(descriptor, MODE)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    return descriptor


def _write(descriptor: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _reader(descriptor: int) -> tuple[Callable[[int, int], bytes], int]:
    return (lambda size, at: os.pread(descriptor, size, at)), os.fstat(descriptor).st_size


def _cut_torn(descriptor: int) -> None:
    """Cut what stands behind the last line end, and the end of the file from a line on that has a hole: with the power any sector
    may be lost that was not synced, and one behind it be there. A hole reads as noughts, which no line has."""
    size = os.fstat(descriptor).st_size
    start = max(0, size - _RENEWED)
    hole = os.pread(descriptor, _RENEWED, start).find(b"\0")
    end = _line_end(descriptor, size if hole < 0 else start + hole)
    if end < size:
        log.warning("audit log: %d bytes at its end, a torn line or lost sectors, were cut", size - end)
        os.ftruncate(descriptor, end)
        os.fsync(descriptor)


def _line_end(descriptor: int, end: int) -> int:
    """Where the last line ends before ``end``."""
    while end > 0:
        start = max(0, end - _BLOCK)
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def _renew(path: Path) -> None:
    """Write the end of the file over itself and sync it. After a sync that failed, lines may be in memory alone and be taken for
    written for ever: what this run goes on from must be on the disk. A file that may only be appended to is left as it is."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except PermissionError:
        return
    try:
        start = max(0, os.fstat(descriptor).st_size - _RENEWED)
        end = os.pread(descriptor, _RENEWED, start)
        while end:
            written = os.pwrite(descriptor, end, start)
            start, end = start + written, end[written:]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _last_line(source: tuple[Callable[[int, int], bytes], int]) -> bytes | None:
    read, size = source
    if size == 0:
        return None
    want = _BLOCK
    while True:
        start = max(0, size - want)
        block = read(size - start, start)
        at = block.rfind(b"\n", 0, len(block) - 1)
        if at >= 0 or start == 0:
            return block[at + 1 :]
        want *= 4


def _unchanged(line: bytes, hash_: str) -> bool:
    """Whether a line's bytes are those that its hash was made of, by whichever algorithm was in use."""
    hashed = line[: line.rfind(b',"hash":"')]
    return any(chain.digest(hashed, algorithm) == hash_ for algorithm in get_args(Algorithm))


def _last_of(path: Path) -> bytes | None:
    """The last line of a rotated file, compressed or not; None where it is empty or cannot be read."""
    try:
        if path.suffix == ".gz":
            last = None
            with gzip.open(path, "rb") as packed:
                for last in packed:  # noqa: B007 - only the last one is wanted
                    pass
            return last
        with path.open("rb") as plain:
            return _last_line(_reader(plain.fileno()))
    except (OSError, EOFError):
        return None

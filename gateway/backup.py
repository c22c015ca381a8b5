"""``gateway backup``: one file with the store, the record and the configuration, consistent, made while the daemon runs.

The store is copied from one read snapshot; the audit log is cut at the last line sealed in that snapshot, and lines that were
not in the file yet are made from the snapshot's journal. No secret goes into it: without the store key nobody can read a text.
The file is a tar; ``manifest.json`` is its last member and names every other with its SHA-256.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import socket
import tarfile
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import IO, Any

import msgspec
import sqlalchemy as sa

from gateway import __version__
from gateway.audit import chain
from gateway.audit.verify import rotated
from gateway.i18n import _
from gateway.settings import Config, Whereabouts
from gateway.store import copying, journal, postgres_copy, schema
from gateway.store.copying import Peek

CONF = ("*.toml", "*.csv", "*.d/*.toml", "plugins.d/*.py", "templates/*")
"""What of the configuration folder goes into a backup; never its secrets."""
MANIFEST = "manifest.json"
STORE = "state/gateway.db"
TABLES = "tables/"
AUDIT = "audit/"
MODE = 0o600
STAGING = ".gateway-backup-"
VERIFYING = ".verify-"
STALE_SECONDS = 6 * 3600
"""A staging folder that nothing was written to for so long belongs to no run that lives."""
_NAME = "gateway-{at:%Y%m%dT%H%M%S}.tar"
_BLOCK = 1 << 20


class BackupError(Exception):
    """The backup or restore cannot be done; the text says why and what to do."""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds. ``files`` maps a member to its size and SHA-256; the record ends at ``seq`` with ``hash``."""

    version: str
    schema: str
    made_at: str
    node: str
    backend: str
    seq: int
    hash: str
    audit_log: str
    tables: dict[str, list[str]] = {}
    files: dict[str, tuple[int, str]] = {}


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was written."""

    path: Path
    size: int
    manifest: Manifest


def write(config: Config | Whereabouts, target: Path, now: datetime, *, rate: float = 0.0, folder_only: bool = False) -> Made:
    """Write a backup to the file ``target`` or, under a name of its own, into the folder ``target``.

    ``rate`` bounds reading and writing in MiB/s, 0 does not; with ``folder_only`` a file is refused. Raises ``BackupError``,
    ``StorageTrouble``, ``OSError``.
    """
    folder = target if target.is_dir() else target.parent
    path = folder / _NAME.format(at=now) if target.is_dir() else target
    if path.exists():
        raise BackupError(_("{path} is there already; name another file or a folder").format(path=path))
    if folder_only and not target.is_dir():
        raise BackupError(_("--keep needs a folder: {path} is a file").format(path=path))
    if not folder.is_dir():
        raise BackupError(_("there is no folder {path}").format(path=folder))
    _sweep(folder)
    staging = Path(tempfile.mkdtemp(prefix=STAGING, dir=folder))
    try:
        part = staging / "backup.tar"
        manifest = _collect(config, staging, part, now, rate, compressed=path.name.endswith((".gz", ".tgz")))
        os.replace(part, path)
        sync_folder(folder)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Made(path=path, size=path.stat().st_size, manifest=manifest)


def _sweep(folder: Path) -> None:
    """Remove what runs that were killed have left."""
    for left in (path for prefix in (STAGING, VERIFYING) for path in folder.glob(f"{prefix}*")):
        with suppress(OSError):
            if time.time() - left.stat().st_mtime > STALE_SECONDS:
                shutil.rmtree(left, ignore_errors=True)


def _collect(
    config: Config | Whereabouts, staging: Path, part: Path, now: datetime, rate: float, *, compressed: bool
) -> Manifest:
    with _snapshot(config, staging, rate) as (peek, version, stored, columns):
        last = peek.read_now(journal.last_sealed)
        seq, hash_ = (last.seq or 0, last.hash or chain.GENESIS) if last else (0, chain.GENESIS)
        logs = _logs(config.audit_log, staging, peek, seq)
    conf = {path for pattern in CONF for path in config.path.glob(pattern) if path.is_file()}
    members = {**stored, **logs, **{f"conf/{one.relative_to(config.path)}": one for one in sorted(conf)}}
    manifest = Manifest(
        version=__version__,
        schema=version,
        made_at=now.isoformat(timespec="seconds"),
        node=socket.gethostname(),
        backend="postgresql" if columns else "sqlite",
        seq=seq,
        hash=hash_,
        audit_log=config.audit_log.name,
        tables=columns,
    )
    return _pack(part, members, manifest, compressed=compressed)


@contextmanager
def _snapshot(
    config: Config | Whereabouts, staging: Path, rate: float
) -> Iterator[tuple[Any, str, dict[str, Path], dict[str, list[str]]]]:
    """One state of the store: a reader of it, its schema, the files that hold it, and PostgreSQL's columns by table."""
    url = sa.make_url(config.store_url)
    if url.get_backend_name() == "postgresql":
        with postgres_copy.dump(url, staging / "tables") as (reader, version, columns):
            yield reader, version, {f"{TABLES}{name}": staging / "tables" / name for name in columns}, columns
        return
    source, copied = Path(url.database or ""), staging / "gateway.db"
    if not source.is_file():
        raise BackupError(_("there is no store at {path}: has the daemon never run?").format(path=source))
    copying.copy(source, copied, rate=rate)
    peek = Peek(f"sqlite:///{copied}")
    try:
        kept = peek.read_now(lambda tx: schema.version(tx.conn))
        if kept is None:
            raise BackupError(_("{path} holds no store").format(path=source))
        yield peek, kept, {STORE: copied}, {}
    finally:
        peek.close()
    for rest in ("-wal", "-shm"):
        copied.with_name(f"{copied.name}{rest}").unlink(missing_ok=True)


def _logs(log: Path, staging: Path, peek: Any, seq: int) -> dict[str, Path]:
    """The audit log and its rotated files, cut behind ``seq``; lines that are not there yet are made from the journal."""
    folder = staging / "audit"
    folder.mkdir(mode=0o700)
    members, reached = {}, 0
    for path in rotated(log):
        first, last = _ends(path)
        if first > seq:
            continue
        copied = folder / (path.name if last <= seq else path.name.removesuffix(".gz"))
        if last <= seq and path != log:
            shutil.copyfile(path, copied)
            reached = max(reached, last)
        else:
            reached = max(reached, _cut(path, copied, seq))
        members[f"{AUDIT}{copied.name}"] = copied
    current = folder / log.name
    with current.open("ab") as file:
        while reached < seq:
            for entry in peek.read_now(lambda tx, after=reached: journal.sealed_after(tx, after, 1000)):
                if (entry.seq or 0) <= seq:
                    file.write(chain.line(chain.body(entry, entry.seq or 0, entry.prev or ""), entry.hash or ""))
                reached = entry.seq or seq
    return {**members, f"{AUDIT}{log.name}": current}


def _ends(path: Path) -> tuple[int, int]:
    """The places of a log's first and last whole lines."""
    first = last = 0
    with _opened(path) as file:
        for line in file:
            if (found := chain.tail(line)) is not None:
                first, last = first or found.seq, found.seq
            if last and path.suffix != ".gz" and file.tell() < path.stat().st_size - (1 << 16):
                file.seek(-(1 << 16), os.SEEK_END)
                file.readline()
    return first, last


def _cut(path: Path, copied: Path, seq: int) -> int:
    """Copy a log's lines up to ``seq``; returns the last place that was there."""
    reached = 0
    with _opened(path) as source, copied.open("wb") as target:
        for line in source:
            found = chain.tail(line)
            if found is None or found.seq > seq:
                break
            target.write(line)
            reached = found.seq
    return reached


def _opened(path: Path) -> Any:
    import gzip

    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _pack(part: Path, members: dict[str, Path], manifest: Manifest, *, compressed: bool) -> Manifest:
    with os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL, MODE), "wb") as raw:
        out = _Out(raw)
        with _tar(out, compressed) as tar:
            files = {name: _add(tar, name, path) for name, path in members.items()}
            manifest = msgspec.structs.replace(manifest, files=files)
            text = msgspec.json.format(msgspec.json.encode(manifest), indent=1)
            about = tarfile.TarInfo(MANIFEST)
            about.size, about.mode = len(text), MODE
            tar.addfile(about, io.BytesIO(text))
        raw.flush()
        os.fsync(raw.fileno())
    return manifest


def _tar(out: _Out, compressed: bool) -> tarfile.TarFile:
    # What is sealed does not shrink: the record and the configuration do, at the first level already.
    if compressed:
        return tarfile.open(fileobj=out, mode="w:gz", compresslevel=1)  # type: ignore[call-overload, no-any-return]
    return tarfile.open(fileobj=out, mode="w")  # type: ignore[call-overload, no-any-return]


def _add(tar: tarfile.TarFile, name: str, path: Path) -> tuple[int, str]:
    """Put a file into the tar, through a link where it is one; its size and SHA-256."""
    with path.open("rb") as file:
        about = tarfile.TarInfo(name)
        about.size, about.mode = os.fstat(file.fileno()).st_size, MODE
        about.mtime = int(path.stat().st_mtime)
        hashed = Hashed(file)
        tar.addfile(about, hashed)
    return about.size, hashed.hexdigest()


class Hashed:
    """A file that is hashed as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._hash = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        """As the file's."""
        data = self._file.read(size)
        self._hash.update(data)
        return data

    def hexdigest(self) -> str:
        """Of what was read."""
        return self._hash.hexdigest()


class _Out:
    """The tar's file, synced as it grows: the disk's queue stays short for the daemon's own syncs."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._since = 0

    def write(self, data: bytes) -> int:
        self._raw.write(data)
        self._since += len(data)
        if self._since >= copying.SYNC_BYTES:
            self._raw.flush()
            os.fdatasync(self._raw.fileno())
            self._since = 0
        return len(data)

    def tell(self) -> int:
        return self._raw.tell()

    def flush(self) -> None:
        self._raw.flush()


def sync_folder(folder: Path) -> None:
    """Make a rename in ``folder`` last."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def prune(folder: Path, keep: int) -> list[Path]:
    """Remove all but the newest ``keep`` backups of a folder, by their names."""
    old = sorted(path for path in folder.glob("gateway-*T*.tar*") if path.is_file())[:-keep]
    for path in old:
        path.unlink()
    return old

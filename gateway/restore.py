"""``gateway restore``: brings back what ``gateway backup`` wrote, after everything in it was checked.

The file is unpacked into a folder beside the state; sums, schema and the chain of the record are checked there, against the
journal of the restored store, and only then it takes its place. That it was restored is the first new event of the record.
"""

from __future__ import annotations

import getpass
import os
import re
import shutil
import tarfile
import tempfile
from datetime import datetime
from pathlib import Path

import msgspec
import sqlalchemy as sa

from gateway.audit.verify import rotated, verify_files
from gateway.backup import AUDIT, MANIFEST, STORE, TABLES, VERIFYING, BackupError, Hashed, Manifest, sync_folder
from gateway.conf_edit import set_key
from gateway.core.model import Event
from gateway.i18n import _
from gateway.store import Tx, engine, journal, postgres_copy, schema
from gateway.store.copying import Peek
from gateway.store.ids import Ids
from gateway.store.keys import StoreKeys

_MEMBER = re.compile(r"state/gateway\.db|tables/[a-z_]+|audit/[\w.-]+|conf/[^/\x00]+(/[^/\x00]+)?|manifest\.json")


class Places(msgspec.Struct, frozen=True, kw_only=True):
    """Where things go. ``conf`` None: the configuration that is there stays. ``store_url`` names a PostgreSQL data base."""

    state: Path
    audit_log: Path
    conf: Path | None = None
    store_url: str | None = None
    database: Path | None = None


class Restored(msgspec.Struct, frozen=True, kw_only=True):
    """What came back: the manifest, the lines of the record that were checked, and messages by state."""

    manifest: Manifest
    lines: int
    messages: dict[str, int]
    conf: list[str] = []


def places(to: Path, store_url: str | None = None) -> Places:
    """The places below a new folder: DIR/conf and DIR/state."""
    state = to.absolute() / "state"
    return Places(
        state=state,
        audit_log=state / "audit.jsonl",
        conf=to.absolute() / "conf",
        store_url=store_url,
        database=state / "gateway.db",
    )


def refuse_occupied(where: Places) -> None:
    """Raises ``BackupError`` where something is there already that would be written over."""
    there = [path for path in where.state.iterdir() if path.name != "lock"] if where.state.is_dir() else []
    for path in (where.database, where.audit_log):
        if path is not None and path.exists():
            there.append(path)
    if where.conf is not None and where.conf.is_dir():
        there += list(where.conf.iterdir())
    if there:
        text = _("{path} is there already; restore overwrites nothing: move it away or name a new folder")
        raise BackupError(text.format(path=there[0]))


def restore(file: Path, where: Places, now: datetime) -> Restored:
    """Bring ``file`` back; the caller holds the state's lock. Raises ``BackupError``, ``StorageTrouble``, ``OSError``."""
    refuse_occupied(where)
    staging = Path(tempfile.mkdtemp(prefix=".restore-", dir=where.state))
    try:
        manifest = unpack(file, staging)
        url = _store(where, manifest, staging)
        peek = Peek(url)
        try:
            lines = _check(peek, manifest, staging)
            messages = peek.read_now(_counts)
        finally:
            peek.close()
        # In the city's zone as every line before it; the configuration that names it is not in force here.
        _note(url, manifest, now.astimezone(datetime.fromisoformat(manifest.made_at).tzinfo))
        conf = _place(where, manifest, staging)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
    return Restored(manifest=manifest, lines=lines, messages=messages, conf=conf)


def unpack(file: Path, folder: Path) -> Manifest:
    """Unpack a backup and compare every file with the manifest. Raises ``BackupError``."""
    found: dict[str, tuple[int, str]] = {}
    text = b""
    try:
        with tarfile.open(file, "r:*") as tar:
            for member in tar:
                data = tar.extractfile(member) if member.isreg() else None
                if data is None or not _MEMBER.fullmatch(member.name) or ".." in member.name.split("/") or member.name in found:
                    raise BackupError(_("{file} is no backup of the gateway: member {name}").format(file=file, name=member.name))
                if member.name == MANIFEST:
                    text = data.read()
                    continue
                target = folder / member.name
                target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                hashed = Hashed(data)
                with os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as out:
                    shutil.copyfileobj(hashed, out, 1 << 20)
                    out.flush()
                    os.fsync(out.fileno())
                found[member.name] = (member.size, hashed.hexdigest())
    except (tarfile.TarError, EOFError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise BackupError(_("{file} is cut or damaged: {why}").format(file=file, why=type(error).__name__)) from None
    try:
        manifest = msgspec.json.decode(text, type=Manifest)
    except msgspec.MsgspecError:
        raise BackupError(_("{file} is cut or damaged: {why}").format(file=file, why=_("it has no manifest"))) from None
    for name in sorted(set(found) | set(manifest.files)):
        if found.get(name) != manifest.files.get(name):
            text_ = _("{file}: {name} is not as the manifest says; take another backup")
            raise BackupError(text_.format(file=file, name=name))
    if manifest.schema not in schema.KNOWN:
        newer = _("the backup has schema {schema}, this version knows up to {head}: install gateway {version} or newer")
        raise BackupError(newer.format(schema=manifest.schema, head=schema.HEAD, version=manifest.version))
    return manifest


def verify(file: Path, folder: Path) -> Restored:
    """Check a backup without bringing it back: sums and, for SQLite, the record against the journal. ``folder`` is for the
    unpacked files, which are removed. Raises ``BackupError``."""
    staging = Path(tempfile.mkdtemp(prefix=VERIFYING, dir=folder))
    try:
        manifest = unpack(file, staging)
        if manifest.backend != "sqlite":
            result = verify_files(rotated(staging / AUDIT / manifest.audit_log))
            _sound(result, manifest)
            return Restored(manifest=manifest, lines=result.lines, messages={})
        peek = Peek(f"sqlite:///{staging / STORE}")
        try:
            return Restored(manifest=manifest, lines=_check(peek, manifest, staging), messages=peek.read_now(_counts))
        finally:
            peek.close()
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _store(where: Places, manifest: Manifest, staging: Path) -> str:
    if manifest.backend == "sqlite":
        if where.store_url is not None:
            raise BackupError(_("the backup is of an SQLite store; it cannot be restored into PostgreSQL"))
        return f"sqlite:///{staging / STORE}"
    if where.store_url is None:
        raise BackupError(_("the backup is of a PostgreSQL store; name an empty data base with --store"))
    postgres_copy.load(sa.make_url(where.store_url), staging / TABLES.rstrip("/"), manifest.schema, manifest.tables)
    return where.store_url


def _check(peek: Peek, manifest: Manifest, staging: Path) -> int:
    """The record: whole, and the journal's own. Returns its lines."""
    result = verify_files(rotated(staging / AUDIT / manifest.audit_log), peek)  # type: ignore[arg-type]
    _sound(result, manifest)
    return result.lines


def _sound(result: object, manifest: Manifest) -> None:
    broken, last, head = (getattr(result, name) for name in ("broken", "last", "head"))
    if broken is not None:
        raise BackupError(_("the record in the backup is broken: {file}:{line}: {why}").format(
            file=broken.file.name, line=broken.line, why=broken.why))  # fmt: skip
    if manifest.seq and (last, head) != (manifest.seq, manifest.hash):
        text = _("the record in the backup ends at {last}, its manifest says {seq}")
        raise BackupError(text.format(last=last, seq=manifest.seq))


def _counts(tx: Tx) -> dict[str, int]:
    asked = sa.text("SELECT state, count(*) FROM messages GROUP BY state ORDER BY state")
    return {str(state): int(count) for state, count in tx.all(asked)}


def _note(url: str, manifest: Manifest, now: datetime) -> None:
    """Write the event of the restore, to be sealed by the daemon; leave no -wal behind."""
    data = {"made_at": manifest.made_at, "seq": manifest.seq, "version": manifest.version, "schema": manifest.schema}
    made = engine.make(sa.make_url(url), writes=True)
    try:
        with made.connect() as conn, conn.begin():
            tx = Tx(conn, StoreKeys(bytes(32)), lambda: now, Ids(lambda: now, os.urandom), {})
            journal.emit(tx, Event(at=now, event="restored", by=getpass.getuser(), data=data))
            tx.flush()
        if manifest.backend == "sqlite":
            raw = made.raw_connection()
            raw.cursor().execute("PRAGMA wal_checkpoint(TRUNCATE)")
            raw.close()
    finally:
        made.dispose()


def _place(where: Places, manifest: Manifest, staging: Path) -> list[str]:
    """Move what was checked to where it belongs; the store last, so that a state without it is an unfinished restore."""
    for path in sorted((staging / AUDIT).iterdir()):
        path.chmod(0o640)
        _move(path, where.audit_log.with_name(where.audit_log.name + path.name.removeprefix(manifest.audit_log)))
    conf = _conf(where, staging) if where.conf is not None else []
    if manifest.backend == "sqlite" and where.database is not None:
        _move(staging / STORE, where.database)
    return conf


def _move(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
    shutil.move(source, target)
    sync_folder(target.parent)


def _conf(where: Places, staging: Path) -> list[str]:
    """The configuration, with the keys that name places set to the new ones. Its secrets are not in a backup."""
    assert where.conf is not None
    shutil.copytree(staging / "conf", where.conf, dirs_exist_ok=True)
    for path in where.conf.rglob("*"):
        path.chmod(0o750 if path.is_dir() else 0o640)
    file = where.conf / "gateway.toml"
    text = file.read_text("utf-8")
    store = where.store_url or ""
    for key, value in (("state", str(where.state)), ("audit_log", ""), ("store", store), ("secrets", "secrets")):
        text = set_key(text, ("gateway", key), value)
    file.write_text(text, "utf-8")
    (where.conf / "secrets").mkdir(mode=0o700, exist_ok=True)
    sync_folder(where.conf)
    return sorted(str(path.relative_to(where.conf)) for path in where.conf.rglob("*") if path.is_file())

"""Gathers what doctor judges. Reads, measures and asks; the only things written are a few kilobytes to time a sync, and gone."""

from __future__ import annotations

import json
import os
import platform
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
import sqlalchemy as sa

from gateway import space
from gateway.conf_load import load
from gateway.core.space import full_in
from gateway.doctor import host, reach
from gateway.doctor.facts import Disk, Entry, Facts, Memory, Secret
from gateway.faults import ConfError
from gateway.host import Host
from gateway.i18n import _
from gateway.secrets import SecretError, Secrets
from gateway.settings import Config
from gateway.store import Tx

SYNCS = 20
SYNC_SECONDS = 5.0
MIB = 1 << 20
T = TypeVar("T")


def gather(conf: Path) -> Facts:
    """Every fact about ``conf`` and this host."""
    bare = Facts(
        now=datetime.now().astimezone(),
        config=None,
        clock=host.clock(),
        fonts=host.fonts(),
        families=host.families(),
        press=host.press(),
        python=platform.python_version(),
        libraries=tuple(_libraries()),
    )
    try:
        config = load(conf, Host.load(conf))
    except ConfError as error:
        return msgspec.structs.replace(bare, faults=tuple(map(str, error.faults)), entries=(_entry("conf", conf),))
    return _whole(config, bare)


def _whole(config: Config, bare: Facts) -> Facts:
    channels = reach.daemon_channels(config)
    ways, doors = reach.look(config, channels)
    years = [fault for fault in config.warnings if fault.key == "year"]
    workers = config.limits.parse_workers * config.limits.parse_memory_mb + config.limits.ocr_memory_mb
    ocr_wanted = any(getattr(one.settings, "ocr", False) for one in config.channels)
    store_why, schema = _store(config)
    return msgspec.structs.replace(
        bare,
        now=datetime.now(ZoneInfo(config.timezone)),
        config=config,
        warnings=tuple(str(fault) for fault in config.warnings if fault not in years),
        unknown_years=tuple((str(fault), fault.grave) for fault in years),
        entries=tuple(_entries(config)),
        writable=tuple(_writable(config.path)),
        secrets=tuple(_secrets(config)),
        disks=tuple(_disks(config)),
        clock=msgspec.structs.replace(bare.clock, zone_known=_zone(config), last_event=_last_event(config.audit_log)),
        ways=ways,
        doors=doors,
        memory=Memory(**host.limits(), workers=workers * MIB),
        ocr_wanted=ocr_wanted,
        ocr=host.recognition() if ocr_wanted else None,
        store=store_why,
        schema=schema,
        daemon=channels is not None,
    )


def _entry(role: str, path: Path) -> Entry:
    try:
        found = path.stat()
    except OSError:
        return Entry(role=role, path=str(path), mode=None)
    asks = os.R_OK if role == "conf" else os.R_OK | os.W_OK
    return Entry(
        role=role,
        path=str(path),
        mode=found.st_mode,
        mine=role == "conf" or os.geteuid() in (0, found.st_uid),
        usable=os.access(path, asks | (os.X_OK if path.is_dir() else 0)),
    )


def _entries(config: Config) -> Iterator[Entry]:
    yield _entry("conf", config.path)
    yield _entry("state", config.state)
    if not os.environ.get("CREDENTIALS_DIRECTORY"):
        yield _entry("secrets", config.secrets)
    database = sa.make_url(config.store_url).database
    if config.store_url.startswith("sqlite") and database:
        yield from (_entry("store", path) for path in (Path(database), Path(f"{database}-wal")))
    yield _entry("audit", config.audit_log)


def _writable(conf: Path) -> Iterator[str]:
    """Files and folders of conf that others than owner and group may write; its secrets and state have checks of their own."""
    for pattern in ("*.toml", "*.csv", "*.d", "*.d/*", "templates", "templates/*"):
        for path in sorted(conf.glob(pattern)):
            if not path.is_symlink() and path.stat().st_mode & 0o022:
                yield str(path)


def _secrets(config: Config) -> Iterator[Secret]:
    """Those that the configuration names, and what each is good for: a key has 32 bytes, a text is not empty."""
    from gateway.plughost.describe import secrets
    from gateway.store.errors import BadKey
    from gateway.store.keys import read_key

    held = Secrets(config.secrets)
    named = {name for one in (*config.channels, *config.transports) for name in secrets(one.settings)}
    if config.console.enabled and config.console.certificate:
        named.add(config.console.private_key)
    for name in ("store-key", config.bureau_public_key, *sorted(named)):
        why = None
        try:
            if name == "store-key":
                read_key(held.path(name))
            elif name == config.bureau_public_key:
                if held.bureau_public(name) is None:
                    why = _("missing")
            else:
                held.text(name)
        except (SecretError, BadKey) as error:
            why = str(error)
        yield Secret(name=name, path=str(config.secrets / name), why=why)


def _disks(config: Config) -> Iterator[Disk]:
    ends = _ends(config)
    for folder in dict.fromkeys((config.state, config.audit_log.parent)):
        there = next((one for one in (folder, *folder.parents) if one.is_dir()), Path("/"))
        try:
            found = os.statvfs(there)
            times = tuple(_syncs(folder)) if folder == config.state and folder.is_dir() else ()
        except OSError as error:
            yield Disk(path=str(folder), free=0, inodes=None, why=error.strerror or type(error).__name__)
            continue
        inodes = found.f_favail if found.f_files else None
        free, end = found.f_bavail * found.f_frsize, ends.get(there.stat().st_dev)
        yield Disk(path=str(folder), free=free, inodes=inodes, sync_ms=times, full_in=end)


def _ends(config: Config) -> dict[int, timedelta]:
    """In how long a file system will be full, by its number; those of which that can be said by the daemon's samples."""
    kept = _peeked(config, space.remembered) or {}
    found = {}
    for name, folder in space.folders(config).items():
        end = full_in(kept.get(name, ()), config.disk.least_samples)
        if end is not None and folder.is_dir():
            found[folder.stat().st_dev] = end
    return found


def _peeked(config: Config, what: Callable[[Tx], T]) -> T | None:
    """``what`` of a store that is there and can be read."""
    from gateway.core.errors import StorageTrouble
    from gateway.store import StoreRefused
    from gateway.store.copying import Peek

    url = sa.make_url(config.store_url)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        return None
    try:
        peek = Peek(config.store_url)
        try:
            return peek.read_now(what)
        finally:
            peek.close()
    except (StorageTrouble, StoreRefused, sa.exc.ArgumentError, ImportError):
        return None


def _syncs(folder: Path) -> Iterator[float]:
    """Milliseconds of small writes that are synced, as each receipt's is. A slow disk is not asked for ever."""
    begun = time.monotonic()
    with tempfile.TemporaryFile(dir=folder) as file:
        for number in range(SYNCS):
            if number and time.monotonic() - begun > SYNC_SECONDS:
                return
            os.write(file.fileno(), b"\0" * 4096)
            start = time.perf_counter()
            os.fsync(file.fileno())
            yield (time.perf_counter() - start) * 1000


def _zone(config: Config) -> bool:
    try:
        ZoneInfo(config.timezone)
    except (ZoneInfoNotFoundError, OSError):
        return False
    return True


def _last_event(log: Path) -> datetime | None:
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - (1 << 16)))
            return datetime.fromisoformat(json.loads(file.read().splitlines()[-1])["at"])
    except (OSError, ValueError, KeyError, IndexError, TypeError):
        return None


def _store(config: Config) -> tuple[str | None, tuple[str | None, str]]:
    """Why the store cannot be used, if so; its schema and the newest known. Opened for reading, without its key."""
    from gateway.core.errors import StorageTrouble
    from gateway.store import StoreRefused, schema
    from gateway.store.copying import Peek

    url = sa.make_url(config.store_url)
    if url.get_backend_name() == "sqlite" and not (url.database and Path(url.database).is_file()):
        return None, (None, schema.HEAD)
    try:
        peek = Peek(config.store_url)
        try:
            return None, (peek.read_now(lambda tx: schema.version(tx.conn)), schema.HEAD)
        finally:
            peek.close()
    except (StorageTrouble, StoreRefused, sa.exc.ArgumentError, ImportError) as error:
        return str(error), (None, schema.HEAD)


def _libraries() -> Iterator[tuple[str, str | None, str]]:
    """What the package asks for and has a least version of."""
    try:
        asked = metadata.requires("jibao-gateway") or []
    except metadata.PackageNotFoundError:
        asked = []
    for line in asked:
        found = re.match(r"([A-Za-z0-9_.-]+)(?:\[[^\]]*\])?\s*>=\s*([0-9][0-9.]*)", line)
        if found is None or "extra ==" in line:
            continue
        name: Any = found[1]
        try:
            yield name, metadata.version(name), found[2]
        except metadata.PackageNotFoundError:
            yield name, None, found[2]

"""What doctor looks at, as plain data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct

from gateway.settings import Config


class Finding(Struct, frozen=True, kw_only=True):
    """One thing looked at: ``what``, how it is (ok, warn: look at it, wrong), what was ``found``, what to ``do``."""

    what: str
    state: Literal["ok", "warn", "wrong"]
    found: str
    do: str = ""


class Entry(Struct, frozen=True, kw_only=True):
    """A file or folder. ``role``: conf, state, secrets, store, audit. ``mode`` None where it is not there."""

    role: str
    path: str
    mode: int | None
    mine: bool = True
    """It belongs to whoever asks, or root asks."""
    usable: bool = True


class Secret(Struct, frozen=True, kw_only=True):
    """A secret by name: ``why`` it cannot be used, None where it can. Never what is in it."""

    name: str
    path: str
    why: str | None = None


class Disk(Struct, frozen=True, kw_only=True):
    """The file system of a folder: free bytes and inodes (None where it has no such number), times of a sync in ms, and in how
    long it will be full by the daemon's samples (None: no such end is seen)."""

    path: str
    free: int
    inodes: int | None
    sync_ms: tuple[float, ...] = ()
    full_in: timedelta | None = None
    why: str | None = None


class Clock(Struct, frozen=True, kw_only=True):
    """The clock: kept by a time source or not (None: cannot be told), whether the zone's data is there, and the instant of the
    record's last line."""

    synchronised: bool | None
    source: str
    zone_known: bool = True
    last_event: datetime | None = None


class Way(Struct, frozen=True, kw_only=True):
    """A configured channel or transport. ``why`` it cannot be reached; ``running`` the daemon's own word for its state."""

    sort: str
    name: str
    kind: str
    why: str | None = None
    running: str | None = None
    probed: bool = True


class Door(Struct, frozen=True, kw_only=True):
    """An address and port that ``name`` listens on. ``free`` None where it was not tried, because the daemon has it."""

    name: str
    host: str
    port: int
    free: bool | None = None


class Memory(Struct, frozen=True, kw_only=True):
    """Limits in bytes, None for none; what the workers may take at most."""

    available: int | None
    address_space: int | None
    cgroup: int | None
    workers: int


class Facts(Struct, frozen=True, kw_only=True):
    """All that was gathered. Without a ``config`` only ``faults`` and the host are known."""

    now: datetime
    config: Config | None
    faults: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    unknown_years: tuple[tuple[str, bool], ...] = ()
    """What is said of years without a calendar, and whether it is the present one."""
    entries: tuple[Entry, ...] = ()
    writable: tuple[str, ...] = ()
    """Files of conf that others may write."""
    secrets: tuple[Secret, ...] = ()
    disks: tuple[Disk, ...] = ()
    clock: Clock = Clock(synchronised=None, source="")
    ways: tuple[Way, ...] = ()
    doors: tuple[Door, ...] = ()
    fonts: int | None = None
    families: frozenset[str] | None = None
    """Names of the installed families of type; None where they cannot be asked for."""
    press: str | None = None
    """Why official papers cannot be made; None where they can."""
    memory: Memory = Memory(available=None, address_space=None, cgroup=None, workers=0)
    ocr_wanted: bool = False
    ocr: str | None = None
    """Why recognition cannot be used; None where it can."""
    python: str = ""
    libraries: tuple[tuple[str, str | None, str], ...] = ()
    """Name, version that is installed (None: none) and the least that is asked for."""
    store: str | None = None
    """Why the store cannot be used; None where it can."""
    schema: tuple[str | None, str] = (None, "")
    """The store's schema and the newest that this version knows."""
    daemon: bool = False

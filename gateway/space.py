"""Watches the free space of the folders that the gateway writes to, and says before it is used up that it will be.

Samples → ``gateway.core.space`` → alarms ``disk``. The samples are kept in the store, so that a restart does not begin anew.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import sqlalchemy as sa
from msgspec import Struct

from gateway.alarms import Alarms
from gateway.core import space
from gateway.core.errors import StorageTrouble
from gateway.core.space import Case, Limits, Sample
from gateway.i18n import _
from gateway.settings import Config
from gateway.store import Store, Tx, notes

log = logging.getLogger(__name__)

MIB = 1 << 20
NOTE = "disk:"
NAMES = ("state", "store", "log")
"""By which folders are called in figures, notes and alarms."""
Measure = Callable[[Path], tuple[int, int, int]]


class Kept(Struct, frozen=True):
    """What is kept of one folder: its samples, and what was said of it."""

    samples: tuple[Sample, ...] = ()
    said: Mapping[Case, int] = {}


class SpaceWatch:
    """Looks when it is asked and a sample is due. ``config`` is asked anew at each look, so that a reload is followed."""

    def __init__(
        self,
        store: Store,
        told: Alarms,
        *,
        config: Callable[[], Config],
        clock: Callable[[], datetime],
        measure: Measure | None = None,
    ) -> None:
        self._store = store
        self._alarms = told
        self._config = config
        self._clock = clock
        self._measure = measure or measured
        self._kept: dict[str, Kept] | None = None
        self._looked_at: datetime | None = None
        self.spaces: Mapping[str, space.Space] = {}
        """How each file system was at the last look, by the name of the first folder that is on it."""

    async def look(self) -> None:
        """Take a sample of each file system if it is time, and raise what is new. Trouble of the store costs the memory over
        restarts alone: a disk that is full already is the time to speak."""
        now, section = self._clock(), self._config().disk
        pause = timedelta(minutes=section.sample_minutes)
        if self._looked_at is not None and timedelta(0) <= now - self._looked_at < pause:
            return
        self._looked_at = now
        if self._kept is None:
            try:
                self._kept = await self._store.read(_read)
            except StorageTrouble:
                self._kept = {}
        asked = limits(self._config())
        spaces: dict[str, space.Space] = {}
        for name, path, free, total in await asyncio.to_thread(self._all):
            before = self._kept.get(name, Kept())
            samples = space.kept(before.samples, Sample(now.timestamp(), free), timedelta(days=section.window_days))
            found = space.Space(free=free, total=total, full_in=space.full_in(samples, asked.least_samples))
            say, over, said = space.judge(found, asked, before.said)
            spaces[name], self._kept[name] = found, Kept(tuple(samples), said)
            for case in say:
                self._alarms.raise_("disk", why=why(case, path, found, asked), name=name)
            for case in over:
                log.info(_("{path}: space is in order again ({case}): {found}").format(path=path, case=case, found=text(found)))
        self.spaces = spaces
        try:
            await self._store.write(lambda tx: _write(tx, self._kept or {}))
        except StorageTrouble as trouble:
            log.warning("samples of disk space are not kept: %s", trouble)

    def _all(self) -> Iterator[tuple[str, Path, int, int]]:
        """Name, folder, free and all bytes of each file system, once each."""
        seen = set()
        found = []
        for name, path in folders(self._config()).items():
            try:
                device, free, total = self._measure(path)
            except OSError as error:
                log.warning("%s: %s", path, error.strerror or type(error).__name__)
                continue
            if device not in seen:
                seen.add(device)
                found.append((name, path, free, total))
        return iter(found)


def folders(config: Config) -> dict[str, Path]:
    """What the gateway writes to, by name: the state, the data base where that is a file, and the record."""
    url = sa.make_url(config.store_url)
    store = {"store": Path(url.database).parent} if url.get_backend_name() == "sqlite" and url.database else {}
    return {"state": config.state, **store, "log": config.audit_log.parent}


def limits(config: Config) -> Limits:
    """What conf asks for."""
    section = config.disk
    return Limits(
        least_bytes=section.least_mb * MIB,
        least_percent=section.least_percent,
        horizon=timedelta(days=section.horizon_days),
        least_samples=section.least_samples,
    )


def measured(path: Path) -> tuple[int, int, int]:
    """Number of the file system, and its free and all bytes for whoever is not root. Raises ``OSError``."""
    found = os.statvfs(path)
    return path.stat().st_dev, found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def why(case: Case, path: Path, found: space.Space, asked: Limits) -> str:
    """The alarm's words."""
    if case == "low":
        least = space.floor(found.total, asked) // MIB
        return _("{path}: {found}; at least {least} MiB are asked for").format(path=path, found=text(found), least=least)
    return f"{path}: {text(found)}"


def text(found: space.Space) -> str:
    """``1200 MiB free of 50000, full in 3.2 days at the present rate``."""
    free = _("{free} MiB free of {total}").format(free=found.free // MIB, total=found.total // MIB)
    if found.full_in is None:
        return free
    hours = found.full_in / timedelta(hours=1)
    if hours < 48:
        return free + _(", full in {hours:.1f} hours at the present rate").format(hours=hours)
    return free + _(", full in {days:.1f} days at the present rate").format(days=hours / 24)


def remembered(tx: Tx) -> dict[str, tuple[Sample, ...]]:
    """The samples that a daemon kept, by name: for whoever asks beside it."""
    return {name: kept.samples for name, kept in _read(tx).items()}


def _read(tx: Tx) -> dict[str, Kept]:
    found = {}
    for name in NAMES:
        try:
            kept = notes.get(tx, NOTE + name, Kept)
        except msgspec.ValidationError:  # of another version: begun anew
            kept = None
        if kept is not None:
            found[name] = kept
    return found


def _write(tx: Tx, what: Mapping[str, Kept]) -> None:
    for name, one in what.items():
        notes.put(tx, NOTE + name, one)

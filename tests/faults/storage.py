"""Storage faults of a running gateway: every answer must be a temporary one, and it takes again by itself once the fault is gone."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

from tests.faults import kinds, ledger
from tests.faults.disk import Disk
from tests.faults.judge import Verdict, judge
from tests.faults.stand import Died, Stand, stand

SHORTEST, LONGEST = 1.0, 3.0
STRIKES_WITHIN = 30.0
"""Seconds after which a fault that has hit nothing, a checkpoint that did not come, is given up."""
BATCH = 20
SIZE_MB = 24


async def run(rounds: int, seed: int, sample: int | None = None) -> Verdict:
    """Every kind of fault so many times, or ``sample`` of those that ask for no mount of a real file system."""
    random = Random(seed)
    total = Verdict("storage faults")
    names = list(kinds.ON_DISK) if sample is None else random.sample(list(kinds.ON_DISK), sample)
    jobs = [name for name in names for _ in range(rounds)]
    random.shuffle(jobs)
    for begun in range(0, len(jobs), BATCH):
        batch = jobs[begun : begun + BATCH]
        await total.take(_on_disk(batch, seed + begun, random), len(batch))
    if sample is not None:
        return total
    for place, faults in ((_tmpfs, kinds.ON_TMPFS), (_ext4, kinds.ON_EXT4)):
        await total.take(_mounted(place, list(faults) * rounds, seed, random), len(faults) * rounds)
    await total.take(_preloaded(list(kinds.PRELOADED) * rounds, seed, random), len(kinds.PRELOADED) * rounds)
    return total


async def _on_disk(names: list[str], seed: int, random: Random) -> Verdict:
    """Faults of a disk of ours; every third is followed by a power cut, because a fault may leave unsynced what looks synced."""
    with tempfile.TemporaryDirectory(prefix="gateway-disk-") as folder:
        disk = await asyncio.to_thread(Disk, Path(folder))
        try:
            async with stand(seed, state=disk.mount) as one:
                return await _faults(one, names, kinds.ON_DISK, random, disk)
        finally:
            await asyncio.to_thread(disk.close)


async def _mounted(place: Any, names: list[str], seed: int, random: Random) -> Verdict:
    async with place() as folder, stand(seed, state=folder) as one:
        return await _faults(one, names, kinds.ON_TMPFS | kinds.ON_EXT4, random)


async def _preloaded(names: list[str], seed: int, random: Random) -> Verdict:
    async with stand(seed) as one:
        return await _faults(one, names, kinds.PRELOADED, random, before=("fiu-run", "-x"))


async def _faults(
    one: Stand,
    names: list[str],
    faults: dict[str, kinds.Fault],
    random: Random,
    disk: Disk | None = None,
    before: tuple[str, ...] = (),
) -> Verdict:
    figures: dict[str, dict[str, Any]] = {}
    wrong: list[str] = []
    await one.launch("often-checkpoints", before=before)
    await one.up(note=False)
    for name in names:
        figure = figures.setdefault(name, {"rounds": 0, "temporary": 0, "restarts": 0, "again": 0.0, "refused": 0})
        one.mark(f"fault: {name}")
        said, refused = one.ledger.temporary.total(), len(one.ledger.refused)
        try:
            took = await _fault(one, faults[name], random, disk, before, figure)
        except AssertionError as error:
            wrong.append(f"{name}: {str(error)[-700:]}")
            await one.kill()
            if disk is not None:
                disk.rules()
            await one.launch("often-checkpoints", before=before)
            await one.up(note=False)
            continue
        figure["rounds"] += 1
        figure["temporary"] += one.ledger.temporary.total() - said
        figure["refused"] += len(one.ledger.refused) - refused
        figure["again"] = max(figure["again"], round(took, 2))
        if took > ledger.AGAIN_WITHIN:
            wrong.append(f"{name}: accepting again took {took:.2f} s")
        if disk is not None and random.random() < 1 / 3:
            one.mark("power cut")
            await one.kill()
            disk.cut(random.randrange(1 << 30))
            await one.launch("often-checkpoints")
            await one.up(note=False)
    while True:
        try:
            await one.settled()
            break
        except Died:  # a while after the sync that failed, when it has told of it
            await one.restarted("often-checkpoints", before=before)
    await one.kill(signal.SIGTERM)
    found = await asyncio.to_thread(judge, one, "storage faults", len(names), least=8 * len(names))
    found.kinds = figures
    found.wrong += wrong
    return found


async def _fault(
    one: Stand, fault: kinds.Fault, random: Random, disk: Disk | None, before: tuple[str, ...], figure: dict[str, Any]
) -> float:  # fmt: skip
    """One fault; the seconds it took until every channel had a yes again."""
    assert one.process is not None
    place = kinds.Place(one.state, one.process.pid, disk)
    there = fault(place, random)
    struck = await asyncio.to_thread(there.__enter__)
    one.carriers.allow(3)
    began = time.monotonic()
    until = began + random.uniform(SHORTEST, LONGEST)
    while True:
        if (left := until - time.monotonic()) > 0:
            if await one.dead(left):
                figure["restarts"] += 1
                await one.restarted("often-checkpoints", before=before)
        elif time.monotonic() - began < STRIKES_WITHIN and not await asyncio.to_thread(struck):
            # Also where the daemon ended of the fault before this one and was away for the whole of it.
            one.carriers.allow(1)
            until = time.monotonic() + SHORTEST
        else:
            break
    await asyncio.to_thread(there.__exit__, None, None, None)
    gone = time.monotonic()
    one.mark("gone")
    took = None
    while took is None:
        try:
            took = await one.up(since=gone)
        except Died:
            figure["restarts"] += 1
            await one.restarted("often-checkpoints", before=before)
    return took


@asynccontextmanager
async def _tmpfs() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gateway-tmpfs-") as folder:
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m,nr_inodes=64", "tmpfs", folder], check=True)
        try:
            yield Path(folder) / "state"
        finally:
            subprocess.run(["umount", "-l", folder], check=False)


@asynccontextmanager
async def _ext4() -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="gateway-ext4-") as folder:
        image, mount = Path(folder) / "image", Path(folder) / "mount"
        mount.mkdir()
        with image.open("wb") as file:
            file.truncate(SIZE_MB << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", str(image)], check=True)
        subprocess.run(["mount", "-o", "loop", str(image), str(mount)], check=True)
        try:
            yield mount / "state"
        finally:
            subprocess.run(["umount", "-l", str(mount)], check=False)

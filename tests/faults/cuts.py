"""Power cuts: the daemon's state lies on a disk that forgets what was not synced."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections import Counter
from pathlib import Path
from random import Random

from tests.faults.disk import Disk
from tests.faults.judge import Verdict, judge
from tests.faults.stand import stand

BATCH = 20
LONGEST = 0.5


async def run(rounds: int, seed: int, how: tuple[str, ...] = ()) -> Verdict:
    """So many cuts. ``how`` is a control that breaks the promise."""
    total = Verdict("power cuts" if not how else f"control {how[0]}")
    random = Random(seed)
    for begun in range(0, rounds, BATCH):
        batch = min(BATCH, rounds - begun)
        await total.take(_batch(batch, seed + begun, random, how), batch)
    return total


async def control_normal(rounds: int, seed: int) -> Verdict:
    """A store with synchronous=NORMAL: must lose."""
    return await run(rounds, seed, ("synchronous-normal",))


async def control_off(rounds: int, seed: int) -> Verdict:
    """A store with synchronous=OFF: must lose."""
    return await run(rounds, seed, ("synchronous-off",))


async def _batch(cuts: int, seed: int, random: Random, how: tuple[str, ...]) -> Verdict:
    treated: Counter[str] = Counter()
    with tempfile.TemporaryDirectory(prefix="gateway-disk-") as folder:
        disk = await asyncio.to_thread(Disk, Path(folder))
        try:
            async with stand(seed, state=disk.mount) as one:
                for _ in range(cuts):
                    await one.launch(*how)
                    await one.up()
                    one.carriers.allow(4)
                    await asyncio.sleep(random.uniform(0, LONGEST))
                    await one.kill()
                    treated[disk.cut(random.randrange(1 << 30))] += 1
                await one.launch()
                await one.up()
                await one.settled()
                await one.kill(signal.SIGTERM)
                found = await asyncio.to_thread(judge, one, "power cuts", cuts, least=8 * cuts)
        finally:
            await asyncio.to_thread(disk.close)
    found.kinds = {f"cut, of what was loose {how} kept": count for how, count in treated.items()}
    return found

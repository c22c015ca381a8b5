"""kill -9 of the running daemon at random instants, under load from four channels at once."""

from __future__ import annotations

import asyncio
import signal
from random import Random

from tests.faults.judge import Verdict, judge
from tests.faults.stand import stand

BATCH = 30
"""Kills of one configuration, before everything is compared and a fresh one is begun."""
LONGEST = 0.4


async def run(rounds: int, seed: int, how: tuple[str, ...] = ()) -> Verdict:
    """So many kills. ``how`` is a control that breaks the promise."""
    total = Verdict("kills" if not how else f"control {how[0]}")
    random = Random(seed)
    for begun in range(0, rounds, BATCH):
        batch = min(BATCH, rounds - begun)
        await total.take(_batch(batch, seed + begun, random, how), batch)
    return total


async def control(rounds: int, seed: int) -> Verdict:
    """The same with a gateway that replies before it stores: must lose."""
    return await run(rounds, seed, ("reply-before-store",))


async def _batch(kills: int, seed: int, random: Random, how: tuple[str, ...]) -> Verdict:
    async with stand(seed) as one:
        for _ in range(kills):
            await one.launch(*how)
            await one.up()
            one.carriers.allow(4)
            await asyncio.sleep(random.uniform(0, LONGEST))
            await one.kill()
        await one.launch()
        await one.up()
        await one.settled()
        await one.kill(signal.SIGTERM)
        return await asyncio.to_thread(judge, one, "kills", kills, least=8 * kills)

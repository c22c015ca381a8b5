"""The store on a PostgreSQL server, under load from four channels at once: kill -9 of the daemon, and a server that is stopped at once
(``pg_ctl -m immediate``: without a checkpoint, it recovers at its start) while the daemon goes on. Every answer must be a temporary one, and it takes again by itself once the server is back."""

from __future__ import annotations

import asyncio
import signal
import time
from random import Random

from tests.faults import ledger
from tests.faults.judge import Verdict, judge
from tests.faults.stand import Died, Stand, stand
from tests.store.postgres import Cluster, cluster

BATCH = 30
LONGEST = 0.4
GONE = 0.2, 2.0
"""Seconds that the server stays away."""


async def run(rounds: int, seed: int) -> Verdict:
    """So many deaths; every other one, on average, is the server's."""
    total = Verdict("postgres")
    random = Random(seed)
    with cluster() as server:
        for begun in range(0, rounds, BATCH):
            batch = min(BATCH, rounds - begun)
            await total.take(_batch(server, batch, seed + begun, random), batch)
    return total


async def _batch(server: Cluster, deaths: int, seed: int, random: Random) -> Verdict:
    async with stand(seed, store=server.url()) as one:
        await one.launch()
        await one.up(note=False)
        slow = []
        for number in range(deaths):
            one.carriers.allow(4)
            await asyncio.sleep(random.uniform(0, LONGEST))
            # The first two are one of each, whatever chance says.
            if number == 0 or (number > 1 and random.random() < 0.5):
                took = await _server_dies(one, server, random.uniform(*GONE))
                if took > ledger.AGAIN_WITHIN:
                    slow.append(f"accepting again took {took:.2f} s behind the server's end")
            else:
                await one.kill()
                await one.launch()
                await one.up()
        await one.settled()
        await one.kill(signal.SIGTERM)
        found = await asyncio.to_thread(judge, one, "postgres", deaths, least=8 * deaths)
    found.wrong += slow
    return found


async def _server_dies(one: Stand, server: Cluster, seconds: float) -> float:
    """It is gone for so long; the seconds from its return until every channel has had a yes."""
    one.mark("the server dies")
    await asyncio.to_thread(server.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(server.start)
    one.mark("the server is back")
    back = time.monotonic()
    while True:
        try:
            return await one.up(since=back)
        except Died:  # it had not finished its start
            await one.restarted()

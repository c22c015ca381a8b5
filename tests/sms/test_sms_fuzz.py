"""2,000 mutants of each protocol, others at every run; ``python -m tests.sms.fuzz 100000`` tries more."""

from __future__ import annotations

import os

from tests.sms import fuzz


async def test_mutated_pdus_harm_nothing_and_readable_ones_are_taken() -> None:
    seed = int.from_bytes(os.urandom(4), "big")
    found = await fuzz.run(2000, seed)
    for name, counts in found.items():
        assert counts["whole"] > 200 and counts["messages"] > 100 and counts["broken"] > 50, (name, seed, counts)

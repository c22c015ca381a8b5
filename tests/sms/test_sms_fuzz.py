"""2,000 mutants of each protocol, the same at every run; ``python -m tests.sms.fuzz 100000 SEED`` tries more and others."""

from __future__ import annotations

from tests.sms import fuzz


async def test_mutated_pdus_harm_nothing_and_readable_ones_are_taken() -> None:
    for name, counts in (await fuzz.run(2000)).items():
        assert counts["whole"] > 200 and counts["messages"] > 100 and counts["broken"] > 50, (name, counts)

"""Every bomb of ``bombs.py`` is sent; it must be taken, kept as it came, and end as something a person can see."""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterable

from tests.hostile import bombs
from tests.hostile.stand import Stand, since, stand
from tests.hostile.verdict import Verdict

ENDS = ("read", "needs_person", "ignored", "quarantined", "duplicate")
SECONDS = 20.0
"""For parsing one; for the pages of a fax a little more."""


def run(names: Iterable[str], seed: int = 1, parse_seconds: float = SECONDS) -> Verdict:
    """Send the bombs of these names, in an order of ``seed``."""
    verdict, began = Verdict("bombs"), time.monotonic()
    order = list(names)
    random.Random(seed).shuffle(order)
    settings = (
        ("gateway.toml", ("limits", "parse_seconds"), parse_seconds),
        ("gateway.toml", ("limits", "ocr_seconds"), 3 * parse_seconds),
        ("channels.d/fax.toml", ("channel", "fax", "ocr_seconds"), parse_seconds),
    )
    with stand(*settings) as made:
        for name in order:
            blast(made, name, verdict)
        verdict.stands(made)
    verdict.seconds = since(began)
    return verdict


def blast(made: Stand, name: str, verdict: Verdict) -> None:
    """Send one, and see what becomes of it."""
    to = "fax@gateway.test" if name in bombs.FAXES else "report@gateway.test"
    mail = (bombs.REPORTS | bombs.FAXES)[name]()
    before = time.monotonic()
    try:
        message = made.send(mail, to)
        taken = since(before)
        shown = made.became(message)
    except (AssertionError, OSError) as error:
        verdict.wrong.append(f"{name}: {error}"[:1000])
        return
    verdict.count("sent")
    verdict.count(shown["state"])
    if os.environ.get("HOSTILE_TELL"):
        own = made.lag()[1] * 1000
        print(f"{name}: taken {taken:.2f} s, read {since(before):.2f} s, {shown['state']} {shown['why']}; {own:.0f} ms, {made.memory():.0f} MiB",
              flush=True)  # fmt: skip
    if shown["state"] not in ENDS:
        verdict.wrong.append(f"{name}: is {shown['state']}")
    if shown["state"] == "ignored" and not shown["why"]:
        verdict.wrong.append(f"{name}: ignored without a word")

"""A sample of each machine (docs/hostile.md); the whole of them: ``python -m tests.hostile``."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Any

from tests.hostile import blasts, bombs, mails
from tests.hostile.flood import REGISTERED, post, report
from tests.hostile.stand import Stand
from tests.hostile.verdict import Verdict

SLOW = ("24 MiB", "markings that nearly are", "html entities", "docx of 150 headers", "fax: pdf of 100,000 pages", "fax: pdf 1000:1, twice",
        "tiff of 60,000 pages", "padding in base64", "two million semicolons", "nothing but figures", "html nested two million deep",
        "hidden html", "html that never closes", "quoting in every style", "twenty texts of a MiB", "charsets that lie", "utf-7",
        "uuencode", "quoted-printable without sense", "pdf of arrays in arrays", "delimiters that nearly are",
        "fax: pdf of a deep tree", "a million delimiters", "a field of 10 MiB", "quotes without end", "pdf 1000:1, twice")  # fmt: skip
"""Those that take a second or are larger than the limit of the tests' daemon."""
SAMPLE = [name for name in (*bombs.REPORTS, *bombs.FAXES) if name not in SLOW][-26:]


def test_bombs_are_taken_kept_and_shown_to_a_person(made: Stand) -> None:
    assert len(SAMPLE) >= 24
    verdict = Verdict("bombs")
    for name in SAMPLE:
        blasts.blast(made, name, verdict)
    assert verdict.good, verdict.wrong
    assert verdict.counts["needs_person"] >= 20, "what could not be read is not let rest"


def test_mutated_mails_are_taken_and_read(made: Stand) -> None:
    verdict = Verdict("mails")
    mails.pelt(made, 80, random.randrange(10**6), verdict, time.monotonic() + 60)
    assert verdict.good, verdict.wrong
    made.settled()


def test_a_units_report_is_offered_before_strangers_that_came_first(made: Stand) -> None:
    chance = random.Random(5)

    async def send() -> tuple[list[str], str]:
        async def one(number: int) -> str:
            return (await post(made.gate.base, report(number, chance), f"s{number}@nowhere.example"))[1].rpartition(" ")[2]

        strangers = [found for start in (0, 8) for found in await asyncio.gather(*(one(start + n) for n in range(8)))]
        mail = report(99, chance).replace("县".encode(), "区".encode())
        return strangers, (await post(made.gate.base, mail, REGISTERED))[1].rpartition(" ")[2]

    strangers, ours = asyncio.run(send())
    everyone = [*strangers, ours]

    def offered() -> Any:
        found = {id_: at for id_ in everyone if (at := _offered(made, id_)) is not None}
        return found if len(found) == len(everyone) else None

    at = made.gate.until(offered, "all are offered", 90)
    assert sum(at[ours] < at[one] for one in strangers) >= len(strangers) // 2, "it came last"


def _offered(made: Stand, message: str) -> str | None:
    """When the last office that receives had been offered a message."""
    shown = made.gate.ask("message", id=message)
    if not shown["incident"]:
        return None
    rows = made.gate.ask("deliveries", incident=shown["incident"], limit=1000)
    mine = [row["delivered_at"] for row in rows if row["duty"] == "receive" and row["transport"] == "mail"]
    return max(mine) if mine and all(mine) else None


def test_the_daemon_tells_how_late_its_loop_is(made: Stand) -> None:
    told = made.figures()
    assert told["gateway_loop_lag_seconds_count",] > 0
    assert 0 <= told["gateway_loop_lag_longest_seconds", "own"] <= told["gateway_loop_lag_longest_seconds", "all"]

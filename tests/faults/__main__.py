"""``python -m tests.faults [MACHINE …] --rounds N --seed S``: run the machines, print a line for each, fail on any loss."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from gateway import service
from tests.faults import cuts, daemon, kills, ledger, order, points, servers, storage, upsets

MACHINES: dict[str, Any] = {
    "kills": kills.run,
    "points": points.run,
    "cuts": cuts.run,
    "storage": storage.run,
    "upsets": upsets.run,
    "order": order.run,
    "postgres": servers.run,
}
CONTROLS: dict[str, Any] = {
    "kills-control": kills.control,
    "cuts-control-normal": cuts.control_normal,
    "cuts-control-off": cuts.control_off,
    "order-control": order.control,
}
"""Gateways that break the promise: these must lose, or the machines show nothing."""


SAMPLES = {"points": 5, "storage": 4, "upsets": 1}
"""With ``--short``: how many of their kinds these machines try."""
ROUNDS = {"points": 1, "storage": 1, "upsets": 1, "kills-control": 1, "cuts-control-normal": 1, "cuts-control-off": 1}
"""Rounds where the command names none; two for the others."""


async def run(args: argparse.Namespace) -> bool:
    good = True
    for name in args.machines or (*MACHINES, *CONTROLS):
        began = time.monotonic()
        machine = (MACHINES | CONTROLS)[name]
        given = {"sample": SAMPLES[name]} if args.short and name in SAMPLES else {}
        verdict = await machine(ROUNDS.get(name, 2) if args.rounds is None else args.rounds, args.seed, **given)
        good = good and (bool(verdict.lost) if name in CONTROLS else verdict.good)
        print(f"{verdict.line()} ({time.monotonic() - began:.0f} s)", flush=True)
        for what in (verdict.lost + verdict.undelivered + verdict.doubled + verdict.refused + verdict.wrong)[:20]:
            print(f"    {what}", flush=True)
        if args.json:
            with args.json.open("a") as file:
                file.write(json.dumps(verdict.as_dict(), ensure_ascii=False) + "\n")
    return good


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help=f"of {', '.join((*MACHINES, *CONTROLS))}; default: all")
    parser.add_argument(
        "--rounds", type=int, help="kills, cuts and messages for each channel; times that each point and kind is tried"
    )
    parser.add_argument("--short", action="store_true", help="a sample of the points and kinds, chosen by the seed")
    parser.add_argument("--again", type=float, default=ledger.AGAIN_WITHIN, help="seconds to accept again in, after a fault")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    args = parser.parse_args()
    ledger.AGAIN_WITHIN = args.again
    try:
        return 0 if service.run_loop(lambda: run(args)) else 1
    finally:
        daemon.close_nursery()


if __name__ == "__main__":
    sys.exit(main())

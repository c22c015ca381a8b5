"""``python -m tests.hostile [MACHINE …]``: run the machines, print a line for each, fail on anything that is wrong."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.hostile import blasts, bombs, flood, mails
from tests.hostile.verdict import Verdict


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description=__doc__)
    parser.add_argument("machines", nargs="*", metavar="MACHINE", help="of bombs, mails, flood; default: all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--mails", type=int, default=100_000, help="how many mutated mails")
    parser.add_argument("--seconds", type=float, default=86_400.0, help="no further mail after so long")
    parser.add_argument("--only", default="", help="the bombs with this in their name")
    parser.add_argument("--reports", type=int, default=100, help="of the registered unit, beside the flood")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two of them")
    parser.add_argument("--idle", type=int, default=1000, help="connections that say nothing")
    parser.add_argument("--times", type=float, default=10.0, help="how many times the rate that can be sustained strangers send")
    parser.add_argument("--json", type=Path, help="append the figures to this file")
    args = parser.parse_args()
    names = [name for name in (*bombs.REPORTS, *bombs.FAXES) if args.only in name]
    machines: dict[str, Callable[[], Verdict]] = {
        "bombs": lambda: blasts.run(names, args.seed),
        "mails": lambda: mails.run(args.mails, args.seed, args.seconds),
        "flood": lambda: flood.run(args.reports, args.idle, args.times, args.seed, pause=args.pause),
    }
    good = True
    for name in args.machines or machines:
        verdict = machines[name]()
        good = good and verdict.good
        print(verdict.line(), flush=True)
        for what in verdict.wrong[:20]:
            print(f"    {what}", flush=True)
        if args.json:
            with args.json.open("a") as file:
                file.write(json.dumps(verdict.as_dict(), ensure_ascii=False) + "\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())

"""``python -m tests.canaries --count 10000 --seed 1``: prints what was planted, searched and found; 1 where a word got out."""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from gateway import service
from tests.canaries.run import Outcome, run


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.canaries", description=__doc__)
    parser.add_argument("--count", type=int, default=10_000, help="canaries to plant")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", action="store_true", help="leave the folder that was searched")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gateway-canaries-"))
    began = time.monotonic()
    try:
        outcome: Outcome = service.run_loop(
            lambda: run(
                folder, args.count, args.seed, lambda text: print(f"{time.monotonic() - began:6.0f} s  {text}", flush=True)
            )
        )
    finally:
        if args.keep:
            print(folder)
        else:
            shutil.rmtree(folder, ignore_errors=True)
    show(outcome)
    return 1 if outcome.leaks else 0


def show(outcome: Outcome) -> None:
    """The figures as text."""
    print(f"canaries {sum(outcome.canaries.values())}, letters {dict(outcome.letters)}, messages {dict(outcome.states)}")
    print(f"octets searched {dict(outcome.octets)}, Sentry envelopes {outcome.envelopes}, posts to a service {outcome.posts}, workers killed {outcome.kills}")
    for (place, surface), count in sorted(outcome.seen.items()):
        print(f"  allowed: {place} in {surface}: {count}")
    kinds: dict[tuple[str, str, str, bool, str], int] = {}
    for leak in outcome.leaks:
        one = leak.canary
        key = (leak.surface, one.place, one.way, one.marked, leak.where.rpartition("/")[2])
        kinds[key] = kinds.get(key, 0) + 1
    for key, count in sorted(kinds.items()):
        print(f"  LEAK: {key}: {count}")
    for leak in outcome.leaks[:20]:
        print(f"    {leak}")
    print(f"leaks: {len(outcome.leaks)}")


if __name__ == "__main__":
    sys.exit(main())

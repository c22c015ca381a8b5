"""Random tampering with a record of several files, every one to be found: ``python -m tests.audit.tampering COUNT SEED``.

``ALONE`` are found by the chain itself; whoever can write the whole log can also compute its hashes anew, and cut its end off: that
only a head held elsewhere shows.
"""

from __future__ import annotations

import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.audit import chain, outside
from gateway.audit.heads import Signer, generate
from gateway.audit.outside import Head, Tree, Wrong
from gateway.audit.verify import verify_files

Lines = list[bytes]


def recomputed(bodies: Sequence[bytes]) -> Lines:
    """Lines with places and hashes that fit, made of what stands before them: a forger's work."""
    made: Lines = []
    prev = chain.GENESIS
    for seq, body in enumerate(bodies, 1):
        hashed = body[: body.rindex(b',"seq":')] + f',"seq":{seq},"prev":"{prev}"'.encode()
        prev = chain.digest(hashed, "sha256")
        made.append(chain.line(hashed, prev))
    return made


def record(count: int) -> Lines:
    """A log of ``count`` lines."""
    told = (f'{{"at":"2026-03-05T{n % 24:02}:00:00.000000+08:00","data":{{"n":{n}}},"event":"accepted","seq":0' for n in range(count))
    return recomputed([text.encode() for text in told])


def edit(lines: Lines, chance: random.Random) -> Lines:
    at = chance.randrange(len(lines))
    return [*lines[:at], lines[at].replace(b"2026", b"2027", 1), *lines[at + 1 :]]


def flip(lines: Lines, chance: random.Random) -> Lines:
    """One bit, anywhere, line ends and hashes included."""
    whole = bytearray(b"".join(lines))
    whole[chance.randrange(len(whole))] ^= 1 << chance.randrange(8)
    return bytes(whole).splitlines(keepends=True)


def delete(lines: Lines, chance: random.Random) -> Lines:
    """Some lines, not the first and not the last."""
    at = chance.randrange(1, len(lines) - 2)
    return lines[:at] + lines[at + chance.randint(1, len(lines) - at - 1) :]


def insert(lines: Lines, chance: random.Random) -> Lines:
    """A line from elsewhere, or one made up with a hash that fits it."""
    at = chance.randrange(len(lines))
    forged = chance.choice([chance.choice(lines), recomputed([lines[at].replace(b"2026", b"2025", 1)])[0]])
    return [*lines[:at], forged, *lines[at:]]


def swap(lines: Lines, chance: random.Random) -> Lines:
    one, two = sorted(chance.sample(range(len(lines)), 2))
    return [*lines[:one], lines[two], *lines[one + 1 : two], lines[one], *lines[two + 1 :]]


def one_rehashed(lines: Lines, chance: random.Random) -> Lines:
    """A changed line with its own hash mended, what follows left as it was."""
    at = chance.randrange(len(lines) - 1)
    hashed = lines[at].replace(b"2026", b"2027", 1)[: -chain.END]
    return [*lines[:at], chain.line(hashed, chain.digest(hashed, "sha256")), *lines[at + 1 :]]


def torn(lines: Lines, chance: random.Random) -> Lines:
    """The end of the last line is gone."""
    return [*lines[:-1], lines[-1][: chance.randrange(1, len(lines[-1]))]]


def beheaded(lines: Lines, chance: random.Random) -> Lines:
    """The beginning is gone, as if older files had been put away."""
    return lines[chance.randrange(1, len(lines)) :]


def cut(lines: Lines, chance: random.Random) -> Lines:
    return lines[: chance.randrange(len(lines))]


def rewritten(lines: Lines, chance: random.Random) -> Lines:
    """One line changed, all hashes from there on computed anew."""
    at = chance.randrange(len(lines))
    return recomputed([*lines[:at], lines[at].replace(b"2026", b"2027", 1), *lines[at + 1 :]])


def left_out(lines: Lines, chance: random.Random) -> Lines:
    """One line left out, all computed anew, and a made-up one put at the end so that the number is right."""
    at = chance.randrange(len(lines))
    return recomputed([*lines[:at], *lines[at + 1 :], lines[0]])


Tampering = Callable[[Lines, random.Random], Lines]
ALONE: tuple[Tampering, ...] = (edit, flip, delete, insert, swap, one_rehashed, torn)
WITNESSED: tuple[Tampering, ...] = (beheaded, cut, rewritten, left_out)


class Machine:
    """A record of ``count`` lines in three files, and a witness that holds its head."""

    def __init__(self, folder: Path, count: int = 60) -> None:
        self.lines = record(count)
        self.files = [folder / name for name in ("audit.jsonl.2", "audit.jsonl.1", "audit.jsonl")]
        self.signer = Signer("city.test/audit", generate())
        tree = Tree()
        for line in self.lines:
            tree.append(outside.leaf_hash(line[:-1]))
        name, public = outside.parse_key(self.signer.verifier_key)
        self.heads: list[Head] = [outside.parse_note(self.signer.note(tree.size, tree.root()), name, public)]

    def write(self, lines: Lines) -> None:
        third = -(-len(lines) // 3)
        for number, file in enumerate(self.files):
            file.write_bytes(b"".join(lines[number * third : (number + 1) * third]))

    def found(self, lines: Lines) -> tuple[bool, bool]:
        """Whether the chain alone, and whether the witness, finds fault with ``lines``."""
        self.write(lines)
        files = [file for file in self.files if file.stat().st_size]
        alone = verify_files(files).broken is not None
        try:
            outside.check_files(files, self.heads)
        except Wrong:
            return alone, True
        return alone, False

    def run(self, count: int, seed: int) -> Counter[str]:
        """Tamper ``count`` times, each sort in its turn. Raises ``AssertionError`` with the first that was not found."""
        assert self.found(self.lines) == (False, False), "the record as it was is whole"
        chance, told = random.Random(seed), Counter[str]()
        for number in range(count):
            kinds = ALONE + WITNESSED
            kind = kinds[number % len(kinds)]
            changed = kind(self.lines, chance)
            if changed == self.lines:
                continue
            alone, witnessed = self.found(changed)
            assert witnessed, f"number {number} of seed {seed}, {kind.__name__}: not found by the witness"
            assert alone or kind not in ALONE, f"number {number} of seed {seed}, {kind.__name__}: not found by the chain"
            told[kind.__name__] += 1
        return told


def main(count: int, seed: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        told = Machine(Path(folder)).run(count, seed)
    print(f"{told.total()} tamperings, all found: {', '.join(f'{kind} {many}' for kind, many in sorted(told.items()))}")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))

#!/usr/bin/env python3
"""gateway-audit-verify: checks the gateway's audit log on another computer.

One file, Python 3.9 or later, nothing but the standard library and ``cryptography``. It checks the chain of every line, the tree
head that a witness keeps, and proofs that were handed out for single lines:

    gateway-audit-verify audit.jsonl.1 audit.jsonl
    gateway-audit-verify --key VKEY --witness checkpoint audit.jsonl
    gateway-audit-verify --key VKEY --proof incident.proof.json

Lines are chained by ``prev`` and ``hash`` (docs/audit.md). The tree over all lines is that of RFC 6962 (leaf: the line without
its line end), its head a signed note as C2SP's signed-note and tlog-checkpoint write it. Exit 0: whole; 1: something was found;
2: bad usage.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

TAIL = re.compile(rb',"seq":([1-9][0-9]{0,17}),"prev":"([0-9a-f]{64})","hash":"([0-9a-f]{64})"}\n\Z')
CUT = len(',"hash":""}\n') + 64
GENESIS = "0" * 64
ED25519 = 1
"""The byte that C2SP's signed-note gives to Ed25519."""


class Wrong(ValueError):
    """What was found wrong; the text says where and what."""


class Head(NamedTuple):
    """A tree head: the log's name, how many lines it covers, their root, and the hash algorithm of the tree."""

    origin: str
    size: int
    root: bytes
    algorithm: str = "sha256"


def leaf_hash(line: bytes, algorithm: str = "sha256") -> bytes:
    """The leaf of one line (without its line end), RFC 6962 section 2.1."""
    return hashlib.new(algorithm, b"\x00" + line).digest()


def node_hash(left: bytes, right: bytes, algorithm: str = "sha256") -> bytes:
    """An inner node, RFC 6962 section 2.1."""
    return hashlib.new(algorithm, b"\x01" + left + right).digest()


class Tree:
    """The right edge of a tree: enough to append and to give the root. ``edge`` holds the roots of the perfect subtrees, the
    largest first, as the binary digits of ``size`` say."""

    def __init__(self, size: int = 0, edge: Sequence[bytes] = (), algorithm: str = "sha256") -> None:
        if len(edge) != bin(size).count("1"):
            raise Wrong("edge and size of the tree do not agree")
        self.size, self.edge, self.algorithm = size, list(edge), algorithm

    def append(self, leaf: bytes) -> None:
        """One more leaf."""
        size = self.size
        while size & 1:
            leaf = node_hash(self.edge.pop(), leaf, self.algorithm)
            size >>= 1
        self.edge.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves; of none, the hash of nothing."""
        if not self.edge:
            return hashlib.new(self.algorithm).digest()
        root = self.edge[-1]
        for left in reversed(self.edge[:-1]):
            root = node_hash(left, root, self.algorithm)
        return root


def _split(size: int) -> int:
    """The largest power of two below ``size``."""
    return 1 << ((size - 1).bit_length() - 1)


def root_of(leaves: Sequence[bytes], algorithm: str) -> bytes:
    """The root over all leaves."""
    tree = Tree(algorithm=algorithm)
    for leaf in leaves:
        tree.append(leaf)
    return tree.root()


def inclusion_proof(index: int, leaves: Sequence[bytes], algorithm: str = "sha256") -> list[bytes]:
    """The audit path of leaf ``index`` (from 0), RFC 6962 section 2.1.1."""
    if not 0 <= index < len(leaves):
        raise Wrong(f"no leaf {index} in a tree of {len(leaves)}")
    if len(leaves) == 1:
        return []
    at = _split(len(leaves))
    if index < at:
        return [*inclusion_proof(index, leaves[:at], algorithm), root_of(leaves[at:], algorithm)]
    return [*inclusion_proof(index - at, leaves[at:], algorithm), root_of(leaves[:at], algorithm)]


def check_inclusion(index: int, size: int, leaf: bytes, path: Sequence[bytes], root: bytes, algorithm: str = "sha256") -> bool:
    """Whether ``leaf`` is leaf ``index`` of the tree of ``size`` leaves with ``root`` (RFC 9162 section 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    at, last, found = index, size - 1, leaf
    for node in path:
        if last == 0:
            return False
        if at & 1 or at == last:
            found = node_hash(node, found, algorithm)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            found = node_hash(found, node, algorithm)
        at, last = at >> 1, last >> 1
    return last == 0 and found == root


def consistency_proof(first: int, leaves: Sequence[bytes], algorithm: str = "sha256") -> list[bytes]:
    """That the tree of the first ``first`` leaves is a beginning of the tree of all, RFC 6962 section 2.1.2."""
    if not 0 < first <= len(leaves):
        raise Wrong(f"no tree of {first} in one of {len(leaves)}")
    return _subproof(first, leaves, True, algorithm)


def _subproof(first: int, leaves: Sequence[bytes], whole: bool, algorithm: str) -> list[bytes]:
    if first == len(leaves):
        return [] if whole else [root_of(leaves, algorithm)]
    at = _split(len(leaves))
    if first <= at:
        return [*_subproof(first, leaves[:at], whole, algorithm), root_of(leaves[at:], algorithm)]
    return [*_subproof(first - at, leaves[at:], False, algorithm), root_of(leaves[:at], algorithm)]


def check_consistency(
    first: int, size: int, old: bytes, new: bytes, path: Sequence[bytes], algorithm: str = "sha256"
) -> bool:
    """Whether the tree ``old`` of ``first`` leaves is a beginning of the tree ``new`` (RFC 9162 section 2.1.4.2)."""
    if first == size:
        return not path and old == new
    if not 0 < first < size or not path:
        return False
    rest = list(path) if first & (first - 1) else [old, *path]
    at, last = first - 1, size - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    one = two = rest[0]
    for node in rest[1:]:
        if last == 0:
            return False
        if at & 1 or at == last:
            one, two = node_hash(node, one, algorithm), node_hash(node, two, algorithm)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            two = node_hash(two, node, algorithm)
        at, last = at >> 1, last >> 1
    return last == 0 and one == old and two == new


def key_id(name: str, public: bytes) -> bytes:
    """The four bytes that name a key in a signature line."""
    return hashlib.sha256(name.encode() + b"\n" + bytes([ED25519]) + public).digest()[:4]


def verifier_key(name: str, public: bytes) -> str:
    """A public key as one word: ``NAME+ID+BASE64``."""
    return f"{name}+{key_id(name, public).hex()}+{base64.b64encode(bytes([ED25519]) + public).decode()}"


def unbase64(text: str) -> bytes:
    """Octets from base64 as it is written and in no other way: the spare bits of its last sign must be nought, or a note that was
    changed there would still hold. Raises ``ValueError``."""
    octets = base64.b64decode(text, validate=True)
    if base64.b64encode(octets).decode() != text:
        raise ValueError("not as base64 is written")
    return octets


def parse_key(text: str) -> tuple[str, bytes]:
    """Name and bytes of a verifier key. Raises ``Wrong``."""
    name, _, rest = text.strip().partition("+")
    id_, _, body = rest.partition("+")
    try:
        public = unbase64(body)
    except ValueError:
        public = b""
    if len(public) != 33 or public[0] != ED25519 or not name or id_ != key_id(name, public[1:]).hex():
        raise Wrong("not a verifier key: NAME+ID+BASE64 of an Ed25519 key")
    return name, public[1:]


def note_text(head: Head) -> str:
    """What is signed of a tree head."""
    extra = "" if head.algorithm == "sha256" else f"hash {head.algorithm}\n"
    return f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n{extra}"


def parse_note(text: str, name: str, public: bytes) -> Head:
    """The tree head of a signed note whose signature by ``name`` holds. Raises ``Wrong``."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    signed, blank, signatures = text.partition("\n\n")
    signed += "\n"
    if not blank:
        raise Wrong("not a signed note: no blank line before the signatures")
    for line in signatures.splitlines():
        dash, _, rest = line.partition(" ")
        who, _, body = rest.partition(" ")
        if dash != "—" or who != name:
            continue
        try:
            raw = unbase64(body)
            if raw[:4] != key_id(name, public):
                continue
            Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], signed.encode())
        except (ValueError, InvalidSignature):
            raise Wrong(f"the signature of {name} does not hold") from None
        return _head(signed)
    raise Wrong(f"no signature of {name}")


def _head(signed: str) -> Head:
    lines = signed.rstrip("\n").split("\n")
    try:
        if len(lines) < 3 or not re.fullmatch(r"0|[1-9]\d{0,17}", lines[1]):
            raise ValueError
        root = unbase64(lines[2])
    except ValueError:
        raise Wrong("not a checkpoint: origin, size and root are asked for") from None
    extra = dict(line.split(" ", 1) for line in lines[3:] if " " in line)
    return Head(lines[0], int(lines[1]), root, extra.get("hash", "sha256"))


def notes(text: str) -> Iterator[str]:
    """The notes of a file that holds several, one behind the other."""
    for found in re.finditer(r"[^\n]+\n\d+\n[^\n]+\n(?:[^\n—][^\n]*\n)*\n(?:— [^\n]+\n?)+", text):
        yield found[0]


class Chain:
    """The chain over lines: feed it lines in order, it tells of the first that does not fit."""

    def __init__(self) -> None:
        self.lines, self.first, self.last, self.head = 0, 0, 0, GENESIS
        self._hash: Callable[[bytes], str] = _sha256

    def take(self, line: bytes) -> None:
        """One line with its line end. Raises ``Wrong``."""
        if self.lines:  # what follows in order is seen at once: nothing of it is parsed
            hash_ = self._hash(line[:-CUT])
            if line.endswith(b',"seq":%d,"prev":"%b","hash":"%b"}\n' % (self.last + 1, self.head.encode(), hash_.encode())):
                self.lines, self.last, self.head = self.lines + 1, self.last + 1, hash_
                return
        self._look(line)

    def _look(self, line: bytes) -> None:
        """The first line, one after which the algorithm changed, or one with a fault."""
        found = TAIL.search(line[-220:])
        if found is None:
            raise Wrong("not an audit line" if line.endswith(b"\n") else "torn line")
        seq, prev, hash_ = int(found[1]), found[2].decode(), found[3].decode()
        by = next((one for one in (_sha256, _sm3) if one(line[:-CUT]) == hash_), None)
        if by is None:
            raise Wrong("hash wrong")
        self._hash = by
        if self.lines and seq != self.last + 1:
            raise Wrong(f"seq gap: {self.last + 1} expected, {seq} found")
        if (self.lines and prev != self.head) or (not self.lines and seq == 1 and prev != GENESIS):
            raise Wrong("chain broken: the line before is not the one that was sealed")
        self.lines, self.first, self.last, self.head = self.lines + 1, self.first or seq, seq, hash_


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _sm3(data: bytes) -> str:
    try:
        return hashlib.new("sm3", data).hexdigest()
    except ValueError:
        return ""  # an old OpenSSL knows no SM3


def check_files(files: Sequence[Path], heads: Sequence[Head]) -> Chain:
    """Check the chain over ``files``, oldest first, and that each of ``heads`` is the tree over the lines it covers.
    Raises ``Wrong`` with file and line."""
    chain, trees = Chain(), {head.algorithm: Tree(algorithm=head.algorithm) for head in heads}
    wanted: dict[int, list[Head]] = {}
    for head in heads:
        wanted.setdefault(head.size, []).append(head)
    for file, number, line in lines(files):
        try:
            chain.take(line)
            if chain.first != 1 and heads:
                raise Wrong("a tree head covers the log from its first line: give the older files as well")
            for tree in trees.values():
                tree.append(leaf_hash(line[:-1], tree.algorithm))
            for head in wanted.pop(chain.last, ()):
                if trees[head.algorithm].root() != head.root:
                    raise Wrong(f"the first {head.size} lines are not those that the witness holds")
        except Wrong as fault:
            raise Wrong(f"{file}:{number}: {fault}") from None
    for size in sorted(size for size in wanted if size):
        raise Wrong(f"lines are missing: the witness holds {size}, the log ends at {chain.last}")
    return chain


def lines(files: Sequence[Path]) -> Iterator[tuple[Path, int, bytes]]:
    """Every line of ``files``, with its file and its number there."""
    for file in files:
        with gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb") as opened:
            for number, line in enumerate(opened, 1):
                yield file, number, line


def check_proof(bundle: Any, name: str, public: bytes) -> int:
    """Check a proof that was handed out: each line is in the tree whose head is signed; returns how many lines.
    Raises ``Wrong``."""
    try:
        head = parse_note(bundle["checkpoint"], name, public)
        older = bundle.get("consistent_with")
        if older is not None:
            first = parse_note(older["checkpoint"], name, public)
            path = [unbase64(one) for one in older["path"]]
            if not check_consistency(first.size, head.size, first.root, head.root, path, head.algorithm):
                raise Wrong(f"the tree of {first.size} lines is no beginning of that of {head.size}")
        for one in bundle["lines"]:
            line, path = one["line"].encode(), [unbase64(node) for node in one["path"]]
            chain = Chain()
            chain.take(line + b"\n")
            leaf = leaf_hash(line, head.algorithm)
            if not check_inclusion(chain.last - 1, head.size, leaf, path, head.root, head.algorithm):
                raise Wrong(f"line {chain.last} is not in the tree of {head.size} lines")
        return len(bundle["lines"])
    except (KeyError, TypeError, ValueError, AttributeError) as fault:
        if isinstance(fault, Wrong):
            raise
        raise Wrong(f"not a proof: {type(fault).__name__}") from None


def read_witness(files: Iterable[Path], name: str, public: bytes) -> list[Head]:
    """All tree heads that witnesses hold. Raises ``Wrong``."""
    heads = []
    for file in files:
        found = list(notes(file.read_text("utf-8")))
        if not found:
            raise Wrong(f"{file}: holds no signed note")
        heads += [parse_note(one, name, public) for one in found]
    return heads


def main(argv: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="gateway-audit-verify", description="Check the gateway's audit log.")
    parser.add_argument("files", nargs="*", type=Path, help="the log and its rotated files, oldest first")
    parser.add_argument("--key", help="the verifier key (gateway audit keygen shows it), or a file that holds it")
    parser.add_argument("--witness", action="append", default=[], type=Path, help="a file with signed tree heads")
    parser.add_argument("--proof", type=Path, help="a proof made by: gateway audit export")
    args = parser.parse_args(argv)
    if (not args.files and args.proof is None) or ((args.witness or args.proof) and not args.key):
        parser.error("give files or --proof; --witness and --proof need --key")
    try:
        name, public = "", b""
        if args.key:
            name, public = parse_key(Path(args.key).read_text("utf-8") if Path(args.key).exists() else args.key)
        if args.proof is not None:
            count = check_proof(json.loads(args.proof.read_text("utf-8")), name, public)
            print(f"{count} lines are in the signed tree")  # noqa: T201
        if args.files:
            heads = read_witness(args.witness, name, public)
            chain = check_files(args.files, heads)
            newest = max((head.size for head in heads), default=0)
            print(f"{chain.lines} lines in order, from {chain.first} to {chain.last}; witnessed up to {newest}")  # noqa: T201
    except (Wrong, OSError, json.JSONDecodeError) as fault:
        print(fault, file=sys.stderr)  # noqa: T201
        return 1
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

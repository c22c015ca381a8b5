"""Signed tree heads: the private key, the note that is signed, the proofs that are handed out."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from gateway.audit import outside
from gateway.audit.chain import tail
from gateway.audit.outside import Head


class NoKey(ValueError):
    """What should be an Ed25519 private key is none."""


def generate() -> bytes:
    """A fresh private key, PEM."""
    return Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


class Signer:
    """Signs tree heads of the log ``name`` (its origin, and the name of the key)."""

    def __init__(self, name: str, pem: bytes) -> None:
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError):
            raise NoKey("not a private key in PEM") from None
        if not isinstance(key, Ed25519PrivateKey):
            raise NoKey("not an Ed25519 key")
        self.name, self._key = name, key
        self.public = key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    @property
    def verifier_key(self) -> str:
        """The public key as one word, for those who verify."""
        return outside.verifier_key(self.name, self.public)

    def note(self, size: int, root: bytes, algorithm: str = "sha256") -> str:
        """A signed note (C2SP) of a tree head."""
        text = outside.note_text(Head(self.name, size, root, algorithm))
        signature = outside.key_id(self.name, self.public) + self._key.sign(text.encode())
        return f"{text}\n— {self.name} {base64.b64encode(signature).decode()}\n"


def lines_of(files: Iterable[Path]) -> list[bytes]:
    """All lines of a log and its rotated files, without their ends. A torn last line is left out."""
    return [line[:-1] for _file, _number, line in outside.lines(list(files)) if line.endswith(b"\n")]


def proof(
    lines: Sequence[bytes], wanted: Sequence[int], signer: Signer, algorithm: str = "sha256", older: str | None = None
) -> dict[str, Any]:
    """What a third party needs to see that the lines at the places ``wanted`` (from 1) are in the record: the lines, their paths
    and the signed head; with ``older``, a note it has from before, also that the record only grew since."""
    first = tail(lines[0] + b"\n") if lines else None
    if first is None or first.seq != 1:
        raise outside.Wrong("the log does not begin with its first line: give the rotated files as well")
    leaves = [outside.leaf_hash(line, algorithm) for line in lines]
    root = outside.root_of(leaves, algorithm)
    proven = []
    for seq in wanted:
        path = outside.inclusion_proof(seq - 1, leaves, algorithm)
        proven.append({"line": lines[seq - 1].decode(), "path": _text(path)})
    made: dict[str, Any] = {"checkpoint": signer.note(len(leaves), root, algorithm), "lines": proven}
    if older is not None:
        head = outside.parse_note(older, signer.name, signer.public)
        if head.algorithm != algorithm:
            text = "the older head is of a tree by {older}, the record's is by {algorithm}"
            raise outside.Wrong(text.format(older=head.algorithm, algorithm=algorithm))
        path = outside.consistency_proof(head.size, leaves, algorithm)
        made["consistent_with"] = {"checkpoint": older, "path": _text(path)}
    return made


def _text(path: Sequence[bytes]) -> list[str]:
    return [base64.b64encode(node).decode() for node in path]

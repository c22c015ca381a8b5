"""Checks the chain by cutting bytes: no JSON is parsed, so a million lines take about a second or two."""

from __future__ import annotations

import gzip
import hashlib
from binascii import hexlify
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

from gateway.audit import chain
from gateway.audit.chain import ALGORITHMS, END, GENESIS, Algorithm
from gateway.audit.sealer import siblings
from gateway.store import Store, journal


class Broken(msgspec.Struct, frozen=True, kw_only=True):
    """The first line that does not fit: its file, its number in that file (from 1) and why."""

    file: Path
    line: int
    why: str


class Verified(msgspec.Struct, frozen=True, kw_only=True):
    """What was checked: how many lines, the places of the first and the last, the last hash, and what broke."""

    lines: int = 0
    first: int | None = None
    last: int | None = None
    head: str | None = None
    broken: Broken | None = None


class _State:
    """Where the chain stands between lines. ``seq`` None before the first one."""

    __slots__ = ("algorithm", "first", "head", "lines", "seq")

    def __init__(self) -> None:
        self.seq: int | None = None
        self.first: int | None = None
        self.head = GENESIS
        self.lines = 0
        self.algorithm: Algorithm = "sha256"


def rotated(path: Path) -> list[Path]:
    """The log and the rotated files beside it, oldest first by the place of their first line; empty ones left out."""
    found = []
    for file in (*siblings(path), path):
        try:
            with _open(file) as opened:
                first = opened.readline()
        except OSError:
            continue
        if first:
            end = chain.tail(first)
            found.append((end.seq if end is not None else 1 << 62, file))
    return [file for _, file in sorted(found)]


def verify_files(files: Sequence[Path], store: Store | None = None) -> Verified:
    """Check files that follow one another, oldest first. They may begin in the middle of the chain.

    With ``store`` their ends are compared with the journal's. Raises ``OSError`` for a file that cannot be read.
    """
    state = _State()
    broken = None
    for file in files:
        with _open(file) as opened:
            found = _check(opened, state)
        if found is not None:
            broken = Broken(file=file, line=found[0], why=found[1])
            break
    if broken is None and store is not None and files:
        why = _against_journal(store, state, files)
        if why is not None:
            broken = Broken(file=files[-1], line=state.lines, why=why)
    return Verified(lines=state.lines, first=state.first, last=state.seq, head=state.head, broken=broken)


def verify_journal(store: Store) -> Verified:
    """Check the chain in the data base itself: every sealed event rendered again. ``line`` of a break is its place."""
    state = _State()
    while True:
        entries = store.read_now(lambda tx: journal.sealed_after(tx, state.seq or 0, 1000))
        if not entries:
            return Verified(lines=state.lines, first=state.first, last=state.seq, head=state.head)
        lines = [chain.line(chain.body(one, one.seq or 0, one.prev or GENESIS), one.hash or GENESIS) for one in entries]
        found = _check(lines, state)
        if found is not None:
            place = (state.seq or 0) + 1
            broken = Broken(file=Path("journal"), line=place, why=found[1])
            return Verified(lines=state.lines, first=state.first, last=state.seq, head=state.head, broken=broken)


def _open(file: Path) -> IO[bytes]:
    return gzip.open(file, "rb") if file.suffix == ".gz" else file.open("rb", buffering=1 << 20)  # type: ignore[return-value]


def _check(lines: Iterable[bytes], state: _State) -> tuple[int, str] | None:
    """Take lines up to the first that does not fit; its number and why, or None."""
    number = 0
    seq, prev = (state.seq or 0), state.head.encode()
    make: Callable[[bytes], Any] = hashlib.sha256 if state.algorithm == "sha256" else _maker(state.algorithm)
    for number, text in enumerate(lines, 1):
        hash_ = hexlify(make(text[:-END]).digest())
        if state.seq is None or not text.endswith(b',"seq":%d,"prev":"%b","hash":"%b"}\n' % (seq + 1, prev, hash_)):
            why = _why(text, None if state.seq is None else seq, prev.decode(), state)
            if why is not None:
                state.lines += number - 1
                state.seq, state.head = (seq if state.seq is not None else None), prev.decode()
                return number, why
            end = chain.tail(text)
            assert end is not None
            make = _maker(state.algorithm)
            seq, hash_ = end.seq - 1, end.hash.encode()
            if state.seq is None:
                state.seq = state.first = end.seq
        seq += 1
        prev = hash_
    state.lines += number
    if state.seq is not None:
        state.seq, state.head = seq, prev.decode()
    return None


def _maker(algorithm: Algorithm) -> Callable[[bytes], Any]:
    return hashlib.sha256 if algorithm == "sha256" else lambda data: hashlib.new(algorithm, data)


def _why(text: bytes, seq: int | None, prev: str, state: _State) -> str | None:
    """Why a line does not follow; None where it does after all: it is the first, or the algorithm changed here."""
    if not text.endswith(b"\n"):
        return "torn line"
    end = chain.tail(text)
    if end is None:
        return "not an audit line"
    fitting = [one for one in ALGORITHMS if chain.digest(text[:-END], one) == end.hash]
    if not fitting:
        return "hash wrong"
    if seq is None:
        if end.seq == 1 and end.prev != GENESIS:
            return "chain broken: the first line has something before it"
    elif end.seq != seq + 1:
        return f"seq gap: {seq + 1} expected, {end.seq} found"
    elif end.prev != prev:
        return "chain broken: the line before is not the one that was sealed"
    state.algorithm = fitting[0]
    return None


def _against_journal(store: Store, state: _State, files: Sequence[Path]) -> str | None:
    def compare(tx: Any) -> str | None:
        last = journal.last_sealed(tx)
        if state.seq is None:
            return None if last is None else "log is empty, the journal is not"
        here = journal.sealed_at(tx, state.seq)
        if here is None:
            return f"log goes on to {state.seq}, the journal does not"
        if here.hash != state.head:
            return f"log and journal disagree at {state.seq}"
        noted = journal.written(tx, files[-1].name)
        if noted > state.seq:
            return f"lines are missing at the end: {noted} were written, the log ends at {state.seq}"
        return None

    return store.read_now(compare)

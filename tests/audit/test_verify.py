"""The verifier names the first line that does not fit, and why; no change of the record goes unseen."""

from __future__ import annotations

import gzip
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.audit import chain
from gateway.audit.sealer import Sealer
from gateway.audit.verify import rotated, verify_files, verify_journal
from gateway.core import events
from gateway.core.model import Event
from gateway.store import Store, StoreKeys, journal
from tests.audit.conftest import AT, drain, emit

Make = Callable[..., Sealer]


def rehash(line: bytes) -> bytes:
    """A line whose own hash fits again."""
    body = line[: -chain.END]
    return chain.line(body, chain.digest(body, "sha256"))


TAMPERING: dict[str, tuple[Callable[[list[bytes]], list[bytes]], int, str]] = {
    "a word changed": (lambda all_: [*all_[:4], all_[4].replace(b"sms", b"smx"), *all_[5:]], 5, "hash wrong"),
    "a word changed and hashed anew": (
        lambda all_: [*all_[:4], rehash(all_[4].replace(b"sms", b"smx")), *all_[5:]], 6, "chain broken",
    ),
    "a line taken out": (lambda all_: [*all_[:4], *all_[5:]], 5, "seq gap: 5 expected, 6 found"),
    "a line put in": (lambda all_: [*all_[:4], all_[3], *all_[4:]], 5, "seq gap: 5 expected, 4 found"),
    "two lines changed places": (lambda all_: [*all_[:4], all_[5], all_[4], *all_[6:]], 5, "seq gap"),
    "a line renumbered": (
        lambda all_: [*all_[:4], rehash(all_[4].replace(b'"seq":5', b'"seq":7')), *all_[5:]], 5, "seq gap",
    ),
    "no JSON at all": (lambda all_: [*all_[:4], b"nothing\n", *all_[5:]], 5, "not an audit line"),
    "an empty line": (lambda all_: [*all_[:4], b"\n", *all_[4:]], 5, "not an audit line"),
    "torn at the end": (lambda all_: [*all_[:-1], all_[-1][:-20]], 10, "torn line"),
    "line end gone": (lambda all_: [*all_[:-1], all_[-1][:-1]], 10, "torn line"),
    "a false beginning": (
        lambda all_: [rehash(all_[0].replace(chain.GENESIS.encode(), b"1" * 64)), *all_[1:]], 1, "chain broken",
    ),
    "capital digits": (lambda all_: [*all_[:4], all_[4][:-70] + all_[4][-70:].upper(), *all_[5:]], 5, "not an audit line"),
}  # fmt: skip


@pytest.mark.parametrize("how", TAMPERING)
def test_first_broken_line_is_named(memory: Store, log: Path, make_sealer: Make, how: str) -> None:
    emit(memory, 10)
    drain(make_sealer(memory))
    tamper, line, why = TAMPERING[how]
    log.write_bytes(b"".join(tamper(log.read_bytes().splitlines(keepends=True))))
    found = verify_files([log])
    assert found.broken is not None
    assert (found.broken.file, found.broken.line) == (log, line)
    assert found.broken.why.startswith(why)
    assert found.lines == line - 1


def test_over_rotated_files(memory: Store, log: Path, make_sealer: Make) -> None:
    sealer = make_sealer(memory)
    for name in ("audit.jsonl.2.gz", "audit.jsonl.1"):
        emit(memory, 3)
        drain(sealer)
        other = log.with_name(name)
        other.write_bytes(gzip.compress(log.read_bytes()) if name.endswith("gz") else log.read_bytes())
        log.unlink()
    emit(memory, 3)
    drain(sealer)
    files = rotated(log)
    assert [file.name for file in files] == ["audit.jsonl.2.gz", "audit.jsonl.1", "audit.jsonl"]
    assert verify_files(files, memory).lines == 9
    middle = files[1].read_bytes().splitlines(keepends=True)
    files[1].write_bytes(middle[0] + middle[2])
    found = verify_files(files).broken
    assert found is not None and (found.file, found.line) == (files[1], 2)
    assert verify_files([files[0], files[2]]).broken is not None, "a file in the middle is missing"
    assert verify_files(files[2:]).broken is None, "a record may begin in the middle, its older files kept elsewhere"
    assert verify_files(files[2:]).first == 7


def test_end_is_compared_with_the_journal(memory: Store, log: Path, make_sealer: Make) -> None:
    emit(memory, 5)
    sealer = make_sealer(memory)
    drain(sealer)
    emit(memory, 1)
    drain(sealer)
    all_lines = log.read_bytes().splitlines(keepends=True)
    log.write_bytes(b"".join(all_lines[:3]))
    assert verify_files([log]).broken is None, "without the journal a shorter log looks whole"
    found = verify_files([log], memory).broken
    assert found is not None and "missing at the end" in found.why and found.line == 3
    log.write_bytes(b"".join(all_lines))
    memory.write_now(lambda tx: tx.conn.exec_driver_sql("DELETE FROM events WHERE seq = 6"))
    found = verify_files([log], memory).broken
    assert found is not None and "journal does not" in found.why


def test_journal_itself(memory: Store, make_sealer: Make) -> None:
    emit(memory, 6)
    drain(make_sealer(memory))
    assert verify_journal(memory).lines == 6
    memory.write_now(lambda tx: tx.conn.exec_driver_sql("UPDATE events SET event = 'closed' WHERE seq = 4"))
    found = verify_journal(memory).broken
    assert found is not None and (found.line, found.why) == (4, "hash wrong")


def test_nothing_to_check(log: Path, memory: Store) -> None:
    assert verify_files([]).broken is None
    log.touch()
    assert rotated(log) == [] and verify_files([log], memory).broken is None
    emit(memory)
    memory.write_now(lambda tx: journal.mark_sealed(tx, [journal.Sealed(id=1, seq=1, prev="0" * 64, hash="1" * 64)]))
    assert verify_files([log], memory).broken is not None
    with pytest.raises(FileNotFoundError):
        verify_files([log.with_name("absent")])


NAMES = sorted(events.EVENTS)
EVENTS = st.builds(
    lambda name, incident, by, why, late: Event(
        at=AT, event=name, incident=incident, by=by, data={"why": why, "late": late, "via": why}
    ),
    st.sampled_from(NAMES),
    st.none() | st.from_regex(r"\A2026-\d{4}\Z"),
    st.none() | st.text(max_size=20),
    st.text(st.characters(codec=None), max_size=60),
    st.booleans(),
)


@given(given=st.lists(EVENTS, min_size=1, max_size=12), data=st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_events_verify_and_any_flipped_bit_is_found(tmp_path: Path, given: list[Event], data: st.DataObject) -> None:
    log = tmp_path / "any.jsonl"
    log.unlink(missing_ok=True)
    store = Store.open("sqlite://", StoreKeys(bytes(32)), lambda: AT)
    store.write_now(lambda tx: [journal.emit(tx, event) for event in given])
    sealer = Sealer(store, log, lambda: AT)
    drain(sealer)
    sealer.close()
    whole = log.read_bytes()
    result = verify_files([log], store)
    assert result.broken is None and result.lines == len(given)
    at, bit = data.draw(st.integers(0, len(whole) - 1)), data.draw(st.integers(0, 7))
    flipped = bytearray(whole)
    flipped[at] ^= 1 << bit
    log.write_bytes(bytes(flipped))
    broken = verify_files([log], store).broken
    store.close()
    assert broken is not None
    assert broken.line <= whole[:at].count(b"\n") + 2


def test_speed(tmp_path: Path) -> None:
    """Far above what a JSON parser does, measured over lines of the usual length."""
    log = tmp_path / "audit.jsonl"
    prev, made = chain.GENESIS, []
    middle = "delivered,mail,duty_room".ljust(120, "x")
    for seq in range(1, 100_001):
        body = f'{{"at":"2026-03-05T14:30:00.000000+00:00","data":{{"via":"{middle}"}},"event":"accepted","seq":{seq}'
        body += f',"prev":"{prev}"'
        prev = chain.digest(body.encode(), "sha256")
        made.append(chain.line(body.encode(), prev))
    log.write_bytes(b"".join(made))
    started = time.perf_counter()
    assert verify_files([log]).lines == 100_000
    took = time.perf_counter() - started
    print(f"{100_000 / took:,.0f} lines/s")
    assert 100_000 / took > 200_000

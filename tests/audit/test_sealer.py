"""The sealer: the file follows the journal, whatever happens to the process, the disk or the file."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from gateway.audit import sealer as sealing
from gateway.audit.chain import GENESIS
from gateway.audit.sealer import AuditMismatch, Sealer
from gateway.audit.verify import rotated, verify_files, verify_journal
from gateway.store import Store, StoreKeys, journal
from tests.audit.conftest import AT, drain, emit

Make = Callable[..., Sealer]


def lines(log: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in log.read_bytes().splitlines()]


def whole(log: Path, store: Store, count: int) -> None:
    """The chain over all files, from the first event to the last, agrees with the journal."""
    files = rotated(log)
    found = verify_files(files, store)
    assert found.broken is None, found.broken
    assert (found.lines, found.first, found.last) == (count, 1, count)
    assert verify_journal(store) == found


def test_lines_are_canonical_and_chained(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, event="routed", incident="2026-0001", by="王某", data={"destinations": ["市政府值班室"], "late": True})
    emit(store)
    assert drain(make_sealer(store)) == 2
    assert log.stat().st_mode & 0o777 == 0o640
    prev = GENESIS
    for number, raw in enumerate(log.read_bytes().splitlines(), 1):
        line = json.loads(raw)
        ends = {"prev": line.pop("prev"), "hash": line.pop("hash")}
        body = json.dumps(line, ensure_ascii=False, sort_keys=True, separators=(",", ":"))[:-1] + f',"prev":"{prev}"'
        assert raw.decode() == f'{body},"hash":"{ends["hash"]}"}}'
        assert hashlib.sha256(body.encode()).hexdigest() == ends["hash"]
        assert (line["seq"], ends["prev"], line["at"]) == (number, prev, "2026-03-05T14:30:00.000000+00:00")
        prev = ends["hash"]
    assert lines(log)[0]["data"] == {"destinations": ["市政府值班室"], "late": True}
    whole(log, store, 2)


def test_what_a_run_goes_on_from_is_written_and_synced_anew(
    store: Store, log: Path, make_sealer: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a sync that failed lines may be in memory alone, and to read them tells nothing."""
    emit(store)
    first = make_sealer(store)
    drain(first)
    first.close()
    before = log.read_bytes()
    done: list[object] = []
    pwrite, fsync = os.pwrite, os.fsync
    monkeypatch.setattr(os, "pwrite", lambda fd, data, at: done.append((at, data)) or pwrite(fd, data, at))
    monkeypatch.setattr(os, "fsync", lambda fd: done.append("synced") or fsync(fd))
    assert drain(make_sealer(store)) == 0
    assert done == [(0, before), "synced"]
    assert log.read_bytes() == before


def test_nothing_private_is_in_the_log(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, event="revised", incident="2026-0001", data={"field": "deaths", "from": {"value": 41}, "to": {"value": 77}})
    emit(store, event="registered", data={"title": "某镇起火", "items": ["事故类-2"]})
    emit(store)
    drain(make_sealer(store))
    shown = [{**line, "prev": "", "hash": ""} for line in lines(log)]
    text = json.dumps(shown, ensure_ascii=False)
    assert "138****0001" in text and "deaths" in text, "the control"
    for word in ("13800000001", "41", "77", "起火", "from"):
        assert word not in text, word
    whole(log, store, 3)


def test_more_than_one_batch(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, 2500)
    sealer = make_sealer(store)
    assert [sealer.run_once() for _ in range(4)] == [1000, 1000, 500, 0]
    assert sealer.written == 2500
    whole(log, store, 2500)


def test_goes_on_after_restart(store: Store, log: Path, make_sealer: Make) -> None:
    for count in (3, 0, 2):
        emit(store, count)
        assert drain(make_sealer(store)) == count
    whole(log, store, 5)


def test_lag_is_that_of_the_oldest(store: Store, make_sealer: Make) -> None:
    sealer = make_sealer(store)
    assert sealer.lag() == timedelta(0)
    emit(store, at=AT - timedelta(seconds=1))
    emit(store)
    assert sealer.lag() == timedelta(seconds=10)
    drain(sealer)
    assert sealer.lag() == timedelta(0)


def test_sm3(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, 2)
    drain(make_sealer(store))
    emit(store, 2)
    drain(make_sealer(store, algorithm="sm3"))
    last = log.read_bytes().splitlines()[-1]
    assert hashlib.new("sm3", last[:-75]).hexdigest() == lines(log)[-1]["hash"]
    whole(log, store, 4)


@pytest.mark.parametrize("cut", [1, 40, 150, 300])
def test_torn_last_line_is_cut_and_written_again(store: Store, log: Path, make_sealer: Make, cut: int) -> None:
    emit(store, 5)
    drain(make_sealer(store))
    whole_file = log.read_bytes()
    log.write_bytes(whole_file[:-cut])
    emit(store, 1)
    drain(make_sealer(store))
    assert log.read_bytes().startswith(whole_file)
    whole(log, store, 6)


def test_garbage_behind_the_last_line_is_cut(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, 2)
    drain(make_sealer(store))
    with log.open("ab") as file:
        file.write(b"\0" * 200_000)
    drain(make_sealer(store))
    whole(log, store, 2)


@pytest.mark.parametrize("lost", [(0,), (1,), (2,), (0, 2), (1, 3), (0, 1, 2, 3)])
def test_sectors_that_were_lost_with_the_power_are_written_again(
    store: Store, log: Path, make_sealer: Make, lost: tuple[int, ...]
) -> None:
    """Lines were written and not yet synced: of their sectors any may be there."""
    emit(store, 3)
    drain(make_sealer(store))
    synced = len(log.read_bytes())
    emit(store, 20)
    drain(make_sealer(store))
    whole_file = log.read_bytes()
    first = -(-synced // 512)
    assert len(whole_file) > (first + 5) * 512
    damaged = bytearray(whole_file)
    for sector in lost:
        at = max(synced, (first - 1 + sector) * 512)
        damaged[at : (first + sector) * 512] = bytes((first + sector) * 512 - at)
    log.write_bytes(damaged)
    emit(store, 1)
    drain(make_sealer(store))
    assert log.read_bytes().startswith(whole_file)
    whole(log, store, 24)


def test_missing_lines_are_appended(store: Store, log: Path, make_sealer: Make) -> None:
    """A crash between the data base's commit and the file."""
    emit(store, 5)
    drain(make_sealer(store))
    kept = b"".join(log.read_bytes().splitlines(keepends=True)[:2])
    log.write_bytes(kept)
    assert drain(make_sealer(store)) == 3
    whole(log, store, 5)


def test_rotation_by_renaming(store: Store, log: Path, make_sealer: Make) -> None:
    sealer = make_sealer(store)
    for number in (3, 2, 1):
        emit(store, 4)
        drain(sealer)
        log.rename(log.with_name(f"audit.jsonl.{number}"))
    emit(store, 4)
    drain(sealer)
    assert [file.name for file in rotated(log)] == ["audit.jsonl.3", "audit.jsonl.2", "audit.jsonl.1", "audit.jsonl"]
    whole(log, store, 16)
    log.rename(log.with_name("audit.jsonl.0"))
    log.touch()  # logrotate's create
    emit(store)
    drain(sealer)
    whole(log, store, 17)


def test_rotation_while_the_daemon_is_down(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, 4)
    drain(make_sealer(store))
    packed = log.with_name("audit.jsonl-20260305.gz")
    packed.write_bytes(gzip.compress(log.read_bytes()))
    log.unlink()
    assert drain(make_sealer(store)) == 0, "what is in the rotated file is not written again"
    emit(store, 2)
    assert drain(make_sealer(store)) == 2
    assert rotated(log) == [packed, log]
    whole(log, store, 6)


def test_a_file_that_was_taken_away_is_not_written_again(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, 3)
    sealer = make_sealer(store)
    drain(sealer)
    emit(store, 2)
    drain(sealer)
    log.unlink()
    emit(store, 1)
    drain(make_sealer(store))
    assert [line["seq"] for line in lines(log)][-1] == 6
    assert verify_files([log], store).broken is None


@pytest.mark.parametrize("how", ["hash", "content", "ahead", "foreign"])
def test_disagreement_with_the_journal_is_no_secret(store: Store, log: Path, make_sealer: Make, tmp_path: Path, how: str) -> None:
    emit(store, 3)
    drain(make_sealer(store))
    if how == "content":
        log.write_bytes(re.sub(rb'("seq":3,?)', rb'"who":"me",\1', log.read_bytes()))
    elif how == "hash":
        data = bytearray(log.read_bytes())
        data[-10] = ord("1") if data[-10] != ord("1") else ord("2")
        log.write_bytes(bytes(data))
    elif how == "foreign":
        log.write_bytes(b"some other log\n")
    else:
        store.write_now(lambda tx: tx.conn.exec_driver_sql("DELETE FROM events WHERE seq = 3"))
    with pytest.raises(AuditMismatch, match="disagree"):
        make_sealer(store).run_once()


def test_full_disk_leaves_no_half_line(store: Store, log: Path, make_sealer: Make) -> None:
    emit(store, 2)
    sealer = make_sealer(store)
    drain(sealer)
    before = log.read_bytes()
    emit(store, 200)
    sealer._store.write_now(sealer._seal)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) + 1000, hard))
    try:
        with pytest.raises(OSError, match="too large"):
            sealer._append([(one.seq or 0, sealing._line(one)) for one in store.read_now(lambda tx: journal.sealed_after(tx, 2))])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert log.read_bytes() == before
    drain(sealer)
    whole(log, store, 202)


CHILD = """
import os, sys
from datetime import datetime, UTC
from pathlib import Path
from gateway.audit import sealer as room
from gateway.core.model import Event
from gateway.store import Store, StoreKeys, journal
at = datetime(2026, 3, 5, tzinfo=UTC)
store = Store.open("sqlite:///" + sys.argv[1], StoreKeys(bytes(32)), lambda: at)
store.write_now(lambda tx: [journal.emit(tx, Event(at=at, event="started", data={"version": str(n)})) for n in range(5)])
where = sys.argv[3]
def die(*_): os.kill(os.getpid(), 9)
sealer = room.Sealer(store, Path(sys.argv[2]), lambda: at)
if where == "before seal": sealer._seal = die
if where == "before write": room._write = die
if where == "in write": room._write = lambda fd, data: (os.write(fd, data[: len(data) // 2]), die())
if where == "before sync": os.fsync = lambda fd: die() if os.fstat(fd).st_size else None
sealer.run_once()
die()
"""


@pytest.mark.parametrize("where", ["before seal", "before write", "in write", "before sync", "after"])
def test_killed_anywhere(tmp_path: Path, log: Path, make_sealer: Make, where: str) -> None:
    path = tmp_path / "store.db"
    done = subprocess.run([sys.executable, "-c", CHILD, str(path), str(log), where], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    store = Store.open(f"sqlite:///{path}", StoreKeys(bytes(32)), lambda: AT)
    drain(make_sealer(store))
    whole(log, store, 5)
    store.close()
    assert os.path.exists(log)

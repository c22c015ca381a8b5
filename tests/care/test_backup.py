"""A backup of the running daemon under load, brought back elsewhere: nothing missing, the record whole, the chain goes on."""

from __future__ import annotations

import copy
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import threading
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.backup import BackupError, Made, write
from gateway.conf_load import load
from gateway.host import Host
from gateway.restore import verify
from tests.system.conftest import gate, sink  # noqa: F401  (fixtures)
from tests.system.gate import Gate, mail, send_mail

NOW = datetime(2026, 3, 6, 3, 0, tzinfo=UTC)
TEXT = "云台区政府办报告：今日8时许，云台区文昌街一家具厂发生火灾，造成1人死亡、2人受伤，原因正在调查。第{n}号"


class Load:
    """A sender that goes on until it is stopped; ``ids`` were accepted, in order."""

    def __init__(self, port: int) -> None:
        self.ids: list[str] = []
        self._port = port
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        n = 0
        while not self._stop.is_set():
            n += 1
            self.ids.append(send_mail(self._port, mail(TEXT.format(n=n))).decode().rsplit(" ", 1)[-1])


class Elsewhere(Gate):
    """A gate whose state lies beside its configuration."""

    @property
    def state(self) -> Path:
        return self.conf.parent / "state"


def move_in(back: Path, gate: Gate) -> Gate:  # noqa: F811
    """A gate on the restored folder, with the secrets that were kept apart."""
    for path in (gate.conf / "secrets").iterdir():
        shutil.copy2(path, back / "conf" / "secrets" / path.name)
    made = copy.copy(gate)
    made.__class__ = Elsewhere
    made.conf, made.process, made.log = back / "conf", None, back / "daemon.log"
    return made


def test_backup_under_load_kill_restore_and_go_on(gate: Gate, tmp_path: Path) -> None:  # noqa: F811
    gate.start()
    file = tmp_path / "backups" / "one.tar"
    file.parent.mkdir()
    with Load(gate.base) as load:
        gate.until(lambda: len(load.ids) >= 20, "some were accepted")
        before = list(load.ids)
        said = gate.run_command("backup", str(file), "--verify")
        count = len(load.ids)
        gate.until(lambda: len(load.ids) > count, "it still accepts")
    assert "verified" in said
    assert file.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in file.parent.iterdir()] == ["one.tar"], "nothing half-made is left"
    process = gate.process
    assert process is not None
    process.kill()
    process.wait()

    back = tmp_path / "back"
    told = gate.run_command("restore", str(file), "--to", str(back), conf=False)
    assert "whole" in told
    other = move_in(back, gate)
    other.run_command("audit", "verify")
    first = (back / "state" / "audit.jsonl").read_bytes()
    try:
        other.start()
        there = {row["id"] for row in other.ask("messages", limit=100_000)}
        assert set(before) <= there, "no message that was accepted before the backup is missing"
        send_mail(gate.base, mail(TEXT.format(n="新")))
    finally:
        other.stop()
    other.run_command("audit", "verify")
    log = (back / "state" / "audit.jsonl").read_bytes()
    assert log.startswith(first), "the chain goes on from what was restored"
    restored = next(json.loads(line) for line in log.splitlines() if b'"event":"restored"' in line)
    assert restored["data"]["seq"] == len(first.splitlines())
    assert restored["at"].endswith("+08:00"), "in the city's zone, wherever it was restored"


def test_no_secret_is_in_it(made_once: Path) -> None:
    held = [path.read_bytes().strip() for path in (made_once / "conf" / "secrets").iterdir()]
    data = (made_once / "b.tar").read_bytes()
    assert len(held) > 5
    assert not [secret for secret in held if secret in data]
    with tarfile.open(made_once / "b.tar") as tar:
        names = tar.getnames()
    assert {"state/gateway.db", "audit/audit.jsonl", "conf/gateway.toml", "conf/channels.d/mail.toml", "manifest.json"} <= set(
        names
    )
    assert not [name for name in names if "secret" in name or "private" in name]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gate's folder after one report, and a backup of it."""
    folder = tmp_path_factory.mktemp("once")
    made = Gate(folder)
    try:
        made.start()
        send_mail(made.base, mail(TEXT.format(n=1)))
    finally:
        made.stop()
    made.run_command("backup", str(folder / "b.tar"))
    return folder


@pytest.fixture
def kept(made_once: Path, tmp_path: Path) -> Path:
    """That backup, for this test alone."""
    return Path(shutil.copy(made_once / "b.tar", tmp_path))


def restore(file: Path, to: Path) -> str:
    """``gateway restore`` in this process; what it refuses."""
    from click.testing import CliRunner

    from gateway.cli import cli

    done = CliRunner(env={"GATEWAY_LANG": "en"}).invoke(cli, ["restore", str(file), "--to", str(to)])
    assert done.exit_code == 1, done.output
    return done.output


def rewritten(file: Path, name: str, change: object) -> Path:
    """The backup with one member changed by ``change``, or left out where that is None; all else as it was."""
    out = file.with_name("changed.tar")
    with tarfile.open(file) as old, tarfile.open(out, "w") as new:
        for member in old:
            data = old.extractfile(member).read()  # type: ignore[union-attr]
            if member.name == name:
                if change is None:
                    continue
                data = change(data)  # type: ignore[operator]
                member.size = len(data)
            new.addfile(member, io.BytesIO(data))
    return out


def newer(text: bytes) -> bytes:
    return json.dumps({**json.loads(text), "schema": "0999"}).encode()


def other_seq(text: bytes) -> bytes:
    return json.dumps({**json.loads(text), "seq": 1}).encode()


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("state/gateway.db", lambda data: data[:-1] + b"x", "not as the manifest says"),
        ("audit/audit.jsonl", lambda data: data.replace(b"accepted", b"acceptex", 1), "not as the manifest says"),
        ("audit/audit.jsonl", None, "not as the manifest says"),
        ("manifest.json", newer, "schema 0999"),
        ("manifest.json", other_seq, "its manifest says 1"),
        ("manifest.json", None, "no manifest"),
    ],
    ids=["store", "record", "missing", "newer", "seq", "manifest"],
)
def test_what_was_changed_is_refused_and_nothing_is_left(
    kept: Path, tmp_path: Path, name: str, change: object, said: str
) -> None:
    back = tmp_path / "back"
    assert said in restore(rewritten(kept, name, change), back)
    assert [path.name for path in (back / "state").iterdir()] == ["lock"]
    assert not (back / "conf").exists()


def test_a_cut_file_and_one_that_leads_outside_are_refused(kept: Path, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tar"
    cut.write_bytes(kept.read_bytes()[: kept.stat().st_size // 2])
    assert "cut or damaged" in restore(cut, tmp_path / "a")
    evil = tmp_path / "evil.tar"
    with tarfile.open(evil, "w") as tar:
        tar.addfile(tarfile.TarInfo("conf/../../outside"), io.BytesIO())
    assert "no backup" in restore(evil, tmp_path / "b")
    (tmp_path / "text.tar").write_text("nothing of the kind")
    assert "cut or damaged" in restore(tmp_path / "text.tar", tmp_path / "c")


def test_nothing_is_written_over(kept: Path, made_once: Path, tmp_path: Path) -> None:
    back = tmp_path / "back"
    (back / "state").mkdir(parents=True)
    (back / "state" / "gateway.db").write_text("somebody's")
    assert "overwrites nothing" in restore(kept, back)
    assert (back / "state" / "gateway.db").read_text() == "somebody's"
    with pytest.raises(BackupError, match=r"already|已存在"):
        backup(made_once, kept)
    (back / "state" / "gateway.db").unlink()
    from gateway.service import lock

    held = lock(back / "state")
    assert "another gateway" in restore(kept, back)
    held.close()


def run_backup(folder: Path, *args: str) -> Any:
    """``gateway backup`` in this process."""
    from click.testing import CliRunner

    from gateway.cli import cli

    return CliRunner(env={"GATEWAY_LANG": "en"}).invoke(cli, ["--conf", str(folder / "conf"), "backup", *args])


def many(folder: Path) -> Path:
    folder.mkdir()
    for day in range(1, 6):
        (folder / f"gateway-2026030{day}T030000.tar").write_text("old")
    (folder / "notes.txt").write_text("mine")
    return folder


def test_only_the_newest_backups_stay(made_once: Path, tmp_path: Path) -> None:
    folder = many(tmp_path / "many")
    done = run_backup(made_once, str(folder), "--keep", "3", "--verify")
    assert done.exit_code == 0, done.output
    names = sorted(path.name for path in folder.iterdir())
    assert names[:2] == ["gateway-20260304T030000.tar", "gateway-20260305T030000.tar"]
    assert len(names) == 4
    assert names[-1] == "notes.txt"
    assert "a file" in run_backup(made_once, str(tmp_path / "one.tar"), "--keep", "3").output


def test_older_backups_stay_where_the_new_one_is_no_good(
    made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = many(tmp_path / "many")
    monkeypatch.setattr("gateway.restore.verify", raising(BackupError("the sum is another")))
    done = run_backup(made_once, str(folder), "--keep", "1", "--verify")
    assert done.exit_code == 1 and "the sum is another" in done.output
    assert len(list(folder.glob("*T030000.tar"))) == 5


def raising(error: Exception) -> Any:
    def fails(*_args: Any) -> None:
        raise error

    return fails


def test_any_name_in_the_configuration_comes_back_and_a_link_as_what_it_leads_to(made_once: Path, tmp_path: Path) -> None:
    shutil.copytree(made_once / "conf", tmp_path / "conf")
    names = ["report.txt~", "副本 report.txt", "report（旧）.txt", "a..b.txt"]
    for name in names:
        (tmp_path / "conf" / "templates" / name).write_text(name)
    roster = tmp_path / "elsewhere.csv"
    shutil.move(tmp_path / "conf" / "roster.csv", roster)
    (tmp_path / "conf" / "roster.csv").symlink_to(roster)
    made = backup(tmp_path, tmp_path / "c.tar")
    assert set(verify(made.path, tmp_path).manifest.files) >= {"conf/roster.csv", *(f"conf/templates/{name}" for name in names)}
    with tarfile.open(made.path) as tar:
        assert tar.extractfile("conf/roster.csv").read() == roster.read_bytes()  # type: ignore[union-attr]


def test_what_a_killed_backup_left_goes_with_a_later_one(made_once: Path, tmp_path: Path) -> None:
    left, fresh = tmp_path / ".gateway-backup-old", tmp_path / ".verify-now"
    for path in (left, fresh):
        path.mkdir()
        (path / "gateway.db").write_text("half")
    os.utime(left, (0, 0))
    backup(made_once, tmp_path / "d.tar")
    assert not left.exists() and fresh.exists(), "another run may still be at work in a fresh one"


def test_a_backup_that_is_told_to_end_takes_its_half_along(made_once: Path, tmp_path: Path) -> None:
    environment = {**os.environ, "GATEWAY_LANG": "en"}
    command = [sys.executable, "-m", "gateway", "--conf", str(made_once / "conf"), "backup", str(tmp_path), "--rate", "0.001"]
    process = subprocess.Popen(command, env=environment)
    until = time.monotonic() + 20
    while not list(tmp_path.glob(".gateway-backup-*/*")):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    process.terminate()
    assert process.wait(20) == 143
    assert list(tmp_path.iterdir()) == []


def test_rotated_logs_come_along_and_lines_that_are_not_written_yet_are_made(made_once: Path, tmp_path: Path) -> None:
    """The log's end is behind the journal at some instants: here by two lines, and a rotation lies before them."""
    shutil.copytree(made_once / "conf", tmp_path / "conf")
    log = tmp_path / "conf" / "state" / "audit.jsonl"
    lines = log.read_bytes().splitlines(keepends=True)
    log.with_name("audit.jsonl.1").write_bytes(b"".join(lines[:5]))
    log.write_bytes(b"".join(lines[5:-2]))
    made = backup(tmp_path, tmp_path / "c.tar")
    assert verify(made.path, tmp_path).lines == len(lines)
    with tarfile.open(made.path) as tar:
        read = [tar.extractfile(f"audit/{name}").read() for name in ("audit.jsonl.1", "audit.jsonl")]  # type: ignore[union-attr]
    assert b"".join(read) == b"".join(lines)


def test_the_record_is_cut_where_the_snapshot_of_the_store_ends(
    made_once: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines sealed after the snapshot was taken are not in the backup, though they are in the file when it is read."""
    from gateway.store import journal

    shutil.copytree(made_once / "conf", tmp_path / "conf")
    real = journal.last_sealed
    monkeypatch.setattr(journal, "last_sealed", lambda tx: journal.sealed_at(tx, real(tx).seq - 3))  # type: ignore[union-attr]
    made = backup(tmp_path, tmp_path / "c.tar")
    with tarfile.open(made.path) as tar:
        lines = tar.extractfile("audit/audit.jsonl").read().splitlines()  # type: ignore[union-attr]
    whole = (tmp_path / "conf" / "state" / "audit.jsonl").read_bytes().splitlines()
    assert lines == whole[:-3]


def backup(folder: Path, target: Path, **more: int) -> Made:
    """A backup of the configuration in a folder, in this process."""
    return write(load(folder / "conf", Host.load()), target, NOW, **more)

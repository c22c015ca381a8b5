"""Files that the former version wrote are brought forward with all that is in them; a copy of them stays."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway import i18n, init
from gateway.audit.sealer import Sealer
from gateway.audit.verify import rotated, verify_files, verify_journal
from gateway.core.model import Event
from gateway.store import KeyGone, Store, StoreKeys, StoreRefused, incidents, journal, messages, schema
from gateway.store.errors import NewerStore

FORMER = Path(__file__).parent / "former"
NOW = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    i18n.use("en")
    yield
    i18n.use("zh")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    for name in ("gateway.db", "audit.jsonl"):
        shutil.copyfile(FORMER / name, tmp_path / name)
    return tmp_path


@pytest.fixture
def keys() -> StoreKeys:
    return StoreKeys.from_text((FORMER / "test-store-key").read_text())


def open_it(state: Path, keys: StoreKeys) -> Store:
    return Store.open(f"sqlite:///{state}/gateway.db", keys, lambda: NOW)


def version(path: Path) -> str:
    conn = sqlite3.connect(path)
    try:
        return conn.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    finally:
        conn.close()


def test_the_former_files_are_read_and_go_on(state: Path, keys: StoreKeys) -> None:
    assert version(state / "gateway.db") == "0002", "the control: it is the former version's file"
    store = open_it(state, keys)
    try:
        rows = store.read_now(messages.rows)
        assert [row.state for row in rows] == ["read", "read", "needs_person", "quarantined", "read", "read"]
        assert "文昌街" in messages_text(store, "01M85BS546K4A6GQPV2JVD1TBQ")
        assert store.read_now(lambda tx: incidents.get(tx, "2026-0002")).report.deaths.value == 1  # type: ignore[union-attr]
        with pytest.raises(KeyGone):
            store.read_now(lambda tx: messages.raw(tx, "01M85BS55FPYT3NWP0K9E75F0X"))
        log = state / "audit.jsonl"
        assert (verify_files(rotated(log), store).lines, verify_journal(store).lines) == (66, 66)
        # The chain goes on from the former version's last line.
        store.write_now(lambda tx: journal.emit(tx, Event(at=NOW, event="stopped", data={"why": "x"})))
        sealer = Sealer(store, log, lambda: NOW)
        assert sealer.run_once() == 1
        sealer.close()
        found = verify_files(rotated(log), store)
        assert (found.broken, found.last) == (None, 67)
    finally:
        store.close()
    assert version(state / "gateway.db") == schema.HEAD


def messages_text(store: Store, row: str) -> str:
    import email
    from email import policy

    made = email.message_from_bytes(store.read_now(lambda tx: messages.raw(tx, row)).body, policy=policy.default)
    return str(made.get_content())


def test_a_copy_is_kept_before_the_schema_is_changed(state: Path, keys: StoreKeys) -> None:
    open_it(state, keys).close()
    kept = state / "gateway.db.before-0002"
    assert (version(kept), kept.stat().st_mode & 0o777) == ("0002", 0o600)
    former = (
        sqlite3.connect(f"file:{FORMER}/gateway.db?immutable=1", uri=True)
        .execute("SELECT id, state FROM messages ORDER BY id")
        .fetchall()
    )
    assert sqlite3.connect(kept).execute("SELECT id, state FROM messages ORDER BY id").fetchall() == former
    kept.write_bytes(b"left alone")
    shutil.copyfile(FORMER / "gateway.db", state / "gateway.db")
    open_it(state, keys).close()
    assert kept.read_bytes() == b"left alone", "what was kept once is not written over"
    assert not list(state.glob("*.part"))


def test_without_room_for_the_copy_nothing_is_changed(state: Path, keys: StoreKeys, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.store import copying

    def full(*_args: object, **_more: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(copying, "copy", full)
    with pytest.raises(StoreRefused, match=r"0002.*before-0002.*bytes free"):
        open_it(state, keys)
    assert version(state / "gateway.db") == "0002"


def test_a_newer_file_is_refused_with_what_to_do(state: Path, keys: StoreKeys) -> None:
    conn = sqlite3.connect(state / "gateway.db")
    conn.execute("UPDATE alembic_version SET version_num = '0999'")
    conn.commit()
    conn.close()
    with pytest.raises(NewerStore, match=r"0999.*install the newer gateway, or restore a backup"):
        open_it(state, keys)
    assert not list(state.glob("*before*"))


@pytest.mark.parametrize("command", ["run", "messages"])
def test_daemon_and_commands_end_with_1_before_a_newer_file(state: Path, tmp_path: Path, command: str) -> None:
    init.write(tmp_path / "conf", demo=True, state=state)
    conn = sqlite3.connect(state / "gateway.db")
    conn.execute("UPDATE alembic_version SET version_num = '0999'")
    conn.commit()
    conn.close()
    asked = [sys.executable, "-m", "gateway", "--conf", str(tmp_path / "conf"), command]
    env = {**os.environ, "GATEWAY_LANG": "en"}
    done = subprocess.run(asked, capture_output=True, text=True, timeout=60, env=env, check=False)
    assert done.returncode == 1
    assert "schema 0999" in done.stderr
    assert "Traceback" not in done.stderr
    assert version(state / "gateway.db") == "0999"

"""A PostgreSQL store in a backup and back into an empty data base."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway import i18n
from gateway.audit.sealer import Sealer
from gateway.audit.verify import rotated, verify_files
from gateway.backup import BackupError, write
from gateway.conf_load import load
from gateway.core.model import RawMessage
from gateway.host import Host
from gateway.intake import take_in
from gateway.restore import places, restore
from gateway.store import Store, StoreKeys, StoreRefused, messages

ROOT = Path(__file__).parents[2]
NOW = datetime(2026, 3, 6, 3, 0, tzinfo=UTC)


def test_there_and_back(postgres: Any, tmp_path: Path) -> None:
    i18n.use("en")
    source, target, keys = postgres.url(), postgres.url(), StoreKeys(bytes(32))
    config = replace(load(ROOT / "conf", Host.load()), store_url=source, state=tmp_path, audit_log=tmp_path / "audit.jsonl")
    store = Store.open(source, keys, lambda: NOW)
    body = "一\t二\\N\n三".encode() + bytes(range(256))
    raw = RawMessage(channel="sms", via="sms", received_at=NOW, sender="138\t\\N", body=body, content_type="text/plain")
    first = store.write_now(lambda tx: take_in(tx, raw, NOW, 0)).id
    sealer = Sealer(store, config.audit_log, lambda: NOW)
    while sealer.run_once():
        pass
    unsealed = store.write_now(lambda tx: take_in(tx, replace_body(raw), NOW, 0)).id
    made = write(config, tmp_path / "b.tar", NOW)
    sealer.close()
    store.close()

    where = places(tmp_path / "back", target)
    where.state.mkdir(parents=True)
    back = restore(made.path, where, NOW)
    assert (back.messages, back.lines, back.manifest.backend) == ({"accepted": 2}, 1, "postgresql")
    again = Store.open(target, keys, lambda: NOW)
    try:
        assert again.read_now(lambda tx: messages.raw(tx, first)).body == body
        assert again.read_now(lambda tx: messages.get(tx, unsealed)).state == "accepted"
        sealer = Sealer(again, where.audit_log, lambda: NOW)
        assert sealer.run_once() == 2, "what was not sealed yet, and that it was restored"
        sealer.close()
        assert verify_files(rotated(where.audit_log), again).broken is None
        again.write_now(lambda tx: take_in(tx, replace_body(raw, b"3"), NOW, 0))  # the journal's numbers go on
    finally:
        again.close()
    with pytest.raises(StoreRefused, match="not empty"):
        other = places(tmp_path / "other", target)
        other.state.mkdir(parents=True)
        restore(made.path, other, NOW)
    with pytest.raises(BackupError, match="--store"):
        other = places(tmp_path / "third")
        other.state.mkdir(parents=True)
        restore(made.path, other, NOW)


def replace_body(raw: RawMessage, body: bytes = b"2") -> RawMessage:
    import msgspec

    return msgspec.structs.replace(raw, body=body)

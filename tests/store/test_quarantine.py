"""After quarantine the content opens with the bureau's private key and with nothing on this host."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from gateway.core.model import Part
from gateway.store import KeyGone, Store, StoreKeys, Tx, messages
from gateway.store.errors import Tampered
from gateway.store.keys import generate_bureau, read_key
from gateway.store.seal import open_export
from gateway.store.tables import vault
from tests.store.conftest import Clock, sms


@pytest.fixture
def bureau(tmp_path: Path) -> tuple[bytes, bytes]:
    """The public and the private key."""
    public = generate_bureau(tmp_path / "bureau.key", tmp_path / "bureau.pub")
    return public, read_key(tmp_path / "bureau.key")


def test_only_the_bureau_opens_it(store: Store, clock: Clock, bureau: tuple[bytes, bytes]) -> None:
    row = store.write_now(lambda tx: messages.accept(tx, sms("机密★一句话"), clock())).id
    store.write_now(lambda tx: messages.quarantine(tx, row, bureau[0], why="marking"))
    found = store.read_now(lambda tx: messages.get(tx, row))
    assert (found.state, found.why, found.title) == ("quarantined", "marking", None)
    with pytest.raises(KeyGone):
        store.read_now(lambda tx: messages.raw(tx, row))
    exported = store.read_now(lambda tx: messages.export(tx, row))
    assert "机密".encode() not in exported
    opened = open_export(exported, bureau[1])
    assert (opened.body.decode(), opened.sender) == ("机密★一句话", "13800000001")
    with pytest.raises(Tampered):
        open_export(exported, bytes(32))
    with pytest.raises(Tampered):
        open_export(b'{"id": 1}', bureau[1])
    store.write_now(lambda tx: messages.quarantine(tx, row, bureau[0]))  # again changes nothing
    assert store.read_now(lambda tx: messages.export(tx, row)) == exported


def test_copies_go_with_it(store: Store, clock: Clock, bureau: tuple[bytes, bytes]) -> None:
    first = store.write_now(lambda tx: messages.accept(tx, sms("秘密★"), clock())).id
    copy = store.write_now(lambda tx: messages.accept(tx, sms("秘密★"), clock())).id
    store.write_now(lambda tx: messages.quarantine(tx, first, bureau[0]))
    later = store.write_now(lambda tx: messages.accept(tx, sms("秘密★"), clock()))
    assert later.duplicate_of == first
    for row in (first, copy, later.id):
        with pytest.raises(KeyGone):
            store.read_now(lambda tx, row=row: messages.raw(tx, row))
    assert store.read_now(lambda tx: messages.get(tx, copy)).state == "quarantined"
    assert open_export(store.read_now(lambda tx: messages.export(tx, copy)), bureau[1]).body.decode() == "秘密★"


def test_quarantine_by_way_of_a_copy(store: Store, clock: Clock, bureau: tuple[bytes, bytes]) -> None:
    first = store.write_now(lambda tx: messages.accept(tx, sms("秘密★"), clock())).id
    copy = store.write_now(lambda tx: messages.accept(tx, sms("秘密★"), clock())).id
    store.write_now(lambda tx: messages.quarantine(tx, copy, bureau[0]))
    with pytest.raises(KeyGone):
        store.read_now(lambda tx: messages.raw(tx, first))


def test_parts_and_earlier_forms_go_with_it(store: Store, clock: Clock, bureau: tuple[bytes, bytes]) -> None:
    def take(number: int) -> messages.Accepted:
        raw = sms(f"绝密★{number}", part=Part(ref="1", number=number, total=3))
        return store.write_now(lambda tx: messages.accept(tx, raw, clock()))

    take(1)
    clock.on(hours=1)
    (partial,) = store.write_now(lambda tx: messages.release_partial(tx, clock(), clock()))
    take(2)
    whole = take(3).message
    assert whole is not None
    store.write_now(lambda tx: messages.quarantine(tx, whole, bureau[0]))
    for row in (whole, partial.id):
        with pytest.raises(KeyGone):
            store.read_now(lambda tx, row=row: messages.raw(tx, row))
    open_rows = store.read_now(lambda tx: tx.all(vault.select().where(vault.c.wrapped.is_not(None))))
    assert open_rows == [], "no part can be opened either"
    assert len(msgspec.json.decode(open_export(store.read_now(lambda tx: messages.export(tx, whole)), bureau[1]).body)) == 3


def test_late_part_of_a_quarantined_message_is_kept_apart(store: Store, clock: Clock, bureau: tuple[bytes, bytes]) -> None:
    raw = sms("机密★头", part=Part(ref="1", number=1, total=2))
    store.write_now(lambda tx: messages.accept(tx, raw, clock()))
    clock.on(hours=1)
    (partial,) = store.write_now(lambda tx: messages.release_partial(tx, clock() - timedelta(minutes=1), clock()))
    store.write_now(lambda tx: messages.quarantine(tx, partial.id, bureau[0]))
    late = sms("尾", part=Part(ref="1", number=2, total=2))
    made = store.write_now(lambda tx: messages.accept(tx, late, clock())).message
    assert made is not None
    found = store.read_now(lambda tx: messages.raw(tx, made))
    assert found.meta == {"parts": "2", "partial": "1", "sealed_parts": "1", "completes": partial.id}
    assert msgspec.json.decode(found.body)[0] is None


def test_no_copy_of_the_key_stays_in_the_files(
    tmp_path: Path, clock: Clock, keys: StoreKeys, bureau: tuple[bytes, bytes]
) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    store = Store.open(f"sqlite:///{folder}/store.db", keys, clock)
    row = store.write_now(lambda tx: messages.accept(tx, sms("绝密★字句"), clock())).id

    def wrapped(tx: Tx) -> bytes:
        found = tx.one(vault.select().where(vault.c.id == row))
        assert found is not None
        return bytes(found.wrapped)

    key = store.read_now(wrapped)

    def everything() -> bytes:
        return b"".join(path.read_bytes() for path in folder.iterdir())

    assert key in everything()
    store.write_now(lambda tx: messages.quarantine(tx, row, bureau[0]))
    assert store.scrub(10)
    assert key not in everything() and "绝密★字句".encode() not in everything()
    store.close()

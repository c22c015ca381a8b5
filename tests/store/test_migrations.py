"""Older files are brought up to date with their rows; newer ones are refused; both ways to a schema agree."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from gateway.core.errors import StorageTrouble
from gateway.core.outcomes import Receipt
from gateway.store import NewerStore, Store, StoreKeys, StoreRefused, WrongKey, deliveries, engine, messages, receipts, schema
from gateway.store.seal import Envelope, new_key, seal
from gateway.store.tables import metadata
from tests.store.conftest import START, Clock

pytestmark = pytest.mark.filterwarnings("ignore:.*expression-based index")

MIGRATIONS = Path(schema.__file__).parent / "migrations"


def connect(url: str) -> sa.Connection:
    return engine.make(sa.make_url(url), writes=True).connect()


def test_versions_are_listed_and_in_line() -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    script = ScriptDirectory.from_config(config)
    assert tuple(one.revision for one in reversed(list(script.walk_revisions()))) == schema.KNOWN
    assert script.get_heads() == [schema.HEAD]


def test_migrations_lead_to_the_present_tables(store: Store, url: str) -> None:
    with connect(url) as conn:
        found = compare_metadata(MigrationContext.configure(conn), metadata)
    assert found == []


OLD_ROWS = (
    "INSERT INTO messages (id, channel, via, received_at, accepted_at, sender, recipient, content_type, size, state, digest,"
    " revision) VALUES ('M1', 'sms', 'sms', 1, 2, '13800000001', '', 'text/plain', 6, 'accepted', 'd', 1)",
    "INSERT INTO deliveries (id, incident, destination, duty, transport, address, state, attempts, created_at, next_try_at,"
    " refs, fallback_of, ways, cleared) VALUES ('D1', 'I', 'duty', 'receive', 'mail', 'a', 'refused', 1, 1, 1, '[]', NULL,"
    " '[]', false), ('D2', 'I', 'duty', 'receive', 'mail', 'a', 'waiting', 0, 2, 2, '[]', NULL, '[]', false),"
    " ('D3', 'I', 'duty', 'receive', 'sms', 'b', 'waiting', 0, 3, 3, '[]', 'D1', '[]', false)",
)


def older_file(url: str, keys: StoreKeys) -> None:
    """A store as version 0001 left it: one message, and a queue in which a fall-back stands behind its successor."""
    with connect(url) as conn, conn.begin():
        schema.migrate(conn, "0001")
        schema.claim(conn, keys)
        for statement in OLD_ROWS:
            conn.exec_driver_sql(statement)
        key = new_key()
        sealed = seal(key, b"\x82\xa4body\xc4\x06\xe7\x81\xab\xe6\x83\x85\xa4meta\x80", "M1")
        values = {"id": "M1", "wrapped": keys.wrap(key, "M1"), "sealed": sealed}
        conn.execute(sa.insert(metadata.tables["vault"]), values)
    with connect(url) as conn:
        assert "parked_receipts" not in sa.inspect(conn).get_table_names(), "the control: it is an older file"


def test_older_file_is_opened_with_its_rows(url: str, clock: Clock, keys: StoreKeys) -> None:
    older_file(url, keys)
    store = Store.open(url, keys, clock)
    raw = store.read_now(lambda tx: messages.raw(tx, "M1"))
    assert (raw.body.decode(), raw.sender) == ("火情", "13800000001")
    assert [row.id for row in store.read_now(lambda tx: deliveries.due(tx, clock()))] == ["D3"], "D3 took the place of D1"
    parked = store.write_now(lambda tx: receipts.take(tx, Receipt(via="s", ref="1", state="failed"), START))
    assert parked.what == "parked"
    store.close()
    with connect(url) as conn:
        assert schema.version(conn) == schema.HEAD
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []


def test_newer_file_is_refused_and_left_alone(store: Store, url: str, clock: Clock, keys: StoreKeys) -> None:
    store.close()
    with connect(url) as conn, conn.begin():
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(NewerStore, match=rf"9999.*{schema.HEAD}"):
        Store.open(url, keys, clock)
    with connect(url) as conn:
        assert schema.version(conn) == "9999"


def test_another_key_is_refused(store: Store, url: str, clock: Clock) -> None:
    with pytest.raises(WrongKey):
        Store.open(url, StoreKeys(bytes(32)), clock)


def test_others_tables_are_not_touched(url: str, clock: Clock, keys: StoreKeys) -> None:
    with connect(url) as conn, conn.begin():
        conn.exec_driver_sql("CREATE TABLE events (id INTEGER)")
    with pytest.raises(StoreRefused, match="not a store"):
        Store.open(url, keys, clock)


def test_what_is_no_data_base(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    (tmp_path / "store.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(StorageTrouble, match="DatabaseError"):
        Store.open(f"sqlite:///{tmp_path}/store.db", keys, clock)
    with pytest.raises(StorageTrouble):
        Store.open(f"sqlite:///{tmp_path}/absent/store.db", keys, clock)
    with pytest.raises(StoreRefused, match="mysql"):
        Store.open("mysql://x/y", keys, clock)


def test_alembic_is_not_imported_for_a_store_that_is_up_to_date(tmp_path: Path, clock: Clock, keys: StoreKeys) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    Store.open(url, keys, clock).close()
    program = (
        "import sys, datetime; from gateway.store import Store, StoreKeys;"
        f"Store.open({url!r}, StoreKeys(bytes(range(32))), lambda: datetime.datetime.now(datetime.UTC)).close();"
        "sys.exit('alembic' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_envelope_form_is_stable() -> None:
    """The sealed bytes of an older file are this msgpack; a change of the struct must still read them."""
    import msgspec

    assert msgspec.msgpack.encode(Envelope(body="火情".encode())) == b"\x82\xa4body\xc4\x06\xe7\x81\xab\xe6\x83\x85\xa4meta\x80"

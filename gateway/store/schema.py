"""Brings a store to the present schema at open. Alembic is imported only where there is something to do."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa

from gateway.i18n import _
from gateway.store import tables
from gateway.store.errors import NewerStore, StoreRefused, WrongKey
from gateway.store.keys import StoreKeys

KNOWN = ("0001", "0002", "0003", "0004", "0005", "0006", "0007", "0008")
HEAD = KNOWN[-1]
_LOCK = 0x6A69_6261_6F
"""Number of the advisory lock on PostgreSQL under which one node at a time migrates."""


def prepare(conn: sa.Connection) -> None:
    """Migrate to ``HEAD`` inside the open transaction. An SQLite file of an older version is copied first, as
    ``FILE.before-VERSION``. Raises ``NewerStore``, ``StoreRefused``."""
    if conn.dialect.name == "postgresql":
        conn.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
    found = version(conn)
    if found == HEAD:
        return
    if found is not None and found not in KNOWN:
        raise NewerStore(
            _(
                "the store has schema {found}, this version of the gateway knows up to {known}: install the newer gateway, "
                "or restore a backup that this version made"
            ).format(found=found, known=HEAD)
        )
    path = conn.engine.url.database
    if found is not None and path and conn.dialect.name == "sqlite":
        from gateway.store.copying import keep_before_migration

        # This connection holds the write lock already, so the copy is what the migration begins with.
        keep_before_migration(Path(path), found)
    migrate(conn, HEAD)


def version(conn: sa.Connection) -> str | None:
    """The schema's version; None for an empty data base. Raises ``StoreRefused`` where others' tables are in the way."""
    names = set(sa.inspect(conn).get_table_names())
    if "alembic_version" not in names:
        strangers = names & set(tables.metadata.tables)
        if strangers:
            raise StoreRefused(_("the data base holds tables of ours without a version: not a store of the gateway"))
        return None
    found = conn.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
    return None if found is None else str(found)


def migrate(conn: sa.Connection, to: str) -> None:
    """Run the migrations up to ``to`` on an open connection."""
    from alembic.config import Config
    from alembic.runtime.environment import EnvironmentContext
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    script = ScriptDirectory.from_config(config)

    def steps(revision: object, _context: object) -> object:
        return script._upgrade_revs(to, revision)  # type: ignore[arg-type]

    with EnvironmentContext(config, script, fn=steps, destination_rev=to) as environment:
        environment.configure(connection=conn, target_metadata=tables.metadata)
        environment.run_migrations()


def claim(conn: sa.Connection, keys: StoreKeys) -> None:
    """Note the store key's fingerprint in a new store, or compare it. Raises ``WrongKey``."""
    row = conn.execute(sa.select(tables.meta.c.value).where(tables.meta.c.key == "store_key")).first()
    if row is None:
        conn.execute(sa.insert(tables.meta), {"key": "store_key", "value": keys.fingerprint()})
    elif row[0] != keys.fingerprint():
        raise WrongKey(_("the store was made with another store key: its content cannot be opened with this one"))

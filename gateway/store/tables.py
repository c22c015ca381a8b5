"""The tables as they are now. Instants are microseconds since 1970 (UTC); lists and structs are JSON text.

What they were before stands in migrations/versions; a test holds that both ways lead to the same schema.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, MetaData, SmallInteger, String, Table, Text, text

metadata = MetaData()

_ROW_ID = BigInteger().with_variant(Integer(), "sqlite")

meta = Table(
    "meta",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)
"""Facts about the store itself: the fingerprint of its key, how far the audit log was written."""

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("start_at", BigInteger, nullable=False),
    Column("until_at", BigInteger, nullable=False),
    Column("channel", String(64)),
    Column("why", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("after", BigInteger, nullable=False),
    Column("ended_by", Text),
    Column("ended_at", BigInteger),
)
"""Maintenance windows; ``after`` is the journal's last entry before one began, ``ended_by`` who ended it before its time,
``ended_at`` when what it had kept was looked through."""

chores = Table(
    "chores",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("next_at", BigInteger, nullable=False),
    Column("last_at", BigInteger),
)
"""Work that comes round, and when: a daemon that was down does at once what fell due."""

counters = Table(
    "counters",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Running numbers: ``incident:2026``."""

vault = Table(
    "vault",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("wrapped", LargeBinary, nullable=True),
    Column("sealed", LargeBinary, nullable=False),
)
"""Every sealed text, by the id of the row it belongs to. ``wrapped`` is None once the store's copy of the key is gone."""

messages = Table(
    "messages",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("channel", String(16), nullable=False),
    Column("via", String(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("carrier_id", Text),
    Column("content_type", Text, nullable=False),
    Column("size", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("incident", String(26)),
    Column("duplicate_of", String(26)),
    Column("why", Text),
    Column("title", Text),
    Column("digest", String(64), nullable=False),
    Column("content_digest", String(64)),
    Column("part_group", String(26)),
    Column("bureau_key", LargeBinary),
    Column("revision", Integer, nullable=False),
    Column("purged_at", BigInteger),
    Column("purge_rule", String(64)),
    Column("precedence", SmallInteger, nullable=False, server_default="0"),
    Index("messages_digest", text("substr(digest, 1, 12)")),
    Index("messages_waiting", "state", "channel", "precedence", "id"),
    Index("messages_content", "content_digest", "id"),
    Index("messages_state", "state", "id"),
    Index("messages_incident", "incident", "id"),
    Index("messages_duplicate_of", "duplicate_of"),
    Index("messages_part_group", "part_group"),
    Index("messages_kept", "state", "accepted_at", sqlite_where=text("purged_at IS NULL"),
          postgresql_where=text("purged_at IS NULL")),
)  # fmt: skip
"""``precedence`` is FIRST or LATER of precedence.py. ``purged_at`` and ``purge_rule``: when retention destroyed the content, and
by which rule."""

part_groups = Table(
    "part_groups",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("key", String(64), nullable=False),
    Column("total", Integer, nullable=False),
    Column("have", Integer, nullable=False),
    Column("released", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("last_at", BigInteger, nullable=False),
    Column("message", String(26)),
    Column("channel", String(16), nullable=False),
    Column("via", String(64), nullable=False),
    Column("sender", Text, nullable=False),
    Column("recipient", Text, nullable=False),
    Index("part_groups_key", "key", "id"),
    Index("part_groups_state", "state", "last_at"),
)
"""A longer message on its way: ``state`` open, partial (released without all parts) or whole."""

parts = Table(
    "parts",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("group_id", String(26), nullable=False),
    Column("number", Integer, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("received_at", BigInteger, nullable=False),
    Column("accepted_at", BigInteger, nullable=False),
    Column("carrier_id", Text),
    Column("content_type", Text, nullable=False),
    Column("copies", Integer, nullable=False),
    Index("parts_group_id", "group_id", "number", unique=True),
)

incidents = Table(
    "incidents",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("number", String(16), nullable=False, unique=True),
    Column("title", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("facts", Text, nullable=False),
    Column("first_received_at", BigInteger, nullable=False),
    Column("last_report_at", BigInteger, nullable=False),
    Column("merged_into", String(26)),
    Column("revision", Integer, nullable=False),
    Column("stamp", String(26), nullable=False),
    Column("purged_at", BigInteger),
    Index("incidents_state", "state", "last_report_at"),
    Index("incidents_of_late", "last_report_at", "id", "state", "stamp"),
)
"""``facts`` is the Incident as JSON without the report's text, which lies in the vault. ``incidents_of_late`` answers by itself,
without the rows, which incidents a report may belong to: that is asked for every message."""

incident_messages = Table(
    "incident_messages",
    metadata,
    Column("incident", String(26), primary_key=True),
    Column("message", String(26), primary_key=True),
    Column("carrier_message_id", Text),
    Column("sender", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("incident_messages_carrier", "carrier_message_id"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("incident", String(26)),
    Column("message", String(26)),
    Column("destination", String(64), nullable=False),
    Column("duty", String(16), nullable=False),
    Column("transport", String(64), nullable=False),
    Column("address", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("next_try_at", BigInteger, nullable=False),
    Column("lease_owner", String(64)),
    Column("lease_until", BigInteger),
    Column("delivered_at", BigInteger),
    Column("acknowledged_by", Text),
    Column("acknowledged_at", BigInteger),
    Column("why", Text),
    Column("refs", Text, nullable=False),
    Column("fallback_of", String(26)),
    Column("ways", Text, nullable=False),
    Column("cleared", Boolean, nullable=False),
    Column("progress", LargeBinary),
    Column("position", String(26), nullable=False),
    Column("precedence", SmallInteger, nullable=False, server_default="0"),
    Index("deliveries_due", "state", "precedence", "next_try_at"),
    Index("deliveries_order", "destination", "incident", "position"),
    Index("deliveries_incident", "incident", "id"),
    Index("deliveries_address", "address", "created_at"),
)
"""``position`` is the place in the queue of its (destination, incident): a fall-back keeps the place of what it replaces."""

matters = Table(
    "matters",
    metadata,
    Column("incident", String(26), primary_key=True),
    Column("next_at", BigInteger),
    Column("state", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Index("matters_next_at", "next_at", sqlite_where=text("next_at IS NOT NULL"),
          postgresql_where=text("next_at IS NOT NULL")),
)  # fmt: skip
"""``state`` is a Matter as JSON, ``next_at`` when the next thing is to be done; NULL once it is over."""

delivery_refs = Table(
    "delivery_refs",
    metadata,
    Column("via", String(64), primary_key=True),
    Column("ref", Text, primary_key=True),
    Column("delivery", String(26), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16)),
    Column("at", BigInteger),
    Index("delivery_refs_delivery", "delivery"),
)

handovers = Table(
    "handovers",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("number", String(16), nullable=False, unique=True),
    Column("office", String(64), nullable=False),
    Column("from_person", Text, nullable=False),
    Column("from_at", BigInteger, nullable=False),
    Column("to_person", Text),
    Column("to_at", BigInteger),
    Column("digest", String(64), nullable=False),
    Index("handovers_office", "office", "id"),
)
"""Sheets of shift hand-overs (交接班), each signed by who goes and who comes; what they say lies sealed in the vault."""

parked_receipts = Table(
    "parked_receipts",
    metadata,
    Column("id", String(26), primary_key=True),
    Column("via", String(64), nullable=False),
    Column("ref", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("detail", Text, nullable=False),
    Column("at", BigInteger, nullable=False),
    Index("parked_receipts_ref", "via", "ref"),
)

events = Table(
    "events",
    metadata,
    Column("id", _ROW_ID, primary_key=True, autoincrement=True),
    Column("txid", BigInteger, nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("offset_minutes", Integer, nullable=False),
    Column("event", String(64), nullable=False),
    Column("incident", Text),
    Column("message", Text),
    Column("delivery", Text),
    Column("by", Text),
    Column("data", Text, nullable=False),
    Column("withheld", Text),
    Column("seq", BigInteger),
    Column("prev", String(64)),
    Column("hash", String(64)),
    Index("events_seq", "seq", unique=True),
    Index("events_unsealed", "id", sqlite_where=text("seq IS NULL"), postgresql_where=text("seq IS NULL")),
    Index("events_incident", "incident", "id"),
    sqlite_autoincrement=True,
)
"""The journal. ``txid`` is the writing transaction on PostgreSQL (0 on SQLite); seq, prev and hash come from the sealer.
``data`` is what the audit log shows, ``withheld`` what it does not."""

"""The schema as first made: what came in, the register, the queue and the journal.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

_ROW_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def _id(name: str, *, primary_key: bool = False, nullable: bool = True) -> sa.Column[str]:
    return sa.Column(name, sa.String(26), primary_key=primary_key, nullable=nullable and not primary_key)


def _need(name: str, kind: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    return sa.Column(name, kind, nullable=False)


def upgrade() -> None:
    """Make the tables."""
    _itself()
    _came_in()
    _register()
    _goes_out()
    _journal()


def _itself() -> None:
    op.create_table(
        "meta", sa.Column("key", sa.String(64), primary_key=True), _need("value", sa.Text())
    )
    op.create_table(
        "counters", sa.Column("name", sa.String(64), primary_key=True), _need("value", sa.BigInteger())
    )
    op.create_table(
        "vault",
        _id("id", primary_key=True),
        sa.Column("wrapped", sa.LargeBinary()),
        _need("sealed", sa.LargeBinary()),
    )


def _came_in() -> None:
    op.create_table(
        "messages",
        _id("id", primary_key=True),
        _need("channel", sa.String(16)),
        _need("via", sa.String(64)),
        _need("received_at", sa.BigInteger()),
        _need("accepted_at", sa.BigInteger()),
        _need("sender", sa.Text()),
        _need("recipient", sa.Text()),
        sa.Column("carrier_id", sa.Text()),
        _need("content_type", sa.Text()),
        _need("size", sa.Integer()),
        _need("state", sa.String(16)),
        _id("incident"),
        _id("duplicate_of"),
        sa.Column("why", sa.Text()),
        sa.Column("title", sa.Text()),
        _need("digest", sa.String(64)),
        sa.Column("content_digest", sa.String(64)),
        _id("part_group"),
        sa.Column("bureau_key", sa.LargeBinary()),
        _need("revision", sa.Integer()),
    )
    op.create_index("messages_digest", "messages", ["digest", "id"])
    op.create_index("messages_content", "messages", ["content_digest", "id"])
    op.create_index("messages_state", "messages", ["state", "id"])
    op.create_index("messages_incident", "messages", ["incident", "id"])
    op.create_table(
        "part_groups",
        _id("id", primary_key=True),
        _need("key", sa.String(64)),
        _need("total", sa.Integer()),
        _need("have", sa.Integer()),
        _need("released", sa.Integer()),
        _need("state", sa.String(16)),
        _need("last_at", sa.BigInteger()),
        _id("message"),
        _need("channel", sa.String(16)),
        _need("via", sa.String(64)),
        _need("sender", sa.Text()),
        _need("recipient", sa.Text()),
    )
    op.create_index("part_groups_key", "part_groups", ["key", "id"])
    op.create_index("part_groups_state", "part_groups", ["state", "last_at"])
    op.create_table(
        "parts",
        _id("id", primary_key=True),
        _id("group_id", nullable=False),
        _need("number", sa.Integer()),
        _need("digest", sa.String(64)),
        _need("received_at", sa.BigInteger()),
        _need("accepted_at", sa.BigInteger()),
        sa.Column("carrier_id", sa.Text()),
        _need("content_type", sa.Text()),
        _need("copies", sa.Integer()),
    )
    op.create_index("parts_group_id", "parts", ["group_id", "number"], unique=True)


def _register() -> None:
    op.create_table(
        "incidents",
        _id("id", primary_key=True),
        sa.Column("number", sa.String(16), nullable=False, unique=True),
        _need("title", sa.Text()),
        _need("state", sa.String(16)),
        _need("facts", sa.Text()),
        _need("first_received_at", sa.BigInteger()),
        _need("last_report_at", sa.BigInteger()),
        _id("merged_into"),
        _need("revision", sa.Integer()),
        _id("stamp", nullable=False),
    )
    op.create_index("incidents_state", "incidents", ["state", "last_report_at"])
    op.create_index("incidents_last_report_at", "incidents", ["last_report_at"])
    op.create_table(
        "incident_messages",
        _id("incident", primary_key=True),
        _id("message", primary_key=True),
        sa.Column("carrier_message_id", sa.Text()),
        _need("sender", sa.Text()),
        _need("at", sa.BigInteger()),
    )
    op.create_index("incident_messages_carrier", "incident_messages", ["carrier_message_id"])


def _goes_out() -> None:
    op.create_table(
        "deliveries",
        _id("id", primary_key=True),
        _id("incident"),
        _id("message"),
        _need("destination", sa.String(64)),
        _need("duty", sa.String(16)),
        _need("transport", sa.String(64)),
        _need("address", sa.Text()),
        _need("state", sa.String(16)),
        _need("attempts", sa.Integer()),
        _need("created_at", sa.BigInteger()),
        _need("next_try_at", sa.BigInteger()),
        sa.Column("lease_owner", sa.String(64)),
        sa.Column("lease_until", sa.BigInteger()),
        sa.Column("delivered_at", sa.BigInteger()),
        sa.Column("acknowledged_by", sa.Text()),
        sa.Column("acknowledged_at", sa.BigInteger()),
        sa.Column("why", sa.Text()),
        _need("refs", sa.Text()),
        _id("fallback_of"),
        _need("ways", sa.Text()),
        _need("cleared", sa.Boolean()),
        sa.Column("progress", sa.LargeBinary()),
    )
    op.create_index("deliveries_due", "deliveries", ["state", "next_try_at"])
    op.create_index("deliveries_incident", "deliveries", ["incident", "id"])
    op.create_table(
        "delivery_refs",
        sa.Column("via", sa.String(64), primary_key=True),
        sa.Column("ref", sa.Text(), primary_key=True),
        _id("delivery", primary_key=True),
        _need("attempt", sa.Integer()),
        sa.Column("state", sa.String(16)),
        sa.Column("at", sa.BigInteger()),
    )
    op.create_index("delivery_refs_delivery", "delivery_refs", ["delivery"])


def _journal() -> None:
    op.create_table(
        "events",
        sa.Column("id", _ROW_ID, primary_key=True, autoincrement=True),
        _need("txid", sa.BigInteger()),
        _need("at", sa.BigInteger()),
        _need("offset_minutes", sa.Integer()),
        _need("event", sa.String(64)),
        sa.Column("incident", sa.Text()),
        sa.Column("message", sa.Text()),
        sa.Column("delivery", sa.Text()),
        sa.Column("by", sa.Text()),
        _need("data", sa.Text()),
        sa.Column("withheld", sa.Text()),
        sa.Column("seq", sa.BigInteger()),
        sa.Column("prev", sa.String(64)),
        sa.Column("hash", sa.String(64)),
        sqlite_autoincrement=True,
    )
    unsealed = sa.text("seq IS NULL")
    op.create_index("events_seq", "events", ["seq"], unique=True)
    op.create_index("events_unsealed", "events", ["id"], sqlite_where=unsealed, postgresql_where=unsealed)
    op.create_index("events_incident", "events", ["incident", "id"])

"""Deliveries get a place in the queue of their destination, receipts that come too early a table to wait in.

A fall-back used to queue behind everything made since the delivery that it replaces; now it keeps that one's place.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the places, filled for what is there already, and the table of parked receipts."""
    with op.batch_alter_table("deliveries") as batch:
        batch.add_column(sa.Column("position", sa.String(26), nullable=True))
    op.execute("UPDATE deliveries SET position = COALESCE(fallback_of, id)")
    with op.batch_alter_table("deliveries") as batch:
        batch.alter_column("position", existing_type=sa.String(26), nullable=False)
    op.create_index("deliveries_order", "deliveries", ["destination", "incident", "position"])
    op.create_table(
        "parked_receipts",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("via", sa.String(64), nullable=False),
        sa.Column("ref", sa.Text(), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
    )
    op.create_index("parked_receipts_ref", "parked_receipts", ["via", "ref"])
    op.create_index("messages_duplicate_of", "messages", ["duplicate_of"])
    op.create_index("messages_part_group", "messages", ["part_group"])

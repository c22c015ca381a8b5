"""Maintenance windows, chores that come round, and what retention destroyed.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add two tables, two columns and the index by which retention finds what is due."""
    op.create_table(
        "maintenance",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("until_at", sa.BigInteger(), nullable=False),
        sa.Column("channel", sa.String(64)),
        sa.Column("why", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("after", sa.BigInteger(), nullable=False),
        sa.Column("ended_by", sa.Text()),
        sa.Column("ended_at", sa.BigInteger()),
    )
    op.create_table(
        "chores",
        sa.Column("name", sa.String(64), primary_key=True),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("last_at", sa.BigInteger()),
    )
    op.add_column("messages", sa.Column("purged_at", sa.BigInteger()))
    op.add_column("messages", sa.Column("purge_rule", sa.String(64)))
    op.add_column("incidents", sa.Column("purged_at", sa.BigInteger()))
    kept = sa.text("purged_at IS NULL")
    op.create_index(
        "messages_kept", "messages", ["state", "accepted_at"], sqlite_where=kept, postgresql_where=kept
    )

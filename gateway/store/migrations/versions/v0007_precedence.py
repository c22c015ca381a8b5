"""Whose messages and deliveries go first.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column to messages and deliveries; what is there already goes first."""
    op.add_column("messages", sa.Column("precedence", sa.SmallInteger(), nullable=False, server_default="0"))
    op.create_index("messages_waiting", "messages", ["state", "channel", "precedence", "id"])
    op.add_column("deliveries", sa.Column("precedence", sa.SmallInteger(), nullable=False, server_default="0"))
    op.drop_index("deliveries_due", "deliveries")
    op.create_index("deliveries_due", "deliveries", ["state", "precedence", "next_try_at"])

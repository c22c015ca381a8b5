"""What is still to be done about each incident, with the instant of the next thing.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; incidents that are open get their row when they next change or at the next start."""
    op.create_table(
        "matters",
        sa.Column("incident", sa.String(26), primary_key=True),
        sa.Column("next_at", sa.BigInteger()),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
    )
    due = sa.text("next_at IS NOT NULL")
    op.create_index("matters_next_at", "matters", ["next_at"], sqlite_where=due, postgresql_where=due)
    op.create_index("deliveries_address", "deliveries", ["address", "created_at"])

"""Sheets of shift hand-overs, with their signatures.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a table; nothing of what is there changes."""
    op.create_table(
        "handovers",
        sa.Column("id", sa.String(26), primary_key=True),
        sa.Column("number", sa.String(16), nullable=False, unique=True),
        sa.Column("office", sa.String(64), nullable=False),
        sa.Column("from_person", sa.Text(), nullable=False),
        sa.Column("from_at", sa.BigInteger(), nullable=False),
        sa.Column("to_person", sa.Text()),
        sa.Column("to_at", sa.BigInteger()),
        sa.Column("digest", sa.String(64), nullable=False),
    )
    op.create_index("handovers_office", "handovers", ["office", "id"])

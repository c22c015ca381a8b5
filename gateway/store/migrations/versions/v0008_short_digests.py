"""A message is found by the head of its digest, which makes a smaller index.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put a narrower index in the place of one; no row changes."""
    op.drop_index("messages_digest", "messages")
    op.create_index("messages_digest", "messages", [sa.text("substr(digest, 1, 12)")])

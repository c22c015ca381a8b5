"""The incidents that a report may belong to, from one index alone.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put a wider index in the place of one; no row changes."""
    op.drop_index("incidents_last_report_at", "incidents")
    op.create_index("incidents_of_late", "incidents", ["last_report_at", "id", "state", "stamp"])

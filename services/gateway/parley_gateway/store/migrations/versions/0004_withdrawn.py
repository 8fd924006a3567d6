"""Messages that were taken back are remembered, so that a late copy of one is not taken in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make their table."""
    op.create_table(
        "withdrawn",
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("thread_id", sa.Text, sa.ForeignKey("threads.id"), nullable=False),
        sa.Column("client_id", sa.Text),
        sa.Column("digest", sa.Text, nullable=False),
        sa.Column("json", sa.Text, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("thread_id", "client_id", name="withdrawn_by_client"),
    )

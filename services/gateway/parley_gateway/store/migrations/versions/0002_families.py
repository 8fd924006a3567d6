"""Each thread knows its family: the versions that editing and regenerating made of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

ROOTS = "UPDATE threads SET family = id WHERE NOT sibling"
VERSIONS = """
    UPDATE threads
    SET family = (SELECT parent.family FROM threads AS parent WHERE parent.id = threads.parent_id)
    WHERE family = '' AND parent_id IN (SELECT id FROM threads WHERE family <> '')
"""


def upgrade() -> None:
    """Add the column, from the originals to the versions of versions."""
    op.add_column("threads", sa.Column("family", sa.Text, nullable=False, server_default=""))
    op.create_index("threads_by_family", "threads", ["family", "status", "active_at", "id"])
    op.execute(ROOTS)
    while op.get_bind().execute(sa.text(VERSIONS)).rowcount:
        pass

"""A revision of the database that comes after the newest one, for tests of upgrades."""

from __future__ import annotations

import shutil
from pathlib import Path

from parley_gateway.store.migrate import REVISION, SCRIPTS

NEXT = f"{int(REVISION) + 1:04}"
_SCRIPT = """
import sqlalchemy as sa
from alembic import op

revision, down_revision, branch_labels, depends_on = "{next}", "{newest}", None, None


def upgrade():
    {steps}
"""


def with_next_revision(folder: Path, *steps: str) -> Path:
    """Copy all revisions into a new folder, add one with these statements, return the folder."""
    shutil.copytree(SCRIPTS, folder)
    script = _SCRIPT.format(next=NEXT, newest=REVISION, steps="\n    ".join(steps))
    (folder / "versions" / f"{NEXT}_next.py").write_text(script)
    return folder

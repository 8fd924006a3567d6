"""Puts a backup in the place of the database. What was there is kept, and named.

A file is made beside the old one and takes its place when it is complete. A PostgreSQL database has
to be empty, and is filled in one transaction.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from itertools import count
from pathlib import Path

from parley_contracts.errors import Conflict, Unavailable
from sqlalchemy import URL, inspect

from parley_gateway.store.load import Backup, load
from parley_gateway.store.migrate import opened
from parley_gateway.store.sqlite import is_sqlite

_COMPANIONS = ("-wal", "-shm", "-journal")
"""What SQLite may keep beside a file."""


def replace_database(url: URL, backup: Backup) -> Path | None:
    """Make the backup the database; return where the old file lies now, if there was one.

    Nobody else may have the file open. Raises Invalid for a broken backup, Conflict for a server's
    database that is not empty, Unavailable when it cannot be written; then nothing was changed.
    """
    if is_sqlite(url):
        return _replace_file(url, backup)
    with opened(url) as connection:
        if inspect(connection).get_table_names():
            raise Conflict(
                f"The database {url.database} holds tables already; stop Parley, give that database"
                " another name, and make an empty one in its place.",
                kind="not-empty",
            )
        load(connection, backup)
        connection.commit()
    return None


def _replace_file(url: URL, backup: Backup) -> Path | None:
    path = Path(str(url.database))
    try:
        with _draft_beside(path) as draft:
            with opened(url.set(database=str(draft))) as connection:
                load(connection, backup)
                connection.commit()
            kept = _move_aside(path) if path.exists() else None
            draft.replace(path)
    except OSError as error:
        raise Unavailable(f"The database {path} cannot be replaced: {error.strerror}.") from error
    return kept


@contextmanager
def _draft_beside(path: Path) -> Iterator[Path]:
    """Lend a new file that only the owner can read; what is left of it goes."""
    draft = path.with_name(f"{path.name}.restoring")
    leftovers = [draft, *(_companion(draft, each) for each in _COMPANIONS)]
    for each in leftovers:
        each.unlink(missing_ok=True)
    try:
        draft.touch(mode=0o600)
        yield draft
    finally:
        for each in leftovers:
            each.unlink(missing_ok=True)


def _move_aside(path: Path) -> Path:
    """Keep the file under another name; one that cannot be read any more takes its log along."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as old:
        old.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    names = (path.with_name(f"{path.name}.before-restore-{number}") for number in count(1))
    kept = next(each for each in names if not each.exists())
    try:
        # The old file is there until the new one takes its place.
        kept.hardlink_to(path)
    except OSError:
        path.rename(kept)
    for each in _COMPANIONS:
        if _companion(path, each).exists():
            _companion(path, each).rename(_companion(kept, each))
    return kept


def _companion(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)

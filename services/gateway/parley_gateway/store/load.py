"""Restoring: a backup's rows go into tables of its own revision, which are then brought up to date.

All of it is one transaction: a backup that turns out to be broken leaves nothing behind.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from itertools import groupby, islice
from operator import itemgetter
from typing import Any, BinaryIO

from parley_contracts.errors import Conflict, Invalid
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, column, func, insert, inspect, select, table, text
from sqlalchemy.exc import DataError, IntegrityError, InterfaceError, ProgrammingError

from parley_gateway.store.dump import AT_ONCE, VERSION, Ending, Manifest, TableStart
from parley_gateway.store.migrate import REVISION, run
from parley_gateway.store.schema import messages, metadata, unindexed
from parley_gateway.store.sqlite import is_sqlite

LONGEST_LINE = 256 * 2**20
"""Bytes; no row of ours is nearly as long, and what is no backup shall not fill the memory."""

Row = list[Any]
_ANNOUNCEMENT: TypeAdapter[TableStart | Ending] = TypeAdapter(TableStart | Ending)


class Backup:
    """A backup that is being read: its `manifest` at once, its `rows` once, from first to last."""

    def __init__(self, source: BinaryIO) -> None:
        """Read the manifest; raises Invalid when it is none, Conflict when it is too new."""
        self._lines = _lines(source)
        try:
            self.manifest = Manifest.model_validate(next(self._lines, None))
        except ValidationError:
            raise _no_backup() from None
        if self.manifest.version > VERSION or self.manifest.revision > REVISION:
            raise Conflict(
                f"This backup was made by a newer Parley (its revision is "
                f"{self.manifest.revision}, this Parley knows {REVISION}); install that version.",
                kind="newer-backup",
            )

    def rows(self) -> Iterator[tuple[TableStart, Row]]:
        """Yield each row with the table that it is of; raises Invalid unless all are there."""
        start = TableStart(table="", columns=())
        counts: Counter[str] = Counter()
        for line in self._lines:
            if isinstance(line, list) and len(line) == len(start.columns):
                counts[start.table] += 1
                yield start, line
            elif isinstance(found := _announcement(line), TableStart):
                start = found
            else:
                self._check(counts, found)
                return
        raise _broken("it ends too early")

    def _check(self, counts: Counter[str], ending: Ending) -> None:
        if counts != Counter(ending.rows) or next(self._lines, None) is not None:
            raise _broken("rows are missing")


def _announcement(line: Any) -> TableStart | Ending:
    try:
        return _ANNOUNCEMENT.validate_python(line)
    except ValidationError:
        raise _broken("a line is none of ours") from None


def load(connection: Connection, backup: Backup) -> None:
    """Fill an empty database with a backup, at this code's revision; who calls commits.

    Raises Invalid when the backup is broken; then what was done is to be rolled back.
    """
    revision = backup.manifest.revision
    run(connection, None, revision)
    try:
        _insert_all(connection, backup)
    except (DataError, IntegrityError, InterfaceError, ProgrammingError) as error:
        raise _broken(f"{error.orig}") from error
    if revision != REVISION:
        run(connection, revision, REVISION)
    _go_on_counting(connection)
    _index_all(connection)


def _insert_all(connection: Connection, backup: Backup) -> None:
    known = set(inspect(connection).get_table_names()) - {"alembic_version"}
    for start, rows in _batches(backup):
        if start.table not in known:
            raise _broken(f"its revision knows no table {start.table}")
        into = insert(table(start.table, *map(column, start.columns)))
        connection.execute(into, [dict(zip(start.columns, row, strict=True)) for row in rows])
    if is_sqlite(connection.engine.url):
        lost = connection.execute(text("PRAGMA foreign_key_check")).first()
        if lost:
            raise _broken(f"a row of {lost[0]} refers to one that is missing")


def _batches(backup: Backup) -> Iterator[tuple[TableStart, list[Row]]]:
    """Yield the rows of a table some hundreds at a time."""
    for start, group in groupby(backup.rows(), key=itemgetter(0)):
        rows = [row for _, row in islice(group, AT_ONCE)]
        while rows:
            yield start, rows
            rows = [row for _, row in islice(group, AT_ONCE)]


def _go_on_counting(connection: Connection) -> None:
    """Have PostgreSQL number new rows after the restored ones; SQLite does so by itself."""
    if is_sqlite(connection.engine.url):
        return
    for each in metadata.sorted_tables:
        key = each.autoincrement_column
        if key is not None:
            last = func.coalesce(select(func.max(key)).scalar_subquery(), 0)
            counter = func.pg_get_serial_sequence(each.name, key.name)
            connection.execute(select(func.setval(counter, last + 1, False)))


def _index_all(connection: Connection) -> None:
    """Have the next gateway build the full-text index."""
    wanted = select(messages.c.pk).where(messages.c.position.is_not(None))
    connection.execute(insert(unindexed).from_select(["message_pk"], wanted))


def _lines(source: BinaryIO) -> Iterator[Any]:
    """Yield what the lines of the file hold; raises Invalid at the first that cannot be read."""
    try:
        with gzip.GzipFile(fileobj=source, mode="rb") as file:
            while line := file.readline(LONGEST_LINE):
                yield json.loads(line)
    except gzip.BadGzipFile:
        raise _no_backup() from None
    except (EOFError, zlib.error, ValueError) as error:
        raise _broken(f"{error}") from None


def _no_backup() -> Invalid:
    return Invalid("This is no backup of Parley; './parley backup FILE' makes one.")


def _broken(what: str) -> Invalid:
    return Invalid(f"This backup is damaged or was cut off ({what}); take another one.")

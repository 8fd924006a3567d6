"""A backup: all rows of one moment, in a form that every database of ours takes.

It is one gzip stream of JSON lines. The first line is the `Manifest`. Each table begins with a line
that names its columns (`TableStart`); each of its rows is a line, a list of values. The last line
(`Ending`) counts the rows: it tells a whole backup from one that was cut off.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, BinaryIO, Literal

from parley_contracts.base import Contract, now
from parley_contracts.errors import Conflict
from sqlalchemy import URL, Connection, Select, Table, func, select

from parley_gateway.store.migrate import REVISION, opened, refuse_newer, revision_of
from parley_gateway.store.schema import lineage, metadata, threads, unindexed, workers
from parley_gateway.store.sqlite import is_sqlite

VERSION = 1
LEFT_OUT = (unindexed, workers)
"""What the next gateway finds out by itself: what is to be indexed, and who works."""

AT_ONCE = 500
"""Rows that are held in memory."""
_LEVEL = 3
"""Of compression; a higher one takes twice the time for a tenth of the size."""

_DEPTH = (
    select(func.max(lineage.c.depth)).where(lineage.c.thread_id == threads.c.id).scalar_subquery()
)


class Manifest(Contract):
    """The first line: which tables these are and when they looked like this."""

    format: Literal["parley-backup"] = "parley-backup"
    version: int = VERSION
    revision: str = REVISION
    created_at: datetime


class TableStart(Contract):
    """The line before a table's rows."""

    table: str
    columns: tuple[str, ...]


class Ending(Contract):
    """The last line: how many rows each table has."""

    rows: dict[str, int]


@contextmanager
def snapshot(url: URL) -> Iterator[Connection]:
    """Lend a connection that sees one moment of the database, whoever writes meanwhile.

    Raises Conflict for tables of another revision, Unavailable when it cannot be opened.
    """
    with opened(url) as connection:
        if not is_sqlite(url):
            connection = connection.execution_options(
                isolation_level="REPEATABLE READ", postgresql_readonly=True
            )
        _require_current(revision_of(connection))
        yield connection


def _require_current(found: str | None) -> None:
    refuse_newer(found)
    if found != REVISION:
        raise Conflict(
            f"The database is not the one of this Parley yet (revision {found}, not {REVISION}); "
            "start Parley once, which brings it up to date, then take the backup."
        )


def dump(connection: Connection, target: BinaryIO) -> dict[str, int]:
    """Write a backup; return how many rows of each table it holds."""
    counts = {}
    with gzip.GzipFile("", "wb", _LEVEL, target, mtime=0) as file:
        file.write(Manifest(created_at=now()).encode() + b"\n")
        for table in metadata.sorted_tables:
            if table not in LEFT_OUT:
                counts[table.name] = _dump_table(connection, table, file)
        file.write(Ending(rows=counts).encode() + b"\n")
    return counts


def _dump_table(connection: Connection, table: Table, file: gzip.GzipFile) -> int:
    start = TableStart(table=table.name, columns=tuple(table.columns.keys()))
    file.write(start.encode() + b"\n")
    count = 0
    found = connection.execution_options(yield_per=AT_ONCE).execute(_ordered(table))
    for rows in found.partitions():
        file.write(b"".join(_line(list(row)) for row in rows))
        count += len(rows)
    return count


def _ordered(table: Table) -> Select[Any]:
    """Select all rows by their key; a thread comes before its forks, which refer to it."""
    first = [_DEPTH] if table is threads else []
    return select(table).order_by(*first, *table.primary_key.columns)


def _line(row: list[Any]) -> bytes:
    return json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"

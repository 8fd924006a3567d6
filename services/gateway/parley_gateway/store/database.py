"""The database as a whole: where it is, its writing half and its reading half."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from parley_contracts.errors import Invalid, NotFound, Unavailable
from sqlalchemy import URL, event, make_url
from sqlalchemy.exc import ArgumentError, DataError, DBAPIError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from parley_gateway.store.sqlite import SQLiteWriter, is_sqlite, refusal
from parley_gateway.store.writer import Clock, Writer, wall_clock

READERS = 4
FILE_NAME = "parley.db"
LIBPQ = {
    "connect_timeout": "5",
    "keepalives_idle": "5",
    "keepalives_interval": "3",
    "keepalives_count": "3",
    "tcp_user_timeout": "14000",
}
"""How PostgreSQL is reached, unless DATABASE_URL says otherwise: a network that was cut is noticed
within 15 seconds, whether an answer is awaited or not."""
EXAMPLE = "sqlite:////folder/parley.db or postgresql+psycopg://user:password@host/name"


def database_url(data: Path, setting: str | None) -> URL:
    """Return the URL of the database that is set, or of the file in the data folder.

    Raises Invalid when the setting cannot be used.
    """
    if not setting:
        return URL.create("sqlite", database=str(data / FILE_NAME))
    try:
        url = make_url(setting)
    except ArgumentError:
        raise Invalid(f"DATABASE_URL is not a database URL: {EXAMPLE}.") from None
    if url.drivername == "sqlite" and url.database:
        return url
    if url.drivername in ("postgresql", "postgresql+psycopg"):
        url = url.set(drivername="postgresql+psycopg")
        return url.update_query_dict({**LIBPQ, **url.query, "client_encoding": "utf8"})
    raise Invalid(f"DATABASE_URL must name SQLite or PostgreSQL: {EXAMPLE}.")


def require_database(url: URL) -> None:
    """Raise NotFound where the database would be a file and is none: opening would make it."""
    if is_sqlite(url) and not Path(str(url.database)).exists():
        raise NotFound(f"There is no database {url.database}; choose another folder with --data.")


class Database:
    """An opened database: `writer` runs commands, `reading` lends connections for queries."""

    def __init__(self, url: URL, clock: Clock = wall_clock) -> None:
        self.url = url
        self.writer = _writer(url, clock)
        self._readers = _readers(url)

    @property
    def kind(self) -> str:
        """`sqlite` or `postgresql`."""
        return self.url.get_backend_name()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection that sees one moment of the database; Unavailable when it cannot."""
        try:
            async with self._readers.connect() as connection:
                yield connection
        except (ProgrammingError, DataError):
            raise
        except DBAPIError as error:
            refused = _refusal(error)
            self.writer.note(refused)
            raise refused from error

    async def close(self) -> None:
        """Finish what waits for writing, then let go of the database."""
        await self.writer.close()
        await self._readers.dispose()


def _refusal(error: DBAPIError) -> Unavailable:
    if isinstance(error.orig, sqlite3.Error):
        return refusal(error.orig, "It could not be read; try again afterwards.")
    return Unavailable(f"Parley's database cannot be read: {error.orig}. Try again afterwards.")


def _writer(url: URL, clock: Clock) -> Writer:
    if is_sqlite(url):
        return SQLiteWriter(Path(str(url.database)), clock)
    from parley_gateway.store.postgres import PostgresWriter

    return PostgresWriter(url.set(drivername="postgresql").render_as_string(False), clock)


def _readers(url: URL) -> AsyncEngine:
    """Return an engine whose transactions are read-only snapshots."""
    if not is_sqlite(url):
        options = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
        return create_async_engine(
            url, pool_size=READERS, pool_pre_ping=True, execution_options=options
        )
    engine = create_async_engine(url.set(drivername="sqlite+aiosqlite"), pool_size=READERS)
    event.listen(engine.sync_engine, "connect", _prepare)
    event.listen(engine.sync_engine, "begin", _begin)
    return engine


def _prepare(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA query_only=ON")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.close()


def _begin(connection: Any) -> None:
    connection.exec_driver_sql("BEGIN")

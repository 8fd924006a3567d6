"""Brings the tables to the revision that this code needs, before anything else uses them.

A database file is copied beside itself first; all revisions run in one transaction, so that a
failed one leaves the file as it was. Alembic is loaded only when there is something to do.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from parley_contracts.errors import Conflict, Internal, Unavailable
from sqlalchemy import URL, Connection, NullPool, create_engine, event, text
from sqlalchemy.exc import DBAPIError

from parley_gateway.store.sqlite import is_outside_fault, is_sqlite, reason

REVISION = "0004"
"""The newest revision in `migrations/versions`."""

SCRIPTS = Path(__file__).parent / "migrations"

_LOCK = 7_264_839_201
"""PostgreSQL advisory lock: several gateways may start at once."""

log = logging.getLogger(__name__)


def migrate(url: URL) -> None:
    """Make or upgrade the tables. Raises Conflict for a database of a newer version, Unavailable
    when it cannot be opened, Internal when a revision fails; then nothing was changed."""
    with opened(url) as connection:
        _upgrade(connection, url)


@contextmanager
def opened(url: URL) -> Iterator[Connection]:
    """Lend a connection in whose transactions tables are made, too; Unavailable when it fails."""
    engine = create_engine(url, poolclass=NullPool)
    if is_sqlite(url):
        event.listen(engine, "connect", _leave_transactions_alone)
        event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    try:
        with engine.connect() as connection:
            yield connection
    except DBAPIError as error:
        said = reason(error.orig) if isinstance(error.orig, sqlite3.Error) else f"{error.orig}."
        raise Unavailable(
            f"The database at {url.render_as_string()} cannot be opened: {said}"
        ) from error
    finally:
        engine.dispose()


def _leave_transactions_alone(connection: sqlite3.Connection, _: object) -> None:
    connection.isolation_level = None


def _upgrade(connection: Connection, url: URL) -> None:
    if not is_sqlite(url):
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
    found = revision_of(connection)
    if found == REVISION:
        return
    refuse_newer(found)
    if found is not None and is_sqlite(url):
        _copy(Path(str(url.database)), found)
    run(connection, found, REVISION)
    connection.commit()


def revision_of(connection: Connection) -> str | None:
    """Return the revision of the tables; None when there are none of ours."""
    if not connection.dialect.has_table(connection, "alembic_version"):
        return None
    revision: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return revision


def refuse_newer(found: str | None) -> None:
    """Raise Conflict for a revision that this code does not know yet."""
    if found is not None and found > REVISION:
        raise Conflict(
            f"This database was made by a newer Parley (its revision is {found}, this Parley knows "
            f"{REVISION}); install that version, or choose another data folder with --data.",
            kind="newer-database",
        )


def _copy(path: Path, found: str) -> None:
    """Keep the file as it was, complete with what its write-ahead log still holds."""
    backup = path.with_name(f"{path.name}.before-{REVISION}")
    try:
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(backup)) as target:
            source.backup(target)
    except sqlite3.Error as error:
        raise Unavailable(
            f"The database cannot be copied to {backup}, so it was not brought from revision "
            f"{found} to {REVISION}: {reason(error)}"
        ) from error
    backup.chmod(0o600)
    log.info("the database goes from %s to %s; a copy is in %s", found, REVISION, backup)


def run(connection: Connection, found: str | None, wanted: str) -> None:
    """Run the revisions after `found` up to `wanted`; who calls commits. Raises Internal."""
    from alembic import command
    from alembic.config import Config

    logging.getLogger("alembic").setLevel(logging.WARNING)
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, wanted)
    except Exception as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        if is_outside_fault(cause):
            raise
        raise Internal(
            f"The database could not be brought from revision {found} to {wanted}: {cause}. "
            "It is unchanged; start the version of Parley that made it."
        ) from error

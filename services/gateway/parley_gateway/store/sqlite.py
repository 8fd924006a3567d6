"""SQLite: one thread writes, everything that waits in one transaction.

A batch costs one commit however many commands it holds; each has a savepoint, so that a refusal
takes back its own changes only.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from parley_bus.failpoints import failpoint
from parley_contracts.errors import Unavailable
from sqlalchemy import URL
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite

from parley_gateway.store.transaction import Transaction
from parley_gateway.store.writer import DAMAGED, Clock, Job, Outcome, Writer, log, wall_clock

BUSY_S = 2.0
"""How long another program may hold the database before a command is refused; a command that comes
while another one waits is refused after twice as long, which callers still wait for."""

_FAULTS = (sqlite3.OperationalError, sqlite3.DatabaseError)
"""What the disk or another program does to us; their subclasses are faults of our own."""

_DAMAGED = (
    "Parley's database is damaged; stop Parley and restore a backup with './parley restore FILE'."
)
_SENTENCES = {
    "SQLITE_FULL": "The disk that holds Parley's database is full; free some space.",
    "SQLITE_BUSY": "Another program holds Parley's database locked; close it.",
    "SQLITE_LOCKED": "Another program holds Parley's database locked; close it.",
    "SQLITE_READONLY": "Parley's database cannot be written; check the permissions of its folder.",
    "SQLITE_CANTOPEN": "Parley's database cannot be opened; check its folder.",
    "SQLITE_CORRUPT": _DAMAGED,
    "SQLITE_NOTADB": _DAMAGED,
    "SQLITE_IOERR": "The disk that holds Parley's database reports a fault; check the disk.",
}


def is_sqlite(url: URL) -> bool:
    """Whether the database is a file of SQLite; else it is one of a PostgreSQL server."""
    return url.get_backend_name() == "sqlite"


def connect(path: Path) -> sqlite3.Connection:
    """Open the database file for writing, by whatever thread; raises Unavailable."""
    try:
        connection = sqlite3.connect(
            path,
            timeout=BUSY_S,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=512,
        )
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA foreign_keys=ON")
    except sqlite3.Error as error:
        raise unavailable(error) from error
    return connection


def unavailable(error: sqlite3.Error) -> Unavailable:
    """Return the refusal of what a database error kept from being stored."""
    return refusal(error, "Nothing was stored; try again afterwards.")


def refusal(error: sqlite3.Error, outcome: str) -> Unavailable:
    """Return a database error as a refusal: what it means, and what came of it."""
    said = reason(error)
    return Unavailable(f"{said} {outcome}", kind=DAMAGED if said == _DAMAGED else None)


def reason(error: sqlite3.Error) -> str:
    """Return what a database error means to a person, as a sentence with what to do."""
    return _sentence(error) or f"Parley's database refuses to work: {error}."


def is_outside_fault(error: BaseException | None) -> bool:
    """Whether this is what the disk or another program does to us, not a fault of our own."""
    return isinstance(error, sqlite3.Error) and _sentence(error) is not None


def _sentence(error: sqlite3.Error) -> str | None:
    name: str = getattr(error, "sqlite_errorname", "") or ""
    return next((said for prefix, said in _SENTENCES.items() if name.startswith(prefix)), None)


class SQLiteWriter(Writer):
    """The writer of a database file."""

    def __init__(self, path: Path, clock: Clock = wall_clock) -> None:
        self._connection = connect(path)
        self._cursor = self._connection.cursor()
        self._dialect = SQLiteDialect_pysqlite(paramstyle="named")
        self._synchronous: bool | None = None
        super().__init__(clock)

    def _work(self) -> None:
        while jobs := self._take():
            try:
                self._settle(self._commit(jobs))
            except BaseException as error:  # noqa: BLE001 (it goes to the commands' callers)
                self._refuse(jobs, error)
        self._connection.close()

    def _commit(self, jobs: Sequence[Job]) -> list[Outcome]:
        self._strengthen(any(job.durable for job in jobs))
        self._cursor.execute("BEGIN IMMEDIATE")
        outcomes = [self._attempt(job) for job in jobs]
        failpoint("commit.before")
        self._cursor.execute("COMMIT")
        failpoint("commit.after")
        return outcomes

    def _strengthen(self, durable: bool) -> None:
        """Choose whether the next commit waits for the disk (rule 20)."""
        if durable is not self._synchronous:
            self._cursor.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._synchronous = durable

    def _attempt(self, job: Job) -> Outcome:
        transaction = Transaction(self._cursor, self._dialect, self.clock())
        self._cursor.execute("SAVEPOINT command")
        try:
            result = job.command(transaction)
        except BaseException as error:  # noqa: BLE001 (it goes to the command's caller)
            return self._take_back(job, error)
        self._cursor.execute("RELEASE command")
        return Outcome(job, result, transaction.effects)

    def _take_back(self, job: Job, error: BaseException) -> Outcome:
        """Undo one command; when SQLite has ended the whole transaction, all of them fail."""
        if isinstance(error, sqlite3.Error) and type(error) in _FAULTS:
            if not self._connection.in_transaction:
                raise error
            error = unavailable(error)
        self._cursor.execute("ROLLBACK TO command")
        self._cursor.execute("RELEASE command")
        return Outcome(job, error=error)

    def _refuse(self, jobs: Sequence[Job], error: BaseException) -> None:
        if self._connection.in_transaction:
            with suppress(sqlite3.Error):  # the next batch tries again
                self._connection.rollback()
        if isinstance(error, sqlite3.Error):
            refused = unavailable(error)
            log.error("%s (%s)", refused.detail, error)
            error = refused
        self._settle([Outcome(job, error=error) for job in jobs])

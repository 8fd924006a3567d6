"""PostgreSQL: a few threads write side by side; row locks keep them apart.

A command whose connection broke, or that lost a race, runs again: commands may be repeated.
"""

from __future__ import annotations

from contextlib import suppress

import psycopg
from parley_bus.failpoints import failpoint
from parley_contracts.errors import ParleyError, Unavailable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from parley_gateway.store.order import CommitOrder
from parley_gateway.store.transaction import Transaction
from parley_gateway.store.writer import Clock, Job, Outcome, Writer, log, wall_clock

THREADS = 4
ATTEMPTS = 4

_AGAIN = (psycopg.errors.UniqueViolation, psycopg.OperationalError)
"""Lost races (deadlocks are among the second kind) and broken connections."""


class Line:
    """A writer thread's connection, made anew when it broke."""

    def __init__(self, conninfo: str) -> None:
        self._conninfo = conninfo
        self._connection: psycopg.Connection | None = None

    def connection(self) -> psycopg.Connection:
        """Return an open connection; raises Unavailable."""
        if self._connection is None or self._connection.closed:
            try:
                self._connection = psycopg.connect(self._conninfo)
            except psycopg.OperationalError as error:
                raise _unavailable(error) from error
        return self._connection

    def drop(self) -> None:
        """Let go of the connection, in whatever state it is."""
        if self._connection is not None:
            self._connection.close()


class PostgresWriter(Writer):
    """The writer of a PostgreSQL database; `conninfo` as libpq takes it."""

    def __init__(self, conninfo: str, clock: Clock = wall_clock) -> None:
        self._conninfo = conninfo
        self._order = CommitOrder()
        self._dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
        super().__init__(clock, threads=THREADS)

    def _work(self) -> None:
        line = Line(self._conninfo)
        while jobs := self._take(most=1):
            for job in jobs:
                self._answer(line, job)
        line.drop()

    def _answer(self, line: Line, job: Job) -> None:
        try:
            self._run(line, job)
        except ParleyError as error:
            self._settle([Outcome(job, error=error)])
        except psycopg.OperationalError as error:
            self._settle([Outcome(job, error=_unavailable(error))])
        except BaseException as error:  # noqa: BLE001 (it goes to the command's caller)
            line.drop()
            self._settle([Outcome(job, error=error)])

    def _run(self, line: Line, job: Job) -> None:
        for _ in range(ATTEMPTS - 1):
            with suppress(*_AGAIN):
                return self._attempt(line.connection(), job)
        return self._attempt(line.connection(), job)

    def _attempt(self, connection: psycopg.Connection, job: Job) -> None:
        commit = object()
        try:
            with connection.transaction(), connection.cursor() as cursor:
                transaction = Transaction(cursor, self._dialect, self.clock())
                result = job.command(transaction)
                failpoint("commit.before")
                if connection.closed:  # leaving the block would then say nothing and commit nothing
                    raise psycopg.OperationalError("the connection broke")
                self._order.enter(commit, transaction.effects.threads)
            failpoint("commit.after")
            self._order.wait(commit)
            self._settle([Outcome(job, result, transaction.effects)])
        finally:
            self._order.leave(commit)


def _unavailable(error: psycopg.Error) -> Unavailable:
    log.error("PostgreSQL: %s", error)
    return Unavailable(
        "The PostgreSQL database cannot be reached or refuses to work; check DATABASE_URL and the "
        "server. Nothing was stored; try again afterwards."
    )

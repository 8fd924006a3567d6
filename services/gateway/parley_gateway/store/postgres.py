"""PostgreSQL: a few threads write side by side; row locks keep them apart.

A command whose connection broke, or that lost a race, runs again: commands may be repeated.
"""

from __future__ import annotations

import psycopg
from parley_bus.failpoints import failpoint
from parley_contracts.errors import Unavailable
from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

from parley_gateway.store.transaction import Transaction
from parley_gateway.store.writer import Clock, Job, Outcome, Writer, log, wall_clock

THREADS = 4
ATTEMPTS = 4
CONNECT_S = 5

_LOST_RACES = (
    psycopg.errors.UniqueViolation,
    psycopg.errors.DeadlockDetected,
    psycopg.errors.SerializationFailure,
)


class PostgresWriter(Writer):
    """The writer of a PostgreSQL database; `conninfo` as libpq takes it."""

    def __init__(self, conninfo: str, clock: Clock = wall_clock) -> None:
        self._conninfo = conninfo
        self._dialect = PGDialect_psycopg()  # type: ignore[no-untyped-call]
        super().__init__(clock, threads=THREADS)

    def _work(self) -> None:
        connection: psycopg.Connection | None = None
        while jobs := self._take(most=1):
            for job in jobs:
                connection, outcome = self._run(connection, job)
                self._settle([outcome])
        if connection is not None:
            connection.close()

    def _run(
        self, connection: psycopg.Connection | None, job: Job
    ) -> tuple[psycopg.Connection | None, Outcome]:
        """Run one job in a transaction; return the connection to go on with, and the outcome."""
        for attempt in range(1, ATTEMPTS + 1):
            try:
                if connection is None or connection.closed:
                    connection = psycopg.connect(self._conninfo, connect_timeout=CONNECT_S)
                return connection, self._attempt(connection, job)
            except _LOST_RACES as error:
                if attempt == ATTEMPTS:
                    return connection, Outcome(job, error=error)
            except psycopg.OperationalError as error:
                if attempt == ATTEMPTS or connection is None:
                    return connection, Outcome(job, error=_unavailable(error))
        raise AssertionError("the last attempt returns")

    def _attempt(self, connection: psycopg.Connection, job: Job) -> Outcome:
        try:
            with connection.transaction(), connection.cursor() as cursor:
                transaction = Transaction(cursor, self._dialect, self.clock())
                result = job.command(transaction)
                failpoint("commit.before")
            failpoint("commit.after")
        except psycopg.Error:
            raise
        except Exception as error:  # noqa: BLE001 (it goes to the command's caller)
            return Outcome(job, error=error)
        return Outcome(job, result, transaction.effects)


def _unavailable(error: psycopg.Error) -> Unavailable:
    log.error("PostgreSQL: %s", error)
    return Unavailable(
        "The PostgreSQL database cannot be reached or refuses to work; check DATABASE_URL and the "
        "server. Nothing was stored; try again afterwards."
    )

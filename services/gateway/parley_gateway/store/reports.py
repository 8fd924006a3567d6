"""Queries on the house: its state, its sign-ins, what its turns cost."""

from __future__ import annotations

from parley_contracts.errors import Unauthorized, Unavailable
from parley_contracts.sessions import Session, SessionList
from parley_contracts.system import (
    DatabaseStatus,
    QueueStatus,
    ReadUsage,
    SystemStatus,
    UsageReport,
    UsageRow,
    WorkerStatus,
)
from sqlalchemy import ColumnElement, Text, and_, bindparam, case, cast, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_gateway.store import letters
from parley_gateway.store.database import Database
from parley_gateway.store.records import microseconds, moment
from parley_gateway.store.schema import (
    OPEN,
    QUEUED,
    inline,
    outbox,
    owner_sessions,
    threads,
    turns,
    workers,
)
from parley_gateway.store.sessions import BY_SECRET, SESSION_COLUMNS, fingerprint, session

WORKER_ALIVE_US = 7_000_000
"""A worker that has not beaten for so long, twice in a row, is not shown."""
DAY_US = 86_400_000_000

_SESSIONS = (
    select(*SESSION_COLUMNS)
    .where(owner_sessions.c.expires_at > bindparam("now"))
    .order_by(owner_sessions.c.created_at.desc())
)
_WORKERS = select(workers).where(workers.c.seen_at > bindparam("since")).order_by(workers.c.id)
_WAITING = turns.c.status == inline("waiting")
_RUNNING = and_(~_WAITING, func.coalesce(turns.c.lease_until, 0) > bindparam("now"))
_IDLE = and_(~_WAITING, func.coalesce(turns.c.lease_until, 0) <= bindparam("now"))
_OPEN_TURNS = select(
    func.count(case((_WAITING, 1))),
    func.count(case((_RUNNING, 1))),
    func.count(case((_IDLE, 1))),
    func.min(case((_IDLE, turns.c.created_at))),
).where(OPEN)
_QUEUE = select(func.count(), func.min(turns.c.created_at)).where(QUEUED)
_THREADS = select(func.count()).select_from(threads).where(threads.c.status != inline("deleted"))
_OUTBOX = select(func.count()).select_from(outbox)
_GROUPS: dict[str, ColumnElement[str]] = {
    "agent": turns.c.agent_id,
    "model": func.coalesce(turns.c.model, inline("")),
    "thread": turns.c.thread_id,
    "day": cast(turns.c.finished_at // DAY_US, Text),
}


async def find_session(connection: AsyncConnection, secret: str, now: int) -> Session:
    """Return the session of a secret; raises Unauthorized when there is none that is good."""
    wanted = {"secret_hash": fingerprint(secret)}
    row = (await connection.execute(BY_SECRET.clause, wanted)).first()
    if row is None or row.expires_at <= now:
        raise Unauthorized("This sign-in is no longer good; sign in again.")
    return session(tuple(row))


async def list_sessions(connection: AsyncConnection, now: int) -> SessionList:
    """Return the sign-ins that are still good, newest first."""
    rows = await connection.execute(_SESSIONS, {"now": now})
    return SessionList(sessions=tuple(session(tuple(row)) for row in rows))


async def status(database: Database, version: str) -> SystemStatus:
    """Return the state of the house; a database that does not work is part of it, no error."""
    try:
        async with database.reading() as connection:
            return await _status(connection, database, version)
    except Unavailable as error:
        return SystemStatus(
            version=version,
            database=DatabaseStatus(ok=False, kind=database.kind, detail=error.detail),
            threads=0,
            turns=QueueStatus(running=0, dispatched=0, queued=0, waiting=0),
        )


async def _status(connection: AsyncConnection, database: Database, version: str) -> SystemStatus:
    trouble, now = database.writer.trouble, database.writer.clock()
    seen = await connection.execute(_WORKERS, {"since": now - WORKER_ALIVE_US})
    return SystemStatus(
        version=version,
        database=DatabaseStatus(ok=trouble is None, kind=database.kind, detail=trouble or ""),
        threads=await connection.scalar(_THREADS) or 0,
        turns=await _queues(connection, now),
        workers=tuple(
            WorkerStatus(worker_id=id, turns=held, seen_at=moment(at)) for id, held, at in seen
        ),
        outbox=await connection.scalar(_OUTBOX) or 0,
        letters=await connection.scalar(letters.COUNT) or 0,
    )


async def _queues(connection: AsyncConnection, now: int) -> QueueStatus:
    waiting, running, idle, idle_since = (await connection.execute(_OPEN_TURNS, {"now": now})).one()
    queued, queued_since = (await connection.execute(_QUEUE)).one()
    since = [each for each in (idle_since, queued_since) if each is not None]
    return QueueStatus(
        running=running,
        dispatched=idle,
        queued=queued,
        waiting=waiting,
        oldest_wait_s=(now - min(since)) / 1e6 if since else None,
    )


async def usage(connection: AsyncConnection, request: ReadUsage) -> UsageReport:
    """Return turns and tokens between two moments, by group in the order of the key."""
    key = _GROUPS[request.by]
    query = (
        select(
            key,
            func.count(),
            func.sum(case((turns.c.status == inline("failed"), 1), else_=0)),
            func.coalesce(func.sum(turns.c.input_tokens), 0),
            func.coalesce(func.sum(turns.c.output_tokens), 0),
        )
        .where(turns.c.started_at.is_not(None), turns.c.finished_at.is_not(None))
        .group_by(key)
        .order_by(key)
    )
    if request.since:
        query = query.where(turns.c.finished_at >= microseconds(request.since))
    if request.until:
        query = query.where(turns.c.finished_at < microseconds(request.until))
    rows = await connection.execute(query)
    return UsageReport(rows=tuple(_usage_row(request.by, *row) for row in rows))


def _usage_row(
    by: str, key: str, turn_count: int, failed: int, input_tokens: int, output_tokens: int
) -> UsageRow:
    return UsageRow(
        key=moment(int(key) * DAY_US).date().isoformat() if by == "day" else key,
        turns=turn_count,
        failed=failed,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )

"""The database of the house, read as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from parley_gateway.store.schema import metadata
from sqlalchemy import URL, Connection, NullPool, RowMapping, create_engine, insert, select, text

US = 1e6
CONNECT_LIMIT_S = 5
FINISHED = ("completed", "failed", "cancelled")


@dataclass(frozen=True)
class Message:
    """A row of `messages`; `body` is its JSON."""

    id: str
    thread_id: str
    turn_id: str
    role: str
    text: str
    client_id: str | None
    position: int | None
    body: dict[str, Any]


@dataclass(frozen=True)
class Turn:
    """A row of `turns`; moments in seconds since 1970."""

    id: str
    thread_id: str
    message_id: str
    status: str
    attempt: int
    takeovers: int
    dispatch_no: int
    worker_id: str | None
    reply_id: str | None
    error_kind: str | None
    created_at: float
    started_at: float | None
    claimed_at: float | None
    finished_at: float | None

    @property
    def finished(self) -> bool:
        """Whether it has come to its end."""
        return self.status in FINISHED


@dataclass
class Contents:
    """All that the verdict needs."""

    messages: list[Message]
    turns: list[Turn]
    steps: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By turn, in order."""
    heads: dict[str, tuple[int, int]] = field(default_factory=dict)
    """By thread: the position at which it left its parent (0 for a root), and its head."""
    outbox: int = 0
    """Events that were not published."""


def read(database: URL) -> Contents:
    """Read the whole database. Raises DBAPIError."""
    with _opened(database) as rows:
        return Contents(
            messages=[_message(row) for row in _all(rows, "SELECT * FROM messages ORDER BY pk")],
            turns=[_turn(row) for row in _all(rows, "SELECT * FROM turns ORDER BY created_at")],
            steps=_steps(rows),
            heads={
                row["id"]: (row["fork_position"] or 0, row["head"])
                for row in _all(rows, "SELECT id, fork_position, head FROM threads")
            },
            outbox=_count(rows, "outbox"),
        )


def unfinished(database: URL) -> bool:
    """Whether a turn has not ended or an event is not published. Raises DBAPIError."""
    with _opened(database) as rows:
        turns = _count(rows, f"turns WHERE status NOT IN {FINISHED}")
        return turns + _count(rows, "outbox") > 0


def taken_over(database: URL) -> bool:
    """Whether an open turn has lost a worker since its last step. Raises DBAPIError."""
    with _opened(database) as rows:
        return _count(rows, "turns WHERE status = 'open' AND takeovers > 0") > 0


def copy(source: URL, target: URL) -> None:
    """Copy all rows into tables that are not there yet. Raises DBAPIError."""
    writing = create_engine(target, poolclass=NullPool)
    metadata.create_all(writing)
    with _opened(source) as rows, writing.begin() as connection:
        for table in metadata.sorted_tables:
            if found := [dict(row) for row in rows.execute(select(table)).mappings()]:
                connection.execute(insert(table), found)


@contextmanager
def _opened(database: URL) -> Iterator[Connection]:
    if database.get_backend_name() == "sqlite":
        query = {"mode": "ro", "uri": "true", "timeout": "10"}
        database = database.set(database=f"file:{database.database}").update_query_dict(query)
    else:
        database = database.update_query_dict({"connect_timeout": str(CONNECT_LIMIT_S)})
    with create_engine(database, poolclass=NullPool).connect() as connection:
        yield connection


def _all(rows: Connection, statement: str) -> Iterator[RowMapping]:
    yield from rows.execute(text(statement)).mappings()


def _count(rows: Connection, what: str) -> int:
    return int(rows.scalar(text(f"SELECT count(*) FROM {what}")) or 0)  # noqa: S608 (our own words)


def _steps(rows: Connection) -> dict[str, list[dict[str, Any]]]:
    steps: dict[str, list[dict[str, Any]]] = {}
    for row in _all(rows, "SELECT turn_id, json FROM turn_steps ORDER BY turn_id, number"):
        steps.setdefault(row["turn_id"], []).append(json.loads(row["json"]))
    return steps


def _message(row: RowMapping) -> Message:
    names = ("id", "thread_id", "turn_id", "role", "text", "client_id", "position")
    return Message(**{name: row[name] for name in names}, body=json.loads(row["json"]))


def _turn(row: RowMapping) -> Turn:
    names = ("id", "thread_id", "message_id", "status", "attempt", "takeovers", "dispatch_no")
    more = ("worker_id", "reply_id", "error_kind")
    moments = ("created_at", "started_at", "claimed_at", "finished_at")
    return Turn(
        **{name: row[name] for name in (*names, *more)},
        **{name: row[name] and row[name] / US for name in moments},
    )

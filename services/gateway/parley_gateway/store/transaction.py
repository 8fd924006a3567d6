"""Transaction: what a command may do, and the effects that follow once it is committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from parley_contracts.base import new_id
from parley_contracts.events import Event
from parley_contracts.turns import TurnSlot
from sqlalchemy import insert
from sqlalchemy.engine import Dialect

from parley_gateway.store.schema import outbox
from parley_gateway.store.statement import Statement

Row = tuple[Any, ...]

_POST = Statement(
    insert(outbox).returning(outbox.c.id),
    *("message_id", "thread_id", "kind", "payload", "created_at"),
)


class Cursor(Protocol):
    """What the drivers' cursors have in common."""

    @property
    def rowcount(self) -> int: ...
    def execute(self, sql: Any, parameters: Any = ..., /) -> Any: ...
    def executemany(self, sql: Any, parameters: Any, /) -> Any: ...
    def fetchone(self) -> Any: ...
    def fetchall(self) -> Any: ...


class StoredEvent(Event):
    """An event as the outbox keeps it: encoded already."""

    payload: bytes

    def encode(self) -> bytes:
        """Return the bytes that were encoded with the transaction."""
        return self.payload


@dataclass(frozen=True)
class Posted:
    """An event in the outbox, to be published and then deleted."""

    id: int
    message_id: str
    event: StoredEvent


@dataclass
class SlotChange:
    """What is to happen to a thread's slot: free the message `free`, then put `put`."""

    free: int | None = None
    put: TurnSlot | None = None


@dataclass
class Effects:
    """What others must learn once the transaction is committed."""

    events: list[Posted] = field(default_factory=list)
    slots: dict[str, SlotChange] = field(default_factory=dict)
    """By thread."""
    stops: list[str] = field(default_factory=list)
    """Turns whose worker is to stop at once."""
    positioned: bool = False
    """True when a message got its position: the full-text index has work."""

    @property
    def threads(self) -> set[str | None]:
        """The threads that they concern, and None for what concerns none."""
        return {each.event.thread_id for each in self.events} | set(self.slots)


class Transaction:
    """One command's view of the database. `now` is its moment, in microseconds."""

    def __init__(self, cursor: Cursor, dialect: Dialect, now: int) -> None:
        self._cursor = cursor
        self._dialect = dialect
        self.now = now
        self.effects = Effects()

    def run(self, statement: Statement, /, **parameters: Any) -> int:
        """Execute; return how many rows were touched."""
        return self._execute(statement, parameters).rowcount

    def many(self, statement: Statement, rows: Iterable[Mapping[str, Any]]) -> None:
        """Execute once for each row."""
        sql, fixed = statement.on(self._dialect)
        self._cursor.executemany(sql, [{**fixed, **row} for row in rows])

    def one(self, statement: Statement, /, **parameters: Any) -> Row | None:
        """Return the first row, or None."""
        row: Row | None = self._execute(statement, parameters).fetchone()
        return row

    def all(self, statement: Statement, /, **parameters: Any) -> list[Row]:
        """Return all rows."""
        rows: list[Row] = self._execute(statement, parameters).fetchall()
        return rows

    def emit(self, event: Event) -> None:
        """Tell the world, if and when this transaction is committed."""
        message_id, payload = new_id(), event.encode()
        row = self.one(
            _POST,
            message_id=message_id,
            thread_id=event.thread_id,
            kind=event.kind,
            payload=payload.decode(),
            created_at=self.now,
        )
        assert row is not None
        stored = StoredEvent(kind=event.kind, thread_id=event.thread_id, payload=payload)
        self.effects.events.append(Posted(row[0], message_id, stored))

    def slot(self, thread_id: str) -> SlotChange:
        """Return what is to happen to the thread's slot, to be filled in."""
        return self.effects.slots.setdefault(thread_id, SlotChange())

    def _execute(self, statement: Statement, parameters: dict[str, Any]) -> Cursor:
        sql, fixed = statement.on(self._dialect)
        self._cursor.execute(sql, {**fixed, **parameters} if fixed else parameters)
        return self._cursor

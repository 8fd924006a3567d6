"""A gateway's store for tests: commands and queries by short names, and a clock that is told."""

from __future__ import annotations

import time
from typing import Any

from parley_contracts import operations as op
from parley_contracts.base import new_id
from parley_contracts.events import AnyEvent
from parley_contracts.messages import SendMessage, TextPart
from parley_contracts.threads import Accepted, CreateThread, ReadThread, Thread, ThreadView
from parley_contracts.turns import (
    BeginReply,
    BeginTurn,
    Claim,
    FinishTurn,
    Turn,
    TurnGranted,
    TurnSlot,
)
from parley_gateway.store import claims, messages, threads, turns, views
from parley_gateway.store.database import Database
from parley_gateway.store.transaction import Effects
from pydantic import TypeAdapter
from sqlalchemy import URL, text

_EVENT: TypeAdapter[Any] = TypeAdapter(AnyEvent)


class Clock:
    """Microseconds since 1970; each reading is one later than the one before."""

    def __init__(self, start: int | None = None) -> None:
        self._now = start or time.time_ns() // 1000

    def __call__(self) -> int:
        self._now += 1
        return self._now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now += int(seconds * 1e6)


class Store:
    """An opened database whose effects are collected instead of carried out."""

    def __init__(self, url: URL, *, start: int | None = None) -> None:
        self.clock = Clock(start)
        self.database = Database(url, self.clock)
        self.run = self.database.writer.run
        self.effects: list[Effects] = []
        self.database.writer.on_commit = self.effects.append

    async def query(self, query: Any, request: Any) -> Any:
        """Return what a query answers."""
        async with self.database.reading() as connection:
            return await query(connection, request)

    async def rows(self, sql: str, **parameters: Any) -> list[tuple[Any, ...]]:
        """Look at the tables themselves."""
        async with self.database.reading() as connection:
            return [tuple(row) for row in await connection.execute(text(sql), parameters)]

    async def count(self, table: str) -> int:
        """Return how many rows a table has."""
        count: int = (await self.rows(f"SELECT count(*) FROM {table}"))[0][0]
        return count

    async def thread(self, id: str = "t", **fields: Any) -> Thread:
        """Make a thread."""
        return await self.run(threads.create, CreateThread(id=id, **fields))

    async def send(self, text: str = "question", thread: str = "t", **fields: Any) -> Accepted:
        """Send a message."""
        return await self.run(messages.send, SendMessage(thread_id=thread, text=text, **fields))

    async def try_begin(
        self, turn_id: str, claim: str = "claim", no_takeover_before: int = 0, **fields: Any
    ) -> BeginReply:
        """Ask for a turn under its present dispatch number."""
        number = fields.pop("dispatch_no", None) or (await self.slot(turn_id)).dispatch_no
        command = BeginTurn(turn_id=turn_id, dispatch_no=number, claim=claim, worker_id="worker")
        reply = await self.run(claims.begin, command, no_takeover_before=no_takeover_before)
        return op.TURNS_BEGIN.decode(reply)

    async def begin(self, turn_id: str, claim: str = "claim") -> TurnGranted:
        """Claim a turn that is due."""
        reply = await self.try_begin(turn_id, claim)
        assert isinstance(reply, TurnGranted), reply
        return reply

    async def finish(self, claim: Claim, text: str = "answer", **fields: Any) -> Turn:
        """Finish a claimed turn."""
        command = {
            "outcome": "completed",
            "text": text,
            "parts": (TextPart(step=0, text=text),) if text else (),
            **fields,
        }
        return await self.run(turns.finish, FinishTurn(claim=claim, **command))

    async def answer(self, turn_id: str, text: str = "answer") -> Turn:
        """Begin and finish a turn."""
        return await self.finish((await self.begin(turn_id, new_id())).claim, text)

    async def exchange(self, question: str, answer: str = "answer", thread: str = "t") -> Accepted:
        """Send a message and answer it."""
        accepted = await self.send(question, thread)
        await self.answer(accepted.turn.id, answer)
        return accepted

    async def view(self, thread: str = "t", **fields: Any) -> ThreadView:
        """Open a thread."""
        reply = await self.query(views.open_thread, ReadThread(id=thread, **fields))
        return op.THREADS_GET.decode(reply)

    async def texts(self, thread: str = "t") -> list[str]:
        """Return what a thread shows, in order."""
        return [message.text for message in (await self.view(thread, limit=500)).messages]

    async def slot(self, turn_id: str) -> TurnSlot:
        """Return what should lie in the turn's slot."""
        rows = await self.rows("SELECT dispatch_no FROM turns WHERE id = :id", id=turn_id)
        return TurnSlot(turn_id=turn_id, dispatch_no=rows[0][0])

    def events(self) -> list[str]:
        """Return the kinds of the events so far."""
        return [posted.event.kind for effects in self.effects for posted in effects.events]

    def puts(self) -> list[TurnSlot]:
        """Return what was to be put into slots so far."""
        changes = [change for effects in self.effects for change in effects.slots.values()]
        return [change.put for change in changes if change.put]

    def last_event(self, kind: str) -> Any:
        """Return the newest event of a kind, decoded."""
        found = [
            posted.event.payload
            for effects in self.effects
            for posted in effects.events
            if posted.event.kind == kind
        ]
        return _EVENT.validate_json(found[-1])

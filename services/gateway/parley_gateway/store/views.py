"""Queries: what is asked about threads, messages and turns. They only read.

Replies that hold messages are joined from text that was encoded when it was written.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from parley_contracts.agents import Agent, AgentList, AgentRef
from parley_contracts.errors import Conflict, NotFound
from parley_contracts.messages import MessageRef
from parley_contracts.threads import ReadThread
from parley_contracts.turns import ReadHistory, Turn, TurnRef
from sqlalchemy import bindparam, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from parley_gateway.store.history import HISTORY, PAGE_ROOM, Page, size_of
from parley_gateway.store.records import (
    MESSAGE,
    POSITION,
    THREAD,
    TURN,
    ThreadRecord,
    TurnRecord,
)
from parley_gateway.store.schema import (
    NO_END,
    OPEN,
    QUEUED,
    agents,
    messages,
    turns,
)
from parley_gateway.store.versions import versions

MOST_WAITING = 200
"""Waiting messages that a thread's view shows; `Thread.queued` counts them all."""

WAITING_ROOM = PAGE_ROOM // 2
"""Bytes of them, beside a page that keeps to its room; a longer first message takes from it."""

_OPEN_TURN = select(turns).where(turns.c.thread_id == bindparam("id"), OPEN)
_TURNS = (
    select(turns)
    .where(turns.c.id.in_(bindparam("ids", expanding=True)))
    .order_by(turns.c.created_at, turns.c.id)
)
_WAITING = (
    select(messages.c.json)
    .join(turns, turns.c.id == messages.c.turn_id)
    .where(messages.c.thread_id == bindparam("id"), messages.c.position.is_(None))
    .order_by(QUEUED, turns.c.queue_no)
    .limit(MOST_WAITING)
)
_AGENTS = select(agents.c.json).order_by(agents.c.created_at, agents.c.id)
_AGENT = select(agents.c.json).where(
    or_(agents.c.id == bindparam("id"), agents.c.handle == bindparam("id"))
)


async def open_thread(connection: AsyncConnection, request: ReadThread) -> bytes:
    """Return an encoded ThreadView; raises NotFound."""
    thread = await find_thread(connection, request.id)
    before = request.before or NO_END
    page = await _page(connection, thread.id, Page(before=before, limit=request.limit))
    waiting = (await connection.scalars(_WAITING, {"id": thread.id})).all()
    opened = (await connection.execute(_OPEN_TURN, {"id": thread.id})).first()
    finished = await connection.execute(_TURNS, {"ids": sorted(set(page.turn_ids))})
    lowest = min(page.lowest, thread.head + 1)
    siblings = await versions(connection, thread.id, lowest, before)
    return _object(
        thread=_text(thread.view()),
        messages=page.messages,
        before=str(page.before or "null"),
        queued=_array(_fitting(waiting, WAITING_ROOM + min(page.room, 0))),
        turn=_text(TurnRecord(*opened).view()) if opened else "null",
        turns=_array([_text(TurnRecord(*row).view()) for row in finished]),
        siblings=_array([_text(each) for each in siblings]),
    )


async def find_thread(connection: AsyncConnection, id: str) -> ThreadRecord:
    """Return a thread; raises NotFound."""
    row = (await connection.execute(THREAD, {"id": id})).first()
    if row is None:
        raise NotFound(f"There is no thread {id}; look at the list of threads.")
    return ThreadRecord(*row)


async def read_message(connection: AsyncConnection, request: MessageRef) -> bytes:
    """Return an encoded Message; raises NotFound."""
    found: str | None = await connection.scalar(MESSAGE, {"id": request.id})
    if found is None:
        raise NotFound(f"There is no message {request.id}; look at its thread again.")
    return found.encode()


async def read_turn(connection: AsyncConnection, request: TurnRef) -> Turn:
    """Return a turn; raises NotFound."""
    return (await _turn(connection, request.id)).view()


async def read_history(connection: AsyncConnection, request: ReadHistory) -> bytes:
    """Return an encoded HistoryPage of a claimed turn; a stale claim is a Conflict."""
    turn = await _turn(connection, request.claim.turn_id)
    if not turn.holds(request.claim):
        raise Conflict("This claim no longer holds the turn; stop.", kind="stale-claim")
    position: int | None = await connection.scalar(POSITION, {"id": turn.message_id})
    before = min(request.before, (position or 0) + 1)
    page = await _page(connection, turn.thread_id, Page(before=before))
    return _object(messages=page.messages, before=str(page.before or "null"))


async def list_agents(connection: AsyncConnection) -> AgentList:
    """Return all agents, the default one first."""
    rows = await connection.scalars(_AGENTS)
    return AgentList(agents=tuple(Agent.model_validate_json(json) for json in rows))


async def read_agent(connection: AsyncConnection, request: AgentRef) -> bytes:
    """Return an encoded Agent by id or handle; raises NotFound."""
    found: str | None = await connection.scalar(_AGENT, {"id": request.id})
    if found is None:
        raise NotFound(f"There is no agent {request.id}; look at the list of agents.")
    return found.encode()


async def _turn(connection: AsyncConnection, id: str) -> TurnRecord:
    row = (await connection.execute(TURN, {"id": id})).first()
    if row is None:
        raise NotFound(f"There is no turn {id}; look at its thread again.")
    return TurnRecord(*row)


async def _page(connection: AsyncConnection, thread_id: str, page: Page) -> Page:
    while wanted := page.wanted:
        rows = await connection.execute(HISTORY.clause, {"thread_id": thread_id, **wanted})
        page.take(rows.all())
    return page


def _fitting(fragments: Sequence[str], room: int) -> list[str]:
    """Return the first messages, as many as fit."""
    sizes = accumulate(map(size_of, fragments))
    return [each for each, size in zip(fragments, sizes, strict=True) if size <= room]


def _text(contract: Any) -> str:
    encoded: bytes = contract.encode()
    return encoded.decode()


def _array(items: list[str]) -> str:
    return f"[{','.join(items)}]"


def _object(**fields: str) -> bytes:
    return ("{" + ",".join(f'"{name}":{value}' for name, value in fields.items()) + "}").encode()

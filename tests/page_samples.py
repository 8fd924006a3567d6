"""Contracts for the tests of the page: a thread, its messages, the events of a turn."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from parley_contracts.agents import Agent
from parley_contracts.messages import Message
from parley_contracts.threads import Thread, ThreadView
from parley_contracts.turns import Turn
from parley_web.page.conversation import Conversation
from parley_web.page.people import People

AT = datetime(2026, 11, 1, 12, 0, tzinfo=UTC)


def agent(**fields: Any) -> Agent:
    """The agent of all these threads."""
    named = {"id": "a1", "handle": "parley", "name": "Parley", "revision": 1}
    return Agent.model_validate({**named, "created_at": AT, "updated_at": AT, **fields})


def thread(**fields: Any) -> Thread:
    """A thread without history."""
    named = {"id": "t1", "title": "A thread", "agent_id": "a1", "rev": 1}
    return Thread.model_validate({**named, "created_at": AT, "active_at": AT, **fields})


def question(id: str, position: int | None = None, **fields: Any) -> Message:
    """What the owner asked; without a position it waits."""
    status = "complete" if position else "queued"
    return _message(id, position, role="user", status=status, **fields)


def reply(id: str, position: int, **fields: Any) -> Message:
    """What the agent answered."""
    return _message(id, position, role="agent", **fields)


def turn(id: str, **fields: Any) -> Turn:
    """A turn that runs."""
    named = {"id": id, "thread_id": "t1", "message_id": "q", "agent_id": "a1", "status": "open"}
    return Turn.model_validate({**named, "attempt": 1, "created_at": AT, **fields})


def event(turn_id: str, number: int, **fields: Any) -> dict[str, Any]:
    """What all events of a turn have."""
    place = {"thread_id": "t1", "turn_id": turn_id, "attempt": 1, "number": number}
    return {**place, "at": AT, **fields}


def conversation(**fields: Any) -> Conversation:
    """A page's view of a thread."""
    view = ThreadView.model_validate({"thread": thread(), "messages": (), **fields})
    return Conversation(view, People([agent()]))


def _message(id: str, position: int | None, **fields: Any) -> Message:
    named = {"id": id, "thread_id": "t1", "position": position, "text": f"text of {id}"}
    made = {"agent_id": "a1", "turn_id": f"turn-{id}", "channel": "web", "created_at": AT}
    return Message.model_validate({**named, **made, **fields})

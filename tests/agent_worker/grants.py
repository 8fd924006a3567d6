"""A granted turn, as the gateway gives one, for tests that need no gateway."""

from __future__ import annotations

from typing import Any

from parley_contracts.agents import Agent
from parley_contracts.base import now
from parley_contracts.messages import HistoryMessage, Message
from parley_contracts.turns import Claim, Turn, TurnGranted


def granted(text: str = "hello", attempt: int = 1, **agent: Any) -> TurnGranted:
    """Return the first turn of thread `t`: turn `u` of agent `a`, asked by message `m`."""
    moment = now()
    message = Message(
        id="m", thread_id="t", position=1, role="user", text=text, agent_id="a", turn_id="u",
        channel="api", created_at=moment,
    )  # fmt: skip
    settings = {"handle": "a", "name": "A", "model": "echo:echo", **agent}
    return TurnGranted(
        turn=Turn(id="u", thread_id="t", message_id="m", agent_id="a", status="open",
                  attempt=attempt, created_at=moment),
        claim=Claim(turn_id="u", attempt=attempt, claim="c"),
        agent=Agent(id="a", revision=1, created_at=moment, updated_at=moment, **settings),
        message=message,
        history=(HistoryMessage(id="m", position=1, role="user", text=text, agent_id="a"),),
        lease_s=10.0,
    )  # fmt: skip

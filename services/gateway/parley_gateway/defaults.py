"""The agents that a new Parley begins with."""

from __future__ import annotations

from parley_contracts.agents import CreateAgent

from parley_gateway.store import agents
from parley_gateway.store.writer import Writer

PARLEY = CreateAgent(
    id="parley",
    handle="parley",
    name="Parley",
    description="A helpful assistant, and the one that answers when nobody else is asked.",
    model="auto",
    system_prompt=(
        "You are Parley, a thoughtful assistant. Answer in the language you are addressed in, "
        "directly and plainly, as long as the question needs and no longer. Use your tools when "
        "they make the answer surer: calculate rather than guess, look at the clock rather than "
        "assume the time. Say when you do not know something."
    ),
    tools=("calculator", "current_time"),
    skills=("explain-simply", "weekly-review"),
)
ECHO = CreateAgent(
    id="echo",
    handle="echo",
    name="Echo",
    description="Says back what you write; works without any model, to try Parley out.",
    model="echo:echo",
    tools=("calculator", "current_time"),
)


async def ensure_agents(writer: Writer) -> None:
    """Make the agents that must exist; `echo` always does, whatever became of it."""
    await writer.run(agents.ensure_any, PARLEY)
    await writer.run(agents.ensure, ECHO)

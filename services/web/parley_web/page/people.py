"""Who speaks in a thread: the agents as the page shows them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from parley_contracts.agents import Agent

HUES = 8
"""Colours an agent may have; the style sheet names them."""


@dataclass(frozen=True)
class Person:
    """An agent's name and looks."""

    id: str
    name: str
    handle: str
    model: str = ""

    @property
    def initial(self) -> str:
        """The letter in its badge."""
        return self.name[:1].upper()

    @property
    def hue(self) -> int:
        """Its colour, always the same for the same handle."""
        return sum(self.handle.encode()) % HUES


class People:
    """The agents by id, the default one first."""

    def __init__(self, agents: Iterable[Agent]) -> None:
        self._persons = {agent.id: _person(agent) for agent in agents}

    def __iter__(self) -> Iterable[Person]:
        return iter(self._persons.values())

    def __getitem__(self, agent_id: str) -> Person:
        """Return the agent; one that is not known is shown as such, never an error."""
        return self._persons.get(agent_id) or Person(agent_id, "Agent", agent_id)

    def update(self, agent: Agent) -> None:
        """Take a made or changed agent."""
        self._persons[agent.id] = _person(agent)


def _person(agent: Agent) -> Person:
    return Person(agent.id, agent.name, agent.handle, agent.model)

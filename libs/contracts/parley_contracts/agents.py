"""Agents: a persona with a model, a system prompt, tools and skills."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from parley_contracts.base import Contract, Id, Text, Timestamp, new_id

HANDLE = r"^[a-z0-9][a-z0-9_-]{0,31}$"
Handle = Annotated[str, StringConstraints(pattern=HANDLE)]
"""How people address an agent: `@handle`, unique."""
Policy = Literal["allow", "ask", "never"]
A_MODEL = r"^[a-z][a-z0-9_-]*:\S+$"
MODEL_NAME = r"^(auto|[a-z][a-z0-9_-]*:\S+)$"
ModelName = Annotated[str, StringConstraints(pattern=MODEL_NAME, max_length=200)]
"""`provider:model` (the model's own id may hold `:` and `/`), or `auto`, resolved at each turn."""
Name = Annotated[Text, StringConstraints(min_length=1, max_length=80, strip_whitespace=True)]


class AgentConfig(Contract):
    """What the owner sets."""

    handle: Handle
    name: Name
    description: Annotated[Text, Field(max_length=500)] = ""
    model: ModelName = "auto"
    system_prompt: Annotated[Text, Field(max_length=100_000)] = ""
    tools: tuple[str, ...] = ()
    skills: tuple[str, ...] = ()
    policies: dict[str, Policy] = Field(default_factory=dict)
    """By tool; a tool that is not named is allowed."""
    parameters: dict[str, Any] = Field(default_factory=dict)
    """Passed to the provider as they are: temperature, max_tokens, …"""
    fallbacks: tuple[ModelName, ...] = ()
    """Tried in order when the model cannot be reached, before any output."""


class Agent(AgentConfig):
    """An agent at one revision."""

    id: Id
    revision: int
    created_at: Timestamp
    updated_at: Timestamp


class CreateAgent(AgentConfig):
    """Make an agent."""

    id: Id = Field(default_factory=new_id)


class UpdateAgent(Contract):
    """Change some of an agent's settings; `revision` is the one the change is based on.

    `id` may be the agent's handle.
    """

    id: Id
    revision: int
    handle: Handle | None = None
    name: Name | None = None
    description: Annotated[Text, Field(max_length=500)] | None = None
    model: ModelName | None = None
    system_prompt: Annotated[Text, Field(max_length=100_000)] | None = None
    tools: tuple[str, ...] | None = None
    skills: tuple[str, ...] | None = None
    policies: dict[str, Policy] | None = None
    parameters: dict[str, Any] | None = None
    fallbacks: tuple[ModelName, ...] | None = None


class AgentRef(Contract):
    """Names an agent by id or handle."""

    id: Text


class AgentList(Contract):
    """All agents, the default one first."""

    agents: tuple[Agent, ...]

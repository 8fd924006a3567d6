"""What workers can do, as they announce it in the key-value bucket PARLEY_CATALOG."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from parley_contracts.base import Contract, Id, Timestamp


class ToolInfo(Contract):
    """A tool: `parameters` is its JSON Schema; `repeatable` tools are run again after a crash."""

    name: str
    description: str
    parameters: dict[str, Any] = Field(default_factory=dict)
    repeatable: bool = False


class SkillInfo(Contract):
    """A skill, or, with `problem`, a SKILL.md that could not be used and why."""

    name: str
    description: str = ""
    problem: str | None = None


class ModelInfo(Contract):
    """A model that a reachable provider lists; `id` is the full `provider:model`."""

    id: str


class ProviderInfo(Contract):
    """A model provider as a worker found it; `detail` says what was found or what to do."""

    name: str
    base_url: str | None = None
    reachable: bool
    detail: str = ""


class CatalogEntry(Contract):
    """One worker's announcement, renewed before its time to live ends."""

    worker_id: Id
    slots: int
    running: int = 0
    started_at: Timestamp
    default_model: str
    tools: tuple[ToolInfo, ...] = ()
    skills: tuple[SkillInfo, ...] = ()
    models: tuple[ModelInfo, ...] = ()
    providers: tuple[ProviderInfo, ...] = ()

"""What the environment tells a worker."""

from __future__ import annotations

import os
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Literal
from urllib.parse import urlsplit

from parley_bus.runtime import ServiceSettings
from parley_contracts.agents import A_MODEL
from parley_contracts.base import Id
from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import SettingsConfigDict


def _web_address(url: str | None) -> str | None:
    try:
        parts = urlsplit(url or "http://unset")
        sound = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        sound = False
    if not sound:
        raise ValueError("write it as http://HOST:PORT/v1 or https://HOST/v1")
    return url


Address = Annotated[str | None, AfterValidator(_web_address)]


class WorkerSettings(ServiceSettings):
    """Every variable that a worker reads; an empty one counts as unset."""

    model_config = SettingsConfigDict(extra="ignore", populate_by_name=True, env_ignore_empty=True)

    worker_id: Id = Field(
        default_factory=lambda: f"worker-{token_hex(4)}", validation_alias="PARLEY_WORKER_ID"
    )
    turns_per_worker: int = Field(
        default=64, ge=1, le=10_000, validation_alias="PARLEY_TURNS_PER_WORKER"
    )
    grace_s: float = Field(default=20.0, ge=0, validation_alias="PARLEY_GRACE")
    skills: str = Field(default=".agents/skills", validation_alias="PARLEY_SKILLS")
    tools: str = Field(default="", validation_alias="PARLEY_TOOLS")
    default_model: str | None = Field(
        default=None, pattern=A_MODEL, validation_alias="PARLEY_DEFAULT_MODEL"
    )
    discover: Literal["on", "off"] = Field(default="on", validation_alias="PARLEY_DISCOVER")
    local_base_url: Address = Field(default=None, validation_alias="LOCAL_BASE_URL")
    local_api_key: SecretStr = Field(default=SecretStr(""), validation_alias="LOCAL_API_KEY")
    openai_base_url: Address = Field(default=None, validation_alias="OPENAI_BASE_URL")
    openai_api_key: SecretStr = Field(default=SecretStr(""), validation_alias="OPENAI_API_KEY")
    anthropic_api_key: SecretStr = Field(
        default=SecretStr(""), validation_alias="ANTHROPIC_API_KEY"
    )
    openrouter_api_key: SecretStr = Field(
        default=SecretStr(""), validation_alias="OPENROUTER_API_KEY"
    )

    def skill_roots(self) -> list[Path]:
        """Return the folders that hold skills; an earlier one wins over a later one."""
        named = [Path(part) for part in self.skills.split(os.pathsep) if part]
        return [*named, Path.home() / ".agents" / "skills"]

    def tool_files(self) -> list[Path]:
        """Return the files that hold the owner's own tools."""
        return [Path(part) for part in self.tools.split(os.pathsep) if part]

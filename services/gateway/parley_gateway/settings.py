"""What the gateway is told by its environment."""

from __future__ import annotations

from pathlib import Path

from parley_bus.runtime import ServiceSettings
from pydantic import Field


class GatewaySettings(ServiceSettings):
    """The gateway's settings."""

    data: Path = Field(default=Path("data"), validation_alias="PARLEY_DATA")
    database_url: str | None = Field(default=None, validation_alias="DATABASE_URL")
    access_token: str | None = Field(default=None, validation_alias="PARLEY_ACCESS_TOKEN")
    token_file: Path | None = Field(default=None, validation_alias="PARLEY_TOKEN_FILE")
    """Where the token is shown to a process that tells the owner but sees no data folder."""
    replicas: int = Field(default=1, ge=1, le=5, validation_alias="PARLEY_REPLICAS")

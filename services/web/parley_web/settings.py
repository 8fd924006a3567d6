"""Settings of the web service, from the environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from parley_bus.runtime import ServiceSettings
from pydantic import Field, field_validator
from pydantic_settings import NoDecode


class WebSettings(ServiceSettings):
    """Where to listen, and under which names people may open the page."""

    host: str = Field(default="127.0.0.1", validation_alias="PARLEY_HOST")
    port: int = Field(default=4000, ge=0, le=65535, validation_alias="PARLEY_WEB_PORT")
    """0 takes any free port."""
    port_file: Path | None = Field(default=None, validation_alias="PARLEY_PORT_FILE")
    """Where the real port is written once the service listens."""
    url: str | None = Field(default=None, validation_alias="PARLEY_URL")
    """The page's address as people reach it; where it is set, the log shows a link to sign in."""
    token_file: Path | None = Field(default=None, validation_alias="PARLEY_TOKEN_FILE")
    """Where the gateway shows the access token, for that link."""
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(), validation_alias="PARLEY_ALLOWED_HOSTS"
    )
    """Names, separated by commas, besides addresses and this machine's own names."""

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(name.strip() for name in value.split(",") if name.strip())
        return value

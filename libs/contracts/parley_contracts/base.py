"""What every contract shares: how it is read and written, how things are named and dated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import uuid4

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

ID = r"^[A-Za-z0-9_-]{1,64}$"
Id = Annotated[str, StringConstraints(pattern=ID)]
"""A public id, safe in subjects and URLs. Callers choose it, so that a command can be repeated."""

MAX_TEXT = 100_000
"""Longest text of a message, in characters."""


def _without_nul(value: Any) -> Any:
    """Refuse NUL, which PostgreSQL cannot store; every other character survives as written."""
    if isinstance(value, str) and "\x00" in value:
        raise ValueError("the text holds a NUL character; take it out and send again")
    return value


def _not_blank(value: Any) -> Any:
    if isinstance(value, str) and not value.strip():
        raise ValueError("the text is empty; write something and send again")
    return value


def _not_too_long(value: Any) -> Any:
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise ValueError(
            f"the text has {len(value):,} characters and {MAX_TEXT:,} is the most;"
            " shorten it, or send it in parts"
        )
    return value


Text = Annotated[str, BeforeValidator(_without_nul)]
"""Any text a person, model or tool wrote."""

MessageText = Annotated[
    str,
    StringConstraints(max_length=MAX_TEXT),
    BeforeValidator(_not_too_long),
    BeforeValidator(_not_blank),
    BeforeValidator(_without_nul),
]
"""What a person sends: not empty, at most MAX_TEXT characters."""

LARGEST_COUNT = 2**31 - 1
"""What a column of the database holds."""
Count = Annotated[int, Field(ge=0, le=LARGEST_COUNT)]
"""How many, or the how-manieth."""


def _within_reach(value: int) -> int:
    return max(0, min(value, LARGEST_COUNT))


Measured = Annotated[int, AfterValidator(_within_reach)]
"""What others have counted: nonsense becomes the nearest number that can be kept."""

Timestamp = AwareDatetime
"""A moment in UTC; ISO 8601 in JSON."""


class Contract(BaseModel):
    """A JSON object that crosses a service border.

    Readers ignore fields they do not know, so that old and new services run side by side.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    def encode(self) -> bytes:
        """Return the JSON bytes; fields that are None are left out."""
        return self.__pydantic_serializer__.to_json(self, exclude_none=True)


class Empty(Contract):
    """A request or reply without content: `{}`."""


def new_id() -> str:
    """Return a fresh random id, 32 hexadecimal digits."""
    return uuid4().hex


def now() -> datetime:
    """Return this moment in UTC."""
    return datetime.now(UTC)

"""A tool call as the page shows it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from parley_contracts.messages import ToolPart, ToolStatus
from pydantic_core import from_json, to_json

MOST_GROWTH = 20
"""JSON that indenting makes longer by more than this stays as it came: deep nesting, no reading."""


@dataclass(frozen=True)
class ToolCall:
    """A tool call: running, waiting for the owner, or ended."""

    turn_id: str
    call_id: str
    name: str = ""
    arguments: str = ""
    status: Literal["running", "waiting"] | ToolStatus = "running"
    output: str = ""
    duration_ms: int = 0

    @classmethod
    def of(cls, part: ToolPart, turn_id: str) -> ToolCall:
        """Return the call that a stored message tells of."""
        return cls(
            turn_id=turn_id,
            call_id=part.call_id,
            name=part.name,
            arguments=part.arguments,
            status=part.status,
            output=part.output,
            duration_ms=part.duration_ms,
        )

    @property
    def id(self) -> str:
        """The element's id, the same while it runs and in the stored message."""
        return f"tool-{self.turn_id}-{self.call_id}"

    @property
    def pretty_arguments(self) -> str:
        """The arguments, indented when they are JSON."""
        return _pretty(self.arguments)

    @property
    def pretty_output(self) -> str:
        """The result, indented when it is JSON."""
        return _pretty(self.output)


def _pretty(text: str) -> str:
    if not text.lstrip().startswith(("{", "[")):
        return text
    try:
        pretty = to_json(from_json(text), indent=2).decode()
    except ValueError:
        return text
    return pretty if len(pretty) < MOST_GROWTH * len(text) else text

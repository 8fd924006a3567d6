"""The shape of a model: a request goes in, a stream of typed chunks comes out.

A stream yields text and reasoning as they come, then complete tool calls, then usage, then exactly
one FinishChunk. Anything else is a ModelError. Whoever stops reading early closes the stream
(`contextlib.aclosing`), which ends the work on the other side.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from parley_contracts.turns import ToolCall, Usage

ChatMessage = dict[str, Any]
"""A message as the chat completions format has it: role, content, tool_calls, …"""

KINDS: Mapping[str, str] = {
    "unreachable": "The model server does not answer.",
    "unauthorized": "The model server refuses the key.",
    "unknown-model": "The model server does not know this model.",
    "rate-limited": "The model server has too much to do.",
    "loading": "The model server is still loading the model.",
    "context-overflow": "The conversation is longer than the model can take.",
    "bad-request": "The model server refuses the request.",
    "server-error": "The model server failed.",
    "stalled": "The model server went silent.",
    "cut": "The model server broke the answer off.",
    "malformed": "The model server sent what is not an answer.",
}
"""Every way in which a model fails, by the kind that a failed turn shows."""

BEFORE_OUTPUT = frozenset(
    {
        "unreachable",
        "unauthorized",
        "unknown-model",
        "rate-limited",
        "loading",
        "context-overflow",
        "bad-request",
    }
)
"""Kinds that a server reports before it begins to answer."""

OWN_FAULT = frozenset({"context-overflow", "bad-request"})
"""Kinds that the conversation itself causes: another model is not asked in its place."""


class ModelError(Exception):
    """A model failed: `kind` is one of KINDS, `detail` one sentence with what to do.

    `retry_after` is how many seconds the server asks to be left alone, if it says so.
    """

    def __init__(self, kind: str, detail: str, *, retry_after: float | None = None) -> None:
        super().__init__(detail)
        self.kind = kind
        self.detail = detail
        self.retry_after = retry_after


def cut() -> ModelError:
    """Return the error of an answer that has no end."""
    return ModelError(
        "cut",
        "The model server broke the answer off before its end; try again, and look into its log "
        "if it happens again.",
    )


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a model is asked.

    `question` is the newest user message alone, as written. With `conclude` the model shall answer
    without calling any more tools. `parameters` go to the provider as they are.
    """

    model: str
    messages: Sequence[ChatMessage]
    question: str = ""
    tools: Sequence[Mapping[str, Any]] = ()
    conclude: bool = False
    parameters: Mapping[str, Any] = field(default_factory=dict)
    session: str = ""


@dataclass(frozen=True, slots=True)
class TextChunk:
    """The next piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class ReasoningChunk:
    """The next piece of what the model thinks aloud."""

    text: str


@dataclass(frozen=True, slots=True)
class LoadingChunk:
    """The server says that it loads the model; not part of the answer."""

    detail: str


@dataclass(frozen=True, slots=True)
class CallChunk:
    """A complete tool call."""

    call: ToolCall


@dataclass(frozen=True, slots=True)
class UsageChunk:
    """The tokens of this answer."""

    usage: Usage


@dataclass(frozen=True, slots=True)
class FinishChunk:
    """The end: `stop`, `tool_calls`, `length`, or what else the provider says."""

    reason: str


Chunk = TextChunk | ReasoningChunk | LoadingChunk | CallChunk | UsageChunk | FinishChunk


class Model(Protocol):
    """Something that answers requests."""

    def stream(self, request: ModelRequest) -> AsyncGenerator[Chunk, None]:
        """Yield the answer's chunks; raise ModelError. Closing it early cancels the request."""
        ...

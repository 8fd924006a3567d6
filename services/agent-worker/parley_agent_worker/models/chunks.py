"""Reads the chunks of a chat completions stream, in the dialects that servers really speak.

The SDK's own accumulators refuse llama-swap's loading chunks and tool deltas without an index, and
know no reasoning; this one takes decoded JSON and gives typed chunks.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from typing import Any

from parley_contracts.base import new_id
from parley_contracts.turns import ToolCall, Usage

from parley_agent_worker.models.base import (
    CallChunk,
    Chunk,
    FinishChunk,
    LoadingChunk,
    ReasoningChunk,
    UsageChunk,
    cut,
)
from parley_agent_worker.models.text_calls import TextCalls
from parley_agent_worker.text import Mender, sound

MOST_TOKENS = 100_000_000
"""More than any model reads or writes in an answer; some servers tell what no database can keep."""

Json = dict[str, Any]


@dataclass(slots=True)
class _Call:
    """A tool call that is still being written; some servers number them, some don't."""

    index: object
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)

    def finished(self) -> ToolCall:
        return ToolCall(
            id=sound(self.id) or f"call-{new_id()}",
            name=sound(self.name),
            arguments=sound("".join(self.arguments)),
        )


class ChunkReader:
    """Reads one answer: `read` each decoded chunk, then `end`. `tools` are the offered names."""

    def __init__(self, tools: Container[str] = ()) -> None:
        self._calls: list[_Call] = []
        self._usage: Usage | None = None
        self._finish: str | None = None
        self._text = Mender()
        self._text_calls = TextCalls(tools)
        self._reasoning = Mender()

    def read(self, raw: object) -> Iterator[Chunk]:
        """Yield what a decoded chunk brings at once: text, reasoning, a sign of loading."""
        if not isinstance(raw, dict):
            return
        if isinstance(usage := raw.get("usage"), dict):
            self._usage = _usage(usage)
        choices = raw.get("choices")
        if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
            return
        yield from self._read_choice(raw, choices[0])

    def _read_choice(self, raw: Json, choice: Json) -> Iterator[Chunk]:
        delta = choice.get("delta") or {}
        if "object" not in raw and "index" not in choice:
            yield LoadingChunk(sound(_reasoning(delta) or _text(delta)))
            return
        if reasoning := self._reasoning.feed(_reasoning(delta)):
            yield ReasoningChunk(reasoning)
        if text := self._text.feed(_text(delta)):
            yield from self._text_calls.feed(text)
        for call in delta.get("tool_calls") or ():
            self._read_call(call)
        self._finish = choice.get("finish_reason") or self._finish

    def _read_call(self, delta: Json) -> None:
        call = self._call_of(delta)
        function = delta.get("function") or {}
        call.name = call.name or function.get("name") or ""
        call.arguments.append(function.get("arguments") or "")

    def _call_of(self, delta: Json) -> _Call:
        """Return the call that a delta goes on with: by index, else by a new id, else the last."""
        index, call_id = delta.get("index"), delta.get("id") or ""
        if index is not None:
            known = next((each for each in self._calls if each.index == index), None)
        elif call_id and call_id not in {each.id for each in self._calls}:
            known = None
        else:
            known = self._calls[-1] if self._calls else None
        if known is None:
            known = _Call(index, call_id)
            self._calls.append(known)
        return known

    def end(self) -> Iterator[Chunk]:
        """Yield what is complete only now; a stream that told no reason to end was cut."""
        if self._finish is None:
            raise cut()
        yield from self._text_calls.feed(self._text.rest())
        yield from self._text_calls.rest()
        yield from (CallChunk(call.finished()) for call in self._calls)
        if self._usage:
            yield UsageChunk(self._usage)
        yield FinishChunk(self._finish)


def _text(delta: Json) -> str:
    text = delta.get("content") or delta.get("refusal")
    return text if isinstance(text, str) else ""


def _reasoning(delta: Json) -> str:
    text = delta.get("reasoning") or delta.get("reasoning_content")
    return text if isinstance(text, str) else ""


def _usage(usage: Json) -> Usage:
    read = usage.get("prompt_tokens_details") or {}
    written = usage.get("completion_tokens_details") or {}
    told = Usage(
        input_tokens=usage.get("prompt_tokens") or 0,
        output_tokens=usage.get("completion_tokens") or 0,
        cached_tokens=read.get("cached_tokens") or 0,
        reasoning_tokens=written.get("reasoning_tokens") or 0,
    )
    return Usage(**{name: max(0, min(count, MOST_TOKENS)) for name, count in told})

"""Tells the world what a turn does, as numbered events.

The pieces of text that one read of a socket yields become one delta: pieces are gathered, and the
flush is due as soon as the event loop is free again, which is when the reader waits for the socket.
No timer delays a word.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from parley_contracts.events import (
    ApprovalRequested,
    Event,
    ModelLoading,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnRestarted,
    TurnStarted,
)
from parley_contracts.turns import ResultStep, ToolCall, TurnGranted

Delta = type[TextDelta] | type[ReasoningDelta]


class Emitter:
    """The events of one attempt, in order; `last_number` is the newest one's number."""

    def __init__(self, publish: Callable[[Event], None], granted: TurnGranted) -> None:
        self._publish = publish
        self._granted = granted
        self._turn: dict[str, Any] = {
            "thread_id": granted.turn.thread_id,
            "turn_id": granted.turn.id,
            "attempt": granted.claim.attempt,
        }
        self._offsets: dict[Delta, int] = {TextDelta: 0, ReasoningDelta: 0}
        self._pieces: list[str] = []
        self._gathering: Delta = TextDelta
        self._flushing: asyncio.Handle | None = None
        self.last_number = -1

    def started(self, text: str, reasoning_length: int) -> None:
        """Open the attempt; `text` is what earlier attempts had said and recorded."""
        self._offsets = {TextDelta: len(text), ReasoningDelta: reasoning_length}
        message = self._granted.message
        opening: dict[str, Any] = {
            "agent_id": self._granted.agent.id,
            "message_id": message.id,
            "position": message.position,
        }
        if self._granted.claim.attempt > 1:
            self._emit(TurnRestarted, text=text, **opening)
        else:
            self._emit(TurnStarted, **opening)

    def loading(self, detail: str) -> None:
        """Say that the model is being loaded."""
        self._emit(ModelLoading, detail=detail)

    def text(self, piece: str) -> None:
        """Add to the answer."""
        self._gather(TextDelta, piece)

    def reasoning(self, piece: str) -> None:
        """Add to what the model thinks aloud."""
        self._gather(ReasoningDelta, piece)

    def tool_started(self, step: int, call: ToolCall) -> None:
        """Say that a tool runs."""
        self._emit(ToolStarted, **_of(step, call))

    def tool_finished(self, step: int, result: ResultStep) -> None:
        """Say what a tool came to."""
        self._emit(
            ToolFinished,
            step=step,
            call_id=result.call_id,
            name=result.name,
            output=result.output,
            status=result.status,
            duration_ms=result.duration_ms,
        )

    def approval_requested(self, step: int, call: ToolCall) -> None:
        """Ask the owner for a decision."""
        self._emit(ApprovalRequested, **_of(step, call))

    def flush(self) -> None:
        """Publish what was gathered."""
        if self._flushing:
            self._flushing.cancel()
            self._flushing = None
        if not self._pieces:
            return
        text = "".join(self._pieces)
        self._pieces.clear()
        offset = self._offsets[self._gathering]
        self._offsets[self._gathering] = offset + len(text)
        self._number_and_publish(self._gathering, offset=offset, text=text)

    def _gather(self, delta: Delta, piece: str) -> None:
        if delta is not self._gathering:
            self.flush()
            self._gathering = delta
        self._pieces.append(piece)
        if self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_soon(self.flush)

    def _emit(self, event: type[Event], **fields: Any) -> None:
        self.flush()
        self._number_and_publish(event, **fields)

    def _number_and_publish(self, event: type[Event], **fields: Any) -> None:
        self.last_number += 1
        self._publish(event(**self._turn, number=self.last_number, **fields))


def _of(step: int, call: ToolCall) -> dict[str, Any]:
    return {"step": step, "call_id": call.id, "name": call.name, "arguments": call.arguments}

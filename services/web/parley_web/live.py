"""What a running turn has said and done so far, read from the events of its thread (rule 23).

Deltas are nowhere but in the event stream until the turn ends, so whoever opens a thread in
mid-answer needs them folded. What was folded is kept: who asks again pays for what is new only.
`number` tells which events are in: later ones come by the stream, earlier are dropped.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from parley_bus import EventRecord, Events
from parley_contracts.base import Contract
from parley_contracts.events import (
    ApprovalRequested,
    MessageAccepted,
    ModelLoading,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnQueued,
    TurnRestarted,
    TurnStarted,
)
from parley_contracts.messages import ToolStatus
from parley_contracts.turns import Turn
from pydantic import ValidationError

MOST_TURNS = 16
"""Turns whose progress is kept; of more, that one goes which was asked for longest ago."""


Told = (
    MessageAccepted
    | TurnQueued
    | TurnStarted
    | TurnRestarted
    | ModelLoading
    | ReasoningDelta
    | TextDelta
    | ToolStarted
    | ToolFinished
    | ApprovalRequested
)
_TOLD: dict[str, type[Told]] = {each.model_fields["kind"].default: each for each in get_args(Told)}
"""The events of a turn that has not ended, by their kind."""


class ToolState(Contract):
    """A tool call of a running turn."""

    step: int
    call_id: str
    name: str
    arguments: str = ""
    status: ToolStatus | Literal["running", "waiting"]
    output: str = ""
    duration_ms: int | None = None


class RunningTurn(Turn):
    """An open turn with what it has said and done, up to the event `number` of `attempt`."""

    number: int | None = None
    text: str = ""
    reasoning: str = ""
    tools: tuple[ToolState, ...] = ()


class LiveTurns:
    """The progress of the turns that were asked for lately."""

    def __init__(self, events: Events) -> None:
        self._events = events
        self._known: OrderedDict[str, Progress] = OrderedDict()

    async def running(self, turn: Turn, *, after: int = 0) -> RunningTurn:
        """Return the turn with the progress that the events after a place tell.

        Raises Unavailable when the events cannot be read.
        """
        progress = self._progress_of(turn)
        async with progress.reading:
            after = max(after, progress.place)
            async for page in self._events.pages(thread_id=turn.thread_id, after=after):
                progress.take(page)
        return progress.shown(turn)

    def _progress_of(self, turn: Turn) -> Progress:
        progress = self._known.setdefault(turn.id, Progress(turn.id))
        self._known.move_to_end(turn.id)
        if len(self._known) > MOST_TURNS:
            self._known.popitem(last=False)
        return progress


class _Growing:
    """Text that grows by deltas, joined when it is asked for."""

    def __init__(self, text: str = "") -> None:
        self._pieces = [text]
        self._length = len(text)

    def take(self, offset: int, text: str) -> None:
        """Put the text after so many characters, in the place of what may follow them."""
        while self._length > offset:
            last = self._pieces.pop()
            self._length -= len(last)
            if self._length < offset:
                self._append(last[: offset - self._length])
        self._append(text)

    def _append(self, text: str) -> None:
        self._pieces.append(text)
        self._length += len(text)

    def __str__(self) -> str:
        return "".join(self._pieces)


@dataclass
class Progress:
    """One turn's progress, folded from the events of its thread."""

    turn_id: str
    place: int = 0
    """The sequence of the last event that was taken."""
    attempt: int = 0
    number: int | None = None
    text: _Growing = field(default_factory=_Growing)
    reasoning: _Growing = field(default_factory=_Growing)
    tools: dict[str, dict[str, Any]] = field(default_factory=dict)
    reading: asyncio.Lock = field(default_factory=asyncio.Lock)

    def take(self, records: Iterable[EventRecord]) -> None:
        """Take the events that come next."""
        for record in records:
            if told := _TOLD.get(record.kind):
                with suppress(ValidationError):  # what nobody can read hides nothing else
                    self._take(told.model_validate_json(record.payload))
            self.place = record.sequence

    def shown(self, turn: Turn) -> RunningTurn:
        """Return the turn with this progress."""
        told = {"attempt": self.attempt} if self.number is not None else {}
        return RunningTurn.model_validate(
            turn.model_dump()
            | {
                "number": self.number,
                "text": str(self.text),
                "reasoning": str(self.reasoning),
                "tools": tuple(self.tools.values()),
            }
            | told
        )

    def _take(self, event: Told) -> None:
        if event.turn_id != self.turn_id or event.attempt < self.attempt:
            return
        self.attempt, self.number = event.attempt, event.number
        self._apply(event)

    def _apply(self, event: Told) -> None:
        match event:
            case TurnRestarted():
                # The offset of the next delta cuts away what of the reasoning was not recorded.
                self.text = _Growing(event.text)
                self.tools = {key: tool for key, tool in self.tools.items() if _ended(tool)}
            case TextDelta():
                self.text.take(event.offset, event.text)
            case ReasoningDelta():
                self.reasoning.take(event.offset, event.text)
            case ToolStarted():
                self.tools[event.call_id] = event.model_dump() | {"status": "running"}
            case ToolFinished():
                self.tools[event.call_id] = self.tools.get(event.call_id, {}) | event.model_dump()
            case ApprovalRequested():
                self.tools[event.call_id] = event.model_dump() | {"status": "waiting"}


def _ended(tool: dict[str, Any]) -> bool:
    return tool["status"] not in ("running", "waiting")

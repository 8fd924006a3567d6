"""A running answer: the events of one turn, folded into segments that know what changed.

Events change the answer at once; what the page is told is gathered by `changes`, as often as its
reader can bear. Lower attempts and repeated numbers are dropped (rule 21).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import count
from typing import TypeVar

from parley_contracts.events import (
    ApprovalRequested,
    ModelLoading,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnRestarted,
    TurnStarted,
)

from parley_web.page import markup, patches
from parley_web.page.calls import ToolCall
from parley_web.page.patches import Patch
from parley_web.page.people import Person
from parley_web.page.segments import (
    ReasoningSegment,
    Segment,
    TextSegment,
    ToolSegment,
)

Progress = (
    TurnStarted
    | TurnRestarted
    | ModelLoading
    | TextDelta
    | ReasoningDelta
    | ToolStarted
    | ToolFinished
    | ApprovalRequested
)
"""The events that an answer is folded from."""

AnySegment = TypeVar("AnySegment", bound=Segment)


_NOTHING = -1


@dataclass
class Answer:
    """What an agent has said and done so far in one turn."""

    turn_id: str
    author: Person
    attempt: int = 0
    number: int = _NOTHING
    state: str = ""
    """What the agent is busy with, when that can be told."""
    segments: list[Segment] = field(default_factory=list)
    _shown: int = _NOTHING
    """How many segments the page has; nothing at all before `html`, and after a restart."""
    _shown_state: str = ""
    _keys: Iterator[int] = field(default_factory=count)
    _thought: int = 0
    """Characters of reasoning so far."""

    def apply(self, event: Progress) -> None:
        """Take an event, unless it was taken before or belongs to an attempt that is over."""
        if (event.attempt, event.number) <= (self.attempt, self.number):
            return
        self.attempt, self.number, self.state = event.attempt, event.number, ""
        match event:
            case TurnRestarted():
                self._go_on_from(event.text)
            case ModelLoading():
                self.state = event.detail or "Loading the model"
            case TextDelta():
                self._text().append(event.text)
            case ReasoningDelta():
                self._think(event.offset, event.text)
            case ToolStarted() | ToolFinished() | ApprovalRequested():
                self._tool(event)

    def html(self) -> str:
        """Return the whole article; `changes` go on from here."""
        self._shown, self._shown_state = len(self.segments), self.state
        body = "".join(segment.html() for segment in self.segments)
        return markup.answer(self.turn_id, self.author, self.state, body)

    def changes(self) -> list[Patch]:
        """Return what the page has to change since the last call."""
        if self._shown == _NOTHING:
            return [patches.replace(f"turn-{self.turn_id}", self.html())]
        made: list[Patch] = []
        for segment in self.segments[: self._shown]:
            made += segment.changes()
        for segment in self.segments[self._shown :]:
            made.append(patches.append(f"body-{self.turn_id}", segment.html()))
        self._shown = len(self.segments)
        if self.state != self._shown_state:
            self._shown_state = self.state
            line = markup.working(self.turn_id, self.state)
            made.append(patches.replace(f"working-{self.turn_id}", line))
        return made

    def _go_on_from(self, text: str) -> None:
        """Go on with this text and all that is done; what of the rest was not recorded is cut.

        Which part of the reasoning that is, tells the offset of the next delta.
        """
        former, self.segments, self._shown = self.segments, [], _NOTHING
        for segment in former:
            match segment:
                case ToolSegment() if segment.call.status not in ("running", "waiting"):
                    self._begin(ToolSegment(segment.call))
                case ReasoningSegment():
                    self._reasoning().append(segment.text)
                case TextSegment() if text:
                    length = len(segment.text)
                    self._text().append(text[:length])
                    text = text[length:]
        if text:
            self._text().append(text)

    def _think(self, offset: int, text: str) -> None:
        """Put reasoning after so many characters, in the place of what may follow them."""
        if offset < self._thought:
            self._forget_thoughts(offset)
        self._reasoning().append(text)
        self._thought += len(text)

    def _forget_thoughts(self, offset: int) -> None:
        """Keep so many characters of the reasoning."""
        former, self.segments, self._shown = self.segments, [], _NOTHING
        self._thought = offset
        for segment in former:
            if not isinstance(segment, ReasoningSegment):
                self._begin(segment)
            elif kept := segment.text[:offset]:
                self._reasoning().append(kept)
                offset -= len(kept)

    def _text(self) -> TextSegment:
        last = self.segments[-1] if self.segments else None
        if isinstance(last, TextSegment):
            return last
        return self._begin(TextSegment(self._key()))

    def _reasoning(self) -> ReasoningSegment:
        last = self.segments[-1] if self.segments else None
        if isinstance(last, ReasoningSegment):
            return last
        return self._begin(ReasoningSegment(self._key()))

    def _tool(self, event: ToolStarted | ToolFinished | ApprovalRequested) -> None:
        segment = self._call(event.call_id)
        match event:
            case ToolFinished():
                ended = event.model_dump(include={"name", "output", "status", "duration_ms"})
                segment.call = replace(segment.call, **ended)
            case _:
                segment.call = replace(
                    segment.call,
                    name=event.name,
                    arguments=event.arguments,
                    status="running" if isinstance(event, ToolStarted) else "waiting",
                )

    def _call(self, call_id: str) -> ToolSegment:
        for segment in self.segments:
            if isinstance(segment, ToolSegment) and segment.call.call_id == call_id:
                return segment
        return self._begin(ToolSegment(ToolCall(self.turn_id, call_id)))

    def _begin(self, segment: AnySegment) -> AnySegment:
        if self.segments:
            self.segments[-1].settle()
        self.segments.append(segment)
        return segment

    def _key(self) -> str:
        return f"{self.turn_id}-{next(self._keys)}"

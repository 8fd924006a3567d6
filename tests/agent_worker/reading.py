"""What tests read from a turn's events, and what they let the fake model call."""

from __future__ import annotations

from fakes.answers import Json
from parley_contracts.events import Event, MessageReady, TextDelta, TurnFailed
from parley_contracts.messages import Message


def kinds(events: list[Event]) -> list[str]:
    """Return the events' kinds."""
    return [event.kind for event in events]


def answered(events: list[Event]) -> Message:
    """Return the answer of a completed turn."""
    closing = events[-1]
    assert isinstance(closing, MessageReady), closing
    return closing.message


def failed(events: list[Event]) -> TurnFailed:
    """Return the end of a failed turn."""
    closing = events[-1]
    assert isinstance(closing, TurnFailed), closing
    return closing


def calls(*wishes: tuple[str, str, str]) -> Json:
    """Return the fake model's action of calling tools: id, name and arguments of each."""
    return {"calls": [{"id": i, "name": n, "arguments": a} for i, n, a in wishes]}


def said(events: list[Event]) -> str:
    """Return the text of the deltas, joined."""
    return "".join(event.text for event in events if isinstance(event, TextDelta))

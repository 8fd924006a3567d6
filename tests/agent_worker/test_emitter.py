"""Events of an attempt: numbered without a gap, with offsets, joined as the socket brought them."""

from __future__ import annotations

import asyncio

import pytest
from agent_worker.grants import granted
from parley_agent_worker.emitter import Emitter
from parley_contracts.events import Event, ReasoningDelta, TextDelta, TurnRestarted, TurnStarted
from parley_contracts.turns import ToolCall

CALL = ToolCall(id="c", name="x", arguments="{}")


@pytest.fixture
def events() -> list[Event]:
    return []


@pytest.fixture
def emitter(events: list[Event]) -> Emitter:
    return Emitter(events.append, granted())


def spoken(events: list[Event]) -> list[tuple[str, int, str]]:
    return [
        (event.kind, event.offset, event.text)
        for event in events
        if isinstance(event, TextDelta | ReasoningDelta)
    ]


async def test_rule_24_what_one_read_brings_is_one_delta(
    emitter: Emitter, events: list[Event]
) -> None:
    for piece in ("one ", "two ", "three "):
        emitter.text(piece)
    assert spoken(events) == []
    await asyncio.sleep(0)
    emitter.text("four")
    await asyncio.sleep(0)
    assert spoken(events) == [("text_delta", 0, "one two three "), ("text_delta", 14, "four")]


async def test_rule_24_pieces_that_come_one_by_one_are_not_held_back(
    emitter: Emitter, events: list[Event]
) -> None:
    for piece in "abc":
        emitter.text(piece)
        await asyncio.sleep(0)
    assert spoken(events) == [
        ("text_delta", 0, "a"),
        ("text_delta", 1, "b"),
        ("text_delta", 2, "c"),
    ]


async def test_rule_21_events_are_numbered_from_0_without_a_gap(
    emitter: Emitter, events: list[Event]
) -> None:
    emitter.started("", 0)
    emitter.loading("42 %")
    emitter.reasoning("hm")
    emitter.text("a")
    emitter.tool_started(0, CALL)
    emitter.approval_requested(0, CALL)
    emitter.text("b")
    emitter.flush()
    assert [event.kind for event in events] == [
        "turn_started",
        "model_loading",
        "reasoning_delta",
        "text_delta",
        "tool_started",
        "approval_requested",
        "text_delta",
    ]
    assert [event.number for event in events] == list(range(7))
    assert emitter.last_number == 6
    assert {(event.turn_id, event.thread_id, event.attempt) for event in events} == {("u", "t", 1)}


async def test_rule_21_offsets_count_the_characters_before(
    emitter: Emitter, events: list[Event]
) -> None:
    for piece in ("👩‍🚀", "é"):
        emitter.text(piece)
        emitter.flush()
    emitter.reasoning("x")
    emitter.flush()
    assert spoken(events) == [
        ("text_delta", 0, "👩‍🚀"),
        ("text_delta", 3, "é"),
        ("reasoning_delta", 0, "x"),
    ]


async def test_a_first_attempt_starts(emitter: Emitter, events: list[Event]) -> None:
    emitter.started("", 0)
    (event,) = events
    assert isinstance(event, TurnStarted)
    assert (event.message_id, event.agent_id, event.position) == ("m", "a", 1)


async def test_a_later_attempt_restarts_with_what_was_recorded(events: list[Event]) -> None:
    emitter = Emitter(events.append, granted(attempt=2))
    emitter.started("so far", 2)
    emitter.text("more")
    emitter.reasoning("hm")
    emitter.flush()
    assert isinstance(events[0], TurnRestarted)
    assert events[0].text == "so far"
    assert spoken(events) == [("text_delta", 6, "more"), ("reasoning_delta", 2, "hm")]

"""A running turn's progress, folded from its events (rule 23)."""

from __future__ import annotations

from parley_bus import Bus, EventRecord, Events, make_topology, remove_stream
from parley_contracts.base import now
from parley_contracts.events import (
    ApprovalRequested,
    Event,
    ReasoningDelta,
    TextDelta,
    ToolFinished,
    ToolStarted,
    TurnCancelled,
    TurnRestarted,
    TurnStarted,
)
from parley_contracts.subjects import EVENTS
from parley_contracts.turns import Turn
from parley_web.live import LiveTurns, Progress, RunningTurn

TURN = Turn(
    id="turn",
    thread_id="t",
    message_id="m",
    agent_id="a",
    status="open",
    attempt=1,
    created_at=now(),
)
_PLACE = {"thread_id": "t", "turn_id": "turn"}


def told(*events: Event) -> RunningTurn:
    records = [
        EventRecord(place, event.thread_id, event.kind, event.encode())
        for place, event in enumerate(events)
    ]
    progress = Progress(TURN.id)
    progress.take(records)
    return progress.shown(TURN)


def started(attempt: int = 1) -> TurnStarted:
    return TurnStarted(
        **_PLACE, attempt=attempt, number=0, agent_id="a", message_id="m", position=1
    )


def delta(number: int, offset: int, text: str, attempt: int = 1) -> TextDelta:
    return TextDelta(**_PLACE, attempt=attempt, number=number, offset=offset, text=text)


def test_text_and_reasoning_are_the_joined_deltas() -> None:
    thought = ReasoningDelta(**_PLACE, attempt=1, number=1, offset=0, text="hm 🤔")
    running = told(started(), thought, delta(2, 0, "Grüße, "), delta(3, 7, "👋🏽 Welt"))
    assert (running.text, running.reasoning) == ("Grüße, 👋🏽 Welt", "hm 🤔")
    assert (running.attempt, running.number) == (1, 3)


def test_without_events_the_turn_is_shown_as_the_gateway_knows_it() -> None:
    assert told() == RunningTurn.model_validate(TURN.model_dump())


def test_rule_21_lower_attempts_and_other_turns_are_dropped() -> None:
    restarted = TurnRestarted(
        **_PLACE, attempt=2, number=0, agent_id="a", message_id="m", position=1, text="kept "
    )
    foreign = TextDelta(thread_id="t", turn_id="x", attempt=9, number=9, offset=0, text="x")
    running = told(
        started(),
        delta(1, 0, "kept lost"),
        restarted,
        delta(2, 9, " zombie"),
        foreign,
        delta(1, 5, "new", attempt=2),
    )
    assert (running.text, running.attempt, running.number) == ("kept new", 2, 1)


def test_a_repeated_delta_changes_nothing() -> None:
    assert told(delta(1, 0, "ab"), delta(2, 2, "cd"), delta(2, 2, "cd")).text == "abcd"


def test_a_delta_takes_the_place_of_what_followed_its_offset() -> None:
    assert told(delta(1, 0, "abc"), delta(2, 3, "def"), delta(3, 2, "xyz")).text == "abxyz"


async def test_what_was_folded_once_is_not_read_again(gateway_bus: Bus, web_bus: Bus) -> None:
    written, live = Events(gateway_bus), LiveTurns(Events(web_bus))
    for event in (started(), delta(1, 0, "one "), delta(2, 4, "two ")):
        await written.publish(event)
    assert (await live.running(TURN)).text == "one two "
    await remove_stream(gateway_bus, EVENTS.name)
    await make_topology(gateway_bus)
    await written.publish(delta(3, 8, "three"))
    assert (await live.running(TURN)).text == "one two three"


def test_tools_show_their_state() -> None:
    def start(call: str, number: int) -> ToolStarted:
        return ToolStarted(
            **_PLACE, attempt=1, number=number, step=1, call_id=call, name="add", arguments="{}"
        )

    finished = ToolFinished(
        **_PLACE,
        attempt=1,
        number=3,
        step=1,
        call_id="one",
        name="add",
        output="42",
        status="ok",
        duration_ms=5,
    )
    asks = ApprovalRequested(
        **_PLACE, attempt=1, number=4, step=1, call_id="three", name="send", arguments="{}"
    )
    running = told(start("one", 1), start("two", 2), finished, asks)
    states = {tool.call_id: tool.status for tool in running.tools}
    assert states == {"one": "ok", "two": "running", "three": "waiting"}
    assert (running.tools[0].arguments, running.tools[0].output) == ("{}", "42")


def test_a_restart_keeps_finished_tools_only() -> None:
    begun = ToolStarted(
        **_PLACE, attempt=1, number=1, step=1, call_id="c", name="add", arguments="{}"
    )
    restarted = TurnRestarted(
        **_PLACE, attempt=2, number=0, agent_id="a", message_id="m", position=1
    )
    assert told(begun, restarted).tools == ()


def test_a_restart_keeps_the_reasoning_up_to_where_it_goes_on() -> None:
    def thought(attempt: int, number: int, offset: int, text: str) -> ReasoningDelta:
        return ReasoningDelta(**_PLACE, attempt=attempt, number=number, offset=offset, text=text)

    restarted = TurnRestarted(
        **_PLACE, attempt=2, number=0, agent_id="a", message_id="m", position=1
    )
    events = [started(), thought(1, 1, 0, "recorded, lost"), restarted]
    assert told(*events).reasoning == "recorded, lost"
    assert told(*events, thought(2, 1, 10, "new")).reasoning == "recorded, new"


def test_rule_23_a_closing_event_is_left_to_the_stream() -> None:
    closed = TurnCancelled(**_PLACE, attempt=1, number=2)
    running = told(started(), delta(1, 0, "so far"), closed)
    assert (running.text, running.number) == ("so far", 1)

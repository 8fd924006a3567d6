"""Who runs a turn: the fence, leases, takeovers, and what an attempt is given."""

from __future__ import annotations

from typing import Any

import pytest
from gateway_store import Store
from parley_bus.server_config import MAX_PAYLOAD
from parley_contracts import operations as op
from parley_contracts.agents import UpdateAgent
from parley_contracts.errors import Conflict
from parley_contracts.threads import ImportMessage, ImportThread, ThreadRef
from parley_contracts.turns import (
    AnswerStep,
    Beat,
    BeginTurn,
    CancelTurn,
    Claim,
    DecideTurn,
    ReadHistory,
    RecordStep,
    ReleaseTurn,
    ResultStep,
    RetryTurn,
    Step,
    ToolCall,
    TurnBusy,
    TurnGranted,
    TurnOver,
)
from parley_gateway.store import agents, claims, imports, stopping, threads, turns, views
from parley_gateway.store.claims import LEASE_S


async def test_a_granted_turn_has_everything_that_an_attempt_needs(store: Store) -> None:
    await store.exchange("first", "answer one")
    accepted = await store.send("second", agent_id="echo")
    granted = await store.begin(accepted.turn.id)
    assert [message.text for message in granted.history] == ["first", "answer one", "second"]
    assert granted.history[-1].id == granted.message.id
    assert granted.message.position == 3
    assert granted.agent.handle == "echo"
    assert granted.agents["parley"] == "Parley"
    assert granted.claim == Claim(turn_id=accepted.turn.id, attempt=1, claim="claim")
    assert (granted.history_before, granted.steps, granted.decisions) == (None, (), {})
    assert granted.untitled


async def test_rule_5_the_same_claim_again_gets_the_same_attempt(store: Store) -> None:
    turn = (await store.send()).turn
    first = await store.begin(turn.id, "mine")
    assert await store.begin(turn.id, "mine") == first


async def test_rule_5_a_repeated_finish_gets_its_first_result(store: Store) -> None:
    claim = (await store.begin((await store.send()).turn.id)).claim
    first = await store.finish(claim, "said")
    assert await store.finish(claim, "said") == first
    assert await store.texts() == ["question", "said"]


async def test_rule_5_a_stale_claim_is_refused_everywhere(store: Store) -> None:
    turn = (await store.send()).turn
    old = (await store.begin(turn.id, "zombie")).claim
    store.clock.advance(LEASE_S + 1)
    new = (await store.begin(turn.id, "living")).claim
    assert new.attempt == 2
    step = AnswerStep(number=0, text="late")
    with pytest.raises(Conflict, match="no longer holds"):
        await store.run(claims.record_step, RecordStep(claim=old, step=step))
    with pytest.raises(Conflict, match="no longer holds"):
        await store.run(claims.release, ReleaseTurn(claim=old))
    with pytest.raises(Conflict, match="no longer holds"):
        await store.finish(old, "the zombie speaks")
    await store.finish(new, "the living speaks")
    with pytest.raises(Conflict, match="no longer holds"):
        await store.finish(old, "the zombie speaks")
    assert await store.texts() == ["question", "the living speaks"]


@pytest.mark.parametrize("half", [{"attempt": 2}, {"claim": "another"}])
async def test_rule_5_half_of_the_fence_is_not_enough(store: Store, half: dict[str, Any]) -> None:
    claim = (await store.begin((await store.send()).turn.id)).claim
    forged = claim.model_copy(update=half)
    with pytest.raises(Conflict, match="no longer holds"):
        await store.finish(forged)
    step = RecordStep(claim=forged, step=AnswerStep(number=0))
    with pytest.raises(Conflict, match="no longer holds"):
        await store.run(claims.record_step, step)
    reply = await store.run(claims.beat, Beat(worker_id="w", claims=(forged,)))
    assert reply.lost == (claim.turn_id,)


async def test_rule_6_a_fresh_lease_of_another_answers_busy(store: Store) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id, "mine")
    store.clock.advance(4)
    busy = await store.try_begin(turn.id, "yours")
    assert isinstance(busy, TurnBusy)
    assert busy.retry_s == pytest.approx(6, abs=0.1)


async def test_rule_6_beats_keep_a_lease(store: Store) -> None:
    claim = (await store.begin((await store.send()).turn.id, "mine")).claim
    for _ in range(5):
        store.clock.advance(LEASE_S - 1)
        reply = await store.run(claims.beat, Beat(worker_id="w", claims=(claim,)))
        assert reply.held == (claim.turn_id,)
    assert isinstance(await store.try_begin(claim.turn_id, "yours"), TurnBusy)


async def test_rule_6_a_beat_tells_what_was_lost(store: Store) -> None:
    turn = (await store.send()).turn
    old = (await store.begin(turn.id, "zombie")).claim
    store.clock.advance(LEASE_S + 1)
    await store.begin(turn.id, "living")
    reply = await store.run(claims.beat, Beat(worker_id="w", claims=(old,)))
    assert (reply.held, reply.lost) == ((), (turn.id,))


async def test_rule_6_nobody_is_taken_over_right_after_the_gateways_own_start(
    store: Store,
) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id, "mine")
    store.clock.advance(LEASE_S + 1)
    started = store.clock()
    reply = await store.try_begin(turn.id, "yours", started + int(LEASE_S * 1e6))
    assert isinstance(reply, TurnBusy)
    assert reply.retry_s == pytest.approx(LEASE_S, abs=0.1)


async def test_rule_7_later_attempts_see_the_same_agent_and_history(store: Store) -> None:
    turn = (await store.send("one", agent_id="echo")).turn
    first = await store.begin(turn.id, "first")
    await store.run(agents.change, UpdateAgent(id="echo", revision=1, name="Changed"))
    await store.send("two")
    store.clock.advance(LEASE_S + 1)
    second = await store.begin(turn.id, "second")
    assert second.agent == first.agent
    assert second.history == first.history
    await store.finish(second.claim)
    later = (await store.send("three", agent_id="echo")).turn
    assert (await store.view()).thread.queued == 1
    await store.answer((await store.view()).thread.open_turn or "")
    assert (await store.begin(later.id)).agent.name == "Changed"


async def test_rule_7_an_answer_that_is_tried_again_is_no_part_of_its_own_history(
    store: Store,
) -> None:
    turn = (await store.send("one")).turn
    first = await store.begin(turn.id)
    await store.finish(first.claim, "half", outcome="failed")
    again = await store.run(turns.retry, RetryTurn(id=turn.id))
    assert (await store.begin(again.id)).history == first.history


async def test_rule_8_the_third_lost_worker_fails_the_turn_and_the_thread_goes_on(
    store: Store,
) -> None:
    turn = (await store.send("poison")).turn
    waiting = (await store.send("next")).turn
    for attempt in range(3):
        assert isinstance(await store.try_begin(turn.id, f"claim{attempt}"), TurnGranted)
        store.clock.advance(LEASE_S + 1)
    assert isinstance(await store.try_begin(turn.id, "fourth"), TurnOver)
    view = await store.view()
    assert [message.status for message in view.messages] == ["complete", "failed"]
    failure = view.messages[-1].error
    assert failure is not None
    assert failure.kind == "worker-lost"
    assert view.thread.open_turn == waiting.id
    assert store.last_event("turn_failed").error == failure


async def test_rule_8_a_new_step_starts_the_count_anew(store: Store) -> None:
    turn = (await store.send()).turn
    for attempt in range(6):
        granted = await store.try_begin(turn.id, f"claim{attempt}")
        assert isinstance(granted, TurnGranted)
        step = AnswerStep(number=attempt, text=f"step {attempt}")
        await store.run(claims.record_step, RecordStep(claim=granted.claim, step=step))
        store.clock.advance(LEASE_S + 1)
    assert isinstance(await store.try_begin(turn.id, "one-more"), TurnGranted)


async def test_rule_8_an_orderly_release_never_counts(store: Store) -> None:
    turn = (await store.send()).turn
    for attempt in range(6):
        claim = (await store.begin(turn.id, f"claim{attempt}")).claim
        await store.run(claims.release, ReleaseTurn(claim=claim, slot_sequence=7))
        change = store.effects[-1].slots["t"]
        assert change.free == 7
        assert change.put == await store.slot(turn.id)
    assert (await store.begin(turn.id, "last")).claim.attempt == 7


async def test_rule_8_waiting_for_the_owner_never_counts(store: Store) -> None:
    turn = (await store.send()).turn
    calls = tuple(ToolCall(id=f"call-{number}", name="post", arguments="{}") for number in range(4))
    claim = (await store.begin(turn.id)).claim
    answer = AnswerStep(number=0, calls=calls)
    await store.run(claims.record_step, RecordStep(claim=claim, step=answer))
    await store.finish(claim, outcome="waiting")
    for call in calls[:3]:
        decision = DecideTurn(id=turn.id, step=call.id, decision="allow")
        await store.run(turns.decide, decision)
        claim = (await store.begin(turn.id, call.id)).claim
        await store.finish(claim, outcome="waiting")
    assert await store.rows("SELECT takeovers, attempt FROM turns") == [(0, 4)]


async def test_rule_9_an_older_dispatch_number_is_over(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await store.run(claims.release, ReleaseTurn(claim=claim))
    assert isinstance(await store.try_begin(turn.id, "late", dispatch_no=1), TurnOver)
    assert isinstance(await store.try_begin(turn.id, "right", dispatch_no=2), TurnGranted)


async def test_rule_13_a_later_attempt_gets_the_recorded_steps(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    call = ToolCall(id="c1", name="calculator", arguments='{"expression": "6*7"}')
    answer = AnswerStep(number=0, text="Let me see.", calls=(call,))
    result = ResultStep(number=1, call_id="c1", name="calculator", output="42", status="ok")
    for step in (answer, result, answer):
        await store.run(claims.record_step, RecordStep(claim=claim, step=step))
    store.clock.advance(LEASE_S + 1)
    assert (await store.begin(turn.id, "next")).steps == (answer, result)


async def test_begin_answers_over_for_what_is_finished_or_gone(store: Store) -> None:
    done = (await store.exchange("question")).turn
    assert isinstance(await store.try_begin(done.id), TurnOver)
    assert isinstance(await store.try_begin("nothing", dispatch_no=1), TurnOver)


async def test_rule_17_begin_answers_gone_in_a_deleted_thread(store: Store) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id)
    await store.run(threads.delete, ThreadRef(id="t"))
    reply = await store.try_begin(turn.id, "late")
    assert isinstance(reply, TurnOver)
    assert "gone" in reply.reason


async def test_a_history_that_is_too_large_comes_in_pages(store: Store) -> None:
    long = "x" * 900_000
    for number in range(8):
        await store.exchange(f"q{number}", long)
    turn = (await store.send("last")).turn
    granted = await store.begin(turn.id)
    assert granted.history_before is not None
    assert sum(len(message.text) for message in granted.history) < 4_000_000
    positions = [message.position for message in granted.history]
    before: int | None = granted.history_before
    while before is not None:
        request = ReadHistory(claim=granted.claim, before=before)
        page = op.TURNS_HISTORY.decode(await store.query(views.read_history, request))
        positions = [message.position for message in page.messages] + positions
        before = page.before
    assert positions == list(range(1, 18))


async def begin_with_steps(store: Store, characters: int) -> Claim:
    """Begin a turn and record four calls whose results have so many characters together."""
    claim = (await store.begin((await store.send("a long one", "i")).turn.id)).claim
    calls = tuple(ToolCall(id=f"c{number}", name="read", arguments="{}") for number in range(4))
    steps: list[Step] = [AnswerStep(number=0, text="I read.", calls=calls)]
    for number, call in enumerate(calls, start=1):
        output = "字" * (characters // len(calls))
        steps.append(
            ResultStep(number=number, call_id=call.id, name="read", output=output, status="ok")
        )
    for step in steps:
        await store.run(claims.record_step, RecordStep(claim=claim, step=step))
    return claim


async def import_long(store: Store, count: int, characters: int) -> None:
    """Import a thread `i` of so many long messages."""
    page = (ImportMessage(role="user", text="x" * characters),) * count
    await store.run(imports.take_page, ImportThread(id="i", messages=page))


async def test_what_an_attempt_is_given_fits_into_one_message(store: Store) -> None:
    await import_long(store, count=50, characters=90_000)
    claim = await begin_with_steps(store, characters=2_000_000)
    await store.run(claims.release, ReleaseTurn(claim=claim))
    slot = await store.slot(claim.turn_id)
    command = BeginTurn(**vars(slot), claim="next", worker_id="w")
    reply = await store.run(claims.begin, command, no_takeover_before=0)
    assert len(reply) < MAX_PAYLOAD
    granted = op.TURNS_BEGIN.decode(reply)
    assert isinstance(granted, TurnGranted)
    assert len(granted.history) == 1


async def test_a_turn_with_too_much_to_go_on_with_fails_and_says_so(store: Store) -> None:
    await import_long(store, count=1, characters=10)
    claim = await begin_with_steps(store, characters=2_800_000)
    following = (await store.send("next", "i")).turn
    await store.run(claims.release, ReleaseTurn(claim=claim))
    assert isinstance(await store.try_begin(claim.turn_id, "next"), TurnOver)
    view = await store.view("i")
    assert len(view.encode()) < MAX_PAYLOAD
    assert view.thread.open_turn == following.id
    failed = view.messages[-1]
    assert (failed.text, failed.status, len(failed.notes)) == ("I read.", "failed", 1)
    assert failed.error is not None
    assert failed.error.kind == "too-large"


async def test_a_thread_can_be_opened_whatever_its_tools_returned(store: Store) -> None:
    await import_long(store, count=1, characters=10)
    claim = await begin_with_steps(store, characters=2_800_000)
    await store.run(stopping.cancel, CancelTurn(id=claim.turn_id))
    await store.run(stopping.close_overdue, claim.turn_id, 1, "I read. And", whole=True)
    view = await store.view("i")
    assert len(view.encode()) < MAX_PAYLOAD
    assert view.messages[-1].text == "I read. And"
    assert "too large" in view.messages[-1].notes[0]


async def test_waiting_messages_are_shown_where_a_long_message_leaves_room(store: Store) -> None:
    await import_long(store, count=1, characters=7_000_000)
    for number in range(20):
        await store.send(f"{number} " + "x" * 99_000, "i")
    assert len((await store.view("i", before=2)).encode()) < MAX_PAYLOAD

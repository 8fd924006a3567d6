"""Stop tells the truth (rule 16), and waiting for the owner (rule 15)."""

from __future__ import annotations

import pytest
from gateway_store import Store
from parley_contracts.errors import Conflict, Invalid, NotFound
from parley_contracts.messages import ToolPart
from parley_contracts.threads import ThreadRef
from parley_contracts.turns import (
    AnswerStep,
    Beat,
    CancelTurn,
    Claim,
    DecideTurn,
    RecordStep,
    ResultStep,
    Step,
    ToolCall,
    Turn,
    TurnGranted,
    TurnOver,
)
from parley_gateway.store import claims, stopping, threads, turns
from parley_gateway.store.dispatching import OVERDUE
from parley_gateway.store.stopping import GRACE_US

CALL = ToolCall(id="call-1", name="send_mail", arguments="{}")
SECOND = ToolCall(id="call-2", name="send_mail", arguments="{}")
SENT = ResultStep(number=1, call_id="call-1", name="send_mail", output="sent", status="ok")


async def cancel(store: Store, turn_id: str) -> Turn:
    return await store.run(stopping.cancel, CancelTurn(id=turn_id))


async def record(store: Store, claim: Claim, step: Step) -> None:
    await store.run(claims.record_step, RecordStep(claim=claim, step=step))


async def suspend(store: Store, claim: Claim) -> Turn:
    await record(store, claim, AnswerStep(number=0, text="May I?", calls=(CALL,)))
    return await store.finish(claim, "", outcome="waiting", slot_sequence=5)


async def decide(
    store: Store, turn_id: str, decision: str = "allow", step: int | str = "call-1"
) -> Turn:
    command = DecideTurn.model_validate({"id": turn_id, "step": step, "decision": decision})
    return await store.run(turns.decide, command)


async def test_rule_16_stop_marks_a_running_turn_and_pauses_the_queue(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await store.send("waits")
    assert (await cancel(store, turn.id)).status == "cancelling"
    assert store.effects[-1].stops == [turn.id]
    reply = await store.run(claims.beat, Beat(worker_id="w", claims=(claim,)))
    assert reply.cancelling == (turn.id,)
    thread = (await store.view()).thread
    assert (thread.paused, thread.queued) == (True, 1)


async def test_rule_16_a_completed_finish_after_stop_is_stored_as_stopped(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await store.send("waits")
    await cancel(store, turn.id)
    finished = await store.finish(claim, "the whole answer", last_number=12)
    assert finished.status == "cancelled"
    view = await store.view()
    assert (view.messages[-1].text, view.messages[-1].status) == ("the whole answer", "stopped")
    assert (view.thread.open_turn, view.thread.queued) == (None, 1)
    closing = store.last_event("turn_cancelled")
    assert (closing.attempt, closing.number) == (1, 13)
    await store.run(threads.resume, ThreadRef(id="t"))
    assert (await store.view()).thread.open_turn is not None


async def test_rule_16_stop_after_the_finish_is_a_conflict(store: Store) -> None:
    turn = (await store.exchange("question")).turn
    with pytest.raises(Conflict, match="already finished"):
        await cancel(store, turn.id)


async def test_rule_16_a_repeated_stop_gets_the_same_answer(store: Store) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id)
    assert (await cancel(store, turn.id)).status == "cancelling"
    assert (await cancel(store, turn.id)).status == "cancelling"


async def test_rule_16_a_turn_that_no_worker_has_is_stopped_at_once(store: Store) -> None:
    turn = (await store.send("never begun")).turn
    assert (await cancel(store, turn.id)).status == "cancelled"
    view = await store.view()
    assert [message.position for message in view.messages] == [1, 2]
    assert (view.messages[1].text, view.messages[1].status) == ("", "stopped")
    assert isinstance(await store.try_begin(turn.id), TurnOver)


async def test_rule_16_a_waiting_turn_is_stopped_at_once(store: Store) -> None:
    turn = (await store.send()).turn
    await suspend(store, (await store.begin(turn.id)).claim)
    assert (await cancel(store, turn.id)).status == "cancelled"
    message = (await store.view()).messages[-1]
    assert message.text == "May I?"
    [call] = [part for part in message.parts if isinstance(part, ToolPart)]
    assert (call.name, call.arguments, call.status) == ("send_mail", "{}", "cancelled")


async def test_rule_16_a_queued_turn_is_taken_back(store: Store) -> None:
    first = (await store.send("one")).turn
    second = (await store.send("two")).turn
    assert (await cancel(store, second.id)).status == "cancelled"
    await store.answer(first.id)
    assert await store.texts() == ["one", "answer"]
    assert not (await store.view()).thread.paused


async def test_rule_16_without_a_finish_the_gateway_ends_the_turn(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await store.run(
        claims.record_step, RecordStep(claim=claim, step=AnswerStep(number=0, text="One."))
    )
    await cancel(store, turn.id)
    before = store.clock() + 1
    store.clock.advance(GRACE_US / 1e6)
    async with store.database.reading() as connection:
        parameters = {"before": before}
        overdue = (await connection.execute(OVERDUE.clause, parameters)).all()
    assert [tuple(row) for row in overdue] == [(turn.id, "t", 1)]
    await store.run(stopping.close_overdue, turn.id, 1, "One.\n\nTwo, cut of", whole=True)
    last = (await store.view()).messages[-1]
    assert (last.text, last.status, last.error) == ("One.\n\nTwo, cut of", "stopped", None)
    assert len(last.parts) == 2
    with pytest.raises(Conflict, match="no longer holds"):
        await store.finish(claim, "too late")


async def test_rule_16_missing_text_is_said_to_be_missing(store: Store) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id)
    await cancel(store, turn.id)
    await store.run(stopping.close_overdue, turn.id, 1, "", whole=False)
    error = (await store.view()).messages[-1].error
    assert error is not None
    assert error.kind == "text-missing"


async def test_rule_16_a_finish_that_comes_first_wins(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await cancel(store, turn.id)
    await store.finish(claim, "in time")
    await store.run(stopping.close_overdue, turn.id, 1, "the sweeper's", whole=True)
    assert await store.texts() == ["question", "in time"]


async def test_rule_16_a_worker_that_heard_of_stop_first_pauses_the_queue_too(
    store: Store,
) -> None:
    claim = (await store.begin((await store.send()).turn.id)).claim
    await store.send("waits")
    await store.finish(claim, "half", outcome="cancelled")
    thread = (await store.view()).thread
    assert (thread.paused, thread.open_turn) == (True, None)


async def test_rule_16_a_failed_turn_lets_the_queue_go_on(store: Store) -> None:
    claim = (await store.begin((await store.send()).turn.id)).claim
    following = (await store.send("next")).turn
    error = {"kind": "model-down", "detail": "The model does not answer; start it."}
    await store.finish(claim, "half", outcome="failed", error=error)
    view = await store.view()
    assert view.thread.open_turn == following.id
    assert view.messages[-1].status == "failed"
    assert view.turns[-1].error == view.messages[-1].error


async def test_rule_15_a_suspended_turn_holds_no_worker_but_its_thread(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await store.send("waits")
    assert (await suspend(store, claim)).status == "waiting"
    assert store.effects[-1].slots["t"].free == 5
    view = await store.view()
    assert view.turn is not None
    assert (view.turn.id, view.turn.status) == (turn.id, "waiting")
    assert isinstance(await store.try_begin(turn.id, "other"), TurnOver)
    with pytest.raises(Conflict):
        step = AnswerStep(number=9)
        await store.run(claims.record_step, RecordStep(claim=claim, step=step))


async def test_rule_15_a_decision_makes_the_turn_due_again(store: Store) -> None:
    turn = (await store.send()).turn
    await suspend(store, (await store.begin(turn.id)).claim)
    store.clock.advance(3 * 86_400)
    await decide(store, turn.id, "deny")
    assert store.puts()[-1] == await store.slot(turn.id)
    granted = await store.try_begin(turn.id, "days-later")
    assert isinstance(granted, TurnGranted)
    assert granted.decisions == {"call-1": "deny"}
    assert granted.claim.attempt == 2


async def test_rule_15_the_first_decision_counts(store: Store) -> None:
    turn = (await store.send()).turn
    await suspend(store, (await store.begin(turn.id)).claim)
    await decide(store, turn.id, "allow")
    await decide(store, turn.id, "allow")
    with pytest.raises(Conflict, match="decided before: allow"):
        await decide(store, turn.id, "deny")
    with pytest.raises(NotFound, match="no tool call"):
        await decide(store, turn.id, step="call-9")


async def test_rule_15_a_decision_may_name_the_number_of_a_step_with_one_call(
    store: Store,
) -> None:
    turn = (await store.send()).turn
    await suspend(store, (await store.begin(turn.id)).claim)
    await decide(store, turn.id, "deny", step=0)
    assert (await store.begin(turn.id, "later")).decisions == {"call-1": "deny"}


async def test_rule_15_a_step_of_several_calls_is_decided_call_by_call(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await record(store, claim, AnswerStep(number=0, calls=(CALL, SECOND)))
    with pytest.raises(Invalid, match="call-1, call-2"):
        await decide(store, turn.id, step=0)
    await decide(store, turn.id, step="call-2")


async def test_rule_15_a_decision_may_come_before_the_turn_is_suspended(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await record(store, claim, AnswerStep(number=0, calls=(CALL,)))
    await decide(store, turn.id, "allow")
    await store.finish(claim, "", outcome="waiting")
    assert (await store.begin(turn.id, "next")).decisions == {"call-1": "allow"}


@pytest.mark.parametrize("seconds", [-1, 0, 1])
async def test_rule_15_a_decision_that_a_running_turn_does_not_know_makes_it_due_again(
    store: Store, seconds: float
) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await record(store, claim, AnswerStep(number=0, calls=(CALL, SECOND)))
    await store.finish(claim, "", outcome="waiting")
    await decide(store, turn.id)
    claim = (await store.begin(turn.id, "second")).claim
    store.clock.advance(seconds)
    await decide(store, turn.id, step="call-2")
    await record(store, claim, SENT)
    assert (await store.finish(claim, "", outcome="waiting")).status == "open"
    granted = await store.begin(turn.id, "third")
    assert granted.decisions == {"call-1": "allow", "call-2": "allow"}


async def test_rule_15_a_decision_that_was_carried_out_does_not_make_a_turn_due_again(
    store: Store,
) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await record(store, claim, AnswerStep(number=0, calls=(CALL, SECOND)))
    await decide(store, turn.id)
    await record(store, claim, SENT)
    assert (await store.finish(claim, "", outcome="waiting")).status == "waiting"

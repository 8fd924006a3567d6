"""Commands that end, suspend and revive turns."""

from __future__ import annotations

from parley_contracts.errors import Conflict, Invalid, NotFound
from parley_contracts.messages import Message, TurnError
from parley_contracts.turns import AnswerStep, DecideTurn, FinishTurn, RetryTurn, Turn
from sqlalchemy import insert

from parley_gateway.store import letters
from parley_gateway.store.asking import Question, ask, digest_of, enqueue
from parley_gateway.store.claims import stale
from parley_gateway.store.journal import add_step, calls_with_result, read_decisions, read_steps
from parley_gateway.store.lifecycle import Ending, Reply, close, redispatch, thread_changed
from parley_gateway.store.records import (
    FINISHED,
    POSITION,
    ThreadRecord,
    TurnRecord,
    find_turn,
    lock_turn,
    read_message,
    require_living,
    reused,
    save_thread,
    save_turn,
)
from parley_gateway.store.schema import turn_decisions
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

_DECIDE = Statement(insert(turn_decisions))
_POSITION = Statement(POSITION)

_NO_REASON = TurnError(
    kind="unknown", detail="The turn failed without a reason; look at the worker's log."
)


def finish(tx: Transaction, command: FinishTurn) -> Turn:
    """Close or suspend a turn; a repeat gets the first result, a stale claim is refused."""
    thread, turn = lock_turn(tx, command.claim.turn_id)
    if not turn.holds(command.claim):
        raise stale(turn)
    if turn.status in FINISHED or turn.status == "waiting":
        return turn.view()
    tx.slot(thread.id).free = command.slot_sequence
    _note(tx, turn, command)
    if command.outcome == "waiting" and turn.status == "open":
        _suspend(tx, turn)
    else:
        _close(tx, thread, turn, command)
    save_thread(tx, thread)
    return turn.view()


def _note(tx: Transaction, turn: TurnRecord, command: FinishTurn) -> None:
    if command.step is not None:
        add_step(tx, turn.id, command.step)
    turn.use(command.usage)
    turn.model = command.model or turn.model
    if turn.first_token_ms is None:
        turn.first_token_ms = command.first_token_ms


def _suspend(tx: Transaction, turn: TurnRecord) -> None:
    """Let the turn wait for the owner (rule 15), unless a decision came while it ran.

    A worker that knows of a decision ends the call before it suspends the turn.
    """
    turn.status, turn.lease_until = "waiting", None
    decided, steps = read_decisions(tx, turn.id), read_steps(tx, turn.id)
    if decided.keys() - calls_with_result(steps):
        redispatch(tx, turn)
    else:
        save_turn(tx, turn)


def _close(tx: Transaction, thread: ThreadRecord, turn: TurnRecord, command: FinishTurn) -> None:
    ending = _ending(turn, command)
    stopped_by_worker = ending == "cancelled" and turn.status == "open"
    if stopped_by_worker:
        thread.paused = True
        turn.cancel_reason = "stopped by the owner"
    error = (command.error or _NO_REASON) if ending == "failed" else None
    reply = Reply(ending, command.text, command.parts, error, command.notes)
    close(tx, thread, turn, reply, number=command.last_number + 1)
    if stopped_by_worker:
        tx.emit(thread_changed(thread))


def _ending(turn: TurnRecord, command: FinishTurn) -> Ending:
    """What was stopped stays stopped, whatever the worker made of it (rule 16)."""
    if turn.status == "cancelling" or command.outcome == "cancelled":
        return "cancelled"
    return "failed" if command.outcome == "failed" else "completed"


def retry(tx: Transaction, command: RetryTurn) -> Turn:
    """Answer again: the newest turn's question in place, an older one's at the end (rule 3)."""
    thread, turn = lock_turn(tx, command.id)
    if repeated := find_turn(tx, command.turn_id):
        if repeated.retry_of != command.id:
            raise reused("turn")
        return repeated.view()
    require_living(thread)
    if turn.status not in FINISHED:
        raise Conflict("This turn is not finished yet; stop it first.", kind="not-finished")
    if turn.status == "completed":
        raise Conflict(
            "This turn has its answer; regenerate the answer to get another one.", kind="answered"
        )
    question = _question(tx, turn, command)
    letters.drop(tx, turn.id)
    if not _is_newest(tx, thread, turn):
        again = Question(
            message_id=command.message_id,
            turn_id=command.turn_id,
            text=question.text,
            agent_id=turn.agent_id,
            channel=question.channel,
            digest=digest_of(command.id),
            origin=question.origin,
            retry_of=turn.id,
        )
        return ask(tx, thread, again).turn
    return _retry_in_place(tx, thread, turn, command)


def _question(tx: Transaction, turn: TurnRecord, command: RetryTurn) -> Message:
    try:
        return read_message(tx, turn.message_id)
    except NotFound:
        raise Conflict(
            f"The question of turn {command.id} was taken back; send it again.", kind="taken-back"
        ) from None


def _is_newest(tx: Transaction, thread: ThreadRecord, turn: TurnRecord) -> bool:
    """Whether nothing came after the turn's reply."""
    position = tx.one(_POSITION, id=turn.reply_id)
    idle = thread.open_turn is None and not thread.queued
    return idle and position is not None and position[0] == thread.head


def _retry_in_place(
    tx: Transaction, thread: ThreadRecord, turn: TurnRecord, command: RetryTurn
) -> Turn:
    thread.paused, thread.status, thread.active_at = False, "active", tx.now
    again = Question(
        message_id=turn.message_id,
        turn_id=command.turn_id,
        text="",
        agent_id=turn.agent_id,
        channel="",
        digest="",
        retry_of=turn.id,
    )
    opened = enqueue(tx, thread, again)
    save_thread(tx, thread)
    tx.emit(thread_changed(thread))
    return opened.view()


def decide(tx: Transaction, command: DecideTurn) -> Turn:
    """Note the owner's decision on a tool call; the first one counts and revives the turn."""
    thread, turn = lock_turn(tx, command.id)
    call_id = _call(tx, turn, str(command.step))
    if first := read_decisions(tx, turn.id).get(call_id):
        return _decided_before(turn, command, first)
    if turn.status in FINISHED:
        raise Conflict("This turn is already finished.", kind="finished")
    tx.run(
        _DECIDE,
        turn_id=turn.id,
        step=call_id,
        decision=command.decision,
        decided_at=tx.now,
    )
    if turn.status == "waiting":
        redispatch(tx, turn)
        save_thread(tx, thread)
    return turn.view()


def _decided_before(turn: TurnRecord, command: DecideTurn, first: str) -> Turn:
    if first != command.decision:
        raise Conflict(f"This was decided before: {first}.", kind="decided")
    return turn.view()


def _call(tx: Transaction, turn: TurnRecord, step: str) -> str:
    """Return the id of the call that a decision names by its id or by its step's number."""
    answers = [each for each in read_steps(tx, turn.id) if isinstance(each, AnswerStep)]
    calls = [(str(answer.number), call.id) for answer in answers for call in answer.calls]
    if any(step == call_id for _, call_id in calls):
        return step
    named = [call_id for number, call_id in calls if number == step]
    if len(named) > 1:
        raise Invalid(
            f"Step {step} has several calls; name one by its call_id: {', '.join(named)}.",
            field="step",
        )
    if not named:
        raise NotFound(f"Turn {turn.id} has no tool call {step}.", field="step")
    return named[0]

"""Stop (rule 16): the first commit wins, what was said is kept, nothing is pretended.

A turn that was never begun, or waits for the owner, ends at once. Any other becomes `cancelling`:
its worker is told, if it has one, and when no finish comes in time the gateway ends it with the
text found in the event stream.
"""

from __future__ import annotations

from parley_contracts.errors import Conflict
from parley_contracts.messages import TurnError
from parley_contracts.turns import CancelTurn, Turn

from parley_gateway.store.journal import parts_of, read_steps, stopped, text_of
from parley_gateway.store.lifecycle import Reply, close, thread_changed, void_claim
from parley_gateway.store.records import (
    ThreadRecord,
    TurnRecord,
    lock_turn,
    read_message,
    save_thread,
    save_turn,
)
from parley_gateway.store.transaction import Transaction
from parley_gateway.store.waiting import take_back

GRACE_US = 800_000
"""How long a worker may take to finish a turn that is to stop; within a second it has stopped."""

_MISSING = TurnError(
    kind="text-missing", detail="What the agent had written last could not be recovered."
)


def cancel(tx: Transaction, command: CancelTurn) -> Turn:
    """Stop a turn. The thread's queue then waits for the owner, unless the turn only waited."""
    thread, turn = lock_turn(tx, command.id)
    if turn.status in ("completed", "failed"):
        raise Conflict("This turn is already finished.", kind="finished")
    if turn.status in ("cancelled", "cancelling"):
        return turn.view()
    if turn.status == "queued":
        message = read_message(tx, turn.message_id)
        take_back(tx, thread, turn, message, command.reason)
        return turn.view()
    thread.paused = True
    stop(tx, thread, turn, command.reason)
    save_thread(tx, thread)
    tx.emit(thread_changed(thread))
    return turn.view()


def stop(tx: Transaction, thread: ThreadRecord, turn: TurnRecord, reason: str) -> None:
    """Stop the thread's open turn: at once, unless it was begun and does not wait for the owner."""
    if turn.status == "cancelling":
        return
    turn.cancel_reason = reason
    if turn.status == "open" and turn.attempt:
        turn.status, turn.cancel_at = "cancelling", tx.now
        tx.effects.stops.append(turn.id)
        save_turn(tx, turn)
    else:
        _close(tx, thread, turn)


def close_overdue(tx: Transaction, turn_id: str, attempt: int, text: str, *, whole: bool) -> None:
    """End a turn whose worker did not; `text` is what it had said, as far as that is known."""
    thread, turn = lock_turn(tx, turn_id)
    if turn.status != "cancelling" or turn.attempt != attempt:
        return
    _close(tx, thread, turn, text, None if whole else _MISSING)
    save_thread(tx, thread)


def _close(
    tx: Transaction,
    thread: ThreadRecord,
    turn: TurnRecord,
    text: str = "",
    error: TurnError | None = None,
) -> None:
    parts = parts_of(stopped(read_steps(tx, turn.id)), text)
    void_claim(turn)
    close(tx, thread, turn, Reply("cancelled", text_of(parts), parts, error))

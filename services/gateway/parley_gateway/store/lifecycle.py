"""A turn's way through its thread: accepted, opened, closed. Every change of a queue is here.

The callers hold the thread's lock, save the thread and the turn that they brought, and decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from parley_contracts.base import new_id
from parley_contracts.events import Event, MessageReady, ThreadChanged, TurnCancelled, TurnFailed
from parley_contracts.messages import Message, Part, ToolPart, TurnError
from sqlalchemy import bindparam, insert, select, update

from parley_gateway.store.history import LARGEST
from parley_gateway.store.records import (
    ThreadRecord,
    TurnRecord,
    moment,
    read_message,
    read_turn,
    save_turn,
)
from parley_gateway.store.schema import QUEUED, messages, turns, unindexed
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

Ending = Literal["completed", "failed", "cancelled"]
_MESSAGE_STATUS: dict[Ending, Literal["complete", "failed", "stopped"]] = {
    "completed": "complete",
    "failed": "failed",
    "cancelled": "stopped",
}

_NOT_KEPT = "What the tools returned was too large to be kept."

_NEXT = Statement(
    select(turns.c.id)
    .where(turns.c.thread_id == bindparam("thread_id"), QUEUED)
    .order_by(turns.c.queue_no)
    .limit(1)
)
_ADD_MESSAGE = Statement(
    insert(messages).returning(messages.c.pk),
    *("id", "thread_id", "position", "role", "turn_id", "client_id", "digest", "text", "json"),
)
_PLACE_MESSAGE = Statement(
    update(messages).where(messages.c.id == bindparam("id")).returning(messages.c.pk),
    *("position", "json"),
)
_INDEX_LATER = Statement(insert(unindexed))


@dataclass(frozen=True)
class Reply:
    """How a turn ends and what its one message says."""

    ending: Ending
    text: str = ""
    parts: Sequence[Part] = ()
    error: TurnError | None = None
    notes: tuple[str, ...] = ()


def add_message(
    tx: Transaction, message: Message, *, digest: str = "", client_id: str | None = None
) -> None:
    """Store a message; one with a position is final and will be indexed."""
    row = tx.one(
        _ADD_MESSAGE,
        id=message.id,
        thread_id=message.thread_id,
        position=message.position,
        role=message.role,
        turn_id=message.turn_id,
        client_id=client_id,
        digest=digest,
        text=message.text,
        json=message.encode().decode(),
    )
    if message.position is not None and row is not None:
        _index_later(tx, row[0])


def promote(tx: Transaction, thread: ThreadRecord) -> None:
    """Open the thread's next turn, if nothing is open and nothing holds the queue."""
    if thread.open_turn or thread.paused or thread.status == "deleted":
        return
    row = tx.one(_NEXT, thread_id=thread.id)
    if row is None:
        return
    turn = read_turn(tx, row[0])
    thread.queued -= 1
    open_turn(tx, thread, turn)
    save_turn(tx, turn)


def open_turn(tx: Transaction, thread: ThreadRecord, turn: TurnRecord) -> None:
    """Make the turn the thread's open one and have it dispatched."""
    turn.status = "open"
    thread.open_turn = turn.id
    tx.slot(thread.id).put = turn.next_slot()


def place_question(tx: Transaction, thread: ThreadRecord, turn: TurnRecord) -> Message:
    """Give the turn's question the next position, unless it has one (rule 1); return it."""
    question = read_message(tx, turn.message_id)
    if question.position is not None:
        return question
    thread.head += 1
    placed = question.model_copy(update={"position": thread.head, "status": "complete"})
    row = tx.one(
        _PLACE_MESSAGE, id=placed.id, position=placed.position, json=placed.encode().decode()
    )
    if row is not None:
        _index_later(tx, row[0])
    return placed


def close(
    tx: Transaction,
    thread: ThreadRecord,
    turn: TurnRecord,
    reply: Reply,
    *,
    number: int = 0,
) -> None:
    """End the thread's open turn with its one message, and open the next one.

    `number` is that of the closing event within the turn's attempt.
    """
    place_question(tx, thread, turn)
    thread.head += 1
    message = Message(
        id=new_id(),
        thread_id=thread.id,
        position=thread.head,
        role="agent",
        text=reply.text,
        status=_MESSAGE_STATUS[reply.ending],
        agent_id=turn.agent_id,
        turn_id=turn.id,
        channel="agent",
        parts=tuple(reply.parts),
        error=reply.error,
        notes=reply.notes,
        created_at=moment(tx.now),
    )
    message = _storable(message)
    add_message(tx, message)
    turn.reply_id = message.id
    end_turn(tx, thread, turn, reply.ending, reply.error)
    tx.emit(_closing_event(thread, turn, message, number))


def _storable(message: Message) -> Message:
    """Return a message that can be sent to its readers; what tools returned gives way."""
    if len(message.encode()) <= LARGEST:
        return message
    parts = tuple(
        each.model_copy(update={"output": ""}) if isinstance(each, ToolPart) else each
        for each in message.parts
    )
    return message.model_copy(update={"parts": parts, "notes": (*message.notes, _NOT_KEPT)})


def end_turn(
    tx: Transaction,
    thread: ThreadRecord,
    turn: TurnRecord,
    ending: Ending,
    error: TurnError | None = None,
) -> None:
    """Note that the turn is over; let the next one in."""
    turn.status = ending
    turn.finished_at = thread.active_at = tx.now
    if error is not None and ending == "failed":
        turn.error_kind, turn.error_detail = error.kind, error.detail
    save_turn(tx, turn)
    if thread.open_turn == turn.id:
        thread.open_turn = None
    promote(tx, thread)


def redispatch(tx: Transaction, turn: TurnRecord) -> None:
    """Offer the turn to all workers anew; nobody holds it any more."""
    turn.status = "open"
    turn.claim = turn.worker_id = turn.lease_until = None
    tx.slot(turn.thread_id).put = turn.next_slot()
    save_turn(tx, turn)


def void_claim(turn: TurnRecord) -> None:
    """Take the turn from whoever holds it: the gateway itself makes the next attempt's end."""
    turn.attempt += 1
    turn.claim = turn.worker_id = turn.lease_until = None


def thread_changed(thread: ThreadRecord) -> ThreadChanged:
    """Return the event that shows the thread as it is now."""
    return ThreadChanged(thread_id=thread.id, rev=thread.rev, thread=thread.view())


def _closing_event(thread: ThreadRecord, turn: TurnRecord, message: Message, number: int) -> Event:
    place = {"thread_id": thread.id, "turn_id": turn.id, "attempt": turn.attempt}
    common = {**place, "number": number, "rev": thread.rev, "message": message}
    if turn.status == "completed":
        return MessageReady.model_validate(common)
    if turn.status == "cancelled":
        return TurnCancelled.model_validate({**common, "reason": turn.cancel_reason or ""})
    return TurnFailed.model_validate({**common, "error": message.error})


def _index_later(tx: Transaction, message_pk: int) -> None:
    tx.run(_INDEX_LATER, message_pk=message_pk)
    tx.effects.positioned = True

"""Messages that wait: until their turn begins they can be changed and taken back (rule 1)."""

from __future__ import annotations

from parley_contracts.errors import Conflict
from parley_contracts.events import MessageChanged, TurnCancelled
from parley_contracts.messages import Message, MessageRef, UpdateMessage
from sqlalchemy import bindparam, delete, insert, select, update

from parley_gateway.store.lifecycle import end_turn
from parley_gateway.store.records import (
    ThreadRecord,
    TurnRecord,
    lock_turn,
    read_message,
    save_thread,
)
from parley_gateway.store.schema import messages, withdrawn
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

_CHANGE = Statement(update(messages).where(messages.c.id == bindparam("id")), "text", "json")
_KEPT = [messages.c[each.name] for each in withdrawn.c]
_REMEMBER = Statement(
    insert(withdrawn).from_select(
        withdrawn.c.keys(), select(*_KEPT).where(messages.c.id == bindparam("id"))
    )
)
_DELETE = Statement(delete(messages).where(messages.c.id == bindparam("id")))


def change(tx: Transaction, command: UpdateMessage) -> Message:
    """Change the text of a message that still waits."""
    thread, _, message = lock_waiting(tx, command.id)
    changed = message.model_copy(update={"text": command.text})
    tx.run(_CHANGE, id=changed.id, text=changed.text, json=changed.encode().decode())
    save_thread(tx, thread)
    tx.emit(MessageChanged(thread_id=thread.id, rev=thread.rev, message=changed))
    return changed


def remove(tx: Transaction, command: MessageRef) -> Message:
    """Take back a message that still waits; its turn is cancelled and leaves no message."""
    thread, turn, message = lock_waiting(tx, command.id)
    take_back(tx, thread, turn, message, "taken back")
    return message


def take_back(
    tx: Transaction, thread: ThreadRecord, turn: TurnRecord, message: Message, reason: str
) -> None:
    """Remove a waiting message and end its turn; a late copy of it is answered with that."""
    tx.run(_REMEMBER, id=message.id)
    tx.run(_DELETE, id=message.id)
    if turn.status == "queued":
        thread.queued -= 1
    turn.cancel_reason = reason
    end_turn(tx, thread, turn, "cancelled")
    save_thread(tx, thread)
    tx.emit(MessageChanged(thread_id=thread.id, rev=thread.rev, message=message, removed=True))
    tx.emit(
        TurnCancelled(
            thread_id=thread.id,
            turn_id=turn.id,
            attempt=turn.attempt + 1,
            number=0,
            rev=thread.rev,
            reason=reason,
        )
    )


def lock_waiting(tx: Transaction, message_id: str) -> tuple[ThreadRecord, TurnRecord, Message]:
    """Return a message whose turn has not begun, with its thread and turn; else Conflict.

    It is looked at before the lock, too: an imported message has no turn.
    """
    thread, turn = lock_turn(tx, _waiting(tx, message_id).turn_id)
    return thread, turn, _waiting(tx, message_id)


def _waiting(tx: Transaction, message_id: str) -> Message:
    message = read_message(tx, message_id)
    if message.status != "queued":
        raise Conflict("This message is no longer waiting: its turn has begun.", kind="not-queued")
    return message

"""Commands that bring messages in, each at its place in the queue."""

from __future__ import annotations

from parley_contracts.messages import Message, MessageRef, SendMessage
from parley_contracts.threads import Accepted
from sqlalchemy import bindparam, select, union_all

from parley_gateway.store import agents
from parley_gateway.store.asking import Question, ask, digest_of, queue_ends
from parley_gateway.store.lifecycle import promote, thread_changed
from parley_gateway.store.records import (
    lock_thread,
    read_turn,
    require_living,
    reused,
    save_thread,
    save_turn,
)
from parley_gateway.store.schema import messages, withdrawn
from parley_gateway.store.statement import Statement
from parley_gateway.store.stopping import stop
from parley_gateway.store.transaction import Transaction
from parley_gateway.store.waiting import lock_waiting

_BY_ID = Statement(
    union_all(
        *(
            select(each.c.json, each.c.digest).where(each.c.id == bindparam("id"))
            for each in (messages, withdrawn)
        )
    )
)
_BY_CLIENT = Statement(
    union_all(
        *(
            select(each.c.json, each.c.digest).where(
                each.c.thread_id == bindparam("thread_id"),
                each.c.client_id == bindparam("client_id"),
            )
            for each in (messages, withdrawn)
        )
    )
)


def send(tx: Transaction, command: SendMessage) -> Accepted:
    """Accept a message and its turn; a repeat gets the first result (rule 18)."""
    digest = digest_of(command.thread_id, command.text, command.agent_id)
    thread = lock_thread(tx, command.thread_id)
    if repeated := repeated_question(tx, command.id, digest) or _repeated(tx, command, digest):
        return repeated
    require_living(thread)
    agent_id = agents.resolve(tx, command.agent_id) if command.agent_id else thread.agent_id
    question = Question(
        message_id=command.id,
        turn_id=command.turn_id,
        text=command.text,
        agent_id=agent_id,
        channel=command.channel,
        digest=digest,
        origin=command.origin,
        client_id=command.client_id,
    )
    return ask(tx, thread, question)


def repeated_question(tx: Transaction, message_id: str, digest: str) -> Accepted | None:
    """Return the first result of a command that made this message; Conflict if it differs."""
    return _first_result(tx, tx.one(_BY_ID, id=message_id), digest)


def _repeated(tx: Transaction, command: SendMessage, digest: str) -> Accepted | None:
    if command.client_id is None:
        return None
    row = tx.one(_BY_CLIENT, thread_id=command.thread_id, client_id=command.client_id)
    return _first_result(tx, row, digest)


def _first_result(tx: Transaction, row: tuple[str, str] | None, digest: str) -> Accepted | None:
    if row is None:
        return None
    if row[1] != digest:
        raise reused("message")
    message = Message.model_validate_json(row[0])
    return Accepted(message=message, turn=read_turn(tx, message.turn_id).view(), repeated=True)


def send_now(tx: Transaction, command: MessageRef) -> Message:
    """Put a waiting message first; what runs is stopped and this one is next."""
    thread, turn, message = lock_waiting(tx, command.id)
    require_living(thread)
    if turn.status == "open":
        return message
    turn.queue_no = queue_ends(tx, thread.id)[0] - 1
    save_turn(tx, turn)
    resumed, thread.paused = thread.paused, False
    if thread.open_turn:
        stop(tx, thread, read_turn(tx, thread.open_turn), "another message was sent now")
    promote(tx, thread)
    save_thread(tx, thread)
    if resumed:
        tx.emit(thread_changed(thread))
    return message

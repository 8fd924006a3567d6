"""How a question enters a thread: whoever sends, edits, regenerates or retries comes by here."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from parley_contracts.events import MessageAccepted, TurnQueued
from parley_contracts.messages import Message
from parley_contracts.threads import Accepted
from sqlalchemy import bindparam, func, select

from parley_gateway.store.lifecycle import add_message, open_turn, promote, thread_changed
from parley_gateway.store.records import (
    ThreadRecord,
    TurnRecord,
    add_turn,
    moment,
    reused,
    save_thread,
)
from parley_gateway.store.schema import QUEUED, messages, turns
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

TITLE = 60
"""Characters of a provisional title."""

_USED = Statement(
    select(messages.c.id)
    .where(messages.c.id == bindparam("message_id"))
    .union_all(select(turns.c.id).where(turns.c.id == bindparam("turn_id")))
)
_QUEUE_ENDS = Statement(
    select(func.min(turns.c.queue_no), func.max(turns.c.queue_no)).where(
        turns.c.thread_id == bindparam("thread_id"), QUEUED
    )
)


@dataclass(frozen=True)
class Question:
    """A user's message to be accepted, with the turn that answers it."""

    message_id: str
    turn_id: str
    text: str
    agent_id: str
    channel: str
    digest: str
    origin: dict[str, Any] | None = None
    client_id: str | None = None
    retry_of: str | None = None


def digest_of(*content: str | None) -> str:
    """Return a fingerprint, by which a repeated command is told from another one."""
    lengths_too = repr(content).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(lengths_too, digest_size=16).hexdigest()


def ask(tx: Transaction, thread: ThreadRecord, question: Question) -> Accepted:
    """Accept a question at the end of a locked thread; its queue goes on if it was paused."""
    _require_unused(tx, question)
    before = _visible(thread)
    thread.paused, thread.status, thread.active_at = False, "active", tx.now
    message = _message(tx, thread, question)
    add_message(tx, message, digest=question.digest, client_id=question.client_id)
    if thread.provisional and thread.head == 0 and not thread.open_turn and not thread.queued:
        thread.retitle(provisional_title(question.text), provisional=True)
    turn = enqueue(tx, thread, question)
    save_thread(tx, thread)
    _announce(tx, thread, turn, message)
    if before != _visible(thread):
        tx.emit(thread_changed(thread))
    return Accepted(message=message, turn=turn.view())


def _require_unused(tx: Transaction, question: Question) -> None:
    """Raise Conflict for ids that a message or a turn has already (rule 18)."""
    if tx.one(_USED, message_id=question.message_id, turn_id=question.turn_id):
        raise reused("message or turn")


def enqueue(tx: Transaction, thread: ThreadRecord, question: Question) -> TurnRecord:
    """Store the question's turn: open when nothing is before it, else at the queue's end."""
    turn = TurnRecord(
        id=question.turn_id,
        thread_id=thread.id,
        message_id=question.message_id,
        agent_id=question.agent_id,
        created_at=tx.now,
        queue_no=queue_ends(tx, thread.id)[1] + 1,
        retry_of=question.retry_of,
    )
    if thread.open_turn is None and not thread.queued:
        open_turn(tx, thread, turn)
        add_turn(tx, turn)
        return turn
    add_turn(tx, turn)
    thread.queued += 1
    promote(tx, thread)
    return turn


def queue_ends(tx: Transaction, thread_id: str) -> tuple[int, int]:
    """Return the queue numbers of the first and the last waiting turn, zeros when none waits."""
    first, last = tx.one(_QUEUE_ENDS, thread_id=thread_id) or (0, 0)
    return first or 0, last or 0


def provisional_title(text: str) -> str:
    """Return the first words of a text, as a title until a better one is found."""
    line = " ".join(text.split())
    if len(line) <= TITLE:
        return line
    start = line[: TITLE - 1]
    return (start.rsplit(" ", 1)[0] if " " in start else start) + "…"


def _message(tx: Transaction, thread: ThreadRecord, question: Question) -> Message:
    return Message(
        id=question.message_id,
        thread_id=thread.id,
        role="user",
        text=question.text,
        status="queued",
        agent_id=question.agent_id,
        turn_id=question.turn_id,
        channel=question.channel,
        origin=question.origin,
        created_at=moment(tx.now),
    )


def _visible(thread: ThreadRecord) -> tuple[str, bool, str]:
    return thread.title, bool(thread.paused), thread.status


def _announce(tx: Transaction, thread: ThreadRecord, turn: TurnRecord, message: Message) -> None:
    place = {"thread_id": thread.id, "turn_id": turn.id, "attempt": 0, "rev": thread.rev}
    tx.emit(MessageAccepted.model_validate({**place, "number": 0, "message": message}))
    if turn.status == "queued":
        tx.emit(TurnQueued.model_validate({**place, "number": 1, "ahead": thread.queued}))

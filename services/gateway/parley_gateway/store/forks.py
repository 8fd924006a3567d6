"""Forks: threads that share history (rule 2). A fork copies lineage rows, never a message.

`lineage` says which messages of which ancestor a thread shows: those up to `upto`. The deepest
ancestor that covers a position owns it.
"""

from __future__ import annotations

from parley_contracts.errors import Conflict, NotFound
from parley_contracts.messages import EditMessage, Message, RegenerateMessage
from parley_contracts.threads import Accepted, ForkThread, Thread
from sqlalchemy import Text, bindparam, case, insert, select

from parley_gateway.store import agents
from parley_gateway.store.asking import Question, ask, digest_of
from parley_gateway.store.lifecycle import thread_changed
from parley_gateway.store.messages import repeated_question
from parley_gateway.store.records import (
    ThreadRecord,
    add_thread,
    find_thread,
    lock_living_thread,
    lock_thread,
    read_message,
    reused,
)
from parley_gateway.store.schema import NO_END, inline, lineage, messages
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Transaction

_OWN_LINEAGE = Statement(insert(lineage))
_INHERIT = Statement(
    insert(lineage).from_select(
        ["thread_id", "depth", "ancestor_id", "upto"],
        select(
            bindparam("fork_id", type_=Text),
            lineage.c.depth + 1,
            lineage.c.ancestor_id,
            case(
                (lineage.c.upto < bindparam("position"), lineage.c.upto),
                else_=bindparam("position"),
            ),
        ).where(lineage.c.thread_id == bindparam("parent_id")),
    )
)
_OWNER_OF = Statement(
    select(lineage.c.ancestor_id)
    .where(lineage.c.thread_id == bindparam("thread_id"), lineage.c.upto >= bindparam("position"))
    .order_by(lineage.c.depth.desc())
    .limit(1)
)
_MESSAGE_AT = Statement(
    select(messages.c.id).where(
        messages.c.thread_id == bindparam("thread_id"),
        messages.c.position == bindparam("position"),
    )
)
_QUESTION_BEFORE = Statement(
    select(messages.c.json)
    .select_from(lineage)
    .join(
        messages,
        (messages.c.thread_id == lineage.c.ancestor_id) & (messages.c.position <= lineage.c.upto),
    )
    .where(
        lineage.c.thread_id == bindparam("thread_id"),
        messages.c.position < bindparam("position"),
        messages.c.role == inline("user"),
    )
    .order_by(lineage.c.depth, messages.c.position.desc())
    .limit(1)
)


def add_root(tx: Transaction, thread: ThreadRecord) -> None:
    """Store a new thread that so far shows its own messages only."""
    add_thread(tx, thread)
    tx.run(_OWN_LINEAGE, thread_id=thread.id, depth=0, ancestor_id=thread.id, upto=NO_END)


def fork(tx: Transaction, command: ForkThread) -> Thread:
    """Fork a thread at a message, which is included, or at its end."""
    digest = digest_of(command.thread_id, command.message_id)
    if repeated := repeated_thread(tx, command.id, digest):
        return repeated.view()
    origin = lock_living_thread(tx, command.thread_id)
    position = _position_in(tx, origin, command.message_id) if command.message_id else origin.head
    made = _fork_at(tx, origin, position, command.id, digest, sibling=False)
    if command.title:
        made.retitle(command.title, provisional=False)
    return _store(tx, made).view()


def edit(tx: Transaction, command: EditMessage) -> Accepted:
    """Ask a question differently, in a sibling fork that leaves before it."""
    digest = digest_of(command.id, command.text)
    if repeated := _repeated(tx, command.thread_id, command.message_id, digest):
        return repeated
    question = read_message(tx, command.id)
    if question.role != "user" or question.position is None:
        raise Conflict(
            "Only a question that was answered can be edited into a fork; a waiting one can be "
            "changed in place.",
            kind="not-a-question",
        )
    return _ask_again(tx, question, question.position, command, command.text, digest)


def regenerate(tx: Transaction, command: RegenerateMessage) -> Accepted:
    """Ask an answer's question anew, in a sibling fork that leaves before it."""
    digest = digest_of(command.id, command.agent_id)
    if repeated := _repeated(tx, command.thread_id, command.message_id, digest):
        return repeated
    answer = read_message(tx, command.id)
    if answer.role != "agent":
        raise Conflict("Only an agent's answer can be regenerated.", kind="not-an-answer")
    row = tx.one(_QUESTION_BEFORE, thread_id=answer.thread_id, position=answer.position)
    if row is None:
        raise Conflict("This answer has no question before it.", kind="not-an-answer")
    question = Message.model_validate_json(row[0])
    if command.agent_id:
        chosen = agents.resolve(tx, command.agent_id)
        question = question.model_copy(update={"agent_id": chosen})
    return _ask_again(tx, question, question.position or 1, command, question.text, digest)


def repeated_thread(tx: Transaction, id: str, digest: str) -> ThreadRecord | None:
    """Return the thread that the same command made before; Conflict when another one did."""
    thread = find_thread(tx, id)
    if thread is not None and thread.digest != digest:
        raise reused("thread")
    return thread


def _repeated(tx: Transaction, thread_id: str, message_id: str, digest: str) -> Accepted | None:
    thread = repeated_thread(tx, thread_id, digest)
    if thread is None:
        return None
    accepted = repeated_question(tx, message_id, digest)
    if accepted is None:
        raise reused("thread")
    return accepted.model_copy(update={"thread": thread.view()})


def _ask_again(
    tx: Transaction,
    question: Message,
    position: int,
    command: EditMessage | RegenerateMessage,
    text: str,
    digest: str,
) -> Accepted:
    """Make the sibling fork before a question and ask there.

    The question's owner may be deleted: a fork that lives on shows it and may ask it anew.
    """
    origin = lock_thread(tx, question.thread_id)
    made = _fork_at(tx, origin, position - 1, command.thread_id, digest, sibling=True)
    _store(tx, made)
    made.rev += 1
    asked = Question(
        message_id=command.message_id,
        turn_id=command.turn_id,
        text=text,
        agent_id=question.agent_id,
        channel=command.channel,
        digest=digest,
    )
    accepted = ask(tx, made, asked)
    return accepted.model_copy(update={"thread": made.view()})


def _position_in(tx: Transaction, thread: ThreadRecord, message_id: str) -> int:
    """Return the position of a message that the thread shows; NotFound, Conflict."""
    message = read_message(tx, message_id)
    if message.position is None:
        raise Conflict("This message still waits; fork when its turn has begun.", kind="queued")
    owner = tx.one(_OWNER_OF, thread_id=thread.id, position=message.position)
    if message.position > thread.head or owner is None or owner[0] != message.thread_id:
        raise NotFound(f"Thread {thread.id} does not show message {message_id}.")
    return message.position


def _fork_at(
    tx: Transaction, origin: ThreadRecord, position: int, id: str, digest: str, *, sibling: bool
) -> ThreadRecord:
    """Return a fork's record; the parent is the thread that owns the position."""
    owner = tx.one(_OWNER_OF, thread_id=origin.id, position=position)
    parent_id = owner[0] if owner else origin.id
    last = tx.one(_MESSAGE_AT, thread_id=parent_id, position=position)
    return ThreadRecord(
        id=id,
        title=origin.title,
        title_words=origin.title_words,
        agent_id=origin.agent_id,
        digest=digest,
        created_at=tx.now,
        active_at=tx.now,
        provisional=origin.provisional,
        head=position,
        parent_id=parent_id,
        fork_position=position,
        fork_message_id=last[0] if last else None,
        sibling=sibling,
        family=origin.family if sibling else "",
    )


def _store(tx: Transaction, made: ThreadRecord) -> ThreadRecord:
    """Store a fork with the lineage that it inherits."""
    add_root(tx, made)
    tx.run(_INHERIT, fork_id=made.id, parent_id=made.parent_id, position=made.fork_position)
    tx.emit(thread_changed(made))
    return made

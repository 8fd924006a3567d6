"""Import: a thread with history, page by page, in the order of the pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from parley_contracts.base import new_id
from parley_contracts.errors import Conflict
from parley_contracts.messages import Message
from parley_contracts.threads import ImportMessage, ImportThread, Thread
from sqlalchemy import bindparam, delete, insert, select

from parley_gateway.store import agents
from parley_gateway.store.asking import digest_of, provisional_title
from parley_gateway.store.forks import add_root
from parley_gateway.store.index import unindex
from parley_gateway.store.lifecycle import thread_changed
from parley_gateway.store.records import (
    ThreadRecord,
    find_thread,
    lock_thread,
    moment,
    reused,
    save_thread,
)
from parley_gateway.store.schema import lineage, messages, threads, unindexed
from parley_gateway.store.statement import Statement
from parley_gateway.store.threads import UNTITLED, new_thread
from parley_gateway.store.transaction import Transaction

DIGEST = digest_of("import")
ABANDONED_US = 6 * 3_600_000_000

_ADD = Statement(
    insert(messages),
    *("id", "thread_id", "position", "role", "turn_id", "digest", "text", "json"),
)
_INDEX_LATER = Statement(
    insert(unindexed).from_select(
        ["message_pk"],
        select(messages.c.pk).where(
            messages.c.thread_id == bindparam("thread_id"),
            messages.c.position > bindparam("after"),
        ),
    )
)
_ABANDONED = Statement(
    select(threads.c.id)
    .where(threads.c.importing, threads.c.active_at < bindparam("before"))
    .order_by(threads.c.id)
    .with_for_update(of=threads, skip_locked=True)
)
_PURGES = [
    Statement(delete(table).where(column == bindparam("thread_id")))
    for table, column in (
        (messages, messages.c.thread_id),
        (lineage, lineage.c.thread_id),
        (threads, threads.c.id),
    )
]


def take_page(tx: Transaction, command: ImportThread) -> Thread:
    """Append a page; the first one makes the thread, the last one opens it."""
    thread = _thread(tx, command)
    end = command.offset + len(command.messages)
    if not thread.importing or end < thread.head:
        return (find_thread(tx, command.id) or thread).view()
    if command.offset > thread.head:
        raise Conflict(
            f"A page is missing: this one begins after message {command.offset}, but only "
            f"{thread.head} have come.",
            field="offset",
        )
    _append(tx, thread, command)
    thread.importing, thread.active_at = not command.last, tx.now
    save_thread(tx, thread)
    if command.last:
        tx.emit(thread_changed(thread))
    return thread.view()


def purge_abandoned(tx: Transaction) -> None:
    """Forget imports whose next page has not come for hours; nobody has seen them."""
    for (id,) in tx.all(_ABANDONED, before=tx.now - ABANDONED_US):
        unindex(tx, id)
        for purge in _PURGES:
            tx.run(purge, thread_id=id)


def _thread(tx: Transaction, command: ImportThread) -> ThreadRecord:
    """Return the thread that is being imported, making it with the first page."""
    if find_thread(tx, command.id) is not None:
        return _known(tx, command)
    agent_id = agents.resolve_any(tx, command.agent_id, command.agent) or agents.default(tx)
    thread = new_thread(tx, command.id, command.title, agent_id, DIGEST)
    if command.title is None and command.messages:
        first_words = provisional_title(command.messages[0].text)
        thread.retitle(first_words or UNTITLED, provisional=True)
    thread.importing = True
    add_root(tx, thread)
    return thread


def _known(tx: Transaction, command: ImportThread) -> ThreadRecord:
    thread = lock_thread(tx, command.id)
    if thread.digest != DIGEST:
        raise reused("thread")
    return thread


def _append(tx: Transaction, thread: ThreadRecord, command: ImportThread) -> None:
    known = thread.head
    fresh = command.messages[known - command.offset :]
    tx.many(_ADD, _rows(tx, thread, fresh))
    thread.head = known + len(fresh)
    tx.run(_INDEX_LATER, thread_id=thread.id, after=known)
    tx.effects.positioned = True


def _rows(
    tx: Transaction, thread: ThreadRecord, fresh: tuple[ImportMessage, ...]
) -> Iterator[dict[str, Any]]:
    """Yield the columns of imported messages; an answer shares its question's turn id."""
    named = {(each.agent_id, each.agent) for each in fresh}
    agent_ids = {names: agents.resolve_any(tx, *names) for names in named}
    turn_id = new_id()
    for position, each in enumerate(fresh, start=thread.head + 1):
        if each.role == "user":
            turn_id = new_id()
        message = Message(
            id=new_id(),
            thread_id=thread.id,
            position=position,
            role=each.role,
            text=each.text,
            status=each.status or "complete",
            agent_id=agent_ids[each.agent_id, each.agent] or thread.agent_id,
            turn_id=turn_id,
            channel=each.channel or "import",
            origin=each.origin,
            parts=each.parts or (),
            error=each.error,
            created_at=each.created_at or moment(tx.now),
        )
        columns = {name: getattr(message, name) for name in _FROM_MESSAGE}
        yield {**columns, "digest": "", "json": message.encode().decode()}


_FROM_MESSAGE = ("id", "thread_id", "position", "role", "turn_id", "text")

"""Commands on threads: make, name, archive, delete and restore, resume."""

from __future__ import annotations

from dataclasses import replace

from parley_contracts.threads import CreateThread, NameThread, Thread, ThreadRef, UpdateThread

from parley_gateway.store import agents
from parley_gateway.store.asking import digest_of
from parley_gateway.store.forks import add_root, repeated_thread
from parley_gateway.store.lifecycle import promote, thread_changed
from parley_gateway.store.records import (
    ThreadRecord,
    find_thread,
    lock_family,
    lock_living_thread,
    lock_other_versions,
    lock_thread,
    read_turn,
    save_thread,
    searchable,
)
from parley_gateway.store.stopping import stop
from parley_gateway.store.transaction import Transaction

UNTITLED = "New thread"


def create(tx: Transaction, command: CreateThread) -> Thread:
    """Make a thread; the same command again returns it as it is now."""
    digest = digest_of(command.title, command.agent_id)
    if repeated := repeated_thread(tx, command.id, digest):
        return repeated.view()
    agent_id = agents.resolve(tx, command.agent_id) if command.agent_id else agents.default(tx)
    thread = new_thread(tx, command.id, command.title, agent_id, digest)
    add_root(tx, thread)
    tx.emit(thread_changed(thread))
    return thread.view()


def new_thread(
    tx: Transaction, id: str, title: str | None, agent_id: str, digest: str
) -> ThreadRecord:
    """Return the record of a thread without history."""
    return ThreadRecord(
        id=id,
        title=title or UNTITLED,
        title_words=searchable(title or ""),
        agent_id=agent_id,
        digest=digest,
        created_at=tx.now,
        active_at=tx.now,
        provisional=title is None,
    )


def change(tx: Transaction, command: UpdateThread) -> Thread:
    """Rename, archive, or hand to another agent; the owner's title is final.

    All versions of a thread are one entry of the list, and have one title and one status.
    """
    lock_family(tx, command.id)
    thread = lock_living_thread(tx, command.id)
    before = replace(thread)
    if command.agent_id is not None:
        thread.agent_id = agents.resolve(tx, command.agent_id)
    _file(thread, command)
    if thread == before:
        return _unchanged(tx, thread)
    if command.title is not None or command.status is not None:
        for version in lock_other_versions(tx, thread):
            _file(version, command)
            _changed(tx, version)
    return _changed(tx, thread)


def _file(thread: ThreadRecord, command: UpdateThread) -> None:
    """Give the thread the title and the status of the command."""
    if command.title is not None:
        thread.retitle(command.title, provisional=False)
    if command.status is not None:
        thread.status = command.status


def name(tx: Transaction, command: NameThread) -> Thread:
    """Give a thread the title that a model found, unless it has a real one."""
    thread = lock_living_thread(tx, command.id)
    if not thread.provisional:
        return _unchanged(tx, thread)
    thread.retitle(command.title, provisional=False)
    return _changed(tx, thread)


def delete(tx: Transaction, command: ThreadRef) -> Thread:
    """Delete a thread: it stops and waits, its forks keep their history (rule 17)."""
    thread = lock_thread(tx, command.id)
    if thread.status == "deleted":
        return _unchanged(tx, thread)
    thread.status, thread.paused = "deleted", True
    if thread.open_turn:
        stop(tx, thread, read_turn(tx, thread.open_turn), "the thread was deleted")
    return _changed(tx, thread)


def restore(tx: Transaction, command: ThreadRef) -> Thread:
    """Take a deletion back; whatever waits goes on waiting."""
    thread = lock_thread(tx, command.id)
    if thread.status != "deleted":
        return _unchanged(tx, thread)
    thread.status = "active"
    return _changed(tx, thread)


def resume(tx: Transaction, command: ThreadRef) -> Thread:
    """Go on with a queue that Stop paused, or that stands still for whatever reason."""
    thread = lock_living_thread(tx, command.id)
    if not thread.paused and (thread.open_turn or not thread.queued):
        return _unchanged(tx, thread)
    thread.paused = False
    promote(tx, thread)
    return _changed(tx, thread)


def _unchanged(tx: Transaction, thread: ThreadRecord) -> Thread:
    """Return the thread as it is stored; the locked record is one revision ahead."""
    return (find_thread(tx, thread.id) or thread).view()


def _changed(tx: Transaction, thread: ThreadRecord) -> Thread:
    save_thread(tx, thread)
    tx.emit(thread_changed(thread))
    return thread.view()

"""Threads: conversations, their lists, their forks."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, StringConstraints

from parley_contracts.base import Contract, Count, Id, Text, Timestamp, new_id
from parley_contracts.messages import Channel, Message, Part, Role, TurnError
from parley_contracts.turns import Turn

ThreadStatus = Literal["active", "archived", "deleted"]
Title = Annotated[Text, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]


class ForkPoint(Contract):
    """Where a fork left its parent: it shares the messages up to and including `position`."""

    thread_id: Id
    position: int
    message_id: Id | None = None


class Thread(Contract):
    """A conversation. `head` is its last position; `rev` grows with every change of it."""

    id: Id
    title: str
    status: ThreadStatus = "active"
    agent_id: Id
    head: int = 0
    rev: int = 0
    paused: bool = False
    """True after Stop: queued messages wait until the owner sends or resumes."""
    open_turn: Id | None = None
    queued: int = 0
    parent: ForkPoint | None = None
    sibling: bool = False
    """True for a fork made by editing or regenerating: another version of its family."""
    family: Id | None = None
    """What the versions of a thread have in common; the list shows the one that was used last."""
    created_at: Timestamp
    active_at: Timestamp
    snippet: str | None = None
    """In search results: where the words were found, plain text."""
    hit: Id | None = None
    """In search results: the message in which the words were found."""


class Siblings(Contract):
    """The versions of one message: the threads that continue from `position`, oldest first.

    A message's version is its own thread's, or, when that one is deleted, a thread's that goes on
    from it: the one that is read, if it does.
    """

    position: int
    threads: tuple[Id, ...]
    answers: bool = False
    """True when all ask the same: versions of the answer, not of the question."""


class ThreadView(Contract):
    """A thread as it is opened: a page of its messages in order, what waits, and what runs."""

    thread: Thread
    messages: tuple[Message, ...]
    before: int | None = None
    """Ask with this for the older page; None when the page starts at the first message."""
    queued: tuple[Message, ...] = ()
    turn: Turn | None = None
    """The open turn, if any."""
    turns: tuple[Turn, ...] = ()
    """The turns of the page's agent messages."""
    siblings: tuple[Siblings, ...] = ()


class CreateThread(Contract):
    """Make a thread. The same id again returns the first result."""

    id: Id = Field(default_factory=new_id)
    title: Title | None = None
    agent_id: Text | None = None


class ListThreads(Contract):
    """Newest activity first; `q` searches titles and messages of threads that are not deleted."""

    status: ThreadStatus = "active"
    q: Annotated[str, Field(max_length=500)] | None = None
    limit: Annotated[int, Field(ge=1, le=500)] = 50
    cursor: Annotated[Text, Field(max_length=200)] | None = None


class ThreadList(Contract):
    """A page of threads, and the cursor of the next one."""

    threads: tuple[Thread, ...]
    cursor: str | None = None


class ThreadRef(Contract):
    """Names a thread."""

    id: Id


class ReadThread(Contract):
    """A page of a thread: the newest `limit` messages, or those below position `before`."""

    id: Id
    limit: Annotated[int, Field(ge=1, le=500)] = 60
    before: Annotated[int, Field(ge=0, le=2**31 - 1)] | None = None


class UpdateThread(Contract):
    """Change what is given; `agent_id` is the agent that answers from the next message on."""

    id: Id
    title: Title | None = None
    status: Literal["active", "archived"] | None = None
    agent_id: Text | None = None


class NameThread(Contract):
    """A title found by a model; the owner's own title is never overwritten by it."""

    id: Id
    title: Title


class ForkThread(Contract):
    """Fork at a message (included), or at the end. Copies no message."""

    thread_id: Id
    message_id: Id | None = None
    id: Id = Field(default_factory=new_id)
    title: Title | None = None


class Accepted(Contract):
    """A message was stored and its turn will run. `repeated`: it had been accepted before."""

    message: Message
    turn: Turn
    thread: Thread | None = None
    """The new thread, after an edit or a regeneration."""
    repeated: bool = False


class ImportMessage(Contract):
    """One message of an import: an exported one, or the short form with `role` and `text` only.

    `agent` is the handle by which its agent is found where `agent_id` is not known.
    """

    role: Role
    text: Text
    agent_id: Text | None = None
    agent: Text | None = None
    created_at: Timestamp | None = None
    status: Literal["complete", "stopped", "failed"] | None = None
    parts: tuple[Part, ...] | None = None
    error: TurnError | None = None
    channel: Channel | None = None
    origin: dict[str, Any] | None = None


class ImportThread(Contract):
    """Make a thread with history. Large imports come in pages: `first` makes the thread, the others
    append to it while it is `importing`; `last` opens it."""

    id: Id
    title: Title | None = None
    agent_id: Text | None = None
    agent: Text | None = None
    """The handle by which the agent is found where `agent_id` is not known."""
    messages: tuple[ImportMessage, ...] = ()
    offset: Count = 0
    """How many messages the earlier pages held; a page that was taken already is ignored."""
    last: bool = True

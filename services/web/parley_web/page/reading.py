"""What a page is built from, read from the gateway at once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from parley_contracts.base import Empty
from parley_contracts.errors import Unavailable
from parley_contracts.messages import MessageRef
from parley_contracts.operations import AGENTS_LIST, MESSAGES_GET, THREADS_GET, THREADS_LIST
from parley_contracts.threads import ListThreads, ReadThread, ThreadList, ThreadView

from parley_web.page import markup
from parley_web.page.conversation import Conversation
from parley_web.page.people import People
from parley_web.page.sidebar import family_of
from parley_web.problems import checked
from parley_web.state import AppState

PAGE = 60
"""Messages of a page."""
AROUND = 30
"""How many messages are read after the one that is looked for, and about as many before it."""
ECHO = "echo:demo"
"""What `auto` means as long as no model is connected."""


@dataclass(frozen=True)
class Snapshot:
    """The state of a page: the list of threads, the agents, and the open thread if any."""

    threads: ThreadList
    people: People
    conversation: Conversation | None
    connected: bool
    """Whether there is a model that an agent can use."""

    @property
    def family(self) -> str | None:
        """What the list marks as open."""
        return family_of(self.conversation.thread) if self.conversation else None


async def read_snapshot(state: AppState, thread_id: str | None) -> Snapshot:
    """Read what a page shows. Raises NotFound and Gone for the thread."""
    threads, agents, view, connected = await asyncio.gather(
        state.bus.request(THREADS_LIST, ListThreads()),
        state.bus.request(AGENTS_LIST, Empty()),
        _read_thread(state, thread_id),
        model_connected(state),
    )
    people = People(agents.agents)
    conversation = await _conversation(view, people) if view else None
    return Snapshot(threads, people, conversation, connected)


async def read_older(state: AppState, thread_id: str, before: int) -> Conversation:
    """Read the page of messages before a position."""
    query = checked(ReadThread, {"id": thread_id, "limit": PAGE, "before": before})
    view, agents = await asyncio.gather(
        state.bus.request(THREADS_GET, query),
        state.bus.request(AGENTS_LIST, Empty()),
    )
    return await _conversation(view, People(agents.agents))


async def read_around(state: AppState, thread_id: str, message_id: str, below: int) -> Conversation:
    """Read the messages around one that stands below a position. Positions have no gaps."""
    found = await state.bus.request(MESSAGES_GET, checked(MessageRef, {"id": message_id}))
    return await read_older(state, thread_id, min((found.position or 0) + AROUND, below))


async def model_connected(state: AppState) -> bool:
    """Tell whether some worker knows a model; yes while nobody can tell."""
    try:
        entries = await state.catalog.entries()
    except Unavailable:
        return True
    return not entries or any(entry.default_model != ECHO for entry in entries)


async def _read_thread(state: AppState, thread_id: str | None) -> ThreadView | None:
    if thread_id is None:
        return None
    query = checked(ReadThread, {"id": thread_id, "limit": PAGE})
    return await state.bus.request(THREADS_GET, query)


async def _conversation(view: ThreadView, people: People) -> Conversation:
    """Render one message at a time, so that the streams of other pages go on."""
    for message in view.messages:
        markup.remember(message)
        await asyncio.sleep(0)
    return Conversation(view, people)

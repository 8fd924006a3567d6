"""The page's stream: a snapshot as patches, then patches for what happens.

Every connection begins with a snapshot (the gateway's, with the running turn folded from the event
stream) and not with a replay: a page that was hidden for an hour is brought up to date by a few
patches. The subscription is made before the snapshot is read, so nothing falls between the two;
what is told twice is recognised (rule 23). A reader that lags is sent away and comes back.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import suppress

from parley_bus import EventRecord
from parley_contracts.errors import ParleyError
from parley_contracts.events import (
    CLOSING,
    AgentChanged,
    AnyEvent,
    MessageAccepted,
    MessageReady,
    ThreadChanged,
    TurnCancelled,
    TurnFailed,
    TurnRestarted,
    TurnStarted,
)
from parley_contracts.operations import THREADS_GET, THREADS_LIST
from parley_contracts.threads import ListThreads, ReadThread
from pydantic import TypeAdapter, ValidationError

from parley_web import sse
from parley_web.page import markup, patches
from parley_web.page.conversation import Conversation, Missed
from parley_web.page.patches import Patch
from parley_web.page.reading import Snapshot, model_connected, read_snapshot
from parley_web.page.sidebar import Sidebar
from parley_web.relay import Interest, Lagged, Subscription
from parley_web.state import AppState

PACE_S = 0.05
"""At most so often the page is told how an answer grows …"""
SHARE = 10
"""… and rendering takes at most one part in so many of the time."""

_LISTED = CLOSING | {
    "thread_changed",
    "message_accepted",
    "turn_started",
    "turn_restarted",
    "agent_changed",
    "catalog_changed",
}
"""What every page wants to know, whichever thread it shows."""
_EVENT: TypeAdapter[AnyEvent] = TypeAdapter(AnyEvent)


async def frames(state: AppState, thread_id: str | None, known: int) -> AsyncGenerator[bytes]:
    """Yield the frames of one page's stream; it shows the thread's messages up to `known`.

    Ends when the page is to come back for a new snapshot: now, or when the gateway answers again.
    """
    wanted: list[Interest] = [(None, kind) for kind in _LISTED]
    if thread_id:
        wanted.append((thread_id, None))
    with state.relay.subscribe(*wanted) as subscription, suppress(Lagged, Missed, ParleyError):
        yield sse.opening()
        screen = Screen(state, await read_snapshot(state, thread_id))
        yield patches.frame(await screen.opening(known))
        pace = Pace()
        while True:
            records = await _next(subscription, pace.pause() if screen.growing else None)
            made = [patch for record in records for patch in await screen.apply(record)]
            if screen.growing and not pace.pause():
                with pace:
                    made += screen.grow()
            if made:
                yield patches.frame(made)


async def _next(subscription: Subscription, within: float | None) -> list[EventRecord]:
    """Wait for events, at most so long, and return all that are there."""
    try:
        async with asyncio.timeout(within):
            first = await subscription.get()
    except TimeoutError:
        return []
    return [first, *subscription.drain()]


class Pace:
    """How soon the next rendering may come, by what the last one cost (`with pace:`)."""

    def __init__(self) -> None:
        self._began = self._next = 0.0

    def __enter__(self) -> None:
        self._began = time.monotonic()

    def __exit__(self, *_: object) -> None:
        ended = time.monotonic()
        self._next = ended + max(PACE_S, SHARE * (ended - self._began))

    def pause(self) -> float:
        """Return the seconds to wait, 0 when it is time."""
        return max(0.0, self._next - time.monotonic())


class Screen:
    """What one page shows, and how events change it."""

    def __init__(self, state: AppState, snapshot: Snapshot) -> None:
        self._state = state
        self._connected = snapshot.connected
        self._people = snapshot.people
        self._conversation = snapshot.conversation
        self._id = snapshot.conversation.thread.id if snapshot.conversation else None
        self._sidebar = Sidebar(snapshot.threads, snapshot.family)
        self.growing = False
        """Whether the running answer has more to show than the page knows."""

    async def opening(self, known: int) -> list[Patch]:
        """Return what brings the page to the snapshot."""
        made = [*self._sidebar.whole(), self._notice(), self._agents()]
        if self._conversation:
            await self._fold(self._conversation)
            made += self._conversation.since(known)
        return made

    async def apply(self, record: EventRecord) -> list[Patch]:
        """Take an event; return what the page has to change at once."""
        try:
            event = _EVENT.validate_json(record.payload)
        except ValidationError:  # of a newer service: what this one does not know it does not show
            return []
        made: list[Patch] = []
        if self._conversation and record.thread_id in (self._id, None):
            made += self._conversation.apply(event)
            self.growing = self._conversation.answer is not None
        if isinstance(event, AgentChanged):
            self._people.update(event.agent)
            made.append(self._agents())
        if record.kind == "catalog_changed":
            self._connected = await model_connected(self._state)
            made.append(self._notice())
        return made + await self._list(event)

    def grow(self) -> list[Patch]:
        """Return how the running answer has grown."""
        self.growing = False
        answer = self._conversation and self._conversation.answer
        return answer.changes() if answer else []

    def _agents(self) -> Patch:
        chosen = self._conversation.addressee if self._conversation else None
        return patches.replace("agent", markup.agents(self._people, chosen))

    def _notice(self) -> Patch:
        return patches.replace("notice", markup.notice(connected=self._connected))

    async def _fold(self, conversation: Conversation) -> None:
        """Give the running answer what it has said and done before this moment."""
        if conversation.answer is None:
            return
        began = self._state.relay.turn_began(conversation.thread.id)
        async for page in self._state.events.pages(thread_id=self._id, after=began):
            for record in page:
                with suppress(ValidationError):  # what nobody can read hides nothing else
                    conversation.recall(_EVENT.validate_json(record.payload))

    async def _list(self, event: AnyEvent) -> list[Patch]:
        match event:
            case ThreadChanged() if event.thread.status == "deleted":
                return await self._read_list()
            case ThreadChanged():
                return self._sidebar.put(event.thread)
            case MessageAccepted():
                return await self._activity(event)
            case TurnStarted() | TurnRestarted():
                return self._sidebar.busy(event.thread_id, event.turn_id)
            case MessageReady() | TurnFailed() | TurnCancelled():
                return self._sidebar.ended(event.thread_id, event.turn_id)
        return []

    async def _read_list(self) -> list[Patch]:
        """Another version may stand in the list for one that was deleted."""
        try:
            self._sidebar.read(await self._state.bus.request(THREADS_LIST, ListThreads()))
        except ParleyError:  # the next snapshot has it
            return []
        return self._sidebar.whole()

    async def _activity(self, event: MessageAccepted) -> list[Patch]:
        """Bring the thread to the top; one further down the list is read first."""
        known = self._sidebar.known(event.thread_id)
        if known is None:
            request = ReadThread(id=event.thread_id, limit=1)
            try:
                known = (await self._state.bus.request(THREADS_GET, request)).thread
            except ParleyError:  # it was deleted in between, or shows up with the next snapshot
                return []
        turn = known.open_turn or event.turn_id
        now = known.model_copy(update={"open_turn": turn, "active_at": event.at})
        return self._sidebar.put(now, first=True)

"""The event stream for this process's clients: one reader, a bounded queue a client.

Whoever reads too slowly, and everybody after a gap, is told so once (`Lagged`) and goes on from
there with a fresh snapshot; no queue grows without bound and no event is skipped unnoticed.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from parley_bus import EventGap, EventRecord, Events
from parley_contracts.errors import Unavailable
from parley_contracts.events import CLOSING

Interest = tuple[str | None, str | None]
"""Thread and kind of the events that a client wants; None stands for any."""
EVERYTHING: Interest = (None, None)

MAX_RECORDS = 2_000
MAX_BYTES = 4 * 1024 * 1024
"""What may wait for one client; more means that it does not keep up."""
RETRY_S = 0.5

log = logging.getLogger(__name__)


class Lagged(Exception):
    """Events were missed. Read a snapshot; the subscription goes on from `Relay.position`."""


class Subscription:
    """One client's view of the stream, from the moment it was made."""

    def __init__(self) -> None:
        self._records: deque[EventRecord] = deque()
        self._bytes = 0
        self._lagged = False
        self._ready = asyncio.Event()

    async def get(self) -> EventRecord:
        """Wait for the next event. Raises Lagged."""
        await self._ready.wait()
        self._raise_if_lagged()
        record = self._records.popleft()
        self._bytes -= len(record.payload)
        if not self._records:
            self._ready.clear()
        return record

    def drain(self) -> list[EventRecord]:
        """Return what is there, without waiting. Raises Lagged."""
        self._raise_if_lagged()
        records = list(self._records)
        self._clear()
        return records

    def offer(self, record: EventRecord) -> bool:
        """Queue the event; return False when there is no room left."""
        if self._lagged:
            return True
        self._records.append(record)
        self._bytes += len(record.payload)
        self._ready.set()
        return len(self._records) <= MAX_RECORDS and self._bytes <= MAX_BYTES

    def lag(self) -> None:
        """Drop what waits; the reader learns it at its next step."""
        self._clear()
        self._lagged = True
        self._ready.set()

    def _raise_if_lagged(self) -> None:
        if self._lagged:
            self._lagged = False
            self._ready.clear()
            raise Lagged

    def _clear(self) -> None:
        self._records.clear()
        self._bytes = 0
        self._ready.clear()


class Relay:
    """Reads the event stream once and hands every event to the clients that want it.

    `position` is the sequence of the last event handed out: what a snapshot read after looking at
    it does not show will still come.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._subscriptions: set[Subscription] = set()
        self._interested: defaultdict[Interest, set[Subscription]] = defaultdict(set)
        self._began: dict[str, int] = {}
        self.position = 0
        self.following = False
        self.relayed = 0
        self.lagged = 0

    def turn_began(self, thread_id: str) -> int:
        """Return a place before the events of the thread's running turn, 0 when it is not known."""
        return self._began.get(thread_id, 0)

    @property
    def clients(self) -> int:
        """How many subscriptions there are."""
        return len(self._subscriptions)

    @contextmanager
    def subscribe(self, *interests: Interest) -> Iterator[Subscription]:
        """Yield a subscription to the events of any of the interests that come from now on."""
        subscription = Subscription()
        self._subscriptions.add(subscription)
        for each in interests:
            self._interested[each].add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)
            self._leave(subscription, interests)

    def _leave(self, subscription: Subscription, interests: Iterable[Interest]) -> None:
        for each in interests:
            self._interested[each].discard(subscription)
            if not self._interested[each]:
                del self._interested[each]

    async def run(self) -> None:
        """Follow the stream until cancelled."""
        while True:
            try:
                await self._follow()
            except EventGap as gap:
                log.warning("lost the place in the event stream (%s); clients read anew", gap)
            except Unavailable as error:
                log.debug("the event stream does not answer yet: %s", error)
                await asyncio.sleep(RETRY_S)
            finally:
                self.following = False

    async def _follow(self) -> None:
        _, last = await self._events.bounds()
        self.position = last
        self._began.clear()
        for subscription in self._subscriptions:
            self._lag(subscription)
        self.following = True
        async for record in self._events.follow(after=last):
            self.position = record.sequence
            self.relayed += 1
            self._note_turn(record)
            for subscription in self._readers(record):
                if not subscription.offer(record):
                    self._lag(subscription)

    def _readers(self, record: EventRecord) -> set[Subscription]:
        """Return the subscriptions that want an event; what it costs is up to them alone."""
        keys = (EVERYTHING, (record.thread_id, None), (None, record.kind))
        return set().union(*(self._interested[key] for key in keys if key in self._interested))

    def _note_turn(self, record: EventRecord) -> None:
        if record.thread_id is None:
            return
        if record.kind == "turn_started":
            self._began[record.thread_id] = record.sequence - 1
        elif record.kind in CLOSING:
            self._began.pop(record.thread_id, None)

    def _lag(self, subscription: Subscription) -> None:
        subscription.lag()
        self.lagged += 1

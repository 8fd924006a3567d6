"""The gateway's parts and how they work together.

A commit's effects go out at once: events first, then slots. Every two seconds, at start and after
each reconnect the sweeper looks for what an effect should have done and did not.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Coroutine
from typing import Any

from parley_bus import Bus, Events, SlotQueue, StreamDamaged, make_topology, remove_stream
from parley_bus.runtime import end, sign_of_life
from parley_contracts.errors import ParleyError
from parley_contracts.subjects import EVENTS, TURNS, cancel_subject

from parley_gateway.access import Access
from parley_gateway.cancel import close_all_overdue
from parley_gateway.dispatch import Dispatcher
from parley_gateway.indexing import Indexer
from parley_gateway.outbox import Outbox
from parley_gateway.respite import Respite
from parley_gateway.store.database import Database
from parley_gateway.store.imports import purge_abandoned
from parley_gateway.store.stopping import GRACE_US
from parley_gateway.store.transaction import Effects

SWEEP_S = 2.0
MOST_REFUSALS = 2
"""A stream that refuses in more sweeps in a row, all of which the broker answers, is ill."""
PURGE_US = 3_600_000_000
STALL_S = 5.0
"""A gateway that did not sweep for so long was itself frozen, or the machine was suspended."""
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

log = logging.getLogger(__name__)


class Gateway:
    """A gateway over an opened database and a connected bus; `start` it, at the end `stop` it."""

    def __init__(self, database: Database, bus: Bus, access_token: str, *, replicas: int = 1):
        self.database = database
        self.writer = database.writer
        self.access = Access(access_token, self.writer.clock)
        self.respite = Respite(self.writer.clock)
        self._bus = bus
        self._events = Events(bus)
        self._replicas = replicas
        self._purge_at = 0
        self._outbox = Outbox(database, self._events)
        self._dispatcher = Dispatcher(database, SlotQueue(bus, TURNS), self.respite)
        self._indexer = Indexer(self.writer)
        self._tasks: set[asyncio.Task[None]] = set()
        self._sweeping = asyncio.Lock()
        self._damages: Counter[str] = Counter()

    def start(self) -> None:
        """Begin to publish, to dispatch and to sweep."""
        self.writer.on_commit = self._on_commit
        self._bus.on_reconnect(self._on_reconnect)
        self._spawn(self._outbox.publish_forever())
        self._spawn(self._indexer.index_forever())
        self._spawn(self._sweep_forever())

    async def stop(self) -> None:
        """End what runs in the background; whatever is left undone the next start finds."""
        await end(*self._tasks)

    async def sweep(self) -> None:
        """Find and repair what is due and was not done."""
        async with self._sweeping:
            await self.writer.flush()
            await self._make_streams()
            await self._renew_streams()
            await close_all_overdue(self.database, self._events)
            await self._dispatcher.dispatch_due()
            await self._outbox.look_for_old()
            await self._purge()

    async def _purge(self) -> None:
        """Forget, every hour, what was begun and given up."""
        if self.writer.clock() >= self._purge_at:
            await self.writer.run_relaxed(purge_abandoned)
            self._purge_at = self.writer.clock() + PURGE_US

    async def _make_streams(self) -> None:
        """Make the streams; one whose storage is damaged begins anew.

        What was in a stream that was missing is looked for: somebody may have removed it.
        """
        try:
            missing = await make_topology(self._bus, replicas=self._replicas)
        except StreamDamaged as damage:
            self._damages[damage.name] += 1
            if self._damages[damage.name] <= MOST_REFUSALS:
                raise
            log.warning("what NATS keeps of %s is damaged; it begins anew", damage.name)
            await remove_stream(self._bus, damage.name)
            del self._damages[damage.name]
            await self._make_streams()
        else:
            self._damages.clear()
            if missing:
                self._dispatcher.look_at_once()
                self._outbox.catch_up()

    async def _renew_streams(self) -> None:
        """Replace a stream that takes nothing any more; what is due is in the database.

        A file that the server once could not write, because the disk was full, it never writes
        again until it is restarted, nor does it let the stream be emptied.
        """
        for part, stream in ((self._outbox, EVENTS), (self._dispatcher, TURNS)):
            if part.refusals.end_round() > MOST_REFUSALS:
                log.warning("%s takes nothing, as after a full disk; it begins anew", stream.name)
                await remove_stream(self._bus, stream.name)
                part.refusals.clear()
                await self._make_streams()

    def _excuse(self) -> None:
        """Count anew what the streams refuse: they were not what was ill."""
        self._outbox.refusals.clear()
        self._dispatcher.refusals.clear()

    def _on_commit(self, effects: Effects) -> None:
        self._outbox.add(effects.events)
        for thread_id, change in effects.slots.items():
            self._spawn(self._dispatcher.change(thread_id, change))
        if effects.positioned:
            self._indexer.wake()
        for turn_id in effects.stops:
            self._spawn(self._stop_turn(turn_id))

    async def _stop_turn(self, turn_id: str) -> None:
        """Tell the worker, and end the turn if it does not."""
        try:
            await self._bus.publish(cancel_subject(turn_id), b"")
            await asyncio.sleep(GRACE_US / 1e6)
            await close_all_overdue(self.database, self._events)
        except ParleyError as error:
            log.info("stopping turn %s waits for the next sweep: %s", turn_id, error.detail)

    async def _on_reconnect(self) -> None:
        self.respite.renew()
        self._dispatcher.look_at_once()
        self._outbox.catch_up()
        self._excuse()
        await self._try_to_sweep()

    async def _sweep_forever(self) -> None:
        while True:
            begun = time.clock_gettime(_CLOCK)
            await self._try_to_sweep()
            await asyncio.sleep(SWEEP_S)
            if time.clock_gettime(_CLOCK) - begun > STALL_S:
                self.respite.renew()

    async def _try_to_sweep(self) -> None:
        try:
            await self.sweep()
            sign_of_life()
        except ParleyError as error:
            log.warning("the sweep waits: %s", error.detail)
            self._excuse()
            self.respite.renew()
        except Exception:
            log.exception("a sweep failed; the next one tries again")

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

"""Fills the slots. The fast path and the sweeper are the same code (rules 9 to 11).

Nothing here remembers what is due: a slot that is not as expected is looked at, the database
decides, and exactly the message that was looked at is deleted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from typing import NamedTuple

from parley_bus import Slot, SlotOccupied, SlotQueue
from parley_contracts.errors import ParleyError, Unavailable
from parley_contracts.letters import KeepLetter
from parley_contracts.subjects import TURNS
from parley_contracts.turns import TurnSlot
from pydantic import ValidationError

from parley_gateway.refusals import Refusals
from parley_gateway.respite import Respite
from parley_gateway.store.database import Database
from parley_gateway.store.dispatching import DUE, Due, judge
from parley_gateway.store.letters import keep
from parley_gateway.store.transaction import SlotChange

SIDE_BY_SIDE = 16
ATTEMPTS = 3
FIRST_PAUSE_US = 1_000_000
LONGEST_PAUSE_US = 30_000_000
"""How rarely, at most, a slot that was found right is looked at again."""

log = logging.getLogger(__name__)


class Look(NamedTuple):
    """When to look at a slot next, and how long after the look before, in microseconds."""

    at: int
    pause: int


class Dispatcher:
    """Puts due turns into their slots."""

    def __init__(self, database: Database, slots: SlotQueue, respite: Respite) -> None:
        self._database = database
        self._slots = slots
        self._respite = respite
        self._looks: dict[Due, Look] = {}
        self._at_once = True
        self.refusals = Refusals()

    async def change(self, thread_id: str, change: SlotChange) -> None:
        """Do what a transaction wants with a slot; what fails here a sweep repairs."""
        await self._try(thread_id, self._change(thread_id, change))

    async def _change(self, thread_id: str, change: SlotChange) -> None:
        if change.free is not None:
            await self._slots.delete(change.free)
        if change.put is not None and not await self._put(thread_id, change.put):
            await self._settle(thread_id, change.put)

    async def dispatch_due(self) -> None:
        """Look at the slot of every turn that no living worker holds."""
        async with self._database.reading() as connection:
            parameters = {"now": self._database.writer.clock()}
            found = await connection.execute(DUE.clause, parameters)
            due = [Due(*row) for row in found]
        await self._settle_all(self._worth_a_look(due))

    def look_at_once(self) -> None:
        """Look at every slot in the next sweep: the broker may have lost them."""
        self._at_once = True

    def _worth_a_look(self, due: list[Due]) -> list[Due]:
        """Return what to look at now: what has been due for a sweep, then ever more rarely.

        What has just become due is on its way by `change`, unless it is abandoned. What only the
        respite holds is looked at as soon as that has ended.
        """
        now = self._database.writer.clock()
        latest = self._respite.until if now < self._respite.until else now + LONGEST_PAUSE_US
        looks = {} if self._at_once else self._looks
        known = {each: looks.get(each) or self._first_look(each, now) for each in due}
        chosen = [each for each, look in known.items() if look.at <= now]
        for each in chosen:
            pause = min(2 * known[each].pause, LONGEST_PAUSE_US)
            known[each] = Look(min(now + pause, latest), pause)
        self._looks, self._at_once = known, False
        return chosen

    def _first_look(self, due: Due, now: int) -> Look:
        soon = self._at_once or due.abandoned
        return Look(now if soon else now + 1, FIRST_PAUSE_US)

    async def _settle_all(self, due: Iterable[Due]) -> None:
        room = asyncio.Semaphore(SIDE_BY_SIDE)

        async def settle(each: Due) -> None:
            async with room:
                if not await self._try(each.thread_id, self._settle(each.thread_id, each.slot)):
                    self._looks[each] = Look(0, FIRST_PAUSE_US)

        async with asyncio.TaskGroup() as group:
            for each in due:
                group.create_task(settle(each))

    async def _try(self, thread_id: str, work: Awaitable[None]) -> bool:
        """Do it, or leave it to a later sweep and return False."""
        try:
            await work
        except ParleyError as error:
            log.info("the slot of thread %s waits for a sweep: %s", thread_id, error.detail)
            return False
        except Exception:  # the other threads' slots are looked at all the same
            log.exception("the slot of thread %s waits for a sweep", thread_id)
            return False
        return True

    async def _put(self, thread_id: str, slot: TurnSlot) -> bool:
        """Fill a slot; False when something is in it, which proves nothing of the stream."""
        try:
            await self._slots.put(thread_id, slot)
        except SlotOccupied:
            return False
        except Unavailable:
            self.refusals.add()
            raise
        self.refusals.clear()
        return True

    async def _settle(self, thread_id: str, due: TurnSlot) -> None:
        """Make a slot hold what is due, unless the database says that others are at it."""
        for _ in range(ATTEMPTS):
            found = await self._slots.peek(thread_id)
            content = await self._read(found) if found else None
            verdict = await self._database.writer.run_relaxed(
                judge, thread_id, due, content, no_takeover_before=self._respite.until
            )
            if found is not None and verdict.delete:
                await self._slots.delete(found.sequence)
            if verdict.put is None or await self._put(thread_id, verdict.put):
                return
            due = verdict.put

    async def _read(self, slot: Slot) -> TurnSlot:
        """Return what lies in a slot; what nobody can read is kept, and counts as an older turn."""
        try:
            return TurnSlot.model_validate_json(slot.payload)
        except ValidationError:
            letter = KeepLetter.of(TURNS, slot.key, slot.sequence, slot.payload)
            await self._database.writer.run(keep, letter)
            return TurnSlot(turn_id="unreadable", dispatch_no=0)

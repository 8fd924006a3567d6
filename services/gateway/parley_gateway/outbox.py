"""Publishes events in the order of their commits, each at least once, as good as once.

A committed event is published from memory at once; its row is deleted together with some later
transaction. Whatever went wrong, the rows are still there: then they are read and published again,
and the stream drops what it has by the message id.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextvars import Context, copy_context
from functools import partial

from parley_bus import Events
from parley_contracts.errors import Invalid, ParleyError, Unavailable
from sqlalchemy import bindparam, delete, select

from parley_gateway.refusals import Refusals
from parley_gateway.store.database import Database
from parley_gateway.store.schema import outbox
from parley_gateway.store.statement import Statement
from parley_gateway.store.transaction import Posted, StoredEvent, Transaction

AT_ONCE = 256
OLD_US = 10_000_000
"""An event that still lies here after so long was left behind by somebody."""

_READ = (
    select(outbox.c.id, outbox.c.message_id, outbox.c.thread_id, outbox.c.kind, outbox.c.payload)
    .order_by(outbox.c.id)
    .limit(AT_ONCE)
)
_OLD = select(outbox.c.id).where(outbox.c.created_at < bindparam("before")).limit(1)
_DELETE = Statement(delete(outbox).where(outbox.c.id == bindparam("id")))

log = logging.getLogger(__name__)


def forget(tx: Transaction, ids: Sequence[int]) -> None:
    """Delete events that were published, in an order in which no two gateways wait crosswise."""
    tx.many(_DELETE, [{"id": id} for id in sorted(ids)])


class Outbox:
    """`add` what was committed; `publish_forever` is to run as long as the gateway does."""

    def __init__(self, database: Database, events: Events) -> None:
        self._database = database
        self._events = events
        self._fresh: deque[tuple[Posted, Context]] = deque()
        self._behind = True
        self._wake = asyncio.Event()
        self._newest = 0
        self.refusals = Refusals()

    def add(self, posted: Sequence[Posted]) -> None:
        """Publish what was just committed, soon and in this order."""
        if posted and not self._behind:
            context = copy_context()
            self._fresh.extend((each, context) for each in posted)
            self._wake.set()

    def catch_up(self) -> None:
        """Publish from the rows: something may have been missed."""
        self._behind = True
        self._wake.set()

    async def look_for_old(self) -> None:
        """Catch up if events were left behind, by this gateway or by one that died."""
        if self._behind or await self._has_old():
            self.catch_up()

    async def _has_old(self) -> bool:
        before = self._database.writer.clock() - OLD_US
        async with self._database.reading() as connection:
            return await connection.scalar(_OLD, {"before": before}) is not None

    async def publish_forever(self) -> None:
        """Publish whatever is there; it begins, and an outage ends, with a look for old ones."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._publish_all()
            except ParleyError as error:
                self._behind = True
                log.warning("events wait in the outbox: %s", error.detail)
            except Exception:
                self._behind = True
                log.exception("events wait in the outbox")

    async def _publish_all(self) -> None:
        if self._behind:
            self._fresh.clear()
            self._behind = False
            await self._publish_rows()
        while self._fresh:
            count = min(len(self._fresh), AT_ONCE)
            batch = [self._fresh.popleft() for _ in range(count)]
            ids = await self._publish(batch)
            self._database.writer.ride(partial(forget, ids=ids))

    async def _publish_rows(self) -> None:
        while rows := await self._read():
            context = copy_context()
            ids = await self._publish([(each, context) for each in rows])
            await self._database.writer.run_relaxed(forget, ids)

    async def _read(self) -> list[Posted]:
        async with self._database.reading() as connection:
            rows = await connection.execute(_READ)
            return [
                Posted(id, message_id, StoredEvent(kind=kind, thread_id=thread, payload=payload))
                for id, message_id, thread, kind, payload in rows
            ]

    async def _publish(self, batch: Sequence[tuple[Posted, Context]]) -> list[int]:
        """Publish side by side: the connection keeps the order. Return the ids."""
        publishing = [
            asyncio.create_task(
                self._events.publish(posted.event, message_id=posted.message_id), context=context
            )
            for posted, context in batch
        ]
        outcomes = await asyncio.gather(*publishing, return_exceptions=True)
        self._note(outcomes)
        for (posted, _), outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Invalid):
                log.error("a %s is too large for an event; readers miss it", posted.event.kind)
            elif isinstance(outcome, BaseException):
                raise outcome
        return [posted.id for posted, _ in batch]

    def _note(self, outcomes: Sequence[int | BaseException]) -> None:
        """Note whether the stream takes events; what it has already it also answers when full."""
        newest = max((each for each in outcomes if isinstance(each, int)), default=0)
        refused = any(isinstance(each, Unavailable) for each in outcomes)
        if refused and newest <= self._newest:
            self.refusals.add()
        else:
            self.refusals.clear()
        self._newest = max(newest, self._newest)

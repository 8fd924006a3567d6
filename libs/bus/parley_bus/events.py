"""The event stream: what happened, for whoever looks now and for an hour after.

Sequences of the stream only grow, also when the broker was wiped (rule 12), so that a reader's
place is one number. A reader that cannot go on exactly there is told so by EventGap.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from dataclasses import dataclass
from uuid import uuid4

from nats.aio.msg import Msg
from parley_contracts.errors import ParleyError, Unavailable
from parley_contracts.events import Event
from parley_contracts.subjects import EVENTS, NO_THREAD

from parley_bus import jetstream, tracing
from parley_bus.bus import Bus
from parley_bus.failpoints import failpoint
from parley_bus.puller import Puller

READ_AHEAD = 1000
"""Events that a follower holds at most while it is busy."""
RETRY_S = 0.25
PAGE = 1000

log = logging.getLogger(__name__)


class EventGap(Exception):
    """Events after the reader's place are gone: read a snapshot, then follow from there."""


@dataclass(frozen=True, slots=True)
class EventRecord:
    """An event in its place; `payload` is its JSON, undecoded."""

    sequence: int
    thread_id: str | None
    kind: str
    payload: bytes
    traceparent: str | None = None


class Events:
    """Publishes and reads events."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def publish(
        self, event: Event, *, message_id: str | None = None, timeout: float = 5.0
    ) -> int:
        """Store an event and return its sequence; Unavailable when it was not stored.

        The same `message_id` again within two minutes stores nothing and returns the first
        sequence.
        """
        headers = {"Nats-Msg-Id": message_id} if message_id else None
        await self._bus.published(timeout=timeout)
        failpoint("event.store.before")
        try:
            sequence = await jetstream.store(
                self._bus, _subject(event), event.encode(), headers=headers, timeout=timeout
            )
        except jetstream.Refused as refusal:
            raise Unavailable(f"{EVENTS.name} takes no event: {refusal}.") from None
        failpoint("event.store.after")
        return sequence

    def publish_soon(self, event: Event) -> None:
        """Publish without waiting for anything; may be lost in an outage, is never out of order."""
        self._bus.publish_soon(_subject(event), event.encode())

    async def bounds(self) -> tuple[int, int]:
        """Return the first and last sequence; when the stream is empty, last is first - 1."""
        try:
            info = await jetstream.call(self._bus, f"STREAM.INFO.{EVENTS.name}")
        except jetstream.Refused as refusal:
            raise Unavailable(f"{EVENTS.name} cannot be read: {refusal}.") from None
        state = info["state"]
        return state["first_seq"], state["last_seq"]

    async def replay(self, *, thread_id: str | None = None, after: int = 0) -> list[EventRecord]:
        """Return the stored events after a sequence, of one thread or of all."""
        pages = self.pages(thread_id=thread_id, after=after)
        return [record async for page in pages for record in page]

    async def pages(
        self, *, thread_id: str | None = None, after: int = 0
    ) -> AsyncGenerator[list[EventRecord]]:
        """Yield what `replay` returns, page by page, so that a long one can be worked off so."""
        wanted = EVENTS.subject(thread_id, "*") if thread_id else EVENTS.subjects
        pending = 1
        while pending:
            request = {"seq": after + 1, "next_by_subj": wanted, "batch": PAGE}
            page, pending = await jetstream.read(self._bus, EVENTS.name, request)
            if not page:
                return
            yield [_replayed(each) for each in page]
            after = page[-1].sequence

    async def follow(self, *, after: int | None = None) -> AsyncGenerator[EventRecord]:
        """Yield every event after the sequence, without end; without one, only new ones.

        Outlives reconnects and restarts of the broker. Raises EventGap when the events that
        follow the reader's place are no longer there, or the place lies beyond the stream's end.
        """
        while after is None:
            with suppress(Unavailable):
                after = (await self.bounds())[1]
                break
            await asyncio.sleep(RETRY_S)
        while True:
            try:
                async with aclosing(self._read(after)) as records:
                    async for record in records:
                        yield record
                        after = record.sequence
            except Unavailable as error:
                log.info("following events pauses: %s", error.detail)
            await asyncio.sleep(RETRY_S)

    async def _read(self, after: int) -> AsyncGenerator[EventRecord]:
        """Yield events without a gap through one consumer, until that is lost.

        What a fresh consumer does not begin with is gone, as after `nats stream rmm`.
        """
        first, last = await self.bounds()
        if not first - 1 <= after <= last:
            raise EventGap
        fresh, consumer = True, await self._begin(after + 1)
        arrived: asyncio.Queue[Msg | None] = asyncio.Queue()
        puller = Puller(
            self._bus,
            EVENTS.name,
            consumer,
            deliver=arrived.put_nowait,
            room=lambda: READ_AHEAD - arrived.qsize(),
        )
        pulling = self._bus.spawn(puller.pull())
        pulling.add_done_callback(lambda _: arrived.put_nowait(None))
        try:
            while (message := await arrived.get()) is not None:
                record = _record(message)
                if record.sequence != after + 1:
                    if fresh:
                        raise EventGap
                    return
                fresh, after = False, record.sequence
                yield record
                puller.wake()
        finally:
            pulling.cancel()
            self._bus.spawn(self._end(consumer))

    async def _begin(self, start: int) -> str:
        """Make a consumer for one reader; the server forgets it when nobody pulls any more."""
        name = uuid4().hex
        config = {
            "name": name,
            "deliver_policy": "by_start_sequence",
            "opt_start_seq": start,
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": 60_000_000_000,
        }
        request = {"stream_name": EVENTS.name, "config": config, "action": "create"}
        try:
            await jetstream.call(self._bus, f"CONSUMER.CREATE.{EVENTS.name}.{name}", request)
        except jetstream.Refused as refusal:
            raise Unavailable(f"{EVENTS.name} cannot be read: {refusal}.") from None
        return name

    async def _end(self, consumer: str) -> None:
        with suppress(ParleyError, jetstream.Refused):
            await jetstream.call(self._bus, f"CONSUMER.DELETE.{EVENTS.name}.{consumer}")


def _subject(event: Event) -> str:
    return EVENTS.subject(event.thread_id, event.kind)


def _address(subject: str) -> tuple[str | None, str]:
    thread, kind = subject.split(".")[2:]
    return (None if thread == NO_THREAD else thread), kind


def _replayed(stored: jetstream.Stored) -> EventRecord:
    traceparent = stored.headers.get(tracing.HEADER)
    return EventRecord(stored.sequence, *_address(stored.subject), stored.payload, traceparent)


def _record(message: Msg) -> EventRecord:
    sequence = int(message.reply.split(".")[5])
    traceparent = (message.headers or {}).get(tracing.HEADER)
    return EventRecord(sequence, *_address(message.subject), message.data, traceparent)

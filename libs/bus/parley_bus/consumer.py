"""Consumes a durable: runs the handlers and acknowledges. The only place that acknowledges.

While a handler runs the server hears every few seconds that its message is in progress, so that
nobody else gets it; when this process dies, the silence gives it to another.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from nats.aio.msg import Msg

from parley_bus import tracing
from parley_bus.bus import Bus
from parley_bus.failpoints import failpoint
from parley_bus.puller import Puller

PROGRESS_S = 3.0
RETRY_S = 0.25
LONGEST_PAUSE_S = 60.0

ACK = b"+ACK"
NAK = b"-NAK"
PROGRESS = b"+WPI"

log = logging.getLogger(__name__)

Handle = Callable[[int, str, bytes], Awaitable[float | None]]
"""Takes stream sequence, subject and payload; see `SlotQueue.consume` for what it returns."""


class Consumer:
    """Handles the messages of one durable, `room` at once, from now until `stop`."""

    def __init__(self, bus: Bus, stream: str, durable: str, handle: Handle, room: int) -> None:
        self._bus = bus
        self._handle = handle
        self._room = room
        self._running: dict[asyncio.Task[None], Msg] = {}
        self._stopping = False
        self._puller = Puller(
            bus,
            stream,
            durable,
            deliver=self._deliver,
            room=lambda: self._room - len(self._running),
        )
        self._pulling = bus.spawn(self._pull())
        self._progress = bus.spawn(self._report_progress())

    async def stop(self, grace: float) -> None:
        """Pull no more; wait `grace` seconds for the running handlers and cancel the rest.

        The messages of cancelled handlers go back at once, for whoever else has room.
        """
        self._stopping = True
        self._pulling.cancel()
        await asyncio.wait([self._pulling])
        if self._running:
            await asyncio.wait(self._running, timeout=grace)
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
        self._progress.cancel()

    async def _pull(self) -> None:
        while True:
            try:
                await self._puller.pull()
            except Exception:
                log.exception("pulling stopped for a moment")
            await asyncio.sleep(RETRY_S)

    def _deliver(self, message: Msg) -> None:
        if self._stopping:
            self._bus.spawn(self._answer(message, NAK))
            return
        task = asyncio.create_task(self._run(message))
        self._running[task] = message
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        del self._running[task]
        self._puller.wake()

    async def _run(self, message: Msg) -> None:
        """Handle one message and tell the server how that ended."""
        answer = NAK
        try:
            with tracing.received(message.headers):
                answer = await self._outcome(message)
        finally:
            failpoint("acknowledge.before")
            await self._answer(message, answer)
            failpoint("acknowledge.after")

    async def _outcome(self, message: Msg) -> bytes:
        place = message.metadata
        try:
            delay = await self._handle(place.sequence.stream, message.subject, message.data)
        except Exception:
            delay = pause(place.num_delivered)
            log.exception("%s failed; it comes again in %g s", message.subject, delay)
        return ACK if delay is None else _nak(delay)

    async def _answer(self, message: Msg, answer: bytes) -> None:
        await self._bus.respond(message.reply, answer)

    async def _report_progress(self) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            for message in list(self._running.values()):
                try:
                    await self._answer(message, PROGRESS)
                except Exception:
                    log.exception("%s could not be reported in progress", message.subject)


def pause(deliveries: int) -> float:
    """Return the seconds until a message comes again whose handler failed so many times."""
    return min(LONGEST_PAUSE_S, float(2 ** min(deliveries - 1, 10)))


def _nak(delay: float) -> bytes:
    if delay <= 0:
        return NAK
    return NAK + b" " + json.dumps({"delay": int(delay * 1e9)}).encode()

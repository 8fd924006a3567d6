"""What is published without waiting: in order, and kept in bounds while the broker is away."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from parley_bus import tracing

CAPACITY = 10_000
"""Messages that wait for the connection; what comes beyond is dropped."""

log = logging.getLogger(__name__)

Publish = Callable[[str, bytes, dict[str, str]], Awaitable[None]]


class Outgoing:
    """A queue in front of a connection; `send` empties it."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[str, bytes, dict[str, str]]] = asyncio.Queue(CAPACITY)

    def put(self, subject: str, payload: bytes) -> bool:
        """Take a message with the current trace; return False when there is no room for it."""
        try:
            self._waiting.put_nowait((subject, payload, tracing.outgoing()))
        except asyncio.QueueFull:
            return False
        return True

    async def send(self, publish: Publish) -> None:
        """Publish what comes, for ever; `publish` may wait as long as it likes."""
        while True:
            message = await self._waiting.get()
            try:
                await publish(*message)
            except Exception:
                log.exception("what goes to %s without acknowledgement is lost", message[0])
            finally:
                self._waiting.task_done()

    async def sent(self) -> None:
        """Wait until nothing waits."""
        await self._waiting.join()

"""A subscription, and how to end it without losing what is on its way."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

SETTLE_S = 2.0


async def settled(client: Client) -> None:
    """Wait until the server has seen all that was sent so far, a few seconds at most.

    nats-py's own `flush` proves nothing, for it writes its PING ahead of what is still buffered;
    and when it gives up, the PONG that comes later ends the read loop.
    """
    if not client.is_connected:
        return
    loop = asyncio.get_running_loop()
    flushed, pong = loop.create_future(), loop.create_future()
    assert client._flush_queue
    await client._flush_queue.put(flushed)
    await asyncio.wait([flushed], timeout=SETTLE_S)
    if flushed.done():
        await client._send_ping(pong)
        await asyncio.wait([pong], timeout=SETTLE_S)


class Subscription:
    """Interest in a subject, as `Bus.subscribe` returns it; it outlives the connection."""

    def __init__(self, subject: str, queue: str, deliver: Callable[[Msg], Awaitable[None]]) -> None:
        self.subject = subject
        self._queue = queue
        self._deliver = deliver

    async def begin(self, client: Client) -> None:
        """Subscribe on this connection."""
        self._client = client
        self._subscription: NatsSubscription = await client.subscribe(
            self.subject, queue=self._queue, cb=self._deliver
        )

    @property
    def ended(self) -> bool:
        """Whether nothing will be delivered any more."""
        return self._subscription._closed

    async def unsubscribe(self) -> None:
        """End it at once; what was received and not handled is dropped."""
        with suppress(nats.errors.Error):
            await self._subscription.unsubscribe()

    async def drain(self) -> None:
        """Take nothing new from the server, handle what it has sent, then end."""
        if not self.ended and self._client.is_connected:
            await self._client._send_unsubscribe(self._subscription._id)
            await settled(self._client)
            await self._subscription._pending_queue.join()
        await self.unsubscribe()

"""Connection: one NATS client, kept connected for ever.

It connects whenever a server answers, never gives up, and says so once an outage, not once an
attempt. What must be renewed after an outage registers with `on_reconnect`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Self

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg
from parley_contracts.errors import ParleyError, Unauthorized, Unavailable

from parley_bus.context import NatsContext
from parley_bus.subscription import Subscription, settled
from parley_bus.transport import LingeringTransport

PING_S = 5
"""A silent server is given up after three of these."""
RECONNECT_S = 0.25
CLOSE_S = 2.0
PENDING = 64 * 1024 * 1024
"""Bytes that may wait for the socket; beyond them nats-py publishes slowly and ignores cancel."""

log = logging.getLogger(__name__)


class Connection:
    """A credential's connection: subscriptions and background work that outlive the broker."""

    def __init__(self, context: NatsContext, name: str) -> None:
        self._context = context
        self._name = name
        self._client = Client()
        self._up = asyncio.Event()
        self._starting = True
        self._closing = False
        self._troubles: set[str] = set()
        self._callbacks: list[Callable[[], Awaitable[None]]] = []
        self._subscriptions: list[Subscription] = []
        self._tasks: set[asyncio.Task[None]] = set()

    @classmethod
    async def connect(cls, context: NatsContext, *, name: str) -> Self:
        """Return a live connection; wait as long as no server answers.

        Raises Unauthorized when a server answers and refuses the credential.
        """
        connection = cls(context, name)
        await connection._connect()
        connection._starting = False
        return connection

    async def _connect(self) -> None:
        client = Client()
        client._transport = self._transport = LingeringTransport()
        try:
            await client.connect(
                servers=self._context.url.split(","),
                name=self._name,
                user=self._context.user,
                password=self._context.password,
                inbox_prefix=self._context.inbox_prefix,
                max_reconnect_attempts=-1,
                reconnect_time_wait=RECONNECT_S,  # type: ignore[arg-type]  # it may be a fraction
                ping_interval=PING_S,
                pending_size=PENDING,
                error_cb=self._on_error,
                disconnected_cb=self._on_disconnect,
                reconnected_cb=self._on_reconnect,
                closed_cb=self._on_closed,
            )
        except BaseException:
            self._closing = True
            await client.close()
            raise
        self._client = client
        self._up.set()

    @property
    def connected(self) -> bool:
        """Whether the broker can be reached, as far as we know."""
        return bool(self._client.is_connected)

    async def ready(self) -> None:
        """Wait until the broker can be reached."""
        while not self._client.is_connected:
            self._up.clear()
            await self._up.wait()

    async def listen(
        self, subject: str, deliver: Callable[[Msg], Awaitable[None]], *, queue: str = ""
    ) -> Subscription:
        """Subscribe to whole messages; servers of one `queue` share them."""
        subscription = Subscription(subject, queue, deliver)
        try:
            await subscription.begin(self._client)
        except nats.errors.Error as error:
            raise Unavailable(f"NATS cannot be listened to at the moment: {error}.") from error
        self._subscriptions = [each for each in self._subscriptions if not each.ended]
        self._subscriptions.append(subscription)
        return subscription

    async def settled(self) -> None:
        """Wait until the server has seen all subscriptions and messages so far."""
        await settled(self._client)

    def inbox(self) -> str:
        """Return a fresh subject that only this credential may listen on."""
        return str(self._client.new_inbox())

    def on_reconnect(self, callback: Callable[[], Awaitable[None]]) -> Callable[[], None]:
        """Call back after every reconnect, in a task of its own; return what ends that."""
        self._callbacks.append(callback)
        return lambda: self._callbacks.remove(callback)

    def spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Run `work` in the background until it ends or the bus is closed; log why it failed."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        task.add_done_callback(_log_failure)
        return task

    async def close(self) -> None:
        """Send what is to be sent, then disconnect; takes at most a few seconds."""
        self._closing = True
        await self.settled()
        await self._disconnect()
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=CLOSE_S)

    async def _disconnect(self) -> None:
        """Close the connection, by force when what is still to be sent cannot be sent."""
        closing = asyncio.create_task(self._client.close())
        await asyncio.wait([closing], timeout=CLOSE_S)
        self._transport.abort()
        await asyncio.gather(closing, return_exceptions=True)

    async def _on_error(self, error: Exception) -> None:
        if self._starting and "authorization violation" in str(error).lower():
            raise Unauthorized(
                f"NATS at {self._context.address} refuses the user {self._context.user}; "
                "check the credential in PARLEY_NATS_CONTEXT."
            )
        self._report(str(error) or type(error).__name__)

    async def _on_disconnect(self) -> None:
        """Answer the open requests now: their replies would come to the old connection."""
        self._up.clear()
        for reply in list(self._client._resp_map.values()):
            if not reply.done():
                reply.set_exception(nats.errors.ConnectionReconnectingError())

    async def _on_reconnect(self) -> None:
        self._up.set()
        self._troubles.clear()
        log.info("connected to NATS again")
        for callback in self._callbacks:
            self.spawn(_guarded(callback))

    async def _on_closed(self) -> None:
        """nats-py gives up for good on some errors, such as a revoked user: begin anew."""
        if not self._closing:
            self.spawn(self._begin_anew())

    async def _begin_anew(self) -> None:
        await self._connect()
        for subscription in self._subscriptions:
            await subscription.begin(self._client)
        await self.settled()
        await self._on_reconnect()

    def _report(self, trouble: str) -> None:
        """Log a trouble once an outage, not at each of its repetitions."""
        if trouble not in self._troubles:
            self._troubles.add(trouble)
            log.warning("NATS at %s: %s", self._context.address, trouble)


async def _guarded(callback: Callable[[], Awaitable[None]]) -> None:
    try:
        await callback()
    except Exception:
        log.exception("the work after a reconnect failed")


def _log_failure(task: asyncio.Task[None]) -> None:
    """Log what a task failed of; that the broker cannot be reached is told elsewhere."""
    error = None if task.cancelled() else task.exception()
    if isinstance(error, ParleyError):
        log.info("work in the background ended: %s", error.detail)
    elif error:
        log.error("work in the background failed", exc_info=error)

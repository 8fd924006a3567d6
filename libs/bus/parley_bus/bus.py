"""Bus: what a service says and hears, typed, over its connection; the only doorway to NATS."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Self, TypeVar

import nats.errors
from nats.aio.msg import Msg
from parley_contracts.base import Contract
from parley_contracts.errors import Internal, Invalid, Unavailable
from parley_contracts.operations import Operation
from pydantic import ValidationError

from parley_bus import tracing
from parley_bus.connection import Connection
from parley_bus.context import NatsContext
from parley_bus.failpoints import failpoint
from parley_bus.outgoing import Outgoing
from parley_bus.refusals import reply_of
from parley_bus.subscription import Subscription

Q = TypeVar("Q", bound=Contract)
R = TypeVar("R")

RETRY_S = 0.1
LAST_WORDS_S = 2.0

log = logging.getLogger(__name__)


class Bus(Connection):
    """Requests, subscriptions and publishing; make one with `connect`, end it with `close`."""

    def __init__(self, context: NatsContext, name: str) -> None:
        super().__init__(context, name)
        self._outgoing = Outgoing()

    @classmethod
    async def connect(cls, context: NatsContext, *, name: str) -> Self:
        """Return a connected bus; see `Connection.connect`."""
        bus = await super().connect(context, name=name)
        bus.spawn(bus._outgoing.send(bus._publish_when_ready))
        return bus

    async def close(self) -> None:
        """Send what is to be sent, then disconnect; takes at most a few seconds."""
        if self.connected:
            with suppress(Unavailable):
                await self.published(timeout=LAST_WORDS_S)
        await super().close()

    async def request(self, operation: Operation[Q, R], request: Q, *, timeout: float = 5.0) -> R:
        """Return the reply to the operation.

        Raises the ParleyError that the other side raised; Unavailable when nobody answers within
        `timeout` seconds, which include the wait for a lost connection.
        """
        reply = await self.request_raw(operation, request, timeout=timeout)
        try:
            return operation.decode(reply)
        except ValidationError as error:
            raise Internal(
                f"The answer to {operation.name} cannot be read; do all services run one version?"
            ) from error

    async def request_raw(
        self, operation: Operation[Q, R], request: Q, *, timeout: float = 5.0
    ) -> bytes:
        """Return the reply's JSON bytes as they came; errors as in `request`."""
        return reply_of(await self.ask(operation.subject, request.encode(), timeout=timeout))

    async def ask(
        self,
        subject: str,
        payload: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float = 5.0,
    ) -> Msg:
        """Send a request and return the message that answers it; Unavailable when none does.

        What `publish_soon` took before goes out before. As long as nobody listens the request has
        reached nobody, so it is sent again: whoever is just being started still answers in time.
        """
        stamped = {**tracing.outgoing(), **(headers or {})}
        try:
            async with asyncio.timeout(timeout):
                while True:
                    await self.ready()
                    await self._outgoing.sent()
                    with suppress(nats.errors.NoRespondersError):
                        return await self._client.request(
                            subject, payload, timeout=timeout, headers=stamped
                        )
                    await asyncio.sleep(RETRY_S)
        except nats.errors.MaxPayloadError:
            raise Invalid("This is too large for one request; send less.") from None
        except (TimeoutError, nats.errors.Error) as error:
            raise self._unanswered(timeout) from error

    def _unanswered(self, timeout: float) -> Unavailable:
        if self.connected:
            sentence = f"Nobody answered within {timeout:g} s; try again in a moment."
        else:
            sentence = "The message bus cannot be reached; it is tried again all the time."
        return Unavailable(sentence, kind="no-gateway")

    async def publish(self, subject: str, payload: bytes, *, reply: str = "") -> None:
        """Publish once, without acknowledgement; lost when the connection is."""
        try:
            await self._client.publish(subject, payload, reply, headers=tracing.outgoing())
        except nats.errors.Error as error:
            raise self._unanswered(0) from error

    async def respond(
        self, reply: str, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer a message; raises MaxPayloadError, and nothing when the connection is lost."""
        try:
            await self._client.publish(reply, body, headers=dict(headers) if headers else None)
        except nats.errors.MaxPayloadError:
            raise
        except nats.errors.Error as error:
            self._report(f"an answer was lost: {error}")

    def publish_soon(self, subject: str, payload: bytes) -> None:
        """Publish in order, before any later request, and without waiting.

        A long outage loses what is beyond the bounds.
        """
        if not self._outgoing.put(subject, payload):
            self._report("the outage lasts: what is published without acknowledgement is lost")

    async def published(self, *, timeout: float = 5.0) -> None:
        """Wait until all of `publish_soon` is on its way; Unavailable when the outage lasts."""
        try:
            async with asyncio.timeout(timeout):
                await self._outgoing.sent()
        except TimeoutError:
            raise self._unanswered(timeout) from None

    async def _publish_when_ready(
        self, subject: str, payload: bytes, headers: dict[str, str]
    ) -> None:
        await self.ready()
        failpoint("event.send.before")
        try:
            await self._client.publish(subject, payload, headers=headers)
        except nats.errors.Error as error:
            self._report(f"what was published without acknowledgement is lost: {error}")
        failpoint("event.send.after")

    async def subscribe(
        self, subject: str, callback: Callable[[str, bytes], Awaitable[None]]
    ) -> Subscription:
        """Call back with (subject, payload), one message after the other; faults are logged."""

        async def deliver(message: Msg) -> None:
            with tracing.received(message.headers):
                try:
                    await callback(message.subject, message.data)
                except Exception:
                    log.exception("the subscriber of %s failed", subject)

        subscription = await self.listen(subject, deliver)
        await self.settled()
        return subscription

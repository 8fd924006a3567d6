"""Answering requests: a NATS micro service (visible to `nats micro`) with typed errors.

Requests run side by side; a handler's fault is logged and answered, and never ends the service.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import nats.errors
from nats.aio.msg import Msg
from parley_contracts.base import Contract
from parley_contracts.errors import Internal, ParleyError
from parley_contracts.operations import Operation
from parley_contracts.sentences import invalid
from pydantic import ValidationError

from parley_bus import tracing
from parley_bus.bus import Bus
from parley_bus.failpoints import failpoint
from parley_bus.micro import QUEUE_GROUP, Discovery, Endpoint
from parley_bus.refusals import refusal
from parley_bus.subscription import Subscription

Handler = Callable[[Any], Awaitable[Contract | bytes]]
"""Takes the request, returns the reply, or its JSON bytes when they are at hand."""

log = logging.getLogger(__name__)


async def serve(
    bus: Bus, name: str, version: str, handlers: Mapping[Operation[Any, Any], Handler]
) -> Service:
    """Answer the operations as one server of the micro service of this name."""
    service = Service(bus, name, version, handlers)
    await service.start()
    return service


class Service:
    """One server of a micro service; several of one name share the requests."""

    def __init__(
        self,
        bus: Bus,
        name: str,
        version: str,
        handlers: Mapping[Operation[Any, Any], Handler],
    ) -> None:
        self._bus = bus
        self._handlers = handlers
        self._endpoints = {each: Endpoint(each.name, each.subject) for each in handlers}
        self._discovery = Discovery(bus, name, version, list(self._endpoints.values()))
        self._subscriptions: list[Subscription] = []
        self._running: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Subscribe to every operation, then become visible."""
        for operation, handler in self._handlers.items():
            deliver = self._receiver(operation, handler, self._endpoints[operation])
            self._subscriptions.append(
                await self._bus.listen(operation.subject, deliver, queue=QUEUE_GROUP)
            )
        await self._discovery.start()
        await self._bus.settled()

    async def stop(self) -> None:
        """Take no new request and wait for those that run; the caller bounds the wait."""
        await self._discovery.stop()
        await asyncio.gather(*(each.drain() for each in self._subscriptions))
        while self._running:
            await asyncio.wait(self._running)

    def _receiver(
        self, operation: Operation[Any, Any], handler: Handler, endpoint: Endpoint
    ) -> Callable[[Msg], Awaitable[None]]:
        async def receive(message: Msg) -> None:
            task = asyncio.create_task(self._serve(operation, handler, endpoint, message))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

        return receive

    async def _serve(
        self, operation: Operation[Any, Any], handler: Handler, endpoint: Endpoint, message: Msg
    ) -> None:
        with tracing.received(message.headers), endpoint.timed():
            try:
                body, headers = await _reply(operation, handler, message.data), None
            except ParleyError as error:
                endpoint.failed(error.detail)
                body, headers = refusal(error)
            failpoint("reply.before")
            await self._respond(message, body, headers)
            failpoint("reply.after")

    async def _respond(self, message: Msg, body: bytes, headers: dict[str, str] | None) -> None:
        if not message.reply:
            return
        try:
            await self._bus.respond(message.reply, body, headers)
        except nats.errors.MaxPayloadError:
            too_large = Internal("The answer is too large for one message; ask for less at once.")
            await self._bus.respond(message.reply, *refusal(too_large))


async def _reply(operation: Operation[Any, Any], handler: Handler, body: bytes) -> bytes:
    """Return the encoded reply; whatever goes wrong leaves as a ParleyError."""
    try:
        request = operation.request.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise invalid(error) from None
    try:
        reply = await handler(request)
        return reply if isinstance(reply, bytes) else reply.encode()
    except ParleyError:
        raise
    except Exception as fault:
        log.exception("%s failed", operation.name)
        raise Internal(
            f"{operation.name} failed by a fault of ours; the log has the details."
        ) from fault

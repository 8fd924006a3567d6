"""What `nats micro ls|info|stats` asks of a service (NATS ADR-32).

nats-py has such a service too, but it runs the requests of an endpoint one after the other and
drops what was delivered when it stops; both would be felt.
"""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from nats.aio.msg import Msg

from parley_bus.bus import Bus
from parley_bus.subscription import Subscription

QUEUE_GROUP = "q"
"""Servers of one service share its requests under this name, the protocol's default."""


@dataclass
class Endpoint:
    """One operation and what was counted of it; times in nanoseconds."""

    name: str
    subject: str
    requests: int = 0
    errors: int = 0
    last_error: str = ""
    busy_ns: int = 0

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Count a request and the time it takes."""
        started = time.perf_counter_ns()
        try:
            yield
        finally:
            self.requests += 1
            self.busy_ns += time.perf_counter_ns() - started

    def failed(self, reason: str) -> None:
        """Count an error."""
        self.errors += 1
        self.last_error = reason

    def info(self) -> dict[str, Any]:
        """Return the entry of an INFO answer."""
        name = self.name.replace(".", "-")
        return {"name": name, "subject": self.subject, "queue_group": QUEUE_GROUP, "metadata": {}}

    def stats(self) -> dict[str, Any]:
        """Return the entry of a STATS answer."""
        return {
            "name": self.name.replace(".", "-"),
            "subject": self.subject,
            "queue_group": QUEUE_GROUP,
            "num_requests": self.requests,
            "num_errors": self.errors,
            "last_error": self.last_error,
            "processing_time": self.busy_ns,
            "average_processing_time": self.busy_ns // max(self.requests, 1),
        }


class Discovery:
    """Answers $SRV.PING, INFO and STATS, each addressed to all, by name, or by name and id."""

    def __init__(self, bus: Bus, name: str, version: str, endpoints: list[Endpoint]) -> None:
        self._bus = bus
        self._identity = {"name": name, "id": uuid4().hex, "version": version, "metadata": {}}
        self._endpoints = endpoints
        self._started = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        self._subscriptions: list[Subscription] = []

    async def start(self) -> None:
        """Become visible."""
        name, identity = self._identity["name"], self._identity["id"]
        for verb, answer in (("PING", self._ping), ("INFO", self._info), ("STATS", self._stats)):
            for address in ("", f".{name}", f".{name}.{identity}"):
                self._subscriptions.append(
                    await self._bus.listen(f"$SRV.{verb}{address}", self._answering(answer))
                )

    async def stop(self) -> None:
        """Become invisible."""
        for each in self._subscriptions:
            await each.unsubscribe()

    def _answering(self, answer: Callable[[], dict[str, Any]]) -> Callable[[Msg], Awaitable[None]]:
        async def respond(message: Msg) -> None:
            if message.reply:
                await self._bus.respond(message.reply, json.dumps(answer()).encode())

        return respond

    def _ping(self) -> dict[str, Any]:
        return {"type": "io.nats.micro.v1.ping_response", **self._identity}

    def _info(self) -> dict[str, Any]:
        endpoints = [each.info() for each in self._endpoints]
        return {
            "type": "io.nats.micro.v1.info_response",
            **self._identity,
            "description": "",
            "endpoints": endpoints,
        }

    def _stats(self) -> dict[str, Any]:
        endpoints = [each.stats() for each in self._endpoints]
        return {
            "type": "io.nats.micro.v1.stats_response",
            **self._identity,
            "started": self._started,
            "endpoints": endpoints,
        }

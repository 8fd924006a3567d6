"""What this process counts, shown in the Prometheus text format.

Counting is plain arithmetic; the exposition library is loaded when somebody first asks.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import TYPE_CHECKING

from parley_bus import tracing
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from parley_web.relay import Relay

if TYPE_CHECKING:
    from prometheus_client import Metric

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
OTHER = "other"
"""The route of everything that is not a call of the API."""


class RequestCounts:
    """Requests by route, method and status, and how long their first byte took."""

    def __init__(self) -> None:
        self.answered: Counter[tuple[str, str, str]] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self.buckets: defaultdict[str, list[int]] = defaultdict(lambda: [0] * (len(BUCKETS_S) + 1))

    def add(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answer."""
        self.answered[route, method, str(status)] += 1
        self.seconds[route] += seconds
        self.buckets[route][bisect_left(BUCKETS_S, seconds)] += 1


class Observed:
    """ASGI layer: begins the request's trace, names it in the answer, and counts."""

    def __init__(self, app: ASGIApp, counts: RequestCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        traceparent = tracing.begin()
        began = time.perf_counter()

        async def send_counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)["Traceparent"] = traceparent
                route = getattr(scope.get("route"), "path", OTHER)
                elapsed = time.perf_counter() - began
                self._counts.add(route, scope["method"], message["status"], elapsed)
            await send(message)

        await self._app(scope, receive, send_counted)


def exposition(counts: RequestCounts, relay: Relay, *, connected: bool) -> tuple[bytes, str]:
    """Return the metrics and their media type."""
    from prometheus_client import CollectorRegistry, ProcessCollector
    from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

    registry = CollectorRegistry()
    registry.register(_Collector(counts, relay, connected))
    ProcessCollector(registry=registry)
    return generate_latest(registry), CONTENT_TYPE_LATEST


class _Collector:
    def __init__(self, counts: RequestCounts, relay: Relay, connected: bool) -> None:
        self._counts, self._relay, self._connected = counts, relay, connected

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import (
            CounterMetricFamily,
            GaugeMetricFamily,
            HistogramMetricFamily,
        )

        relay, counts = self._relay, self._counts
        requests = CounterMetricFamily(
            "parley_http_requests", "Answers.", labels=["route", "method", "status"]
        )
        for labels, number in counts.answered.items():
            requests.add_metric(labels, number)
        yield requests
        durations = HistogramMetricFamily(
            "parley_http_first_byte_seconds", "From request to first byte.", labels=["route"]
        )
        for route, numbers in counts.buckets.items():
            durations.add_metric([route], _cumulated(numbers), counts.seconds[route])
        yield durations
        yield GaugeMetricFamily(
            "parley_bus_connected", "1 when the bus can be reached.", self._connected
        )
        yield GaugeMetricFamily(
            "parley_event_clients", "Open subscriptions to events.", relay.clients
        )
        yield CounterMetricFamily(
            "parley_events_relayed", "Events read from the stream.", relay.relayed
        )
        yield CounterMetricFamily(
            "parley_event_resyncs", "Clients that had to read a snapshot.", relay.lagged
        )


def _cumulated(numbers: list[int]) -> list[tuple[str, float]]:
    total, buckets = 0, []
    for bound, number in zip((*map(str, BUCKETS_S), "+Inf"), numbers, strict=True):
        total += number
        buckets.append((bound, float(total)))
    return buckets

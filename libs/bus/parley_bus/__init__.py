"""The NATS connection of every service: requests, slot queues, events, and their runtime.

Names are imported when they are first used: whoever only writes a server's configuration, as the
launcher does before anything runs, does not wait for a client's packages.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any

from parley_bus.server_config import server_config

if TYPE_CHECKING:
    from parley_bus.bus import Bus
    from parley_bus.catalog import Catalog
    from parley_bus.consumer import Consumer
    from parley_bus.context import NatsContext
    from parley_bus.events import EventGap, EventRecord, Events
    from parley_bus.requests import Handler, Service, serve
    from parley_bus.slots import Slot, SlotOccupied, SlotQueue
    from parley_bus.subscription import Subscription
    from parley_bus.topology import StreamDamaged, make_topology, remove_stream

_HOMES = {
    "Bus": "bus",
    "Catalog": "catalog",
    "Consumer": "consumer",
    "EventGap": "events",
    "EventRecord": "events",
    "Events": "events",
    "Handler": "requests",
    "NatsContext": "context",
    "Service": "requests",
    "Slot": "slots",
    "SlotOccupied": "slots",
    "SlotQueue": "slots",
    "StreamDamaged": "topology",
    "Subscription": "subscription",
    "make_topology": "topology",
    "remove_stream": "topology",
    "serve": "requests",
}

__all__ = [
    "Bus",
    "Catalog",
    "Consumer",
    "EventGap",
    "EventRecord",
    "Events",
    "Handler",
    "NatsContext",
    "Service",
    "Slot",
    "SlotOccupied",
    "SlotQueue",
    "StreamDamaged",
    "Subscription",
    "make_topology",
    "remove_stream",
    "serve",
    "server_config",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    _import_nats_alone()
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def _import_nats_alone() -> None:
    """Import nats-py without aiohttp, which it takes along where that is installed, for WebSockets.

    Nobody here speaks them, and every process would pay 8 MiB and the time of loading for it.
    """
    if "nats" in sys.modules or "aiohttp" in sys.modules:
        return
    sys.modules["aiohttp"] = None  # type: ignore[assignment]  # importing it fails
    try:
        import_module("nats")
    finally:
        del sys.modules["aiohttp"]

"""The streams, durables and the bucket that Parley needs, made as often as you like.

The gateway makes them at start, after each reconnect and with each sweep: a broker that lost
everything is whole again before anybody asks.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from parley_contracts.errors import Unavailable
from parley_contracts.subjects import CATALOG_BUCKET, DELIVERIES, EVENTS, TURNS, SlotStream

from parley_bus import jetstream
from parley_bus.bus import Bus

CATALOG_TTL_S = 15.0
ACK_WAIT_S = 10.0
"""After this silence a message goes to another worker, as a lease does (rule 6)."""
_NS = 1_000_000_000
_MADE_BY_ANOTHER = 10058
"""Its first sequence differs from ours: another gateway was faster."""


_DAMAGED = "error creating store"
"""A stream or a consumer cannot be made on what lies in its folder; the number tells less."""


class StreamDamaged(Unavailable):
    """The broker cannot use what it has stored of the stream `name`."""

    def __init__(self, detail: str, name: str) -> None:
        super().__init__(detail)
        self.name = name


async def make_topology(bus: Bus, *, replicas: int = 1) -> set[str]:
    """Make what is missing and correct what differs; return the names of streams that were missing.

    Raises Unavailable when something cannot be made, StreamDamaged when that is for its storage.
    """
    missing = set()
    for slots in (TURNS, DELIVERIES):
        with _telling(slots.name):
            if await _make_stream(bus, _slot_stream(slots, replicas)):
                missing.add(slots.name)
            await _make_durable(bus, slots)
    for wanted in (_event_stream(replicas), _catalog(replicas)):
        with _telling(wanted["name"]):
            if await _make_stream(bus, wanted):
                missing.add(wanted["name"])
    return missing


@contextmanager
def _telling(name: str) -> Iterator[None]:
    """Turn a refusal to make the stream into one that says what to do."""
    try:
        yield
    except jetstream.Refused as refusal:
        sentence = f"NATS does not provide the stream {name}: {refusal}"
        if _DAMAGED not in str(refusal):
            raise Unavailable(f"{sentence}.") from None
        raise StreamDamaged(
            f"{sentence}; if that goes on, stop Parley and remove the folder jetstream, in the"
            " folder nats of its data folder: nothing that was accepted is lost with it.",
            name,
        ) from None


async def remove_stream(bus: Bus, name: str) -> None:
    """Remove a stream with all that it holds; Unavailable when it cannot be removed."""
    try:
        await jetstream.call(bus, f"STREAM.DELETE.{name}")
    except jetstream.Refused as refusal:
        raise Unavailable(f"{name} cannot be removed: {refusal}.") from None


def _slot_stream(slots: SlotStream, replicas: int) -> dict[str, Any]:
    """At most one message a subject, refused by the server itself: the order guarantee."""
    return {
        "name": slots.name,
        "subjects": [slots.subjects],
        "retention": "workqueue",
        "storage": "file",
        "max_msgs_per_subject": 1,
        "discard": "new",
        "discard_new_per_subject": True,
        "num_replicas": replicas,
    }


def _event_stream(replicas: int) -> dict[str, Any]:
    return {
        "name": EVENTS.name,
        "subjects": [EVENTS.subjects],
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "max_age": int(EVENTS.max_age_s * _NS),
        "max_bytes": EVENTS.max_bytes,
        "duplicate_window": 120 * _NS,
        "allow_direct": True,
        "num_replicas": replicas,
    }


def _catalog(replicas: int) -> dict[str, Any]:
    """A key-value bucket, as the `nats` command makes them."""
    return {
        "name": f"KV_{CATALOG_BUCKET}",
        "subjects": [f"$KV.{CATALOG_BUCKET}.>"],
        "retention": "limits",
        "storage": "memory",
        "discard": "new",
        "max_msgs_per_subject": 1,
        "max_age": int(CATALOG_TTL_S * _NS),
        "duplicate_window": int(CATALOG_TTL_S * _NS),
        "allow_rollup_hdrs": True,
        "deny_delete": True,
        "allow_direct": True,
        "num_replicas": replicas,
    }


async def _make_stream(bus: Bus, wanted: dict[str, Any]) -> bool:
    """Make a stream as it is wanted; return whether it was missing."""
    name = wanted["name"]
    config = await _config(bus, f"STREAM.INFO.{name}")
    if config is None:
        await _create_stream(bus, wanted)
    elif _differs(config, wanted):
        await jetstream.call(bus, f"STREAM.UPDATE.{name}", {**config, **wanted})
    return config is None


async def _config(bus: Bus, question: str) -> dict[str, Any] | None:
    """Return the configuration of what is there already."""
    try:
        found: dict[str, Any] = (await jetstream.call(bus, question))["config"]
    except jetstream.Refused as refusal:
        if refusal.status != jetstream.NOT_FOUND:
            raise
        return None
    return found


def _differs(config: dict[str, Any], wanted: dict[str, Any]) -> bool:
    return any(config.get(key) != value for key, value in wanted.items())


async def _create_stream(bus: Bus, wanted: dict[str, Any]) -> None:
    """Let it count from the time in microseconds (rule 12).

    After a wipe no sequence comes back, so that a late acknowledgement cannot remove another
    message, and readers of events notice.
    """
    first = {"first_seq": time.time_ns() // 1000}
    try:
        await jetstream.call(bus, f"STREAM.CREATE.{wanted['name']}", {**wanted, **first})
    except jetstream.Refused as refusal:
        if refusal.code != _MADE_BY_ANOTHER:
            raise


async def _make_durable(bus: Bus, slots: SlotStream) -> None:
    """No `max_deliver`: how often a turn is tried is decided by the gateway, not by the broker."""
    wanted = {
        "durable_name": slots.durable,
        "name": slots.durable,
        "deliver_policy": "all",
        "ack_policy": "explicit",
        "ack_wait": int(ACK_WAIT_S * _NS),
        "max_deliver": -1,
        "max_ack_pending": 20_000,
        "max_waiting": 2048,
        "replay_policy": "instant",
    }
    name = f"{slots.name}.{slots.durable}"
    config = await _config(bus, f"CONSUMER.INFO.{name}")
    if config is None or _differs(config, wanted):
        request = {"stream_name": slots.name, "config": {**(config or {}), **wanted}}
        await jetstream.call(bus, f"CONSUMER.CREATE.{name}", request)

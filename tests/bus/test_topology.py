"""The streams: made as often as one likes, corrected where they differ, never overlapping."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from parley_bus import Bus, SlotQueue, jetstream, make_topology, remove_stream
from parley_contracts.errors import Unavailable
from parley_contracts.subjects import CATALOG_BUCKET, DELIVERIES, EVENTS, TURNS
from parley_contracts.turns import TurnSlot

Connect = Callable[[str], Awaitable[Bus]]
STREAMS = {TURNS.name, DELIVERIES.name, EVENTS.name, f"KV_{CATALOG_BUCKET}"}


async def config(bus: Bus, stream: str) -> dict[str, Any]:
    found: dict[str, Any] = (await jetstream.call(bus, f"STREAM.INFO.{stream}"))["config"]
    return found


async def test_all_streams_and_durables_are_made(gateway: Bus) -> None:
    assert set((await jetstream.call(gateway, "STREAM.NAMES"))["streams"]) == STREAMS
    for slots in (TURNS, DELIVERIES):
        stream = await config(gateway, slots.name)
        assert (stream["retention"], stream["max_msgs_per_subject"]) == ("workqueue", 1)
        assert stream["discard_new_per_subject"]
        durable = await jetstream.call(gateway, f"CONSUMER.INFO.{slots.name}.{slots.durable}")
        assert durable["config"]["max_deliver"] == -1


async def test_rule_12_sequences_begin_at_the_time_in_microseconds(gateway: Bus) -> None:
    for name in (TURNS.name, DELIVERIES.name, EVENTS.name):
        state = (await jetstream.call(gateway, f"STREAM.INFO.{name}"))["state"]
        assert 0 <= time.time_ns() // 1000 - state["first_seq"] < 3600 * 1_000_000
        assert state["first_seq"] < 2**53  # JavaScript reads it as a number


async def test_what_is_right_is_left_alone_and_what_differs_is_corrected(
    gateway: Bus, owner: Bus
) -> None:
    updates: asyncio.Queue[str] = asyncio.Queue()

    async def hear(_: str, advisory: bytes) -> None:
        await updates.put(json.loads(advisory)["stream"])

    await owner.subscribe("$JS.EVENT.ADVISORY.STREAM.UPDATED.>", hear)
    sequence = await SlotQueue(gateway, TURNS).put("a", TurnSlot(turn_id="t", dispatch_no=1))
    await make_topology(gateway)
    changed = await config(gateway, EVENTS.name) | {"max_age": 600_000_000_000}
    await jetstream.call(gateway, f"STREAM.UPDATE.{EVENTS.name}", changed)
    await make_topology(gateway)
    assert [await updates.get(), await updates.get()] == [EVENTS.name, EVENTS.name]
    assert (await config(gateway, EVENTS.name))["max_age"] == EVENTS.max_age_s * 1e9
    kept = await SlotQueue(gateway, TURNS).peek("a")
    assert kept and kept.sequence == sequence
    assert updates.empty()


async def test_what_was_missing_is_told(gateway: Bus) -> None:
    assert await make_topology(gateway) == set()
    for name in (TURNS.name, EVENTS.name):
        await remove_stream(gateway, name)
    assert await make_topology(gateway) == {TURNS.name, EVENTS.name}
    assert await make_topology(gateway) == set()


async def test_several_gateways_may_make_them_at_once(connect: Connect) -> None:
    gateways = [await connect("gateway") for _ in range(4)]
    await asyncio.gather(*(make_topology(each) for each in gateways))
    assert set((await jetstream.call(gateways[0], "STREAM.NAMES"))["streams"]) == STREAMS


async def test_what_the_server_cannot_provide_is_said(connect: Connect) -> None:
    with pytest.raises(Unavailable, match="replicas"):
        await make_topology(await connect("gateway"), replicas=3)

"""One reader of the event stream, a bounded queue a client (rules 22 to 25)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest
from broker import Broker
from parley_bus import Bus, EventRecord, Events, make_topology
from parley_contracts.events import CatalogChanged, TurnCancelled, TurnQueued, TurnStarted
from parley_web import relay as relay_module
from parley_web.relay import EVERYTHING, Interest, Lagged, Relay, Subscription
from parley_web.state import AppState


def record(sequence: int, payload: bytes = b"{}") -> EventRecord:
    return EventRecord(sequence, "t", "text_delta", payload)


@pytest.fixture
async def relay(state: AppState) -> AsyncIterator[Relay]:
    """A relay that follows."""
    running = asyncio.create_task(state.relay.run())
    with state.relay.subscribe(EVERYTHING) as first, pytest.raises(Lagged):
        await first.get()  # whoever came before it followed reads a snapshot
    yield state.relay
    running.cancel()


async def publish(bus: Bus, *workers: str) -> list[int]:
    events = Events(bus)
    return [await events.publish(CatalogChanged(worker_id=worker)) for worker in workers]


async def test_rule_22_every_client_gets_every_event_once_and_in_order(
    relay: Relay, gateway_bus: Bus
) -> None:
    with relay.subscribe(EVERYTHING) as one, relay.subscribe(EVERYTHING) as other:
        sequences = await publish(gateway_bus, "a", "b", "c")
        for subscription in (one, other):
            assert [(await subscription.get()).sequence for _ in "abc"] == sequences
    assert relay.position == sequences[-1]


async def test_rule_24_the_bytes_pass_undecoded(relay: Relay, gateway_bus: Bus) -> None:
    event = CatalogChanged(worker_id="a")
    with relay.subscribe(EVERYTHING) as subscription:
        await Events(gateway_bus).publish(event)
        assert (await subscription.get()).payload == event.encode()


@pytest.mark.parametrize(
    ("interests", "got"),
    [
        ([EVERYTHING], ["t1", "t2", "c"]),
        ([("t", None)], ["t1"]),
        ([(None, "turn_queued")], ["t1", "t2"]),
        ([(None, "catalog_changed"), ("u", None)], ["t2", "c"]),
        ([("t", None), (None, "turn_queued")], ["t1", "t2"]),
        ([("t", "catalog_changed")], []),
    ],
)
async def test_a_client_gets_what_it_wants_only_and_once(
    relay: Relay, gateway_bus: Bus, interests: list[Interest], got: list[str]
) -> None:
    events = Events(gateway_bus)
    with relay.subscribe(EVERYTHING) as all_of_it, relay.subscribe(*interests) as subscription:
        for thread, turn in (("t", "t1"), ("u", "t2")):
            await events.publish(
                TurnQueued(thread_id=thread, turn_id=turn, attempt=1, number=0, ahead=1)
            )
        await publish(gateway_bus, "c")
        while (await all_of_it.get()).kind != "catalog_changed":
            pass
        payloads = [json.loads(each.payload) for each in subscription.drain()]
    assert [each.get("turn_id") or each["worker_id"] for each in payloads] == got


async def test_the_place_before_a_running_turn_is_known(relay: Relay, gateway_bus: Bus) -> None:
    turn = {"thread_id": "t", "turn_id": "x", "attempt": 1}
    events = Events(gateway_bus)
    with relay.subscribe(EVERYTHING) as subscription:
        before = await events.publish(TurnQueued(**turn, number=0, ahead=1))
        await events.publish(
            TurnStarted(**turn, number=0, agent_id="a", message_id="m", position=1)
        )
        for _ in range(2):
            await subscription.get()
        assert (relay.turn_began("t"), relay.turn_began("other")) == (before, 0)
        await events.publish(TurnCancelled(**turn, number=1))
        await subscription.get()
    assert relay.turn_began("t") == 0


async def test_rule_22_after_a_wipe_all_clients_read_anew_and_go_on(
    relay: Relay, broker: Broker, gateway_bus: Bus
) -> None:
    await publish(gateway_bus, "before")
    with relay.subscribe(EVERYTHING) as one, relay.subscribe(EVERYTHING) as other:
        await asyncio.to_thread(broker.wipe)
        await gateway_bus.ready()
        await make_topology(gateway_bus)
        for subscription in (one, other):
            await lagged(subscription)
        place = relay.position
        (sequence,) = await publish(gateway_bus, "after")
        assert (await one.get()).sequence == sequence > place


async def lagged(subscription: Subscription) -> None:
    """Read until told to read anew."""
    with pytest.raises(Lagged):
        while True:
            await subscription.get()


async def test_rule_25_a_queue_that_overflows_is_emptied_and_told_once() -> None:
    subscription = Subscription()
    sequence = 0
    while subscription.offer(record(sequence)):
        sequence += 1
    assert sequence == relay_module.MAX_RECORDS
    subscription.lag()
    with pytest.raises(Lagged):
        await subscription.get()
    assert subscription.offer(record(sequence + 1))
    assert (await subscription.get()).sequence == sequence + 1
    assert subscription.drain() == []


async def test_rule_25_the_bound_counts_bytes_too() -> None:
    subscription = Subscription()
    large = b"x" * (relay_module.MAX_BYTES // 4)
    assert [subscription.offer(record(each, large)) for each in range(5)] == [True] * 4 + [False]


async def test_a_lagged_client_is_offered_nothing_until_it_knows() -> None:
    subscription = Subscription()
    subscription.lag()
    assert subscription.offer(record(1))
    with pytest.raises(Lagged):
        subscription.drain()
    assert subscription.drain() == []


async def test_nothing_is_left_of_a_client_that_is_gone(state: AppState) -> None:
    with state.relay.subscribe(EVERYTHING):
        assert state.relay.clients == 1
    assert state.relay.clients == 0

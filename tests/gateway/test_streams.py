"""The broker's streams under a gateway: kept when something else is ill, replaced when they are."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from broker import Broker
from eventually import eventually
from gateway_house import GatewayHouse, running_gateway
from gateway_store import Clock
from parley_bus import jetstream, remove_stream
from parley_contracts import operations as op
from parley_contracts.base import Empty
from parley_contracts.errors import Unavailable
from parley_contracts.messages import SendMessage
from parley_contracts.subjects import EVENTS, TURNS
from parley_contracts.threads import CreateThread
from parley_gateway import dispatch, indexing, outbox
from parley_gateway.refusals import Refusals
from parley_gateway.service import MOST_REFUSALS
from parley_gateway.store import dispatching, messages
from parley_gateway.store.transaction import StoredEvent, Transaction
from sqlalchemy import URL

MANY = 3 * MOST_REFUSALS


@pytest.fixture
async def house(file_url: URL, broker: Broker) -> AsyncIterator[GatewayHouse]:
    """A gateway on SQLite with an empty thread `t`."""
    async with running_gateway(file_url, broker, Clock()) as running:
        await running.owner.request(op.THREADS_CREATE, CreateThread(id="t"))
        yield running


async def begun(house: GatewayHouse, stream: str) -> str:
    """Return when the server made a stream."""
    info = await jetstream.call(house.bus, f"STREAM.INFO.{stream}")
    return str(info["created"])


async def outbox_is_empty(house: GatewayHouse) -> bool:
    await house.gateway.sweep()
    return (await house.owner.request(op.SYSTEM_STATUS, Empty())).outbox == 0


def test_only_rounds_in_a_row_that_bring_refusals_and_nothing_else_count() -> None:
    refusals = Refusals()
    for expected in (1, 2):
        refusals.add()
        refusals.add()
        assert refusals.end_round() == expected
    assert refusals.end_round() == 2, "nothing was given to the stream"
    refusals.add()
    refusals.clear()
    assert refusals.end_round() == 0


async def test_a_database_that_refuses_costs_no_events(
    house: GatewayHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    refusals: asyncio.Queue[None] = asyncio.Queue()

    def refuse(*_: object) -> None:
        refusals.put_nowait(None)
        raise Unavailable("The disk is full.")

    before = await begun(house, EVENTS.name)
    monkeypatch.setattr(outbox, "forget", refuse)
    accepted = await house.send("hello")
    for _ in range(MANY):
        house.gateway._outbox.catch_up()
        await refusals.get()
        await house.gateway.sweep()
    assert await begun(house, EVENTS.name) == before
    monkeypatch.undo()
    await eventually(lambda: outbox_is_empty(house))
    told = [each for each in await house.events.replay() if each.kind == "message_accepted"]
    assert len(told) == 1
    assert accepted.turn.id.encode() in told[0].payload


async def test_a_broker_that_stands_still_for_a_while_keeps_its_streams(
    house: GatewayHouse, broker: Broker
) -> None:
    streams = (EVENTS.name, TURNS.name)
    before = [await begun(house, each) for each in streams]

    async def refused() -> bool:
        return house.gateway._outbox.refusals._refused

    broker.freeze()
    await house.gateway.writer.run(messages.send, SendMessage(thread_id="t", text="hello"))
    await eventually(refused)
    broker.thaw()
    await eventually(lambda: outbox_is_empty(house))
    for _ in range(MANY):
        await house.gateway.sweep()
    assert [await begun(house, each) for each in streams] == before


@pytest.mark.parametrize("stream", [EVENTS.name, TURNS.name])
async def test_a_stream_that_takes_nothing_begins_anew(house: GatewayHouse, stream: str) -> None:
    await house.next_event("thread_changed")
    before = await begun(house, stream)
    config = (await jetstream.call(house.bus, f"STREAM.INFO.{stream}"))["config"]
    await jetstream.call(house.bus, f"STREAM.UPDATE.{stream}", {**config, "max_msg_size": 1})
    await house.send("hello")

    async def anew() -> bool:
        try:
            return await begun(house, stream) != before
        except jetstream.Refused:
            return False

    await eventually(anew)
    async with house.working():
        await house.next_event("message_ready")


async def test_faults_end_none_of_what_runs_in_the_background(
    house: GatewayHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    indexed: asyncio.Queue[None] = asyncio.Queue()
    faults = iter([RuntimeError("a fault of publishing")])
    publish = house.gateway._events.publish

    def index(_: Transaction) -> bool:
        indexed.put_nowait(None)
        raise RuntimeError("a fault of indexing")

    async def faulty(event: StoredEvent, *, message_id: str | None = None) -> int:
        for fault in faults:
            raise fault
        return await publish(event, message_id=message_id)

    monkeypatch.setattr(indexing, "index_some", index)
    monkeypatch.setattr(house.gateway._events, "publish", faulty)
    await house.send("hello")
    await house.next_event("message_accepted")
    for _ in range(2):
        house.gateway._indexer.wake()
        await indexed.get()


async def test_a_slot_that_cannot_be_judged_holds_up_no_other(
    house: GatewayHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    def faulty(tx: Transaction, thread_id: str, *args: Any, **more: Any) -> dispatching.Verdict:
        if thread_id == "t":
            raise RuntimeError("a fault of judging")
        return dispatching.judge(tx, thread_id, *args, **more)

    await house.owner.request(op.THREADS_CREATE, CreateThread(id="u"))
    for thread in "tu":
        await house.send("hello", thread)
        await house.slot(thread)
    monkeypatch.setattr(dispatch, "judge", faulty)
    await remove_stream(house.bus, TURNS.name)
    await house.gateway.sweep()
    await house.slot("u")
    monkeypatch.undo()
    await house.slot("t")


async def test_what_lay_in_a_stream_that_somebody_removed_is_there_again(
    house: GatewayHouse,
) -> None:
    await house.send("hello")
    before = await house.slot()
    for _ in range(2):
        await house.gateway.sweep()  # from now on the slot is looked at ever more rarely
    for stream in (TURNS, EVENTS):
        await remove_stream(house.bus, stream.name)
    await house.gateway.sweep()
    assert (await house.slot()).sequence > before.sequence
    async with house.working():
        await house.next_event("message_ready")

"""Slot queues: one message a key, in order, to whoever has room, again until it is done."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable

import pytest
from broker import Broker
from eventually import PATIENCE_S, eventually
from parley_bus import (
    Bus,
    Slot,
    SlotOccupied,
    SlotQueue,
    consumer,
    jetstream,
    make_topology,
    puller,
    remove_stream,
)
from parley_contracts.errors import Unavailable
from parley_contracts.subjects import DELIVERIES, TURNS
from parley_contracts.turns import TurnSlot

DUE = TurnSlot(turn_id="t", dispatch_no=1)
Connect = Callable[[str], Awaitable[Bus]]
Redeliver = Callable[[int], Awaitable[None]]


@pytest.fixture
def turns(gateway: Bus) -> SlotQueue:
    """The turns as the gateway sees them."""
    return SlotQueue(gateway, TURNS)


async def test_a_slot_holds_one_message_and_others_are_free(turns: SlotQueue) -> None:
    sequence = await turns.put("a", DUE)
    with pytest.raises(SlotOccupied):
        await turns.put("a", TurnSlot(turn_id="other", dispatch_no=1))
    await turns.put("b", DUE)
    assert await turns.peek("a") == Slot(sequence, "a", DUE.encode())
    assert await turns.peek("c") is None


async def test_of_many_that_want_a_slot_one_gets_it(gateway: Bus, connect: Connect) -> None:
    queues = [SlotQueue(gateway, TURNS), SlotQueue(await connect("gateway"), TURNS)]
    results = await asyncio.gather(
        *(queues[n % 2].put("a", DUE) for n in range(20)), return_exceptions=True
    )
    assert sum(isinstance(each, int) for each in results) == 1
    assert sum(isinstance(each, SlotOccupied) for each in results) == 19


async def test_deliveries_have_a_slot_for_each_channel_and_target(gateway: Bus) -> None:
    deliveries = SlotQueue(gateway, DELIVERIES)
    await deliveries.put("telegram.1", DUE)
    await deliveries.put("telegram.2", DUE)
    with pytest.raises(SlotOccupied):
        await deliveries.put("telegram.1", DUE)
    assert (await deliveries.peek("telegram.2")) is not None


async def test_delete_takes_exactly_the_message_that_was_inspected(turns: SlotQueue) -> None:
    old = await turns.put("a", DUE)
    assert await turns.delete(old)
    assert not await turns.delete(old)
    new = await turns.put("a", DUE)
    assert new > old
    assert not await turns.delete(old)
    assert not await turns.delete(new + 1000)
    assert (await turns.peek("a")) == Slot(new, "a", DUE.encode())


async def test_rule_9_the_same_message_can_be_put_again_after_its_deletion(
    turns: SlotQueue, worker: Bus
) -> None:
    for _ in range(3):
        assert await turns.delete(await turns.put("a", DUE))
    last = await turns.put("a", DUE)
    arrived: asyncio.Queue[Slot] = asyncio.Queue()
    SlotQueue(worker, TURNS).consume(_into(arrived), room=1)
    assert (await arrived.get()).sequence == last


async def test_without_streams_the_queue_is_unavailable(connect: Connect) -> None:
    queue = SlotQueue(await connect("gateway"), TURNS)
    with pytest.raises(Unavailable):
        await queue.peek("a")
    with pytest.raises(Unavailable):
        await queue.delete(1)


def _into(arrived: asyncio.Queue[Slot]) -> Callable[[Slot], Awaitable[None]]:
    async def keep(slot: Slot) -> None:
        await arrived.put(slot)

    return keep


async def test_a_message_that_nothing_can_parse_reaches_the_handler(
    gateway: Bus, worker: Bus
) -> None:
    await jetstream.store(gateway, TURNS.subject("a"), b"\xff no json")
    arrived: asyncio.Queue[Slot] = asyncio.Queue()
    SlotQueue(worker, TURNS).consume(_into(arrived), room=1)
    assert (await arrived.get()).payload == b"\xff no json"


async def test_each_key_is_handled_in_order_and_keys_side_by_side(
    turns: SlotQueue, worker: Bus
) -> None:
    keys, rounds = [f"k{n}" for n in range(10)], 10
    handled: dict[str, list[bytes]] = {key: [] for key in keys}
    running: set[str] = set()
    all_at_once = asyncio.Barrier(len(keys))
    finished: asyncio.Queue[str] = asyncio.Queue()

    async def handle(slot: Slot) -> None:
        assert slot.key not in running
        running.add(slot.key)
        await all_at_once.wait()
        handled[slot.key].append(slot.payload)
        running.remove(slot.key)
        await turns.delete(slot.sequence)
        await finished.put(slot.key)

    SlotQueue(worker, TURNS).consume(handle, room=len(keys))
    due = [TurnSlot(turn_id=f"t{number}", dispatch_no=1) for number in range(rounds)]
    for key in keys:
        await turns.put(key, due[0])
    for _ in range(len(keys) * rounds):
        key = await finished.get()
        if len(handled[key]) < rounds:
            await turns.put(key, due[len(handled[key])])
    assert handled == {key: [each.encode() for each in due] for key in keys}


async def test_a_consumer_takes_as_many_as_it_has_room_for_and_no_more(
    gateway: Bus, turns: SlotQueue, worker: Bus
) -> None:
    begun: asyncio.Queue[str] = asyncio.Queue()
    go_on = asyncio.Semaphore(0)

    async def handle(slot: Slot) -> None:
        await begun.put(slot.key)
        await go_on.acquire()

    async def three_are_taken() -> bool:  # the server may count an acknowledged one a while longer
        await worker.settled()
        state = await jetstream.call(gateway, f"CONSUMER.INFO.{TURNS.name}.{TURNS.durable}")
        return int(state["num_ack_pending"]) == 3

    for number in range(30):
        await turns.put(f"k{number}", DUE)
    SlotQueue(worker, TURNS).consume(handle, room=3)
    seen = {await begun.get() for _ in range(3)}
    assert await three_are_taken()
    go_on.release()
    seen.add(await begun.get())
    await eventually(three_are_taken)
    for _ in range(26):
        go_on.release()
        seen.add(await begun.get())
    assert len(seen) == 30


async def test_two_workers_share_the_queue(gateway: Bus, connect: Connect) -> None:
    turns = SlotQueue(gateway, TURNS)
    together = asyncio.Barrier(2)
    arrived: asyncio.Queue[str] = asyncio.Queue()

    def working(name: str) -> Callable[[Slot], Awaitable[None]]:
        async def handle(_: Slot) -> None:
            await together.wait()
            await arrived.put(name)

        return handle

    for name in ("one", "two"):
        SlotQueue(await connect("agent-worker"), TURNS).consume(working(name), room=1)
    await turns.put("a", DUE)
    await turns.put("b", DUE)
    assert {await arrived.get(), await arrived.get()} == {"one", "two"}


async def test_a_message_comes_back_after_the_pause_that_its_handler_asks_for(
    turns: SlotQueue, worker: Bus
) -> None:
    seen: list[float] = []
    done = asyncio.Event()

    async def handle(_: Slot) -> float | None:
        seen.append(asyncio.get_running_loop().time())
        if len(seen) == 1:
            return 0.4
        done.set()
        return None

    await turns.put("a", DUE)
    SlotQueue(worker, TURNS).consume(handle, room=5)
    await done.wait()
    assert seen[1] - seen[0] >= 0.4
    assert len(seen) == 2


async def test_rule_8_the_server_never_gives_up_on_a_message(turns: SlotQueue, worker: Bus) -> None:
    done = asyncio.Event()
    deliveries = 0

    async def handle(_: Slot) -> float | None:
        nonlocal deliveries
        deliveries += 1
        if deliveries < 20:
            return 0
        done.set()
        return None

    await turns.put("a", DUE)
    SlotQueue(worker, TURNS).consume(handle, room=1)
    async with asyncio.timeout(PATIENCE_S):
        await done.wait()


def test_rule_9_a_slots_message_carries_nothing_but_the_turn_and_its_dispatch() -> None:
    assert set(TurnSlot.model_fields) == {"turn_id", "dispatch_no"}


async def test_a_handlers_fault_brings_its_message_back_and_harms_no_other(
    turns: SlotQueue, worker: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    arrived: asyncio.Queue[str] = asyncio.Queue()
    faults = iter([RuntimeError("first attempt")])

    async def handle(slot: Slot) -> None:
        if slot.key == "a":
            for fault in faults:
                raise fault
        await arrived.put(slot.key)

    await turns.put("a", DUE)
    await turns.put("b", DUE)
    SlotQueue(worker, TURNS).consume(handle, room=1)
    assert {await arrived.get(), await arrived.get()} == {"a", "b"}
    assert "first attempt" in caplog.text


def test_the_pause_after_a_fault_grows_and_ends_at_a_minute() -> None:
    assert [consumer.pause(times) for times in (1, 2, 3)] == [1, 2, 4]
    assert consumer.pause(1000) == 60


async def test_a_long_turn_is_not_given_to_another(
    gateway: Bus, connect: Connect, redeliver_after: Redeliver, monkeypatch: pytest.MonkeyPatch
) -> None:
    await redeliver_after(4)  # a busy machine reports progress late, too
    monkeypatch.setattr(consumer, "PROGRESS_S", 0.2)
    handled: list[str] = []
    done = asyncio.Event()

    async def long(slot: Slot) -> None:
        handled.append(slot.key)
        await asyncio.sleep(6)
        done.set()

    for _ in range(2):
        SlotQueue(await connect("agent-worker"), TURNS).consume(long, room=2)
    await SlotQueue(gateway, TURNS).put("a", DUE)
    await done.wait()
    assert handled == ["a"]


@pytest.mark.usefixtures("quick_redelivery")
async def test_a_fault_while_progress_is_reported_ends_no_report(
    gateway: Bus, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "PROGRESS_S", 0.2)
    handled: list[str] = []
    done = asyncio.Event()
    faults = iter([RuntimeError("a fault")])
    respond = Bus.respond

    async def faulty(bus: Bus, reply: str, body: bytes) -> None:
        for fault in faults:
            raise fault
        await respond(bus, reply, body)

    async def long(slot: Slot) -> None:
        handled.append(slot.key)
        await asyncio.sleep(2.4)
        done.set()

    monkeypatch.setattr(Bus, "respond", faulty)
    for _ in range(2):
        SlotQueue(await connect("agent-worker"), TURNS).consume(long, room=2)
    await SlotQueue(gateway, TURNS).put("a", DUE)
    await done.wait()
    assert handled == ["a"]


async def test_room_that_grows_while_messages_are_asked_for_is_used_at_once(
    gateway: Bus, worker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, seconds in (("EXPIRES_S", 3000), ("HEARTBEAT_S", 1000), ("SILENCE_S", 2000)):
        monkeypatch.setattr(puller, name, seconds)  # nothing else wakes it
    room = iter([1])
    asked: asyncio.Queue[int] = asyncio.Queue()
    publish = worker.publish

    async def slowly(subject: str, payload: bytes, *, reply: str = "") -> None:
        await publish(subject, payload, reply=reply)
        asked.put_nowait(json.loads(payload)["batch"])
        pulling.wake()

    monkeypatch.setattr(worker, "publish", slowly)
    pulling = puller.Puller(
        worker, TURNS.name, TURNS.durable, deliver=print, room=lambda: next(room, 10)
    )
    worker.spawn(pulling.pull())
    assert [await asked.get(), await asked.get()] == [1, 9]


@pytest.mark.parametrize("lost", ["consumer", "stream"])
async def test_a_consumer_goes_on_when_what_it_pulls_from_was_removed_and_made_anew(
    gateway: Bus, turns: SlotQueue, worker: Bus, lost: str
) -> None:
    arrived: asyncio.Queue[Slot] = asyncio.Queue()
    SlotQueue(worker, TURNS).consume(_into(arrived), room=1)
    await turns.put("a", DUE)
    assert (await arrived.get()).key == "a"

    async def done_with() -> bool:
        return await turns.peek("a") is None

    await eventually(done_with)
    if lost == "stream":
        await remove_stream(gateway, TURNS.name)
    else:
        await jetstream.call(gateway, f"CONSUMER.DELETE.{TURNS.name}.{TURNS.durable}")
    await make_topology(gateway)
    await turns.put("b", DUE)
    assert (await arrived.get()).key == "b"


WORKER = """
import asyncio, sys
from pathlib import Path
from parley_bus import Bus, NatsContext, SlotQueue
from parley_contracts.subjects import TURNS

async def main():
    bus = await Bus.connect(NatsContext.read(Path(sys.argv[1])), name="victim")
    async def hang(slot):
        print(slot.key, flush=True)
        await asyncio.Event().wait()
    SlotQueue(bus, TURNS).consume(hang, room=5)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@pytest.mark.usefixtures("quick_redelivery")
async def test_the_message_of_a_killed_worker_goes_to_another(
    broker: Broker, gateway: Bus, worker: Bus
) -> None:
    command = (sys.executable, "-c", WORKER, str(broker.context_file("agent-worker")))
    victim = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    sequence = await SlotQueue(gateway, TURNS).put("a", DUE)
    assert victim.stdout
    assert await victim.stdout.readline() == b"a\n"
    victim.kill()
    await victim.wait()
    arrived: asyncio.Queue[Slot] = asyncio.Queue()
    SlotQueue(worker, TURNS).consume(_into(arrived), room=1)
    assert (await arrived.get()).sequence == sequence


async def test_stop_lets_handlers_finish_within_the_grace(turns: SlotQueue, worker: Bus) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def handle(_: Slot) -> None:
        begun.set()
        await go_on.wait()

    working = SlotQueue(worker, TURNS).consume(handle, room=1)
    await turns.put("a", DUE)
    await begun.wait()
    stopping = asyncio.create_task(working.stop(grace=60))
    go_on.set()
    await stopping

    async def done_with() -> bool:
        return await turns.peek("a") is None

    await eventually(done_with)


@pytest.mark.usefixtures("no_redelivery")
async def test_stop_cancels_what_outlasts_the_grace_and_gives_it_back_at_once(
    turns: SlotQueue, worker: Bus, connect: Connect
) -> None:
    begun = asyncio.Event()

    async def hang(_: Slot) -> None:
        begun.set()
        await asyncio.Event().wait()

    working = SlotQueue(worker, TURNS).consume(hang, room=1)
    sequence = await turns.put("a", DUE)
    await begun.wait()
    await working.stop(grace=0.01)
    arrived: asyncio.Queue[Slot] = asyncio.Queue()
    SlotQueue(await connect("agent-worker"), TURNS).consume(_into(arrived), room=1)
    async with asyncio.timeout(60):
        assert (await arrived.get()).sequence == sequence


@pytest.mark.usefixtures("no_redelivery")
async def test_a_stopped_consumer_takes_nothing_and_loses_nothing(
    turns: SlotQueue, worker: Bus, connect: Connect
) -> None:
    keys = {f"k{number}" for number in range(500)}
    handled: list[str] = []
    some = asyncio.Event()

    async def handle(slot: Slot) -> None:
        handled.append(slot.key)
        some.set()

    async with asyncio.timeout(PATIENCE_S):
        putting = asyncio.gather(*(turns.put(key, DUE) for key in keys))
        while set(handled) != keys:
            some.clear()
            working = SlotQueue(worker, TURNS).consume(handle, room=64)
            await some.wait()
            await working.stop(grace=1)
            until_stop = len(handled)
            await worker.settled()
            assert len(handled) == until_stop
        await putting
    assert len(handled) == len(keys)


async def test_consumers_begin_as_soon_as_the_streams_are_made(
    connect: Connect, worker: Bus
) -> None:
    arrived: asyncio.Queue[Slot] = asyncio.Queue()
    SlotQueue(worker, TURNS).consume(_into(arrived), room=1)
    gateway = await connect("gateway")
    await make_topology(gateway)
    await SlotQueue(gateway, TURNS).put("a", DUE)
    assert (await arrived.get()).key == "a"

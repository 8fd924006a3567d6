"""The broker dies, freezes, forgets everything, refuses us: the services go on by themselves."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress

import pytest
from broker import PASSWORDS, Broker
from eventually import eventually
from parley_bus import (
    Bus,
    EventGap,
    Events,
    NatsContext,
    Slot,
    SlotOccupied,
    SlotQueue,
    connection,
    make_topology,
    outgoing,
    puller,
    serve,
)
from parley_contracts.errors import Unauthorized, Unavailable
from parley_contracts.events import TextDelta
from parley_contracts.operations import WORKERS_BEAT
from parley_contracts.subjects import DELIVERIES, SERVICE, TURNS
from parley_contracts.turns import Beat, BeatReply, TurnSlot

Connect = Callable[[str], Awaitable[Bus]]
BEAT = Beat(worker_id="w")
DUE = TurnSlot(turn_id="t", dispatch_no=1)


async def beat(_: Beat) -> BeatReply:
    return BeatReply(lease_s=10.0)


def delta(number: int) -> TextDelta:
    return TextDelta(
        thread_id="t", turn_id="turn", attempt=1, number=number, offset=number, text="a"
    )


async def disconnected(*buses: Bus) -> None:
    async def none_connected() -> bool:
        return not any(bus.connected for bus in buses)

    await eventually(none_connected)


async def test_connect_waits_for_a_server(broker: Broker) -> None:
    broker.kill()
    connecting = asyncio.create_task(Bus.connect(broker.context("web"), name="web"))
    await asyncio.sleep(0)
    broker.start()
    bus = await connecting
    assert bus.connected
    await bus.close()


async def test_a_wrong_password_is_said_at_once(broker: Broker) -> None:
    context = NatsContext(url=broker.url, user="web", password="wrong")
    with pytest.raises(Unauthorized, match="web"):
        await Bus.connect(context, name="web")


async def test_requests_during_an_outage_fail_clean_and_later_ones_are_answered(
    broker: Broker, gateway: Bus, worker: Bus
) -> None:
    await serve(gateway, SERVICE, "1.0.0", {WORKERS_BEAT: beat})
    broker.kill()
    await disconnected(gateway, worker)
    with pytest.raises(Unavailable, match="bus"):
        await worker.request(WORKERS_BEAT, BEAT, timeout=0.2)
    waiting = asyncio.create_task(worker.request(WORKERS_BEAT, BEAT, timeout=60))
    broker.start()
    assert (await waiting).lease_s == 10.0


async def test_close_ends_also_during_an_outage(broker: Broker) -> None:
    bus = await Bus.connect(broker.context("agent-worker"), name="agent-worker")
    SlotQueue(bus, TURNS).consume(lambda _: asyncio.sleep(0), room=1)
    broker.kill()
    await disconnected(bus)
    Events(bus).publish_soon(delta(0))
    await bus.close()
    assert not bus.connected


async def test_an_outage_is_logged_once_and_its_end(
    broker: Broker, web: Bus, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "parley_bus")
    again = asyncio.Event()
    web.on_reconnect(_setting(again))
    broker.kill()
    await disconnected(web)
    await asyncio.sleep(4 * connection.RECONNECT_S)
    broker.start()
    await again.wait()
    warnings = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert len(warnings) == len(set(warnings))
    assert "connected to NATS again" in caplog.text


def _setting(event: asyncio.Event) -> Callable[[], Awaitable[None]]:
    async def set_it() -> None:
        event.set()

    return set_it


async def test_what_must_be_renewed_is_called_after_each_reconnect(
    broker: Broker, web: Bus
) -> None:
    again = asyncio.Event()
    calls: list[str] = []

    async def fails() -> None:
        calls.append("fails")
        raise RuntimeError

    async def forgotten() -> None:
        calls.append("forgotten")

    web.on_reconnect(fails)
    forget = web.on_reconnect(forgotten)
    web.on_reconnect(_setting(again))
    forget()
    for _ in range(2):
        again.clear()
        broker.restart()
        await again.wait()
    assert calls == ["fails", "fails"]


@pytest.mark.usefixtures("quick_redelivery")
async def test_every_slot_is_handled_in_order_while_the_broker_is_killed(
    broker: Broker, gateway: Bus, worker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "SILENCE_S", 1000)  # the reconnect alone has to tell
    keys, rounds = [f"k{n}" for n in range(20)], 30
    handled: dict[str, list[int]] = {key: [] for key in keys}
    done: asyncio.Queue[None] = asyncio.Queue()
    turns = SlotQueue(gateway, TURNS)

    async def handle(slot: Slot) -> None:
        number = TurnSlot.model_validate_json(slot.payload).dispatch_no
        if number not in handled[slot.key]:
            handled[slot.key].append(number)
            await done.put(None)

    async def fill(key: str) -> None:
        for number in range(rounds):
            while not await _put(turns, key, number):
                continue

    SlotQueue(worker, TURNS).consume(handle, room=10)
    filling = asyncio.gather(*(fill(key) for key in keys))
    for kills in range(len(keys) * rounds):
        await done.get()
        if kills in (100, 300, 500):
            await asyncio.to_thread(broker.restart)
    await filling
    assert handled == {key: list(range(rounds)) for key in keys}


async def _put(turns: SlotQueue, key: str, number: int) -> bool:
    """Put a message; tell whether it is there, also when only the answer was lost."""
    due = TurnSlot(turn_id="t", dispatch_no=number)
    try:
        await turns.put(key, due)
        return True
    except (SlotOccupied, Unavailable):
        with suppress(Unavailable):
            slot = await turns.peek(key)
            return slot is not None and slot.payload == due.encode()
    return False


async def test_a_follower_goes_on_without_a_gap_while_the_broker_is_killed(
    broker: Broker, gateway: Bus, web: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "SILENCE_S", 1000)  # the reconnect alone has to tell
    published, reader = Events(gateway), Events(web)
    _, last = await reader.bounds()
    sequences: list[int] = []

    async def publish() -> None:
        for number in range(300):
            while True:
                try:
                    message_id = f"event-{number}"
                    sequences.append(await published.publish(delta(number), message_id=message_id))
                    break
                except Unavailable:
                    continue

    publishing = asyncio.create_task(publish())
    async with aclosing(reader.follow(after=last)) as records:
        for number in range(300):
            record = await anext(records)
            assert record.payload.startswith(b'{"kind":"text_delta"')
            assert record.sequence == last + 1 + number
            if number in (50, 150):
                await asyncio.to_thread(broker.restart)
    await publishing
    assert sequences == list(range(last + 1, last + 301))


async def test_unawaited_events_survive_a_short_outage_in_order(
    broker: Broker, gateway: Bus, worker: Bus
) -> None:
    _, last = await Events(gateway).bounds()
    broker.kill()
    await disconnected(gateway, worker)
    for number in range(100):
        Events(worker).publish_soon(delta(number))
    broker.start()
    await Events(worker).publish(delta(100), timeout=60)
    records = await Events(gateway).replay(after=last)
    numbers = [TextDelta.model_validate_json(each.payload).number for each in records]
    assert numbers == list(range(101))


async def test_unawaited_events_take_bounded_room_in_a_long_outage(
    broker: Broker,
    gateway: Bus,
    connect: Connect,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(outgoing, "CAPACITY", 5)
    worker = await connect("agent-worker")
    _, last = await Events(gateway).bounds()
    broker.kill()
    await disconnected(gateway, worker)
    for number in range(1000):
        Events(worker).publish_soon(delta(number))
    broker.start()
    await Events(worker).publish(delta(1000), timeout=60)
    assert len(await Events(gateway).replay(after=last)) == 5 + 1
    assert caplog.text.count("is lost") == 1


async def test_rule_12_a_late_acknowledgement_removes_nothing_after_a_wipe(
    broker: Broker, gateway: Bus, worker: Bus
) -> None:
    turns = SlotQueue(gateway, TURNS)
    made = asyncio.Event()

    async def make() -> None:
        await make_topology(gateway)
        made.set()

    gateway.on_reconnect(make)
    begun: asyncio.Queue[Slot] = asyncio.Queue()
    go_on = asyncio.Event()

    async def hold(slot: Slot) -> None:
        await begun.put(slot)
        if slot.sequence == before:
            await go_on.wait()
        else:
            await asyncio.Event().wait()

    before = await turns.put("a", DUE)  # the handler compares with it
    working = SlotQueue(worker, TURNS).consume(hold, room=2)
    await begun.get()
    await asyncio.to_thread(broker.wipe)
    await made.wait()
    after = await turns.put("a", DUE)
    assert after > before
    assert (await begun.get()).sequence == after
    go_on.set()  # the handler of the wiped message ends now, and is acknowledged
    await worker.settled()
    kept = await turns.peek("a")
    assert kept and kept.sequence == after
    await working.stop(grace=0)


async def test_rule_22_a_follower_is_told_of_a_wipe_and_can_begin_again(
    broker: Broker, gateway: Bus, web: Bus
) -> None:
    async def make() -> None:
        await make_topology(gateway)

    gateway.on_reconnect(make)
    published, reader = Events(gateway), Events(web)
    _, last = await reader.bounds()
    old = await published.publish(delta(0))
    async with aclosing(reader.follow(after=last)) as records:
        assert (await anext(records)).sequence == old
        await asyncio.to_thread(broker.wipe)
        with pytest.raises(EventGap):
            await anext(records)
    _, last = await reader.bounds()
    assert last > old
    async with aclosing(reader.follow(after=last)) as records:
        new = await published.publish(delta(1))
        assert (await anext(records)).sequence == new


async def test_a_frozen_broker_is_unavailable_and_goes_on_when_it_thaws(
    broker: Broker, gateway: Bus, worker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "HEARTBEAT_S", 0.2)
    monkeypatch.setattr(puller, "SILENCE_S", 0.4)
    await serve(gateway, SERVICE, "1.0.0", {WORKERS_BEAT: beat})
    arrived: asyncio.Queue[Slot] = asyncio.Queue()
    SlotQueue(worker, TURNS).consume(arrived.put, room=2)
    turns = SlotQueue(gateway, TURNS)
    await turns.put("a", DUE)
    assert (await arrived.get()).key == "a"
    broker.freeze()
    for _ in range(3):  # longer than the puller stands the silence
        with pytest.raises(Unavailable):
            await worker.request(WORKERS_BEAT, BEAT, timeout=0.4)
    broker.thaw()
    assert (await worker.request(WORKERS_BEAT, BEAT, timeout=60)).lease_s == 10.0
    await turns.put("b", DUE)
    assert (await arrived.get()).key == "b"


async def test_pulling_ends_when_nobody_answers_it(
    gateway: Bus, worker: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(puller, "SILENCE_S", 0.3)
    unanswered = puller.Puller(  # the server drops what a worker may not ask
        worker, DELIVERIES.name, DELIVERIES.durable, deliver=print, room=lambda: 1
    )
    await asyncio.wait_for(unanswered.pull(), 60)


async def test_a_broker_that_is_silent_for_long_is_given_up_and_found_again(
    broker: Broker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_S", 1)
    bus = await connect("web")
    broker.freeze()
    await disconnected(bus)
    broker.thaw()
    await asyncio.wait_for(bus.ready(), 60)


async def test_much_that_is_still_to_be_sent_does_not_keep_a_silent_broker(
    broker: Broker, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "PING_S", 1)
    bus = await connect("gateway")
    broker.freeze()
    subject, much = "parley.events.t.text_delta", bytes(7_000_000)
    flood = [asyncio.create_task(bus.publish(subject, much)) for _ in range(4)]
    async with asyncio.timeout(30):  # by itself the request would wait for twice as long
        with pytest.raises(Unavailable, match="bus"):
            await bus.ask("$JS.API.INFO", b"", timeout=60)
    await bus.close()
    assert all(each.done() for each in flood)


async def test_a_connection_that_was_closed_for_good_is_begun_anew(
    broker: Broker, web: Bus, worker: Bus
) -> None:
    heard: asyncio.Queue[bytes] = asyncio.Queue()

    async def hear(_: str, payload: bytes) -> None:
        await heard.put(payload)

    await worker.subscribe("parley.control.cancel.*", hear)
    again = asyncio.Event()
    worker.on_reconnect(_setting(again))
    broker.write_config({**PASSWORDS, "agent-worker": "revoked"})
    broker.reload()
    await disconnected(worker)
    broker.write_config(PASSWORDS)
    broker.reload()
    await again.wait()
    await web.publish("parley.control.cancel.t", b"still heard")
    assert await heard.get() == b"still heard"

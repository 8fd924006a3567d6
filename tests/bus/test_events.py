"""The event stream: stored once, replayed and followed without a gap, or the gap is told."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from eventually import eventually
from parley_bus import (
    Bus,
    EventGap,
    EventRecord,
    Events,
    events,
    jetstream,
    make_topology,
    remove_stream,
    serve,
)
from parley_contracts.errors import Unavailable
from parley_contracts.events import Event, SessionsChanged, TextDelta
from parley_contracts.operations import WORKERS_BEAT
from parley_contracts.subjects import EVENTS
from parley_contracts.turns import Beat, BeatReply

Connect = Callable[[str], Awaitable[Bus]]


def delta(number: int, *, thread: str = "t", text: str = "a") -> TextDelta:
    return TextDelta(
        thread_id=thread, turn_id="turn", attempt=1, number=number, offset=number, text=text
    )


async def first(reader: Events, count: int, *, after: int | None) -> list[EventRecord]:
    """Follow until `count` events are there."""
    found: list[EventRecord] = []
    async with aclosing(reader.follow(after=after)) as records:
        async for record in records:
            found.append(record)
            if len(found) == count:
                break
    return found


@pytest.fixture
def published(gateway: Bus) -> Events:
    """The stream as its writers see it."""
    return Events(gateway)


@pytest.fixture
def read(gateway: Bus, web: Bus) -> Events:
    """The stream as a web process sees it."""
    return Events(web)


async def test_an_event_keeps_its_bytes_and_gets_the_next_sequence(
    published: Events, read: Events
) -> None:
    _, last = await read.bounds()
    event = delta(0, text='ü \u2028 "quoted" \U0001f600')
    assert await published.publish(event) == last + 1
    [record] = await read.replay(after=last)
    assert (record.sequence, record.thread_id, record.kind) == (last + 1, "t", "text_delta")
    assert record.payload == event.encode()


async def test_an_event_without_a_thread_has_none(published: Events, read: Events) -> None:
    await published.publish(SessionsChanged())
    [record] = await read.replay()
    assert (record.thread_id, record.kind) == (None, "sessions_changed")


async def test_the_same_message_id_stores_an_event_once(published: Events, read: Events) -> None:
    sequences = [await published.publish(delta(n), message_id="event-1") for n in range(3)]
    assert len(set(sequences)) == 1
    assert len(await read.replay()) == 1


async def test_the_bounds_of_an_empty_stream_lie_side_by_side(read: Events) -> None:
    begin, end = await read.bounds()
    assert end == begin - 1


async def test_replay_gives_one_thread_or_all_after_a_sequence(
    published: Events, read: Events
) -> None:
    sequences = [await published.publish(delta(n, thread="ab"[n % 2])) for n in range(6)]
    assert [each.sequence for each in await read.replay()] == sequences
    assert [each.sequence for each in await read.replay(thread_id="a")] == sequences[::2]
    assert [each.sequence for each in await read.replay(after=sequences[3])] == sequences[4:]
    assert await read.replay(thread_id="b", after=sequences[-1]) == []
    assert await read.replay(thread_id="unknown") == []


async def test_replay_goes_on_over_many_pages(
    published: Events, read: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "PAGE", 7)
    sequences = [await published.publish(delta(n)) for n in range(25)]
    assert [each.sequence for each in await read.replay(thread_id="t")] == sequences


async def test_follow_gives_what_is_stored_and_what_comes(published: Events, read: Events) -> None:
    sequences = [await published.publish(delta(n)) for n in range(100)]
    following = asyncio.create_task(first(read, 200, after=sequences[49]))
    sequences += [await published.publish(delta(n)) for n in range(150)]
    assert [each.sequence for each in await following] == sequences[50:]


async def test_follow_without_a_place_gives_only_what_is_new(
    published: Events, read: Events
) -> None:
    old = await published.publish(delta(0))
    following = asyncio.create_task(first(read, 1, after=None))
    while not following.done():
        await published.publish(delta(1))
        await asyncio.sleep(0.01)
    [record] = following.result()
    assert record.sequence > old


async def test_a_slow_reader_misses_nothing(
    published: Events, read: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "READ_AHEAD", 8)
    _, last = await read.bounds()
    async with aclosing(read.follow(after=last)) as records:
        sequences = [await published.publish(delta(0))]
        assert (await anext(records)).sequence == last + 1
        sequences += [await published.publish(delta(n)) for n in range(1, 200)]
        for sequence in sequences[1:]:
            assert (await anext(records)).sequence == sequence


async def test_a_reader_whose_next_event_is_gone_is_told(
    gateway: Bus, published: Events, read: Events
) -> None:
    sequences = [await published.publish(delta(n)) for n in range(10)]
    await jetstream.call(gateway, f"STREAM.PURGE.{EVENTS.name}", {"seq": sequences[5]})
    with pytest.raises(EventGap):
        await first(read, 1, after=sequences[2])
    assert (await first(read, 1, after=sequences[4]))[0].sequence == sequences[5]


async def test_a_reader_whose_next_event_is_gone_from_between_others_is_told(
    gateway: Bus, published: Events, read: Events
) -> None:
    sequences = [await published.publish(delta(n)) for n in range(10)]
    await jetstream.call(gateway, f"STREAM.MSG.DELETE.{EVENTS.name}", {"seq": sequences[5]})
    async with aclosing(read.follow(after=sequences[2])) as records:
        assert [(await anext(records)).sequence for _ in range(2)] == sequences[3:5]
        with pytest.raises(EventGap):
            await anext(records)


@pytest.mark.parametrize("begins", [1, None])
async def test_a_reader_of_a_stream_that_was_made_anew_is_told(
    gateway: Bus, published: Events, read: Events, begins: int | None
) -> None:
    last = await published.publish(delta(0))
    config = (await jetstream.call(gateway, f"STREAM.INFO.{EVENTS.name}"))["config"]
    async with aclosing(read.follow(after=last)) as records:
        following = asyncio.ensure_future(anext(records))
        await remove_stream(gateway, EVENTS.name)
        if begins:
            anew = {**config, "first_seq": begins}
            await jetstream.call(gateway, f"STREAM.CREATE.{EVENTS.name}", anew)
        await make_topology(gateway)
        await published.publish(delta(1))
        with pytest.raises(EventGap):
            await following


async def test_a_reader_asks_for_a_stream_that_is_not_there_in_no_haste(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Events(await connect("web"))
    asked = asyncio.Semaphore(0)
    bounds = reader.bounds

    async def counted() -> tuple[int, int]:
        try:
            return await bounds()
        finally:
            asked.release()

    monkeypatch.setattr(events, "RETRY_S", 1000)
    monkeypatch.setattr(reader, "bounds", counted)
    following = asyncio.create_task(first(reader, 1, after=None))
    await asked.acquire()
    for _ in range(10):
        with pytest.raises(Unavailable):
            await bounds()
    assert asked.locked(), "it has asked again at once"
    following.cancel()


async def test_a_reader_beyond_the_end_is_told(published: Events, read: Events) -> None:
    sequence = await published.publish(delta(0))
    with pytest.raises(EventGap):
        await first(read, 1, after=sequence + 1)


async def test_a_reader_that_lags_behind_the_streams_bounds_is_told(
    gateway: Bus, published: Events, read: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "READ_AHEAD", 4)
    _, last = await read.bounds()
    async with aclosing(read.follow(after=last)) as records:
        sequences = [await published.publish(delta(0))]
        assert (await anext(records)).sequence == sequences[0]
        sequences += [await published.publish(delta(n)) for n in range(1, 50)]
        await jetstream.call(gateway, f"STREAM.PURGE.{EVENTS.name}")
        await published.publish(delta(50))
        with pytest.raises(EventGap):
            while True:
                await anext(records)


async def test_rule_21_unawaited_events_keep_their_order(
    gateway: Bus, published: Events, read: Events
) -> None:
    _, last = await read.bounds()
    sent: list[Event] = [delta(n) for n in range(500)]
    for event in sent[:-1]:
        published.publish_soon(event)
    await published.publish(sent[-1])
    assert [each.payload for each in await read.replay(after=last)] == [
        each.encode() for each in sent
    ]


async def test_an_unawaited_event_that_fails_holds_up_nothing_else(
    published: Events, gateway: Bus, read: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    faults = iter([RuntimeError("a fault")])
    publish = gateway._client.publish

    async def faulty(*args: Any, **more: Any) -> None:
        for fault in faults:
            raise fault
        await publish(*args, **more)

    monkeypatch.setattr(gateway._client, "publish", faulty)
    for number in range(2):
        published.publish_soon(delta(number))
    last = await published.publish(delta(2))
    assert [each.sequence for each in await read.replay()] == [last - 1, last]


async def test_rule_21_what_was_published_goes_out_before_a_later_request(
    gateway: Bus, worker: Bus, connect: Connect
) -> None:
    async def beat(_: Beat) -> BeatReply:
        return BeatReply(lease_s=10.0)

    async def note(subject: str, _: bytes) -> None:
        seen.append(subject)

    async def all_seen() -> bool:
        return len(seen) == 40

    seen: list[str] = []
    await (await connect("owner")).subscribe("parley.>", note)
    await serve(gateway, "parley-gateway", "0.1.0", {WORKERS_BEAT: beat})
    for number in range(20):
        Events(worker).publish_soon(delta(number))
        await worker.request(WORKERS_BEAT, Beat(worker_id="w"))
    await eventually(all_seen)
    assert seen == [EVENTS.subject("t", "text_delta"), WORKERS_BEAT.subject] * 20


async def test_a_reader_that_leaves_leaves_nothing_on_the_server(
    gateway: Bus, published: Events, read: Events
) -> None:
    await published.publish(delta(0))
    await first(read, 1, after=(await read.bounds())[0] - 1)

    async def none_left() -> bool:
        info = await jetstream.call(gateway, f"STREAM.INFO.{EVENTS.name}")
        return not info["state"]["consumer_count"]

    await eventually(none_left)


async def test_without_the_stream_publishing_and_reading_are_unavailable(
    connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = Events(await connect("gateway"))
    with pytest.raises(Unavailable):
        await stream.bounds()
    with pytest.raises(Unavailable):
        await stream.publish(delta(0), timeout=0.3)
    with pytest.raises(Unavailable):
        await stream.replay()

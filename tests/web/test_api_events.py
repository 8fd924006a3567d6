"""The event streams of the HTTP API: nothing lost, nothing doubled (rules 21 to 25)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from api_client import CLOSING, LIMIT_S, Api, ServerEvent
from eventually import eventually
from house import House
from parley_bus import Events
from parley_contracts.base import new_id
from parley_contracts.events import CatalogChanged, TextDelta
from raw_stream import gateway_of, stalled_stream

FIRST_SLOW = "[[slow 0.8]] one two three four five six seven eight"
FOR_LONG = "[[slow 0.8]] [[long 1000]]"
"""An answer that is being written for as long as a test may need; it stops it in the end."""


def text_of(events: list[ServerEvent]) -> str:
    return "".join(each.data["text"] for each in events if each.kind == "text_delta")


async def test_rule_21_a_turn_tells_its_whole_way(api: Api) -> None:
    thread = await api.new_thread()
    events = await api.ask(thread, '[[think hm]] [[tool calculator {"expression": "6*7"}]] 🎈')
    kinds = [each.kind for each in events]
    assert kinds[:2] == ["message_accepted", "turn_started"]
    assert {"reasoning_delta", "tool_started", "tool_finished", "text_delta"} < set(kinds)
    assert kinds[-1] == "message_ready"
    numbers = [each.data["number"] for each in events[1:]]
    assert numbers == list(range(len(numbers)))
    assert events[-1].data["message"]["text"] == text_of(events)
    for event in events:
        assert event.data["kind"] == event.kind
        assert {"thread_id", "turn_id", "attempt", "number"} <= event.data.keys()


async def test_ids_are_the_streams_and_grow(api: Api) -> None:
    thread = await api.new_thread()
    ids = [each.id for each in await api.ask(thread, "a b c")]
    assert ids == sorted(set(ids))


async def test_two_threads_do_not_hear_each_other_and_the_stream_of_all_hears_both(
    api: Api,
) -> None:
    one, two = await api.new_thread(), await api.new_thread()
    async with api.events() as all_events, api.events(one) as events:
        await all_events.opened()
        await events.opened()
        await api.send(two, "to two")
        while (await all_events.until("message_ready"))[-1].data["thread_id"] != two:
            pass  # other tests' turns may still end
        await api.send(one, "to one")
        assert {each.data["thread_id"] for each in await events.until("message_ready")} == {one}


@pytest.mark.parametrize("how", ["Last-Event-ID", "after"])
async def test_a_stream_goes_on_where_it_was_left(api: Api, how: str) -> None:
    thread = await api.new_thread()
    async with api.events(thread) as events:
        await events.opened()
        await api.send(thread, FIRST_SLOW)
        before = await events.until("text_delta")
    last = before[-1].id
    resume: dict[str, Any] = {"after": last}
    if how == "Last-Event-ID":  # it is newer than the address that the browser repeats
        resume = {"after": before[0].id, "last_event_id": str(last)}
    async with api.events(thread, **resume) as events:
        rest = await events.until(*CLOSING)
    ids = [each.id for each in before + rest]
    assert ids == sorted(set(ids))
    assert rest[-1].data["message"]["text"] == text_of(before + rest)


async def test_a_finished_turn_is_replayed_whole(api: Api) -> None:
    thread = await api.new_thread()
    start = (await api.call("GET", f"/api/threads/{thread}"))["last_event_id"]
    live = await api.ask(thread, "what was that again")
    async with api.events(thread, after=start) as events:
        replayed = await events.until("message_ready")
    assert [each for each in replayed if "turn_id" in each.data] == live


async def test_rule_23_snapshot_and_stream_make_the_whole_answer(api: Api) -> None:
    thread = await api.new_thread()
    async with api.events(thread) as events:
        await events.opened()
        await api.send(thread, f"[[think quietly]] {FOR_LONG}")
        for _ in range(3):
            await events.until("text_delta")
    opened = await api.call("GET", f"/api/threads/{thread}")
    turn = opened["turn"]
    assert turn["reasoning"]
    async with api.events(thread, after=opened["last_event_id"]) as events:
        more = await events.until("text_delta")
        await api.call("POST", f"/api/turns/{turn['id']}/cancel")
        rest = more + await events.until(*CLOSING)
    fresh = [
        each
        for each in rest
        if each.data.get("turn_id") == turn["id"]
        and (each.data["attempt"], each.data["number"]) > (turn["attempt"], turn["number"])
    ]
    assert turn["text"]
    assert turn["text"] + text_of(fresh) == rest[-1].data["message"]["text"]


@pytest.mark.parametrize("place", [{"after": 1}, {"after": 2**62}, {"last_event_id": "nonsense"}])
async def test_rule_22_a_place_that_the_stream_does_not_have_is_answered_by_resync(
    api: Api, place: dict[str, Any]
) -> None:
    thread = await api.new_thread()
    async with api.events(thread, **place) as events:
        (resync,) = await events.until("resync")
        await api.send(thread, "and on it goes")
        assert (await events.until("message_ready"))[0].id > resync.id


async def test_rule_25_a_client_that_stops_reading_is_told_to_read_anew(
    api: Api, house: House
) -> None:
    before = await measured(api, "parley_event_resyncs_total")
    reader, writer = await stalled_stream(house, "/api/events")
    bus = await gateway_of(house)
    stream = Events(bus)
    flood = TextDelta(
        thread_id=new_id(), turn_id="t", attempt=1, number=1, offset=0, text="x" * 20_000
    )
    published = 0
    while await measured(api, "parley_event_resyncs_total") == before:
        for _ in range(100):
            await stream.publish(flood)
        published += 100
    last = await stream.publish(CatalogChanged(worker_id="last"))
    ids: list[int] = []
    async with asyncio.timeout(LIMIT_S):
        while b"resync" not in (line := await reader.readuntil()):
            if line.startswith(b"id: "):
                ids.append(int(line[4:]))
        while ids[-1] < last:
            if (line := await reader.readuntil()).startswith(b"id: "):
                ids.append(int(line[4:]))
    assert ids == sorted(set(ids))
    assert len(ids) < published
    writer.close()
    await bus.close()


async def test_fifty_clients_hear_the_same(api: Api) -> None:
    thread = await api.new_thread()

    async def follow(opened: asyncio.Semaphore) -> list[ServerEvent]:
        async with api.events(thread) as events:
            await events.opened()
            opened.release()
            return await events.until("message_ready")

    opened = asyncio.Semaphore(0)
    following = [asyncio.create_task(follow(opened)) for _ in range(50)]
    for _ in following:
        await opened.acquire()
    await api.send(thread, "hear, hear")
    heard = await asyncio.gather(*following)
    assert all(each == heard[0] for each in heard)


async def test_a_client_that_leaves_is_forgotten(api: Api) -> None:
    async with api.events() as events:
        await events.opened()
        during = await measured(api, "parley_event_clients")

    async def forgotten() -> bool:
        return await measured(api, "parley_event_clients") < during

    await eventually(forgotten)


async def measured(api: Api, name: str) -> float:
    """Return a metric of the web service."""
    lines = (await api.client.get("/metrics")).text.splitlines()
    (line,) = [each for each in lines if each.startswith(f"{name} ")]
    return float(line.split()[1])


async def test_a_stream_ends_when_its_session_is_revoked(api: Api, house: House) -> None:
    async with Api(house.url) as browser:
        await browser.sign_in(house.token)
        async with browser.events() as events, api.events() as mine:
            await events.opened()
            await mine.opened()
            await browser.call("POST", "/api/logout", status=204)
            await events.ended()
            thread = await api.new_thread()
            while (await mine.until("thread_changed"))[-1].data["thread_id"] != thread:
                pass  # other tests' turns may still end


async def test_the_stream_cannot_be_buffered_or_kept(api: Api) -> None:
    async with api.client.stream("GET", "/api/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["x-accel-buffering"] == "no"

"""More is sent than can be answered: it waits in the database, in turn, and the wait is shown."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable

import pytest
from api_client import Api
from house import House
from memory import resident_mib

THREADS, EACH = (int(each) for each in os.environ.get("BACK_PRESSURE", "30x10").split("x"))
"""How much is sent; with BACK_PRESSURE=100x100 and `-o faulthandler_timeout=0` it is ten thousand
messages."""
SENDERS = 16
LIMIT_S = 240.0 + THREADS * EACH / 5
"""Past it the test fails instead of hanging."""
MOST_MIB = {"gateway": 400, "agent-worker": 300, "web": 300, "nats": 500}
"""What a service may take of the memory, however much waits."""


@pytest.mark.timeout(2 * LIMIT_S)
async def test_what_waits_is_answered_in_turn_and_fills_no_memory(
    make_house: Callable[..., House],
) -> None:
    house = make_house("--turns-per-worker", "1").start()
    async with Api(house.url, house.token) as api:
        blocking = await running(api, "[[slow 3600]] one two")
        threads = [await api.new_thread() for _ in range(THREADS)]
        await send_to_each(api, threads)
        turns = json.loads(house.parley("status", "--json").stdout)["gateway"]["turns"]
        assert turns["running"] == 1
        assert turns["dispatched"] + turns["queued"] == THREADS * EACH
        assert turns["oldest_wait_s"] > 0
        assert "the oldest waits for" in house.parley("status").stdout
        full = resident_mib(house, MOST_MIB)
        async with api.events() as events:
            await events.opened()
            await api.call("POST", f"/api/turns/{blocking}/cancel")
            order: list[str] = []
            async with asyncio.timeout(LIMIT_S):
                async for event in events:
                    order += [event.data["thread_id"]] if event.kind == "message_ready" else []
                    if len(order) == THREADS * EACH:
                        break
    assert_fair(order)
    print(sample := (full, resident_mib(house, MOST_MIB)))
    assert all(each[name] < most for each in sample for name, most in MOST_MIB.items()), sample


async def running(api: Api, text: str) -> str:
    """Send to a thread of its own; return the turn once it says something."""
    thread = await api.new_thread()
    async with api.events(thread) as events:
        await events.opened()
        turn = str((await api.send(thread, text))["turn"]["id"])
        await events.until("text_delta")
    return turn


async def send_to_each(api: Api, threads: list[str]) -> None:
    """Send all to one thread, then to the next, so that the first ones could take every turn."""
    unsent = [(thread, number) for thread in threads for number in range(EACH)][::-1]

    async def send() -> None:
        while unsent:
            thread, number = unsent.pop()
            await api.send(thread, f"question {number}")

    await asyncio.gather(*(send() for _ in range(SENDERS)))


def assert_fair(order: list[str]) -> None:
    """Assert that no thread had many turns while another one waited."""
    had = dict.fromkeys(order, 0)
    for thread in order:
        had[thread] += 1
        assert max(had.values()) - min(had.values()) <= 3, had

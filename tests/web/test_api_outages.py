"""While the gateway is away, the API says so, loses nothing, and goes on by itself."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator

import httpx2
import pytest
from api_client import Api
from eventually import eventually
from house import House

SLOW = "[[slow 0.3]]" + " word" * 30 + " end"
FOR_LONG = "[[slow 0.3]]" + " word" * 600 + " end"
"""An answer that is being written for as long as a test may need; it stops it in the end."""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house for these tests, of which each leaves everything running."""
    house = House(tmp_path_factory.mktemp("outages") / "data").start()
    yield house
    house.kill()


@pytest.fixture
async def caller(own: House) -> AsyncIterator[Api]:
    async with Api(own.url, own.token) as api:
        yield api


async def until_ready(api: Api, status: int) -> None:
    """Ask until readiness is answered with this status."""

    async def answered() -> bool:
        try:
            return (await api.client.get("/readyz")).status_code == status
        except httpx2.TransportError:  # nobody listens yet
            return False

    await eventually(answered)


async def test_without_the_gateway_calls_are_refused_and_streams_go_on(
    own: House, caller: Api
) -> None:
    thread = await caller.new_thread()
    async with caller.events(thread) as events:
        await events.opened()
        turn = (await caller.send(thread, FOR_LONG))["turn"]["id"]
        await events.until("text_delta")
        os.kill(own.pid("gateway"), signal.SIGSTOP)  # it is there and does not answer
        await until_ready(caller, 503)
        assert (await caller.client.get("/healthz")).status_code == 200
        await events.until("text_delta")
        async with caller.events(thread) as more:
            await more.opened()
            await more.until("text_delta")
        refused = await caller.client.get("/api/agents")
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "1")
        assert refused.json()["detail"].endswith(".")
        os.kill(own.pid("gateway"), signal.SIGCONT)
        await until_ready(caller, 200)
        await caller.call("POST", f"/api/turns/{turn}/cancel")
        assert (await events.until("turn_cancelled"))[-1].data["turn_id"] == turn


async def test_a_restarted_gateway_is_found_again(own: House, caller: Api) -> None:
    thread = await caller.new_thread()
    with own.unattended():  # else it may be there again before anybody has noticed
        os.kill(own.pid("gateway"), signal.SIGKILL)
        await until_ready(caller, 503)
    await until_ready(caller, 200)
    assert (await caller.ask(thread, "still there"))[-1].kind == "message_ready"


async def test_rule_16_stop_reaches_the_worker_while_the_gateway_is_away(
    own: House, caller: Api
) -> None:
    thread = await caller.new_thread()
    async with caller.events(thread) as events:
        await events.opened()
        turn = (await caller.send(thread, FOR_LONG))["turn"]["id"]
        await events.until("text_delta")
        os.kill(own.pid("gateway"), signal.SIGSTOP)
        for _ in range(3):  # each is refused after five seconds, in which 16 words would be said
            await caller.call("POST", f"/api/turns/{turn}/cancel", status=503)
        os.kill(own.pid("gateway"), signal.SIGCONT)
        *said, stopped = await events.until("message_ready", "turn_cancelled")
    assert stopped.kind == "turn_cancelled"
    words = [each for each in said if each.kind == "text_delta"]
    assert len(words) < 24, "the worker went on for as long as the gateway was away"


async def test_a_killed_web_service_goes_on_from_the_bus(own: House, caller: Api) -> None:
    thread = await caller.new_thread()
    async with caller.events(thread) as events:
        await events.opened()
        await caller.send(thread, SLOW)
        before = await events.until("text_delta")
        os.kill(own.pid("web"), signal.SIGKILL)
        with pytest.raises(httpx2.TransportError):
            await events.ended()
    await until_ready(caller, 200)
    async with caller.events(thread, last_event_id=str(before[-1].id)) as events:
        rest = await events.until("message_ready")
    said = "".join(each.data["text"] for each in before + rest if each.kind == "text_delta")
    assert said == rest[-1].data["message"]["text"]


async def test_an_orderly_stop_ends_streams_at_once(make_house: Callable[..., House]) -> None:
    house = make_house().start()
    async with Api(house.url, house.token) as caller, caller.events() as events:
        await events.opened()
        stopping = asyncio.create_task(asyncio.to_thread(house.stop))
        await events.ended()
    assert await stopping == 0

"""The page's stream when things go wrong: it ends, so that the page comes back for a snapshot."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from page_samples import agent, thread
from parley_bus import Bus, serve
from parley_contracts.agents import AgentList
from parley_contracts.base import Empty
from parley_contracts.operations import AGENTS_LIST, THREADS_LIST
from parley_contracts.threads import ListThreads, ThreadList
from parley_web.page.stream import Pace, frames
from parley_web.state import AppState


@asynccontextmanager
async def answering(bus: Bus) -> AsyncIterator[None]:
    """A gateway that knows one thread and one agent."""

    async def threads(_: ListThreads) -> ThreadList:
        return ThreadList(threads=(thread(),))

    async def agents(_: Empty) -> AgentList:
        return AgentList(agents=(agent(),))

    service = await serve(
        bus, "parley-gateway", "1.0.0", {THREADS_LIST: threads, AGENTS_LIST: agents}
    )
    yield
    await service.stop()


async def test_a_stream_ends_when_its_place_among_the_events_is_lost(
    state: AppState, gateway_bus: Bus
) -> None:
    async with answering(gateway_bus):
        stream = frames(state, None, 0)
        assert b"retry" in await anext(stream)
        assert b"A thread" in await anext(stream)
        relay = asyncio.create_task(state.relay.run())  # begins anew: whoever listens has lagged
        with pytest.raises(StopAsyncIteration):
            await anext(stream)
        relay.cancel()
    assert state.relay.clients == 0


async def test_a_stream_ends_when_the_gateway_does_not_answer(state: AppState) -> None:
    stream = frames(state, None, 0)
    assert b"retry" in await anext(stream)
    with pytest.raises(StopAsyncIteration):
        await anext(stream)
    assert state.relay.clients == 0


async def test_a_reader_who_leaves_is_forgotten(state: AppState, gateway_bus: Bus) -> None:
    async with answering(gateway_bus):
        stream = frames(state, None, 0)
        await anext(stream)
        assert state.relay.clients == 1
        await stream.aclose()
    assert state.relay.clients == 0


def test_costly_rendering_is_followed_by_a_longer_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter([0.0, 0.002, 0.002, 10.0, 10.2, 10.2])
    monkeypatch.setattr("time.monotonic", lambda: next(clock))
    pace = Pace()
    with pace:
        pass
    assert pace.pause() == pytest.approx(0.05)
    with pace:
        pass
    assert pace.pause() == pytest.approx(2.0)

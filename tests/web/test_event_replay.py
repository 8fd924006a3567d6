"""Whoever was away is told what he missed page by page, as he reads (rules 22 and 25)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
from parley_bus import Bus, Events, make_topology, remove_stream
from parley_bus import events as bus_events
from parley_contracts.events import CatalogChanged
from parley_contracts.subjects import EVENTS
from parley_web.api.events import following
from parley_web.state import AppState


@pytest.fixture
async def missed(gateway_bus: Bus, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[list[int]]:
    """The sequences of five events, which are three pages."""
    monkeypatch.setattr(bus_events, "PAGE", 2)
    written = Events(gateway_bus)
    yield [await written.publish(CatalogChanged(worker_id=each)) for each in "abcde"]


def ids(frame: bytes) -> list[int]:
    return [int(line[4:]) for line in frame.splitlines() if line.startswith(b"id: ")]


async def test_each_page_is_read_when_the_one_before_was_taken(
    state: AppState, missed: list[int]
) -> None:
    async with aclosing(following(state, None, missed[0] - 1)) as frames:
        assert ids(await anext(frames)) == []
        pages = [ids(await anext(frames)) for _ in range(3)]
    assert pages == [missed[:2], missed[2:4], missed[4:]]


async def test_what_has_gone_before_it_was_read_is_not_skipped_unsaid(
    state: AppState, gateway_bus: Bus, missed: list[int]
) -> None:
    async with aclosing(following(state, None, missed[0] - 1)) as frames:
        await anext(frames)
        assert ids(await anext(frames)) == missed[:2]
        await remove_stream(gateway_bus, EVENTS.name)
        await make_topology(gateway_bus)
        assert b"event: resync" in await anext(frames)

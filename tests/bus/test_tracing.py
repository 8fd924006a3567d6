"""One trace from a person's act to all that follows from it."""

from __future__ import annotations

import asyncio
import contextvars
import re

import pytest
from parley_bus import Bus, Events, Slot, SlotQueue, serve, tracing
from parley_contracts.events import SessionsChanged
from parley_contracts.operations import WORKERS_BEAT
from parley_contracts.subjects import SERVICE, TURNS
from parley_contracts.turns import Beat, BeatReply, TurnSlot

TRACEPARENT = re.compile(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01")


async def test_a_trace_goes_from_the_request_over_the_slot_to_the_event(
    gateway: Bus, worker: Bus, web: Bus
) -> None:
    ids: dict[str, str | None] = {}

    async def accept(_: Beat) -> BeatReply:
        ids["handler"] = tracing.trace_id()
        await SlotQueue(gateway, TURNS).put("a", TurnSlot(turn_id="t", dispatch_no=1))
        return BeatReply(lease_s=1.0)

    async def turn(_: Slot) -> None:
        ids["slot"] = tracing.trace_id()
        Events(worker).publish_soon(SessionsChanged())

    await serve(gateway, SERVICE, "1.0.0", {WORKERS_BEAT: accept})
    SlotQueue(worker, TURNS).consume(turn, room=1)
    reader = Events(web)
    records = reader.follow(after=(await reader.bounds())[1])
    begun = tracing.begin()
    await worker.request(WORKERS_BEAT, Beat(worker_id="w"))
    record = await anext(records)
    await records.aclose()
    assert record.traceparent
    ids["event"] = record.traceparent.split("-")[1]
    assert ids == dict.fromkeys(("handler", "slot", "event"), begun.split("-")[1])
    [replayed] = await reader.replay()
    assert replayed.traceparent == record.traceparent


async def test_requests_of_different_tasks_do_not_mix_their_traces(
    gateway: Bus, worker: Bus
) -> None:
    seen: dict[str, str | None] = {}

    async def note(request: Beat) -> BeatReply:
        await asyncio.sleep(0)
        seen[request.worker_id] = tracing.trace_id()
        return BeatReply(lease_s=1.0)

    async def act(name: str) -> str:
        begun = tracing.begin()
        await worker.request(WORKERS_BEAT, Beat(worker_id=name))
        return begun.split("-")[1]

    await serve(gateway, SERVICE, "1.0.0", {WORKERS_BEAT: note})
    names = [f"w{number}" for number in range(20)]
    traces = await asyncio.gather(*(act(name) for name in names))
    assert seen == dict(zip(names, traces, strict=True))
    assert len(set(traces)) == 20


@pytest.mark.parametrize(
    "header", ["", "nonsense", "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "00-abc-def-01"]
)
def test_without_a_sound_header_a_new_trace_begins(header: str) -> None:
    with tracing.received({"traceparent": header} if header else None):
        now = tracing.current()
        assert now and TRACEPARENT.fullmatch(now)
        assert now != header


def test_a_span_of_its_own_is_sent_under_the_same_trace() -> None:
    def check() -> None:
        begun = tracing.begin()
        sent = tracing.outgoing()["traceparent"]
        assert TRACEPARENT.fullmatch(sent)
        assert sent != begun
        assert sent.split("-")[1] == tracing.trace_id()

    contextvars.copy_context().run(check)


def test_outside_a_trace_there_is_none_and_messages_begin_one() -> None:
    def check() -> None:
        assert tracing.current() is None
        assert TRACEPARENT.fullmatch(tracing.outgoing()["traceparent"])
        assert tracing.trace_id() is None

    contextvars.Context().run(check)

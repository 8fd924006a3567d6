"""Clients that mean no good, or cannot do better: they are refused, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import schemathesis
from api_client import LIMIT_S, Api
from eventually import eventually
from house import House
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory import resident_mib
from parley_bus import Events, jetstream
from parley_contracts.base import new_id
from parley_contracts.events import TextDelta
from parley_contracts.subjects import EVENTS
from raw_stream import gateway_of, stalled_stream
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import response_schema_conformance

EXAMPLES = 12
"""Requests to each call, sensible and broken ones."""
ENDLESS = "/events$"
BROKEN = [b"{", b"\xff\xfe", b"[]", b'"text"', b"null", b"[" * 100_000]
STREAMS, STALLED = 200, 20
FLOOD = "x" * 20_000
MOST_MIB = {"web": 400, "gateway": 300}
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A house that these tests may fill with nonsense."""
    house = House(tmp_path_factory.mktemp("hostile") / "data").start()
    yield house
    house.kill()


@pytest.fixture
async def caller(own: House) -> AsyncIterator[Api]:
    async with Api(own.url, own.token) as api:
        yield api


def test_every_call_refuses_nonsense_in_a_sentence(own: House) -> None:
    headers = {"Authorization": f"Bearer {own.token}"}
    schema = schemathesis.openapi.from_url(f"{own.url}/api/openapi.json", headers=headers)
    for found in schema.exclude(path_regex=ENDLESS).get_all_operations():
        assert isinstance(found, Ok)
        call = found.ok()
        cases = st.one_of(*(call.as_strategy(generation_mode=mode) for mode in GenerationMode))

        @given(case=cases)
        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck))
        def try_it(case: Any) -> None:
            answer = case.call(headers=headers, timeout=LIMIT_S)
            checks = [not_a_server_error, response_schema_conformance]
            case.validate_response(answer, checks=checks)
            if answer.status_code >= 400:
                assert answer.json()["detail"].endswith("."), answer.json()

        try_it()


async def test_a_body_that_is_no_json_is_refused_by_every_call(caller: Api) -> None:
    document = await caller.call("GET", "/api/openapi.json")
    calls = [
        (method, path.replace("{id}", "x").replace("{thread_id}", "x"))
        for path, methods in document["paths"].items()
        for method, call in methods.items()
        if "requestBody" in call
    ]
    assert calls
    for method, path in calls:
        for body in BROKEN:
            sent = {"content-type": "application/json"}
            answer = await caller.client.request(method, path, content=body, headers=sent)
            assert 400 <= answer.status_code < 500, (method, path, body[:20], answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.json()["detail"].endswith("."), answer.json()


async def test_a_message_of_ten_megabytes_is_refused_and_nobody_else_notices(
    own: House, caller: Api
) -> None:
    thread = await caller.new_thread()
    path = f"/api/threads/{thread}/messages"
    huge = [caller.client.post(path, json={"text": "x" * 10 * MIB}) for _ in range(20)]
    refused, heard = await asyncio.gather(asyncio.gather(*huge), caller.ask(thread, "still there"))
    assert heard[-1].kind == "message_ready"
    for answer in refused:
        assert answer.status_code == 413
        assert answer.json()["detail"].endswith(".")
    assert_bounded(own)


async def test_a_huge_text_in_an_import_fills_no_memory(own: House, caller: Api) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield b'{"messages": [{"role": "user", "text": "'
        for _ in range(100):
            yield b"x" * MIB
        yield b'"}]}'

    answer = await caller.client.post("/api/threads/import", content=body())
    assert answer.status_code in (413, 422), answer.text
    assert_bounded(own)


async def test_events_that_nothing_can_read_hide_no_others(own: House, caller: Api) -> None:
    thread = await caller.new_thread()
    async with caller.events(thread) as events:
        await events.opened()
        command = ("send", "--thread", thread, "one two three [[slow 3600]]")
        sending = asyncio.create_task(asyncio.to_thread(own.parley, *command))
        await events.until("text_delta")
        await publish_nonsense(own, thread)
    turn = (await caller.call("GET", f"/api/threads/{thread}"))["turn"]
    assert (turn["text"], turn["number"]) == ("one ", 1)
    await shown_on_the_page(caller, thread, "<p>one</p>")
    await caller.call("POST", f"/api/turns/{turn['id']}/cancel")
    assert (await sending).stdout == "one \n"


async def publish_nonsense(house: House, thread: str) -> None:
    """Publish events of the thread that are none."""
    bus = await gateway_of(house)
    for kind in ("turn_started", "text_delta", "tool_started", "message_ready", "unheard_of"):
        for body in (*BROKEN, b"{}"):
            await jetstream.store(bus, EVENTS.subject(thread, kind), body)
    await bus.close()


async def shown_on_the_page(api: Api, thread: str, html: str) -> None:
    """Wait until a page that opens the thread shows this."""
    query: dict[str, str | int] = {"thread": thread, "known": 0}
    seen = ""
    async with asyncio.timeout(LIMIT_S):
        async with api.client.stream("GET", "/page/stream", params=query) as page:
            async for piece in page.aiter_text():
                seen += piece
                if html in seen:
                    return
    raise AssertionError(seen)


async def test_of_two_hundred_streams_those_that_nobody_reads_hold_up_no_other(
    own: House, caller: Api
) -> None:
    thread = await caller.new_thread()
    path = f"/api/threads/{thread}/events"
    followers = [await stalled_stream(own, path) for _ in range(STREAMS - STALLED)]
    stalled = [await stalled_stream(own, "/api/events") for _ in range(STALLED)]
    bus = await gateway_of(own)
    stream = Events(bus)
    flood = TextDelta(thread_id=new_id(), turn_id="t", attempt=1, number=1, offset=0, text=FLOOD)
    before = await measured(caller, "parley_event_resyncs_total")

    async def all_were_told_to_read_anew() -> bool:
        for _ in range(20):
            await stream.publish(flood)
        return await measured(caller, "parley_event_resyncs_total") >= before + STALLED

    await eventually(all_were_told_to_read_anew)
    await caller.send(thread, "does everybody hear this")
    async with asyncio.timeout(LIMIT_S):
        for reader, _ in followers:
            await reader.readuntil(b"event: message_ready")
    assert_bounded(own)
    for _, writer in followers + stalled:
        writer.close()
    await bus.close()


def assert_bounded(house: House) -> None:
    """Assert that the services have not grown."""
    found = resident_mib(house, MOST_MIB)
    assert all(found[each] < most for each, most in MOST_MIB.items()), found


async def measured(api: Api, name: str) -> float:
    """Return a metric of the web service."""
    lines = (await api.client.get("/metrics")).text.splitlines()
    [line] = [each for each in lines if each.startswith(f"{name} ")]
    return float(line.split()[1])

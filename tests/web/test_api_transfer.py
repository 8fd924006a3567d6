"""Threads leave as files and come back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from urllib.parse import urlsplit

import pytest
from api_client import LIMIT_S, Api
from house import House
from parley_web.api.imports import PAGE_MESSAGES
from parley_web.problems import refusal
from raw_stream import Stream
from starlette.requests import ClientDisconnect


async def test_an_export_comes_back_as_it_went(api: Api) -> None:
    thread = await api.new_thread(title="Réise / ✈️")
    calculation = '[[think two]] it is [[tool calculator {"expression": "6*7"}]]'
    for text in ("eins 😀", 'zwei "quoted"\n\n```py\nx = 1\n```', "\u2028 ‮drei", calculation):
        await api.ask(thread, text)
    await api.ask(thread, "[[fail rate-limit]]")
    await api.call("PATCH", f"/api/threads/{thread}", {"status": "archived"})
    exported = await api.call("GET", f"/api/threads/{thread}/export")
    assert {each["status"] for each in exported["messages"]} == {"complete", "failed"}
    exported["messages"][0]["origin"] = {"chat": 7, "deep": [1.5, None, {"x": "y"}]}
    imported = await api.call("POST", "/api/threads/import", exported, status=201)
    again = await api.call("GET", f"/api/threads/{imported['id']}/export")
    assert neutral(again) == neutral(exported)


def neutral(export: dict[str, Any]) -> dict[str, Any]:
    """Return an export without what says which thread it was, and when it changed."""
    own = ("id", "family", "rev", "created_at", "active_at")
    thread = {name: value for name, value in export["thread"].items() if name not in own}
    known: dict[str, int] = {}
    turns = [known.setdefault(each["turn_id"], len(known)) for each in export["messages"]]
    messages = [
        {name: value for name, value in each.items() if name not in ("id", "thread_id", "turn_id")}
        for each in export["messages"]
    ]
    return {**export, "thread": thread, "messages": messages, "turns": turns}


async def test_agents_of_another_parley_are_found_by_their_handles(api: Api) -> None:
    parrot = await api.parrot()
    message = {"role": "agent", "text": "hi", "agent_id": "elsewhere", "agent": "parrot"}
    body = {"thread": {"agent_id": "elsewhere", "agent": "parrot"}, "messages": [message]}
    made = await api.call("POST", "/api/threads/import", body, status=201)
    assert made["agent_id"] == parrot
    shown = await api.call("GET", f"/api/threads/{made['id']}")
    assert shown["messages"][0]["agent_id"] == parrot
    message["agent"] = "unknown"
    problem = await api.call("POST", "/api/threads/import", body, status=404)
    assert "There is no agent elsewhere" in problem["detail"]


async def test_the_short_form_makes_a_thread_that_goes_on(api: Api) -> None:
    messages = [{"role": "user", "text": "hello"}, {"role": "agent", "text": "hi"}]
    body = {"title": "Brought along", "messages": messages, "agent_id": await api.parrot()}
    thread = (await api.call("POST", "/api/threads/import", body, status=201))["id"]
    await api.ask(thread, "next")
    shown = await api.call("GET", f"/api/threads/{thread}")
    assert shown["thread"]["title"] == "Brought along"
    assert [each["text"] for each in shown["messages"]] == ["hello", "hi", "next", "next"]


async def test_a_thread_is_exported_as_markdown(api: Api) -> None:
    thread = await api.new_thread(title="Notes")
    await api.ask(thread, "**bold** 🎈")
    answer = await api.client.get(f"/api/threads/{thread}/export?format=markdown")
    assert answer.headers["content-type"].startswith("text/markdown")
    assert "filename*=UTF-8''Notes.md" in answer.headers["content-disposition"]
    lines = answer.text.splitlines()
    assert lines[0] == "# Notes"
    assert lines.count("**bold** 🎈") == 2
    assert any(line.startswith("### Parrot, 20") for line in lines)
    await api.call("GET", f"/api/threads/{thread}/export?format=pdf", status=422)


async def test_a_fork_is_exported_with_the_history_it_shares(api: Api) -> None:
    thread = await api.new_thread()
    await api.ask(thread, "shared")
    fork = (await api.call("POST", f"/api/threads/{thread}/fork", status=201))["id"]
    await api.ask(fork, "own")
    exported = await api.call("GET", f"/api/threads/{fork}/export")
    assert [each["text"] for each in exported["messages"]] == ["shared", "shared", "own", "own"]


async def test_100_000_messages_come_in_one_call(api: Api) -> None:
    count = 100_000
    answer = await api.client.post(
        "/api/threads/import", content=short_form(count), timeout=5 * LIMIT_S
    )
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    assert (made["title"], made["head"]) == ("told last", count)
    for low in (0, 49_999, count - 3):
        page = await api.call("GET", f"/api/threads/{made['id']}?limit=3&before={low + 4}")
        assert [each["text"] for each in page["messages"]] == [
            text(number) for number in range(low, low + 3)
        ]


async def test_an_agent_that_comes_too_late_to_be_the_author_is_refused(api: Api) -> None:
    before = await active(api)
    answers = [{"role": "agent", "text": "words"}] * (2 * PAGE_MESSAGES)
    agents = (await api.call("GET", "/api/agents"))["agents"]
    echo = next(each["id"] for each in agents if each["handle"] == "echo")
    late = {"messages": answers, "agent_id": echo}
    problem = await api.call("POST", "/api/threads/import", late, status=422)
    assert (problem["field"], "before “messages”" in problem["detail"]) == ("agent_id", True)
    assert await active(api) == before
    made = await api.call("POST", "/api/threads/import", dict(reversed(late.items())), status=201)
    page = await api.call("GET", f"/api/threads/{made['id']}?limit=1")
    assert page["messages"][0]["agent_id"] == echo


async def test_many_messages_are_exported_in_order(api: Api) -> None:
    count = 2_345
    answer = await api.client.post("/api/threads/import", content=short_form(count))
    exported = await api.call("GET", f"/api/threads/{answer.json()['id']}/export")
    assert [each["text"] for each in exported["messages"]] == [
        text(number) for number in range(count)
    ]


def text(number: int) -> str:
    return f"message {number} ✓"


async def short_form(count: int) -> AsyncIterator[bytes]:
    """Yield a body piece by piece, whose title comes last."""
    yield b'{"messages": ['
    for start in range(0, count, 500):
        messages = [
            json.dumps({"role": ("user", "agent")[number % 2], "text": text(number)})
            for number in range(start, min(start + 500, count))
        ]
        yield (b"," if start else b"") + ",".join(messages).encode()
    yield b'], "title": "told last"}'


async def test_nothing_is_left_of_an_import_that_fails(api: Api) -> None:
    before = await active(api)
    good = [{"role": "user", "text": f"{number}"} for number in range(2_500)]
    body = {"title": "half", "messages": [*good, {"role": "nobody", "text": "x"}]}
    problem = await api.call("POST", "/api/threads/import", body, status=422)
    assert problem["field"] == "messages.2500.role"
    assert await active(api) == before


async def test_nothing_is_left_of_an_import_that_is_cut_off(house: House, api: Api) -> None:
    async with api.events() as events:
        await events.opened()
        _, writer = await opened_import(house)
        for number in range(200):  # more than any buffer on the way holds
            message = {"role": "user", "text": f"{number} " + "x" * 100_000}
            await send_chunk(writer, json.dumps(message) + ",")
        writer.transport.abort()
        async with asyncio.timeout(LIMIT_S):
            async for event in events:
                if event.data.get("thread", {}).get("title") == "cut off":
                    break
    assert event.data["thread"]["status"] == "deleted"
    assert 0 < event.data["thread"]["head"] < 200


def test_a_body_that_is_cut_off_is_no_fault_of_ours(caplog: pytest.LogCaptureFixture) -> None:
    assert refusal(ClientDisconnect()).status == 400
    assert not caplog.records


async def opened_import(house: House) -> Stream:
    """Begin an import over a bare socket."""
    address = urlsplit(house.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"POST /api/threads/import HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {house.token}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    )
    await send_chunk(writer, '{"title": "cut off", "messages": [')
    return reader, writer


async def send_chunk(writer: asyncio.StreamWriter, text: str) -> None:
    writer.write(f"{len(text):x}\r\n{text}\r\n".encode())
    await writer.drain()


async def active(api: Api) -> list[str]:
    return [each["id"] for each in (await api.call("GET", "/api/threads?limit=500"))["threads"]]

"""Messages and turns through the HTTP API."""

from __future__ import annotations

import json
from typing import Any

import pytest
from api_client import CLOSING, Api
from house import House
from parley_contracts.base import MAX_TEXT, new_id

SLOW = "[[slow 600]] one two"
"""An answer that is being written until it is stopped."""


async def running(api: Api, thread: str) -> str:
    """Start a slow turn and return its id once it says something."""
    async with api.events(thread) as events:
        await events.opened()
        turn = str((await api.send(thread, SLOW))["turn"]["id"])
        await events.until("text_delta")
    return turn


async def settled(api: Api, thread: str, turn: str) -> str:
    """Return how the turn ended."""
    place = (await api.call("GET", f"/api/threads/{thread}"))["last_event_id"]
    async with api.events(thread, after=place) as events:
        while (shown := await api.call("GET", f"/api/turns/{turn}"))["status"] not in (
            "completed",
            "failed",
            "cancelled",
        ):
            await events.until(*CLOSING)
    return str(shown["status"])


@pytest.mark.parametrize(
    "text",
    [
        "emoji 👩🏽‍🚀🇸🇾 and joiners \u200d\u200c",
        "من اليمين \u202e إلى اليسار \u202c",
        "tabs\tand\r\nbreaks\n\n\u2028and controls \x01\x1b[31m\x7f",
        '"quotes" \\ </script> <b>&amp; {{x}} \ufeff\ufffe',
        "  leading and trailing  ",
        "ä" * MAX_TEXT,
    ],
    ids=["emoji", "right-to-left", "controls", "markup", "spaces", "100,000 characters"],
)
async def test_text_survives_as_it_was_written(api: Api, text: str) -> None:
    thread = await api.new_thread()
    events = await api.ask(thread, text)
    answer = events[-1].data["message"]["text"]
    shown = (await api.call("GET", f"/api/threads/{thread}"))["messages"]
    exported = (await api.call("GET", f"/api/threads/{thread}/export"))["messages"]
    assert events[0].data["message"]["text"] == text
    for question, reply in (shown, exported):
        assert question["text"] == text
        assert reply["text"] == answer


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "empty"),
        (" \n\t", "empty"),
        ("x" * (MAX_TEXT + 1), "100,000"),
        ("a\0b", "NUL"),
        (None, "must be text"),
    ],
)
async def test_a_text_that_cannot_be_sent_is_refused_with_the_field(
    api: Api, text: str | None, words: str
) -> None:
    thread = await api.new_thread()
    path = f"/api/threads/{thread}/messages"
    problem = await api.call("POST", path, {"text": text}, status=422)
    assert problem["field"] == "text"
    assert words in problem["detail"]


async def test_the_longest_text_is_taken_also_in_the_widest_json(api: Api) -> None:
    thread = await api.new_thread()
    widest = json.dumps({"text": "💬" * MAX_TEXT}).encode()  # twelve bytes a character
    path = f"/api/threads/{thread}/messages"
    answer = await api.client.post(path, content=widest)
    assert answer.status_code == 202, answer.text
    assert answer.json()["message"]["text"] == "💬" * MAX_TEXT


async def test_rule_18_the_same_client_id_is_accepted_once(api: Api) -> None:
    thread = await api.new_thread()
    body = {"text": "once", "client_id": new_id()}
    first = await api.send(thread, **body)
    path = f"/api/threads/{thread}/messages"
    again = await api.call("POST", path, body, status=200)
    assert again["message"]["id"] == first["message"]["id"]
    assert again["turn"]["id"] == first["turn"]["id"]
    await api.call("POST", path, {**body, "text": "other"}, status=409)


async def test_an_unknown_agent_is_refused_and_nothing_accepted(api: Api) -> None:
    thread = await api.new_thread()
    body = {"text": "hello", "agent_id": "nobody"}
    problem = await api.call("POST", f"/api/threads/{thread}/messages", body, status=404)
    assert "nobody" in problem["detail"]
    shown = await api.call("GET", f"/api/threads/{thread}")
    assert shown["messages"] == shown["queued"] == []


async def test_five_quick_messages_are_answered_in_order(api: Api) -> None:
    thread = await api.new_thread()
    async with api.events(thread) as events:
        await events.opened()
        for number in range(5):
            await api.send(thread, f"number {number}")
        for _ in range(5):
            await events.until("message_ready")
    shown = (await api.call("GET", f"/api/threads/{thread}"))["messages"]
    assert [each["text"] for each in shown] == [
        f"number {number}" for number in range(5) for _ in ("question", "answer")
    ]


async def test_rule_1_a_queued_message_can_be_changed_taken_back_and_sent_first(
    api: Api,
) -> None:
    thread = await api.new_thread()
    await running(api, thread)
    changed, removed, first = [
        (await api.send(thread, text))["message"]["id"] for text in ("later", "never", "first")
    ]
    await api.call("PATCH", f"/api/messages/{changed}", {"text": "changed"})
    await api.call("DELETE", f"/api/messages/{removed}")
    async with api.events(thread) as events:
        await events.opened()
        await api.call("POST", f"/api/messages/{first}/send-now")
        for _ in range(3):
            await events.until(*CLOSING)
    messages = (await api.call("GET", f"/api/threads/{thread}"))["messages"]
    questions = [each["text"] for each in messages if each["role"] == "user"]
    assert questions == [SLOW, "first", "changed"]
    for method, path, body in (
        ("PATCH", f"/api/messages/{changed}", {"text": "too late"}),
        ("DELETE", f"/api/messages/{changed}", None),
        ("POST", f"/api/messages/{changed}/send-now", None),
    ):
        await api.call(method, path, body, status=409)


async def test_rule_3_editing_and_regenerating_make_siblings(api: Api) -> None:
    thread = await api.new_thread()
    events = await api.ask(thread, "tea")
    question, answer = events[0].data["message"]["id"], events[-1].data["message"]["id"]
    edited = await api.call(
        "POST", f"/api/messages/{question}/edit", {"text": "coffee"}, status=201
    )
    again = await api.call("POST", f"/api/messages/{answer}/regenerate", status=201)
    for made, text in ((edited, "coffee"), (again, "tea")):
        assert made["thread"]["sibling"]
        await settled(api, made["thread"]["id"], made["turn"]["id"])
        shown = (await api.call("GET", f"/api/threads/{made['thread']['id']}"))["messages"]
        assert [each["text"] for each in shown] == [text, text]
    original = (await api.call("GET", f"/api/threads/{thread}"))["messages"]
    assert [each["text"] for each in original] == ["tea", "tea"]


async def test_rule_16_a_stopped_turn_keeps_its_text_and_its_thread_waits(api: Api) -> None:
    thread = await api.new_thread()
    turn = await running(api, thread)
    waiting = (await api.send(thread, "afterwards"))["turn"]["id"]
    async with api.events(thread) as events:
        await events.opened()
        await api.call("POST", f"/api/turns/{turn}/cancel")
        closed = (await events.until(*CLOSING))[-1]
        assert closed.kind == "turn_cancelled"
        message = closed.data["message"]
        assert message["status"] == "stopped"
        assert "one" in message["text"]
        assert "two" not in message["text"]
        assert (await api.call("GET", f"/api/threads/{thread}"))["thread"]["paused"]
        again = await api.call("POST", f"/api/turns/{turn}/cancel")
        assert again["status"] == "cancelled"
        await api.call("POST", f"/api/threads/{thread}/resume")
        assert (await events.until(*CLOSING))[-1].data["turn_id"] == waiting


async def test_rule_16_a_finished_turn_cannot_be_stopped(api: Api) -> None:
    finished = (await api.ask(await api.new_thread(), "done"))[-1].data["turn_id"]
    await api.call("POST", f"/api/turns/{finished}/cancel", status=409)


async def test_a_failed_turn_says_why_and_can_be_tried_again(api: Api) -> None:
    thread = await api.new_thread()
    failed = (await api.ask(thread, "[[fail overloaded]] please"))[-1]
    assert failed.kind == "turn_failed"
    assert failed.data["error"]["detail"].endswith(".")
    again = await api.call("POST", f"/api/turns/{failed.data['turn_id']}/retry", status=202)
    assert await settled(api, thread, again["id"]) == "failed"


@pytest.mark.parametrize(("decision", "status"), [("allow", "ok"), ("deny", "denied")])
async def test_rule_15_a_tool_call_waits_for_the_owners_decision(
    api: Api, decision: str, status: str
) -> None:
    handle = f"asks-{decision}"
    agent: dict[str, Any] = {"handle": handle, "name": "Asks", "model": "echo:plain"}
    agent |= {"tools": ["calculator"], "policies": {"calculator": "ask"}}
    await api.call("POST", "/api/agents", agent, status=201)
    thread = await api.new_thread(agent_id=handle)
    async with api.events(thread) as events:
        await events.opened()
        await api.send(thread, '[[tool calculator {"expression": "6*7"}]]')
        asked = (await events.until("approval_requested"))[-1].data
        shown = (await api.call("GET", f"/api/threads/{thread}"))["turn"]
        assert [tool["status"] for tool in shown["tools"]] == ["waiting"]
        path = f"/api/turns/{asked['turn_id']}/decide"
        assert shown["tools"][0]["step"] == asked["step"]
        body = {"step": asked["step"], "decision": decision}
        await api.call("POST", path, {**body, "decision": "perhaps"}, status=422)
        await api.call("POST", path, body)
        ready = (await events.until(*CLOSING))[-1].data["message"]
    (tool,) = [part for part in ready["parts"] if part["type"] == "tool"]
    assert tool["status"] == status


async def test_attachments_are_refused_and_not_lost(api: Api) -> None:
    thread = await api.new_thread()
    path, body = f"/api/threads/{thread}/messages", {"text": "see here", "attachments": ["a.png"]}
    problem = await api.call("POST", path, body, status=422)
    assert (problem["field"], "cannot be sent yet" in problem["detail"]) == ("attachments", True)
    await api.call("POST", path, {**body, "attachments": []}, status=202)


async def test_the_channel_tells_page_and_programs_apart(api: Api, house: House) -> None:
    thread = await api.new_thread()
    sent = await api.send(thread, "from a program", channel="telegram", origin={"x": 1})
    assert sent["message"]["channel"] == "api"
    assert "origin" not in sent["message"]
    async with Api(house.url) as browser:
        await browser.sign_in(house.token)
        assert (await browser.send(thread, "from the page"))["message"]["channel"] == "web"

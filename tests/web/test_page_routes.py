"""The page's addresses: whole pages, fragments and the stream, over a whole house."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx2
import pytest
from api_client import LIMIT_S, Api
from house import House

HTML = {"Accept": "text/html"}


class Patches:
    """Reads a page's stream."""

    def __init__(self, response: httpx2.Response) -> None:
        self._coming = _patches(response)
        self.seen: list[list[str]] = []

    async def until(self, name: str, place: str, content: str) -> list[str]:
        """Return the next patch of that kind and place with this content; what follows is kept."""
        async with asyncio.timeout(LIMIT_S):
            async for patch in self._coming:
                self.seen.append(patch)
                if patch[:2] == [name, place] and content in patch[-1]:
                    return patch
        raise AssertionError(f"the stream ended after {[each[:2] for each in self.seen]}")


async def _patches(response: httpx2.Response) -> AsyncIterator[list[str]]:
    """Yield the patches one by one, of which a frame holds as many as there were at its time."""
    async for line in response.aiter_lines():
        if line.startswith("data: "):
            for patch in json.loads(line.removeprefix("data: ")):
                yield patch


@asynccontextmanager
async def stream(api: Api, thread: str = "", known: int = 0) -> AsyncIterator[Patches]:
    """Open a page's stream."""
    query: dict[str, str | int] = {"thread": thread, "known": known}
    async with api.client.stream("GET", "/page/stream", params=query) as response:
        assert response.headers["content-type"].startswith("text/event-stream")
        yield Patches(response)


async def test_pages_send_whoever_is_not_signed_in_to_the_sign_in_page(house: House) -> None:
    async with Api(house.url) as stranger:
        for path in ("/", "/t/some"):
            answer = await stranger.client.get(path, headers=HTML)
            assert answer.status_code == 303
            assert answer.headers["location"].startswith("/signin")
        for path in ("/page/threads", "/page/threads/some/messages", "/page/stream"):
            assert (await stranger.client.get(path, headers=HTML)).status_code == 401
        assert (await stranger.client.get("/signin")).status_code == 200


async def test_the_pages_markup_needs_nothing_that_the_policy_forbids(api: Api) -> None:
    thread = await api.new_thread()
    for path in ("/", f"/t/{thread}", "/signin", "/t/unknown"):
        page = (await api.client.get(path, headers=HTML)).text
        assert not re.search(r"<script(?![^>]* src=)", page)
        tags = re.findall(r"<[^>]+>", re.sub(r'"[^"]*"', '""', page))
        assert not re.search(r"<style|\sstyle=|\son\w+=", "".join(tags))
        assert not re.search(r"(src|href)=\"(https?:)?//", page)


async def test_titles_and_texts_are_escaped(api: Api) -> None:
    words = "<script>alert('x')</script>"
    thread = await api.new_thread(title=words)
    await api.send(thread, words)
    page = (await api.client.get(f"/t/{thread}", headers=HTML)).text
    assert words not in page
    assert "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;" in page


async def test_an_unknown_thread_is_answered_404_with_a_page(api: Api) -> None:
    answer = await api.client.get("/t/unknown", headers=HTML)
    assert answer.status_code == 404
    assert answer.headers["content-type"].startswith("text/html")
    assert "unknown" in answer.text


async def test_a_deleted_thread_is_answered_410_with_a_way_back(api: Api) -> None:
    thread = await api.new_thread()
    await api.call("DELETE", f"/api/threads/{thread}")
    answer = await api.client.get(f"/t/{thread}", headers=HTML)
    assert answer.status_code == 410
    assert f'data-restore="{thread}"' in answer.text


@pytest.mark.parametrize(
    "path",
    [
        "/page/threads?limit=0",
        "/page/threads?status=lost",
        "/page/threads?cursor=%00",
        "/page/stream?known=x",
        "/page/threads/t/messages?before=-1",
    ],
)
async def test_nonsense_is_refused_with_a_problem(api: Api, path: str) -> None:
    answer = await api.client.get(path)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"


async def test_older_messages_come_page_by_page(api: Api) -> None:
    messages = [
        {"role": "user" if number % 2 else "agent", "text": f"number {number}."}
        for number in range(1, 101)
    ]
    made = await api.call("POST", "/api/threads/import", {"messages": messages}, status=201)
    page = (await api.client.get(f"/t/{made['id']}", headers=HTML)).text
    assert "number 100." in page
    assert "number 41." in page
    assert "number 40." not in page
    before = re.search(r'data-before="(\d+)"', page)
    assert before
    path = f"/page/threads/{made['id']}/messages?before={before[1]}"
    older = (await api.client.get(path)).text
    assert "number 40." in older
    assert "number 1." in older
    assert re.search(r'id="older"[^>]* hidden', older)


async def test_the_archive_and_searches_are_lists_of_their_own(api: Api) -> None:
    title = f"Title {uuid4().hex[:12]}"
    thread = await api.new_thread(title=title)
    await api.call("PATCH", f"/api/threads/{thread}", {"status": "archived"})
    archived = await api.client.get("/page/threads", params={"status": "archived"})
    assert title in archived.text
    active = await api.client.get("/page/threads", params={"status": "active"})
    assert title not in active.text
    nothing = await api.client.get("/page/threads", params={"q": "<nothing>"})
    assert "Nothing found for “&lt;nothing&gt;”" in nothing.text


async def test_the_stream_brings_a_page_up_to_date_and_keeps_it_there(api: Api) -> None:
    thread = await api.new_thread(title="Before")
    async with stream(api, thread) as patches:
        await patches.until("replace", "controls", "Send")
        await api.send(thread, "Hello **you**")
        await patches.until("append", "messages", "Hello **you**")
        await patches.until("append", "messages", "<strong>you</strong>")
        await api.call("PATCH", f"/api/threads/{thread}", {"title": "Afterwards"})
        await patches.until("replace", "thread-heading", "Afterwards")
    async with stream(api, thread, known=1) as patches:
        await patches.until("replace", "controls", "Send")
        appended = [each[2] for each in patches.seen if each[:2] == ["append", "messages"]]
        assert len(appended) == 1
        assert "<strong>you</strong>" in appended[0]


async def test_the_stream_of_another_page_tells_of_every_threads_activity(api: Api) -> None:
    async with stream(api) as patches:
        await patches.until("renew", "threads", "")
        thread = await api.new_thread(title=f"Elsewhere {uuid4().hex[:8]}")
        await api.send(thread, "hello")
        await patches.until("prepend", "threads", "pulse")
        await patches.until("replace", f"thread-{thread}", "<time")


async def test_a_running_answer_is_in_the_snapshot_of_whoever_comes_later(api: Api) -> None:
    thread = await api.new_thread()
    accepted = await api.send(thread, "[[slow 0.5]] [[long 1000]]")
    turn = accepted["turn"]["id"]
    async with stream(api, thread) as first:
        await first.until("replace", f"tail-{turn}-0", "word2")
        async with stream(api, thread) as second:
            snapshot = await second.until("replace", "running", "word1")
            assert "word2" in snapshot[2]
            await second.until("replace", f"tail-{turn}-0", "word4")
            await api.call("POST", f"/api/turns/{turn}/cancel")
            await second.until("append", "messages", "word3 word4")


async def test_static_files_are_asked_for_again_and_know_their_kind(api: Api) -> None:
    script = await api.client.get("/static/chat.js")
    assert script.headers["cache-control"] == "no-cache"
    assert "javascript" in script.headers["content-type"]
    again = await api.client.get(
        "/static/chat.js", headers={"If-None-Match": script.headers["etag"]}
    )
    assert again.status_code == 304
    assert (await api.client.get("/static/../page/routes.py")).status_code == 404

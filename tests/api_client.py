"""A client of Parley's HTTP API for tests: calls, and the event streams read as they come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx2

LIMIT_S = 120.0
"""Past it a test fails instead of hanging."""
CLOSING = {"message_ready", "turn_failed", "turn_cancelled"}


@dataclass(frozen=True)
class ServerEvent:
    """One event as the stream tells it."""

    id: int
    kind: str
    data: dict[str, Any]


class EventReader:
    """Reads one event stream."""

    def __init__(self, response: httpx2.Response) -> None:
        self.response = response
        self._lines = response.aiter_lines()

    async def __aiter__(self) -> AsyncIterator[ServerEvent]:
        fields: dict[str, str] = {}
        async for line in self._lines:
            name, _, value = line.partition(": ")
            if line:
                fields[name] = value
            elif "data" in fields:
                yield ServerEvent(int(fields["id"]), fields["event"], json.loads(fields["data"]))
                fields = {}

    async def opened(self) -> int:
        """Return the place at which the stream begins, once it is open."""
        async with asyncio.timeout(LIMIT_S):
            async for line in self._lines:
                if line.startswith("id: "):
                    return int(line[4:])
        raise AssertionError("the stream ended")

    async def until(self, *kinds: str) -> list[ServerEvent]:
        """Return the events up to the first one of these kinds."""
        seen: list[ServerEvent] = []
        async with asyncio.timeout(LIMIT_S):
            async for event in self:
                seen.append(event)
                if event.kind in kinds:
                    return seen
        raise AssertionError(f"the stream ended after {[each.kind for each in seen]}")

    async def ended(self) -> None:
        """Read on until the server ends the stream."""
        async with asyncio.timeout(LIMIT_S):
            async for _ in self:
                pass


class Api:
    """One caller: a program with the access token, or a browser that signs in with it."""

    def __init__(self, url: str, token: str = "") -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.client = httpx2.AsyncClient(base_url=url, headers=headers, timeout=LIMIT_S)

    async def __aenter__(self) -> Api:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.client.aclose()

    async def sign_in(self, token: str) -> None:
        """Get a session, whose cookie is sent from now on."""
        await self.call("POST", "/api/login", {"token": token}, status=204)

    async def call(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        """Return the answer's JSON, which must come with this status."""
        answer = await self.client.request(method, path, json=body)
        assert answer.status_code == status, answer.text
        return answer.json() if answer.content else None

    @asynccontextmanager
    async def events(
        self, thread: str | None = None, *, after: int | None = None, last_event_id: str = ""
    ) -> AsyncIterator[EventReader]:
        """Follow a thread's events, or all."""
        path = f"/api/threads/{thread}/events" if thread else "/api/events"
        query = {} if after is None else {"after": after}
        headers = {"Last-Event-ID": last_event_id} if last_event_id else {}
        async with self.client.stream("GET", path, params=query, headers=headers) as response:
            assert response.status_code == 200, await response.aread()
            yield EventReader(response)

    async def new_thread(self, **fields: Any) -> str:
        """Make a thread; unless told otherwise, an agent answers that repeats what it is told."""
        if "agent_id" not in fields:
            fields["agent_id"] = await self.parrot()
        made = await self.call("POST", "/api/threads", fields, status=201)
        return str(made["id"])

    async def parrot(self) -> str:
        """Return an agent that answers with the text itself; all tests of a house share it."""
        agent = {"id": "parrot", "handle": "parrot", "name": "Parrot", "model": "echo:plain"}
        answer = await self.client.post("/api/agents", json={**agent, "tools": ["calculator"]})
        assert answer.status_code in (201, 409), answer.text
        return "parrot"

    async def send(self, thread: str, text: str, **fields: Any) -> dict[str, Any]:
        """Send a message and return what was accepted."""
        path = f"/api/threads/{thread}/messages"
        accepted: dict[str, Any] = await self.call(
            "POST", path, {"text": text, **fields}, status=202
        )
        return accepted

    async def ask(self, thread: str, text: str) -> list[ServerEvent]:
        """Send a message and return all events of its turn."""
        async with self.events(thread) as events:
            await events.opened()
            turn = (await self.send(thread, text))["turn"]["id"]
            seen = await events.until(*CLOSING)
        return [each for each in seen if each.data.get("turn_id") == turn]

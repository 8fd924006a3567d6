"""Messages under faults: sent to several threads all the time, and counted at the end.

A sender repeats what was not answered, with the same client_id, until it is accepted: so does the
page. What was accepted must then be answered once and in order, whatever happened meanwhile.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import httpx2
from api_client import Api

PAUSE_S = 1.0
AGAIN_S = 0.2
REQUEST_S = 10.0
LIMIT_S = 300.0
"""Past it a test fails instead of hanging."""


@dataclass(frozen=True)
class Fault:
    """What was done to the house, and when, in seconds since the epoch."""

    name: str
    began: float
    ended: float


@dataclass(frozen=True)
class Sent:
    """An accepted message; `tried` is when it was sent for the first time."""

    text: str
    turn_id: str
    tried: float


@dataclass
class Count:
    """What became of all messages.

    `waits` are (tried, answered); `silences` are the same from the thread's answer before on.
    """

    accepted: int = 0
    failed: int = 0
    lost: int = 0
    doubled: int = 0
    out_of_order: int = 0
    waits: list[tuple[float, float]] = field(default_factory=list)
    silences: list[tuple[float, float]] = field(default_factory=list)

    def longest_wait(self, fault: Fault) -> float:
        """Return the longest wait in seconds of a message that was open during the fault."""
        return max((until - since for since, until in _during(fault, self.waits)), default=0.0)

    def recovery(self, fault: Fault) -> float:
        """Return the longest time, from the fault on, that a thread was owed an answer."""
        touched = _during(fault, self.silences)
        return max((until - max(since, fault.began) for since, until in touched), default=0.0)


def _during(fault: Fault, spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    return [(a, b) for a, b in spans if a <= fault.ended and b >= fault.began]


class Pressure:
    """Sends through one address of the house's API."""

    def __init__(self, url: str, token: str) -> None:
        self._api = Api(url, token)
        self._sent: dict[str, list[Sent]] = {}
        self.faults: list[Fault] = []

    @asynccontextmanager
    async def on(self, threads: int) -> AsyncIterator[None]:
        """Send to this many threads inside; on leaving, wait until each has its last answer."""
        for _ in range(threads):
            self._sent[await self._api.new_thread()] = []
        over = asyncio.Event()
        async with asyncio.TaskGroup() as senders:
            for thread in self._sent:
                senders.create_task(self._send(thread, over))
            try:
                yield
            finally:
                over.set()
        await asyncio.gather(*(self._answered(*each) for each in self._sent.items()))

    @asynccontextmanager
    async def fault(self, name: str) -> AsyncIterator[None]:
        """Note a fault that happens inside, then wait until every thread goes on."""
        began = time.time()
        yield
        self.faults.append(Fault(name, began, time.time()))
        await self.progress()

    async def progress(self) -> None:
        """Wait until every thread has the answer to a message that is sent from now on."""
        marks = {thread: len(sent) + 2 for thread, sent in self._sent.items()}
        await asyncio.gather(*(self._passes(*each) for each in marks.items()))

    async def count(self) -> Count:
        """Compare what was accepted with what the threads hold now."""
        count = Count()
        for thread, sent in self._sent.items():
            _compare(sent, await self._history(thread), count)
        return count

    def table(self, count: Count) -> str:
        """Return what each fault cost, as a person reads it."""
        rows = [
            f"{each.name:44}{count.recovery(each):8.1f} s{count.longest_wait(each):8.1f} s"
            for each in self.faults
        ]
        total = (
            f"{count.accepted} accepted, {count.failed} failed, {count.lost} lost,"
            f" {count.doubled} doubled, {count.out_of_order} out of order"
        )
        return "\n".join([f"{'fault':44}  recovery     wait", *rows, total])

    async def _send(self, thread: str, over: asyncio.Event) -> None:
        while not over.is_set():
            text = f"{len(self._sent[thread])} is the number of this message"
            tried = time.time()
            turn_id = await self._accepted(thread, f"{text} [[slow 0.05]]")
            self._sent[thread].append(Sent(text, turn_id, tried))
            await asyncio.sleep(PAUSE_S)

    async def _accepted(self, thread: str, text: str) -> str:
        """Send until it is accepted; return its turn."""
        message = {"text": text, "client_id": uuid4().hex}
        answer = await self._patiently("POST", f"/api/threads/{thread}/messages", message)
        return str(answer["turn"]["id"])

    async def _passes(self, thread: str, mark: int) -> None:
        """Wait until so many messages were accepted, and the last of them answered."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                if len(self._sent[thread]) >= mark:
                    break
                await asyncio.sleep(AGAIN_S)
        await self._answered(thread, self._sent[thread][:mark])

    async def _answered(self, thread: str, sent: list[Sent]) -> None:
        """Wait until the last of these messages has its answer."""
        async with asyncio.timeout(LIMIT_S):
            while sent:
                page = await self._patiently("GET", f"/api/threads/{thread}?limit=100")
                answers = {each["turn_id"] for each in page["messages"] if each["role"] == "agent"}
                if sent[-1].turn_id in answers:
                    return
                await asyncio.sleep(AGAIN_S)

    async def _history(self, thread: str) -> list[dict[str, Any]]:
        """Return all messages, oldest first."""
        messages: list[dict[str, Any]] = []
        before = ""
        while not messages or messages[0]["position"] > 1:
            page = await self._patiently("GET", f"/api/threads/{thread}?limit=500{before}")
            messages = [*page["messages"], *messages]
            before = f"&before={messages[0]['position']}"
        return messages

    async def _patiently(self, method: str, path: str, body: object = None) -> Any:
        """Repeat a request until the house answers it."""
        until = time.monotonic() + LIMIT_S
        while True:
            try:
                answer = await self._api.client.request(method, path, json=body, timeout=REQUEST_S)
                if answer.status_code < 500:
                    assert answer.status_code in (200, 202), answer.text
                    return answer.json()
                trouble = answer.text
            except httpx2.TransportError as error:
                trouble = repr(error)
            assert time.monotonic() < until, trouble
            await asyncio.sleep(AGAIN_S)


def _compare(sent: list[Sent], history: list[dict[str, Any]], count: Count) -> None:
    """Add a thread to the count; its answers must be those of its turns, in their order."""
    turns = [each["turn_id"] for each in history if each["role"] == "user"]
    answers = [each for each in history if each["role"] == "agent"]
    answered = Counter(each["turn_id"] for each in answers)
    expected = {each.turn_id: each for each in sent}
    count.accepted += len(sent)
    count.lost += len(expected.keys() - answered.keys())
    count.doubled += sum(answered.values()) - len(answered) + len(answered.keys() - expected.keys())
    count.doubled += len(turns) - len(set(turns))
    order = [each.turn_id for each in sent if each.turn_id in answered]
    seen = list(answered)
    count.out_of_order += sum(a != b for a, b in zip(order, seen, strict=False))
    before = 0.0
    for answer in answers:
        question = expected.get(answer["turn_id"])
        count.failed += question is None or answer["text"] != question.text
        if question:
            moment = datetime.fromisoformat(answer["created_at"]).timestamp()
            count.waits.append((question.tried, moment))
            count.silences.append((max(question.tried, before), moment))
            before = moment

"""People who talk to the house: one thread each, a new one now and then.

They send, five at a time too, change and take back what waits, stop, fork, edit, ask anew, and
allow tools. Whatever the API has accepted is written down as it was accepted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from itertools import count
from random import Random
from typing import Any

from chaos import wordings
from chaos.client import Client, Stuck
from chaos.pace import Pace
from chaos.records import Sent, Wording

POLL_S = 0.4
IDLE_LIMIT_S = 180.0
BURST = 5
LONGEST_THREAD = 40
BOLD, CAREFUL = "bold", "careful"
"""The agents: one may use its tools, one asks first."""
TOOLS = ("note", "look")
NOT_ASKED_YET = 404


async def make_agents(client: Client) -> None:
    """Make the agents that everybody talks to."""
    for handle, policies in ((BOLD, {}), (CAREFUL, dict.fromkeys(TOOLS, "ask"))):
        agent = {"id": handle, "handle": handle, "name": handle, "model": "echo:plain"}
        await client.demand("POST", "/api/agents", {**agent, "tools": TOOLS, "policies": policies})


class Conversation:
    """One person's talk. `sent` is shared by all."""

    def __init__(
        self, name: str, client: Client, pace: Pace, random: Random, sent: list[Sent]
    ) -> None:
        self._name = name
        self._client = client
        self._pace = pace
        self._random = random
        self._sent = sent
        self._numbers = count(1)
        self._thread = ""
        self._length = LONGEST_THREAD
        self._acts: dict[Callable[[], Awaitable[None]], tuple[int, int]] = {
            self._say: (1, 10),
            self._burst: (BURST, 3),
            self._change_waiting: (BURST, 2),
            self._take_back_waiting: (BURST, 1),
            self._stop: (2, 2),
            self._fork: (1, 1),
            self._edit: (2, 1),
            self._regenerate: (2, 1),
            self._approve: (1, 1),
        }
        """What can be done: turns that it takes, and how often it is chosen."""

    async def talk(self) -> None:
        """Talk until no turns are left. Raises Stuck."""
        weights = [weight for _, weight in self._acts.values()]
        while True:
            act = self._random.choices(list(self._acts), weights)[0]
            wanted = self._acts[act][0]
            granted = await self._pace.take(wanted)
            if not granted:
                return
            if self._length >= LONGEST_THREAD:
                await self._begin_thread()
            self._length += granted
            await (act() if granted == wanted else self._send_all(granted))

    async def _begin_thread(self) -> None:
        self._thread, self._length = f"{self._name}-{next(self._numbers)}", 0
        thread = {"id": self._thread, "title": self._thread, "agent_id": BOLD}
        await self._client.demand("POST", "/api/threads", thread)

    async def _say(self) -> None:
        await self._send(wordings.any_wording)
        if self._random.random() < 0.6:
            await self._idle()

    async def _burst(self) -> None:
        await self._send_all(BURST)

    async def _send_all(self, number: int) -> None:
        for _ in range(number):
            await self._send(wordings.any_wording)

    async def _change_waiting(self) -> None:
        """Change the last of five messages while it waits."""
        await self._send(wordings.slow)
        await self._send_all(BURST - 2)
        last = await self._send(wordings.plain)
        new = wordings.plain(self._random, last.marker)
        change = {"text": new.text}
        answer = await self._client.wish("PATCH", f"/api/messages/{last.message_id}", change)
        if answer.granted:
            last.wordings = [new]
        elif answer.tries > 1:
            last.wordings.append(new)  # A try whose answer was lost may have changed it.

    async def _take_back_waiting(self) -> None:
        """Take the last of five messages back, or stop its turn, while it waits."""
        await self._send(wordings.slow)
        await self._send_all(BURST - 2)
        last = await self._send(wordings.plain)
        answer = await self._client.wish("DELETE", f"/api/messages/{last.message_id}")
        # Removed before by a try whose answer was lost: then there is no such message any more.
        last.removed = answer.granted or (answer.tries > 1 and answer.status == 404)

    async def _stop(self) -> None:
        """Stop a turn in the middle; what waits behind it goes on when it is told to."""
        running = await self._send(wordings.slow)
        await self._send(wordings.plain)
        await asyncio.sleep(self._random.uniform(0.0, 1.5))
        answer = await self._client.wish("POST", f"/api/turns/{running.turn_id}/cancel", {})
        running.stopped = answer.granted
        await self._client.demand("POST", f"/api/threads/{self._thread}/resume", {})
        await self._idle()

    async def _fork(self) -> None:
        """Fork at a message that has its place, or at the end, and go on there."""
        await self._idle()
        head = await self._messages()
        at = self._random.choice([None, *(each["id"] for each in head)])
        fork = f"{self._name}-{next(self._numbers)}"
        body = {"id": fork} | ({"message_id": at} if at else {})
        await self._client.demand("POST", f"/api/threads/{self._thread}/fork", body)
        self._thread = fork
        await self._send(wordings.any_wording)

    async def _edit(self) -> None:
        """Say it differently, in a fork."""
        first = await self._send(wordings.any_wording)
        await self._idle()
        marker = self._marker()
        wording = wordings.any_wording(self._random, marker)
        await self._ask_again(first.message_id, "edit", wording, marker, {"text": wording.text})

    async def _regenerate(self) -> None:
        """Have the same question answered anew, in a fork."""
        first = await self._send(wordings.plain)
        await self._idle()
        answer = (await self._messages())[-1]["id"]
        await self._ask_again(answer, "regenerate", first.wordings[-1], first.marker, {})

    async def _ask_again(
        self, message: str, how: str, wording: Wording, marker: str, body: dict[str, Any]
    ) -> None:
        fork = f"{self._name}-{next(self._numbers)}"
        ids = {"thread_id": fork, "message_id": f"{fork}-m", "turn_id": f"{fork}-t"}
        made = await self._client.demand("POST", f"/api/messages/{message}/{how}", {**body, **ids})
        self._note(marker, made, [wording], None)

    async def _approve(self) -> None:
        """Have a tool called that waits for the owner, and allow it."""
        sent = await self._send(wordings.noting, agent_id=CAREFUL)
        path = f"/api/turns/{sent.turn_id}/decide"
        decision = {"step": "echo-1", "decision": "allow"}
        async with asyncio.timeout(IDLE_LIMIT_S):
            while (await self._client.call("POST", path, decision)).status == NOT_ASKED_YET:
                await asyncio.sleep(POLL_S)
        await self._idle()

    async def _send(self, kind: Callable[[Random, str], Wording], **more: str) -> Sent:
        marker = self._marker()
        wording = kind(self._random, marker)
        body = {"text": wording.text, "client_id": marker, **more}
        made = await self._client.demand("POST", f"/api/threads/{self._thread}/messages", body)
        return self._note(marker, made, [wording], marker)

    def _marker(self) -> str:
        return f"q-{self._name}-{next(self._numbers)}"

    def _note(
        self, marker: str, made: dict[str, Any], said: list[Wording], client_id: str | None
    ) -> Sent:
        message = made["message"]
        sent = Sent(
            marker=marker,
            thread_id=message["thread_id"],
            message_id=message["id"],
            turn_id=made["turn"]["id"],
            accepted_at=time.time(),
            wordings=said,
            client_id=client_id,
        )
        self._sent.append(sent)
        return sent

    async def _idle(self) -> None:
        """Wait until nothing of the thread is open or waits. Raises Stuck."""
        deadline = time.monotonic() + IDLE_LIMIT_S
        while (view := await self._view()).get("open_turn") or view["queued"]:
            if time.monotonic() > deadline:
                raise Stuck(f"thread {self._thread} has not come to rest in {IDLE_LIMIT_S:g} s")
            await asyncio.sleep(POLL_S)

    async def _view(self) -> dict[str, Any]:
        path = f"/api/threads/{self._thread}?limit=1"
        view: dict[str, Any] = (await self._client.demand("GET", path))["thread"]
        return view

    async def _messages(self) -> list[dict[str, Any]]:
        """Return the thread's newest messages in order."""
        path = f"/api/threads/{self._thread}?limit=20"
        messages: list[dict[str, Any]] = (await self._client.demand("GET", path))["messages"]
        return messages

"""One user's conversation with a system, turn after turn, as its own kind of client has it.

Whoever talks to the model or the relay keeps the history and sends all of it each time; Parley's
client sends the new message only and hears the answer on the thread's event stream.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from bench.tokens import MS, Arrivals, now
from bench.wire import Connection, Exchange, Frames

QUESTION = "Tell me something that is about as long as what people usually ask."
LIMIT_S = 120.0
"""Nothing that is measured takes nearly as long; past it a turn has failed."""
_KIND = re.compile(rb"^event: (\w+)", re.MULTILINE)


class TurnFailed(Exception):
    """A turn that did not end with its whole answer, and why."""


@dataclass(frozen=True)
class Turn:
    """One turn as the client saw it; all figures in milliseconds."""

    overhead: float
    """The client's send to the first token at the client, less the time the model held it."""
    delays: Sequence[float]
    """Emission to arrival, of every token but the first."""
    closing: float
    """Emission of the last token to the system's word that the answer is complete."""
    whole: float
    """The client's send to that word."""
    messages: int
    """How many messages the model got."""

    @classmethod
    def of(cls, arrivals: Arrivals, sent: int, done: int) -> Turn:
        """Work the figures out. Raises TurnFailed when no token came."""
        if not arrivals.first:
            raise TurnFailed("the answer has no token")
        return cls(
            overhead=(arrivals.first - sent - arrivals.held) / MS,
            delays=[delay / MS for delay in arrivals.delays],
            closing=(done - arrivals.last_emitted) / MS,
            whole=(done - sent) / MS,
            messages=arrivals.messages,
        )


class Conversation(Protocol):
    """What is measured."""

    async def turn(self) -> Turn:
        """Ask and hear the answer. Raises TurnFailed."""
        ...

    def close(self) -> None:
        """Leave."""
        ...


class StreamedConversation:
    """Each turn is one request, which holds the history, and one streamed response."""

    def __init__(
        self, connection: Connection, path: str, end: bytes, model: str, history: Sequence[str] = ()
    ) -> None:
        self._connection = connection
        self._path = path
        self._end = end
        self._model = json.dumps(model)
        self._history = [_message(index, text) for index, text in enumerate(history)]

    async def turn(self) -> Turn:
        """Ask and hear the answer. Raises TurnFailed."""
        self._history.append(_message(0, QUESTION))
        messages = ",".join(self._history)
        options = '"stream":true,"stream_options":{"include_usage":true}'
        body = f'{{"model":{self._model},{options},"messages":[{messages}]}}'.encode()
        arrivals, done = Arrivals(), 0

        def take(frame: bytes, arrived: int) -> None:
            nonlocal done
            arrivals.read(frame, arrived)
            if frame.startswith(self._end):
                done = arrived

        await self._connection.ready()
        sent = now()
        exchange = self._connection.request("POST", self._path, body, Frames(take).feed)
        await _answered(exchange)
        if not done:
            raise TurnFailed("the answer broke off")
        self._history.append(_message(1, b"".join(arrivals.text).decode()))
        return Turn.of(arrivals, sent, done)

    def close(self) -> None:
        """Leave."""
        self._connection.close()


class ThreadConversation:
    """A thread of Parley: messages go in by one connection, events come by another."""

    def __init__(self, posts: Connection, events: Connection, thread_id: str) -> None:
        self._posts = posts
        self._events = events
        self._path = f"/api/threads/{thread_id}"
        self._arrivals = Arrivals()
        self._closed: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._followed = asyncio.Event()

    async def follow(self) -> None:
        """Open the event stream; from here on nothing is missed. Raises TurnFailed."""
        path = f"{self._path}/events"
        exchange = self._events.request("GET", path, b"", Frames(self._take).feed)
        async with asyncio.timeout(LIMIT_S):
            await self._followed.wait() if await exchange.status == 200 else None
        if exchange.status.result() != 200:
            raise TurnFailed(f"the event stream was refused: {exchange.status.result()}")

    async def turn(self) -> Turn:
        """Ask and hear the answer. Raises TurnFailed."""
        self._arrivals = Arrivals()
        self._closed = asyncio.get_running_loop().create_future()
        body = json.dumps({"text": QUESTION}).encode()
        await self._posts.ready()
        sent = now()
        exchange = self._posts.request(
            "POST", f"{self._path}/messages", body, lambda piece, arrived: None
        )
        await _answered(exchange)
        try:
            done = await asyncio.wait_for(self._closed, LIMIT_S)
        except TimeoutError:
            raise TurnFailed("the answer did not end in time") from None
        return Turn.of(self._arrivals, sent, done)

    def close(self) -> None:
        """Leave."""
        self._posts.close()
        self._events.close()

    def _take(self, frame: bytes, arrived: int) -> None:
        self._followed.set()
        kind = _KIND.search(frame)
        if kind is None:
            return
        match kind[1]:
            case b"text_delta":
                self._arrivals.read(frame, arrived)
            case b"message_ready":
                self._end(arrived)
            case b"turn_failed" | b"turn_cancelled" | b"resync":
                self._end(TurnFailed(frame.decode()))

    def _end(self, outcome: int | TurnFailed) -> None:
        if self._closed.done():
            return
        if isinstance(outcome, TurnFailed):
            self._closed.set_exception(outcome)
        else:
            self._closed.set_result(outcome)


async def _answered(exchange: Exchange) -> None:
    """Wait for the whole response. Raises TurnFailed when it is none, or an error."""
    try:
        async with asyncio.timeout(LIMIT_S):
            await exchange.ended
    except (OSError, TimeoutError) as error:
        raise TurnFailed(f"no answer: {error!r}") from None
    if exchange.status.result() // 100 != 2:
        raise TurnFailed(f"status {exchange.status.result()}")


def _message(index: int, text: str) -> str:
    """Return a message of a history as JSON; they are the user's and the model's by turns."""
    role = "assistant" if index % 2 else "user"
    return json.dumps({"role": role, "content": text})

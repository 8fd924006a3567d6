"""A model server for tests and benches: OpenAI-compatible over HTTP, and as odd as the real ones.

Run it as a process of its own:

    python tests/fakes/model_server.py --port 0 [--script FILE] [--models a,b] [--delay SECONDS]

It prints its address in one line, then serves /v1/models and /v1/chat/completions, streamed or not.

What it answers is a list of actions (see `answers.py`). In this order it takes: the next list given
to POST /control/script; the directives `[[answer [actions]]]` in the newest user message, the first
for the first answer of a turn, the second for the answer after the tools' results, and so on; else
it tells how many messages it has read, and repeats the newest.

Control: POST /control/script [[actions], …] adds answers; POST /control/open/NAME opens a gate that
an answer waits at; GET /control/requests tells what was asked; GET /control/gone?count=N answers
when N requests were given up by their clients; POST /control/reset forgets it all.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import socket
import sys
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import uvicorn

sys.path.insert(0, str(Path(__file__).parent.parent))

from fakes.answers import Answer, Broken, Json, Refusal, Streamed

_DIRECTIVE = re.compile(r"\[\[answer\s+")


class ModelServer:
    """The server's state, and its ASGI application."""

    def __init__(self, models: list[str], owner: str, delay: float) -> None:
        self._models = models
        self._owner = owner
        self._delay = delay
        self.script: deque[list[Json]] = deque()
        self._requests: list[Json] = []
        self._gates: dict[str, asyncio.Event] = {}
        self._gone = 0
        self._someone_left = asyncio.Condition()

    async def __call__(self, scope: Json, receive: Any, send: Any) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        exchange = Exchange(scope, receive, send)
        path: str = scope["path"]
        if path == "/v1/chat/completions":
            await self._complete(exchange)
        elif path == "/v1/models":
            await exchange.reply(self._listing())
        elif path.startswith("/control/"):
            await self._control(exchange, path.removeprefix("/control/"))
        else:
            await exchange.reply({"error": {"message": f"no such path: {path}"}}, status=404)

    def gate(self, name: str) -> asyncio.Event:
        """Return the gate of that name; answers wait at it until it is open."""
        return self._gates.setdefault(name, asyncio.Event())

    def _listing(self) -> Json:
        owned = {"object": "model", "created": 1, "owned_by": self._owner}
        return {"object": "list", "data": [{"id": model, **owned} for model in self._models]}

    async def _control(self, exchange: Exchange, command: str) -> None:
        if command == "script":
            self.script.extend(json.loads(await exchange.body()))
        elif command.startswith("open/"):
            self.gate(command.removeprefix("open/")).set()
        elif command == "requests":
            return await exchange.reply(self._requests)
        elif command == "gone":
            wanted = int(exchange.query("count", "1"))
            async with self._someone_left:
                await self._someone_left.wait_for(lambda: self._gone >= wanted)
        elif command == "reset":
            self.script.clear()
            self._requests.clear()
            self._gates.clear()
            self._gone = 0
        return await exchange.reply({})

    async def _complete(self, exchange: Exchange) -> None:
        request = json.loads(await exchange.body())
        self._requests.append({"headers": exchange.headers(), "body": request})
        if request["model"] not in self._models:
            error = {"message": f"model '{request['model']}' not found", "code": 404}
            return await exchange.reply({"error": error}, status=404)
        answer = Answer(request, self._actions(request), self.gate, self._delay)
        try:
            if request.get("stream"):
                await self._stream(exchange, answer)
            else:
                await exchange.reply(await answer.whole())
        except Refusal as refusal:
            await exchange.reply(refusal.body, refusal.status, refusal.headers)

    async def _stream(self, exchange: Exchange, answer: Answer) -> None:
        """Send what the answer yields, until its end or until the client has left."""
        leaving = asyncio.create_task(exchange.left())
        sending = asyncio.create_task(self._send(exchange, answer.stream()))
        await asyncio.wait([leaving, sending], return_when=asyncio.FIRST_COMPLETED)
        leaving.cancel()
        if not sending.done():
            sending.cancel()
            async with self._someone_left:
                self._gone += 1
                self._someone_left.notify_all()
            return
        sending.result()

    async def _send(self, exchange: Exchange, stream: Streamed) -> None:
        """Send the pieces; an unfinished reply makes the server break the connection."""
        with suppress(Broken):
            async for piece in stream:
                await exchange.send_piece(piece)
            await exchange.end()

    def _actions(self, request: Json) -> list[Json]:
        """Return what to do for this request."""
        if self.script:
            return self.script.popleft()
        messages = request["messages"]
        question = max(at for at, each in enumerate(messages) if each["role"] == "user")
        text = messages[question]["content"]
        turn = messages[question:]
        directives = _directives(text)
        answered = sum(each["role"] == "assistant" for each in turn)
        if answered < len(directives):
            return directives[answered]
        return [{"text": f"I have read {len(messages)} messages. You said: {text}"}]


class Exchange:
    """One HTTP request and its reply."""

    def __init__(self, scope: Json, receive: Any, send: Any) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._started = False

    def headers(self) -> dict[str, str]:
        """Return the request's headers."""
        return {name.decode(): value.decode() for name, value in self._scope["headers"]}

    def query(self, name: str, default: str) -> str:
        """Return a parameter of the request's address."""
        query: str = self._scope["query_string"].decode()
        return parse_qs(query).get(name, [default])[0]

    async def body(self) -> bytes:
        """Return the request's body."""
        body: list[bytes] = []
        while True:
            message = await self._receive()
            body.append(message.get("body", b""))
            if not message.get("more_body"):
                return b"".join(body)

    async def left(self) -> None:
        """Return when the client has left."""
        while (await self._receive())["type"] != "http.disconnect":
            pass

    async def reply(
        self, value: Any, status: int = 200, headers: dict[str, str] | None = None
    ) -> None:
        """Reply with JSON."""
        fields = {"content-type": "application/json", **(headers or {})}
        await self._start(status, fields)
        await self._send({"type": "http.response.body", "body": json.dumps(value).encode()})

    async def send_piece(self, piece: bytes) -> None:
        """Send the next piece of an event stream."""
        if not self._started:
            await self._start(200, {"content-type": "text/event-stream"})
        await self._send({"type": "http.response.body", "body": piece, "more_body": True})

    async def end(self) -> None:
        """End the event stream."""
        await self._send({"type": "http.response.body", "body": b""})

    async def _start(self, status: int, headers: dict[str, str]) -> None:
        self._started = True
        fields = [(name.encode(), value.encode()) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": fields})


def _directives(text: str) -> list[list[Json]]:
    found = []
    for match in _DIRECTIVE.finditer(text):
        actions, _ = json.JSONDecoder().raw_decode(text, match.end())
        found.append(actions)
    return found


def main() -> None:
    """Serve until killed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, default=0, help="0: any that is free")
    parser.add_argument("--script", type=Path, help="JSON: a list of answers, each of actions")
    parser.add_argument("--models", default="fake,other", help="names, with commas between")
    parser.add_argument("--owner", default="llama-swap", help="whom /v1/models names as owner")
    parser.add_argument("--delay", type=float, default=0.0, help="seconds between tokens")
    options = parser.parse_args()
    server = ModelServer(options.models.split(","), options.owner, options.delay)
    if options.script:
        server.script.extend(json.loads(options.script.read_text()))
    listener = socket.create_server(("127.0.0.1", options.port))
    print(f"http://127.0.0.1:{listener.getsockname()[1]}/v1", flush=True)
    config = uvicorn.Config(server, log_level="critical", access_log=False, lifespan="off")
    uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()

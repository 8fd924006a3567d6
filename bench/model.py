"""The fake model: an OpenAI-compatible server that costs next to nothing.

A model's name says what it does: `tokens-100` answers 100 tokens at once, `tokens-100-at-50` 50 a
second, the first after one interval. Each token is a write of its own, as from a real server.
`python -m bench.model` prints its port and serves until it is terminated.
"""

from __future__ import annotations

import asyncio
import re
import signal
from dataclasses import dataclass

import httptools

from bench.tokens import first_token, next_token, now

_NAME = re.compile(rb'"model":\s*"tokens-(\d+)(?:-at-(\d+))?"')
_LISTED = b'{"object":"list","data":[{"id":"tokens-100","object":"model"}]}'
_HEAD = (
    b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-cache\r\n"
    b"transfer-encoding: chunked\r\n\r\n"
)
_CHUNK = 'data: {"id":"chatcmpl-1","object":"chat.completion.chunk","created":1,"model":"tokens",'
_TOKEN = _CHUNK + '"choices":[{"index":0,"delta":{"content":"%s"},"finish_reason":null}]}\n\n'
_FINISH = _CHUNK + '"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n'
_USAGE = _CHUNK + '"choices":[],"usage":{"prompt_tokens":%d,"completion_tokens":%d}}\n\n'
_DONE = "data: [DONE]\n\n"


@dataclass(frozen=True)
class Answer:
    """What one request asked for: how many tokens, and seconds between two of them."""

    tokens: int
    interval_s: float
    messages: int
    received: int

    @classmethod
    def to(cls, body: bytes, received: int) -> Answer | None:
        """Read a request without decoding it, so that a long history costs no time here."""
        name = _NAME.search(body)
        if name is None:
            return None
        interval = 1 / int(name[2]) if name[2] else 0.0
        return cls(int(name[1]), interval, body.count(b'"role"'), received)

    def chunk(self, number: int) -> bytes:
        """Return a token's chunk, made at this moment; the last one brings the ending along."""
        token = next_token() if number else first_token(self.received, self.messages)
        chunk = _framed(_TOKEN % token)
        return chunk if number + 1 < self.tokens else chunk + self._ending()

    def _ending(self) -> bytes:
        usage = _USAGE % (self.messages, self.tokens)
        return b"".join(map(_framed, (_FINISH, usage, _DONE))) + b"0\r\n\r\n"


class Server(asyncio.Protocol):
    """One client's connection."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport
        self._parser = httptools.HttpRequestParser(self)
        self._loop = asyncio.get_running_loop()
        self._body: list[bytes] = []
        self._next: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop talking to nobody (asyncio calls this)."""
        if self._next:
            self._next.cancel()

    def data_received(self, data: bytes) -> None:
        """Parse what came (asyncio calls this)."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Begin a request (the parser calls this)."""
        self._body = []

    def on_body(self, body: bytes) -> None:
        """Keep a piece of the body (the parser calls this)."""
        self._body.append(body)

    def on_message_complete(self) -> None:
        """Answer (the parser calls this)."""
        received = now()
        answer = Answer.to(b"".join(self._body), received)
        if answer is None:
            self._transport.write(_whole(_LISTED))
            return
        self._transport.write(_HEAD)
        if answer.interval_s:
            self._pace(answer, 0, self._loop.time() + answer.interval_s)
        else:
            for number in range(answer.tokens):
                self._transport.write(answer.chunk(number))

    def _pace(self, answer: Answer, number: int, due: float) -> None:
        self._next = self._loop.call_at(due, self._step, answer, number, due)

    def _step(self, answer: Answer, number: int, due: float) -> None:
        self._transport.write(answer.chunk(number))
        if number + 1 < answer.tokens:
            self._pace(answer, number + 1, due + answer.interval_s)


def _framed(text: str) -> bytes:
    payload = text.encode()
    return b"%x\r\n%b\r\n" % (len(payload), payload)


def _whole(body: bytes) -> bytes:
    head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


async def main() -> None:
    """Serve on a free port until terminated."""
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()


if __name__ == "__main__":
    asyncio.run(main())

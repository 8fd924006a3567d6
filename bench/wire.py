"""A lean HTTP/1.1 client: on two cores the client must not be what is measured.

It stamps what arrives before it looks at it, and hands bodies on in pieces.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import httptools

from bench.tokens import now

Sink = Callable[[bytes, int], None]
"""Takes a piece of a response's body and the moment of its arrival."""


class Refused(Exception):
    """A response that is not 2xx: its status and body."""


class Exchange:
    """A request's response: `status` comes with its head, `ended` with the end of its body."""

    def __init__(self, sink: Sink) -> None:
        loop = asyncio.get_running_loop()
        self.sink = sink
        self.status: asyncio.Future[int] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()

    def fail(self, error: Exception) -> None:
        """Tell whoever waits that nothing more comes."""
        for future in (self.status, self.ended):
            if not future.done():
                future.set_exception(error)
                future.exception()  # Nobody may be waiting for it.


class Connection(asyncio.Protocol):
    """One kept connection; one exchange at a time. `token` is the bearer's, if one is needed."""

    def __init__(self, host: str, port: int, token: str) -> None:
        self._address = (host, port)
        self._head = f"host: {host}:{port}\r\n"
        if token:
            self._head += f"authorization: Bearer {token}\r\n"
        self._transport: asyncio.Transport
        self._parser: httptools.HttpResponseParser
        self._exchange: Exchange | None = None
        self._arrived = 0

    @classmethod
    async def open(cls, host: str, port: int, token: str = "") -> Connection:
        """Connect. Raises OSError."""
        connection = cls(host, port, token)
        await connection._connect()
        return connection

    async def _connect(self) -> None:
        await asyncio.get_running_loop().create_connection(lambda: self, *self._address)

    async def ready(self) -> None:
        """Connect anew if the server has closed the idle connection. Raises OSError."""
        if self._transport.is_closing():
            await self._connect()

    def close(self) -> None:
        """Close without waiting for anything."""
        self._transport.close()

    def request(self, method: str, path: str, body: bytes, sink: Sink) -> Exchange:
        """Send a request now; the connection has to be `ready`."""
        if self._exchange:
            raise RuntimeError("the connection is still busy with another exchange")
        self._exchange = Exchange(sink)
        head = f"{method} {path} HTTP/1.1\r\n{self._head}content-length: {len(body)}\r\n"
        if body:
            head += "content-type: application/json\r\n"
        self._transport.writelines((head.encode(), b"\r\n", body))
        return self._exchange

    async def call(self, method: str, path: str, question: Any = None) -> Any:
        """Send JSON and return the JSON of the answer. Raises Refused."""
        await self.ready()
        pieces: list[bytes] = []
        body = b"" if question is None else json.dumps(question).encode()
        exchange = self.request(method, path, body, lambda piece, _: pieces.append(piece))
        await exchange.ended
        answer = b"".join(pieces)
        if exchange.status.result() // 100 != 2:
            raise Refused(f"{method} {path}: {exchange.status.result()} {answer[:500].decode()}")
        return json.loads(answer) if answer else None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport (asyncio calls this)."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._parser = httptools.HttpResponseParser(self)

    def data_received(self, data: bytes) -> None:
        """Stamp and parse what came (asyncio calls this)."""
        self._arrived = now()
        self._parser.feed_data(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail what is unanswered (asyncio calls this)."""
        if self._exchange:
            self._exchange.fail(exc or ConnectionResetError("the server closed the connection"))

    def on_headers_complete(self) -> None:
        """Tell the status (the parser calls this)."""
        if self._exchange and not self._exchange.status.done():
            self._exchange.status.set_result(self._parser.get_status_code())

    def on_body(self, body: bytes) -> None:
        """Hand on a piece of the body (the parser calls this)."""
        if self._exchange:
            self._exchange.sink(body, self._arrived)

    def on_message_complete(self) -> None:
        """End the exchange (the parser calls this)."""
        exchange, self._exchange = self._exchange, None
        if exchange and not exchange.ended.done():
            exchange.ended.set_result(None)


class Frames:
    """Cuts Server-Sent Events out of a body that comes in pieces."""

    def __init__(self, take: Sink) -> None:
        self._take = take
        self._rest = b""

    def feed(self, piece: bytes, arrived: int) -> None:
        """Hand on each frame that is complete now."""
        *frames, self._rest = (self._rest + piece).split(b"\n\n")
        for frame in frames:
            self._take(frame, arrived)

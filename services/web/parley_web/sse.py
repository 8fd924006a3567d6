"""Server-Sent Events: frames, and a response that ends when its client has left.

A generator behind Starlette's StreamingResponse may hang in `send` for as long as a stalled client
holds its socket, so the response watches the connection itself and cancels the writer.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from typing import Any

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from parley_web.signin import credential_of
from parley_web.state import state_of

PING_S = 15.0
PING = b": ping\n\n"
_BREAKS = re.compile(rb"[\r\n]+|\xc2\x85|\xe2\x80[\xa8\xa9]")
_ESCAPED = {b"\xc2\x85": rb"\u0085", b"\xe2\x80\xa8": rb"\u2028", b"\xe2\x80\xa9": rb"\u2029"}


def frame(kind: str, payload: bytes, sequence: int | None = None) -> bytes:
    """Return one event, with its JSON on one line.

    Between values a line break means nothing; the ones of Unicode, which JSON allows inside of
    text and at which many clients would end the line too, are escaped.
    """
    if _BREAKS.search(payload):
        payload = _BREAKS.sub(lambda found: _ESCAPED.get(found[0], b" "), payload)
    place = b"id: %d\n" % sequence if sequence is not None else b""
    return b"%bevent: %b\ndata: %b\n\n" % (place, kind.encode(), payload)


def opening(place: int | None = None) -> bytes:
    """Return what a stream begins with: the pause before reconnecting, and where it begins."""
    return b"retry: 1000\n" + (b"id: %d\n" % place if place is not None else b"") + b"\n"


class EventStream(Response):
    """Sends `frames` and pings until one of them ends it: the client, a revocation, the stop.

    In each case the generator is closed at once. A client that has to see the pings, to notice when
    they fail to come, gets another `ping` than a comment.
    """

    media_type = "text/event-stream"

    def __init__(
        self, frames: AsyncGenerator[bytes], *, ping: bytes = PING, every: float = PING_S
    ) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._frames = frames
        self._ping = ping
        self._every = every

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        connection = HTTPConnection(scope)
        state = state_of(connection)
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        await _until_first(
            self._write(send),
            self._keep_alive(send),
            _left(receive),
            state.sign_ins.revoked(credential_of(connection)),
            state.stopping.wait(),
        )
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _write(self, send: Send) -> None:
        async with aclosing(self._frames) as frames:
            async for chunk in frames:
                if chunk:
                    await send({"type": "http.response.body", "body": chunk, "more_body": True})

    async def _keep_alive(self, send: Send) -> None:
        while True:
            await asyncio.sleep(self._every)
            await send({"type": "http.response.body", "body": self._ping, "more_body": True})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _until_first(*coroutines: Coroutine[Any, Any, Any]) -> None:
    """Run all, return when the first one ends, with the others cancelled and finished."""
    tasks = [asyncio.ensure_future(each) for each in coroutines]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()

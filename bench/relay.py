"""The floor: a minimal relay between client and model. It stores nothing, orders nothing, and is
gone when it dies.

What a good engineer writes in an hour, with nothing left out that would make it faster: one kept
client, chunks decoded once, each piece of text passed on as a Server-Sent Event the moment it
comes. `python -m bench.relay MODEL_PORT` prints its port and serves until it is terminated.
"""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import AsyncIterator

import httpx2
import uvicorn
from fastapi import FastAPI, Request
from starlette.responses import StreamingResponse

JSON = {"content-type": "application/json"}


def create_app(model_port: int) -> FastAPI:
    """Return the relay in front of the model."""
    app = FastAPI(openapi_url=None)
    limits = httpx2.Limits(max_connections=None, max_keepalive_connections=100)
    base_url = f"http://127.0.0.1:{model_port}/v1"
    client = httpx2.AsyncClient(base_url=base_url, limits=limits, timeout=60, trust_env=False)

    async def pieces(body: bytes) -> AsyncIterator[bytes]:
        question = client.stream("POST", "/chat/completions", content=body, headers=JSON)
        rest = b""
        async with question as answer:
            async for read in answer.aiter_raw():
                *chunks, rest = (rest + read).split(b"\n\n")
                yield b"".join(map(_frame, chunks))
        yield b"event: done\ndata: {}\n\n"

    @app.post("/chat")
    async def chat(request: Request) -> StreamingResponse:
        return StreamingResponse(pieces(await request.body()), media_type="text/event-stream")

    return app


def _frame(chunk: bytes) -> bytes:
    """Return what the client gets of a chunk of the model's."""
    if not chunk.startswith(b"data: {"):
        return b""
    choices = json.loads(chunk[6:])["choices"]
    text = choices[0]["delta"].get("content") if choices else None
    return b"data: %b\n\n" % json.dumps({"text": text}).encode() if text else b""


def main(model_port: int) -> None:
    """Serve on a free port until terminated."""
    listening = socket.create_server(("127.0.0.1", 0))
    print(listening.getsockname()[1], flush=True)
    config = uvicorn.Config(
        create_app(model_port), loop="uvloop", http="httptools", log_level="warning", ws="none"
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(int(sys.argv[1]))

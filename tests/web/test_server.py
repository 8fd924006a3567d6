"""Where the web service listens, and whom it takes for its callers."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import httpx2
import pytest
from parley_web.server import listen, serve
from parley_web.settings import WebSettings
from parley_web.signin import client_of
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_all_addresses_include_those_of_the_older_kind(host: str) -> None:
    if host == "::" and not socket.has_dualstack_ipv6():
        pytest.skip("this machine has no sockets for both kinds of addresses")
    settings = WebSettings(nats_context=Path("unused"), host=host, port=0)
    with listen(settings) as listener:
        port = listener.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as caller:
            assert caller.getpeername()[1] == port


async def test_a_caller_cannot_name_another_address_as_its_own() -> None:
    async def tell_address(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse(client_of(Request(scope)))(scope, receive, send)

    stopping = asyncio.Event()
    listener = listen(WebSettings(nats_context=Path("unused"), port=0))
    serving = asyncio.create_task(serve(tell_address, listener, stopping))
    async with httpx2.AsyncClient() as client:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        answer = await client.get(url, headers={"X-Forwarded-For": "203.0.113.9"})
    stopping.set()
    await serving
    assert answer.text == "127.0.0.1"

"""Nobody gets in without a sign-in, whatever is added later."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx2
import pytest
from parley_web.app import create_app
from parley_web.state import AppState
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute
from starlette.types import Message

OPEN = {
    ("GET", "/healthz"),
    ("GET", "/readyz"),
    ("GET", "/signin"),
    ("POST", "/api/login"),
    ("GET", "/static/x"),
}


def addresses(routes: list[BaseRoute]) -> Iterator[tuple[str, str]]:
    """Yield each method and path that the routes have, with ids filled in."""
    for route in routes:
        if hasattr(route, "original_router"):
            yield from addresses(route.original_router.routes)
        elif isinstance(route, Mount):
            yield "GET", f"{route.path}/x"
        elif isinstance(route, Route):
            for method in route.methods or ():
                yield method, route.path_format.replace("{", "").replace("}", "")


async def test_every_address_refuses_whoever_is_not_signed_in(
    state: AppState, client: httpx2.AsyncClient
) -> None:
    walked = {each for each in addresses(create_app(state).routes) if each[0] != "HEAD"}
    assert len(walked) > 40
    for method, path in sorted(walked - OPEN):
        answer = await client.request(method, path)
        refused = answer.status_code == 401 or answer.headers.get("location", "").startswith(
            "/signin"
        )
        assert refused, f"{method} {path} answered {answer.status_code}"


async def test_the_open_addresses_are_those_of_the_list(
    state: AppState, client: httpx2.AsyncClient
) -> None:
    for method, path in {("GET", "/healthz"), ("POST", "/api/login"), ("GET", "/readyz")}:
        answer = await client.request(method, path)
        assert answer.status_code != 401


async def test_monitors_may_ask_with_head(client: httpx2.AsyncClient) -> None:
    alive = await client.head("/healthz")
    assert (alive.status_code, alive.content) == (200, b"")
    ready = await client.head("/readyz")  # nothing is ready without a bus
    assert ready.status_code == 503


@pytest.mark.parametrize("path", ["/", "/api/events", "/anything"])
async def test_a_websocket_is_refused_without_a_sign_in(state: AppState, path: str) -> None:
    app = create_app(state)

    async def echo(websocket: Any) -> None:
        await websocket.accept()

    app.router.routes.append(WebSocketRoute(path, echo))
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    async def receive() -> Message:
        return {"type": "websocket.connect"}

    scope = {
        "type": "websocket",
        "path": path,
        "headers": [(b"host", b"127.0.0.1")],
        "query_string": b"",
    }
    await app(scope, receive, send)
    assert [message["type"] for message in sent] == ["websocket.close"]


async def test_a_wrong_token_is_not_taken_on_trust_while_nobody_can_check_it(
    client: httpx2.AsyncClient,
) -> None:
    answer = await client.get("/api/threads", headers={"Authorization": "Bearer guess"})
    assert answer.status_code == 503
    assert answer.headers["retry-after"]


async def test_a_program_gets_a_problem_and_a_person_the_sign_in_page(
    client: httpx2.AsyncClient,
) -> None:
    program = await client.get("/api/threads")
    assert program.headers["content-type"] == "application/problem+json"
    assert program.json()["title"] == "Not signed in"
    person = await client.get("/t/abc")
    assert (person.status_code, person.headers["location"]) == (303, "/signin?next=%2Ft%2Fabc")

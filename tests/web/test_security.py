"""A hostile page in the same browser gets nothing and changes nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx2
import pytest
from parley_web.security import MAX_BODY


@pytest.mark.parametrize(
    "host",
    ["127.0.0.1:4000", "[::1]:4000", "localhost", "parley.localhost:4000", "192.168.1.7:4000"],
)
async def test_addresses_and_own_names_are_answered(client: httpx2.AsyncClient, host: str) -> None:
    assert (await client.get("/healthz", headers={"Host": host})).status_code == 200


async def test_a_name_that_the_owner_allowed_is_answered(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/healthz", headers={"Host": "Parley.Example:443"})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:4000", "", "127.0.0.1.evil.example", "[", "[::1"]
)
async def test_a_foreign_name_for_this_machine_is_refused(
    client: httpx2.AsyncClient, host: str
) -> None:
    answer = await client.get("/healthz", headers={"Host": host})
    assert answer.status_code == 421
    assert "PARLEY_ALLOWED_HOSTS" in answer.json()["detail"]
    page = await client.get("/", headers={"Host": host, "Accept": "text/html"})
    assert (page.status_code, "PARLEY_ALLOWED_HOSTS" in page.text) == (421, True)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "http://127.0.0.1:4001"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": ""}, 403),
        ({"Origin": "http://["}, 403),
        ({"Origin": "http://a:99999"}, 403),
        ({"Origin": "http://127.0.0.1/"}, 403),
        ({"Sec-Fetch-Site": "same-origin", "Origin": "http://127.0.0.1"}, 401),
        ({"Sec-Fetch-Site": "none"}, 401),
        ({"Origin": "http://127.0.0.1"}, 401),
        ({}, 401),
    ],
)
async def test_another_sites_request_changes_nothing(
    client: httpx2.AsyncClient, headers: dict[str, str], status: int
) -> None:
    answer = await client.post("/api/threads", headers=headers)
    assert answer.status_code == status


async def test_every_answer_has_the_strict_headers(client: httpx2.AsyncClient) -> None:
    for path in ("/healthz", "/api/threads", "/signin", "/nothing"):
        headers = (await client.get(path)).headers
        assert headers["content-security-policy"].startswith(
            "default-src 'none'; script-src 'self'"
        )
        assert "unsafe" not in headers["content-security-policy"]
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["traceparent"].startswith("00-")


async def test_a_body_that_is_too_large_is_refused(client: httpx2.AsyncClient) -> None:
    answer = await client.post("/api/login", content=b"x" * (MAX_BODY + 1))
    assert answer.status_code == 413
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_body_of_unknown_length_is_cut_off_at_the_limit(
    client: httpx2.AsyncClient,
) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b"x" * 65536

    answer = await client.post(
        "/api/login", content=endless(), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 413


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 400, "not JSON"),
        (b"[1]", 400, "JSON object"),
        (b"", 422, "missing"),
        (b"{}", 422, "“token” is missing"),
        (b'{"token": ""}', 422, "“token” is empty"),
        (b'{"token": "\\ud800"}', 422, "half of a character"),
        (b"\xff", 400, "UTF-8"),
    ],
)
async def test_bad_json_gets_one_clear_sentence(
    client: httpx2.AsyncClient, body: bytes, status: int, words: str
) -> None:
    answer = await client.post(
        "/api/login", content=body, headers={"Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["status"]) == (status, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert words in answer.json()["detail"]


async def test_ready_says_what_is_missing(client: httpx2.AsyncClient) -> None:
    answer = await client.get("/readyz")
    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["detail"].endswith(".")

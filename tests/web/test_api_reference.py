"""The API describes itself to programs."""

from __future__ import annotations

from api_client import Api
from openapi_spec_validator import validate

PROMISED = {
    "POST /api/login",
    "POST /api/threads",
    "GET /api/threads",
    "GET /api/threads/{id}",
    "PATCH /api/threads/{id}",
    "DELETE /api/threads/{id}",
    "POST /api/threads/{id}/restore",
    "POST /api/threads/{id}/resume",
    "GET /api/threads/{id}/events",
    "GET /api/threads/{id}/export",
    "POST /api/threads/import",
    "POST /api/threads/{thread_id}/fork",
    "POST /api/threads/{thread_id}/messages",
    "PATCH /api/messages/{id}",
    "DELETE /api/messages/{id}",
    "POST /api/messages/{id}/send-now",
    "POST /api/messages/{id}/edit",
    "POST /api/messages/{id}/regenerate",
    "POST /api/turns/{id}/cancel",
    "POST /api/turns/{id}/retry",
    "POST /api/turns/{id}/decide",
    "GET /api/events",
    "GET /api/agents",
    "POST /api/agents",
    "PATCH /api/agents/{id}",
    "GET /api/agents/{id}/export",
    "POST /api/agents/import",
    "GET /api/catalog",
    "GET /api/sessions",
    "DELETE /api/sessions",
    "GET /api/usage",
    "GET /healthz",
    "GET /readyz",
    "GET /metrics",
}


async def test_the_document_is_valid_and_holds_every_promised_call(api: Api) -> None:
    document = await api.call("GET", "/api/openapi.json")
    validate(document)
    calls = {
        f"{method.upper()} {path}"
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert calls >= PROMISED


async def test_every_call_says_how_it_refuses(api: Api) -> None:
    document = await api.call("GET", "/api/openapi.json")
    for path, methods in document["paths"].items():
        for method, call in methods.items():
            assert "application/problem+json" in call["responses"]["default"]["content"], (
                method,
                path,
            )
            assert call.get("summary") or call.get("description")

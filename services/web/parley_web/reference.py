"""The OpenAPI document of the API, and the page that shows it without any script."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from fastapi import FastAPI
from fastapi.routing import APIRoute
from jinja2 import Environment, PackageLoader
from parley_contracts.errors import Problem
from parley_contracts.events import AnyEvent
from pydantic import TypeAdapter
from pydantic_core import to_json
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from parley_web.api.call import Json
from parley_web.gate import is_open
from parley_web.problems import MEDIA_TYPE as PROBLEM
from parley_web.signin import COOKIE, scheme_of
from parley_web.sse import EventStream

_Json = dict[str, Any]
_REFERENCE = "#/components/schemas/{model}"

DESCRIPTION = """\
Everything that the page can do, for programs. Send the access token as `Authorization: Bearer …`.
Every refusal is `application/problem+json` with one sentence that says what to do.
Callers may choose the ids of what they make, so that a call can be repeated safely."""

REFUSAL: _Json = {
    "description": "Refused; `detail` says why and what to do.",
    "content": {PROBLEM: {"schema": {"$ref": _REFERENCE.format(model="Problem")}}},
}
"""What any call may answer instead."""


def operation_id(route: APIRoute) -> str:
    """Return the name of a call in the document."""
    return route.name


def document(app: FastAPI) -> _Json:
    """Return the OpenAPI document."""
    if app.openapi_schema is None:
        _complete(app.openapi())
    return app.openapi()


def _complete(document: _Json) -> None:
    """Add what the framework cannot know: sign-in, problems, and what the event streams carry."""
    components = document["components"]
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer"},
        "session": {"type": "apiKey", "in": "cookie", "name": COOKIE},
    }
    document["security"] = [{"token": []}, {"session": []}]
    event = _take_schema(TypeAdapter(AnyEvent), components["schemas"])
    components["schemas"]["Problem"] = _take_schema(TypeAdapter(Problem), components["schemas"])
    for method, path, operation in _operations(document):
        if is_open(method, path):
            operation["security"] = []
        content = operation["responses"].get("200", {}).get("content", {})
        if EventStream.media_type in content:
            content[EventStream.media_type]["schema"] = event


def _take_schema(adapter: TypeAdapter[Any], components: _Json) -> _Json:
    """Return a contract's schema; the ones it refers to join the components."""
    schema = adapter.json_schema(mode="serialization", ref_template=_REFERENCE)
    for name, definition in schema.pop("$defs", {}).items():
        components.setdefault(name, definition)
    return schema


def _operations(document: _Json) -> list[tuple[str, str, _Json]]:
    return [
        (method.upper(), path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


async def show_document(request: Request) -> Response:
    """Answer with the OpenAPI document."""
    return Json(to_json(document(request.app)))


async def show_page(request: Request) -> Response:
    """Answer with the reference for people."""
    described = document(request.app)
    templates = Environment(loader=PackageLoader("parley_web"), autoescape=True, trim_blocks=True)
    page = templates.get_template("reference.html").render(
        document=described,
        origin=str(request.base_url.replace(scheme=scheme_of(request))).rstrip("/"),
        sections=groupby(_operations(described), key=lambda each: each[2]["tags"][0]),
    )
    return HTMLResponse(page)


routes = [Route("/api/openapi.json", show_document), Route("/api/docs", show_page)]

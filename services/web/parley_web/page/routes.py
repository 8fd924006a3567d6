"""The addresses of the page: whole pages, fragments that scripts ask for, the stream of patches."""

from __future__ import annotations

from pathlib import Path

from parley_contracts.base import MAX_TEXT
from parley_contracts.errors import Gone, Invalid, ParleyError
from parley_contracts.operations import THREADS_LIST
from parley_contracts.threads import ListThreads, ThreadRef
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from parley_web.page import markup, patches
from parley_web.page.reading import PAGE, read_around, read_older, read_snapshot
from parley_web.page.stream import frames
from parley_web.problems import checked
from parley_web.sse import EventStream
from parley_web.state import state_of

_STATIC = Path(__file__).parent.parent / "static"


async def show_chat(request: Request) -> Response:
    """A thread, or the place where a new one begins."""
    snapshot = await read_snapshot(state_of(request), request.path_params.get("thread_id"))
    conversation = snapshot.conversation
    if conversation and conversation.thread.status == "deleted":
        raise Gone(f"“{conversation.thread.title}” was deleted; its history is still there.")
    html = markup.page(
        "chat.html",
        conversation=conversation,
        threads=snapshot.threads,
        people=snapshot.people,
        family=snapshot.family,
        chosen=conversation.addressee if conversation else None,
        turn=conversation.thread.open_turn if conversation else None,
        held=conversation.held if conversation else 0,
        connected=snapshot.connected,
        limit=MAX_TEXT,
    )
    return HTMLResponse(html)


async def show_sign_in(_: Request) -> Response:
    """The place where the access token is given."""
    return HTMLResponse(markup.page("signin.html"))


async def list_threads(request: Request) -> Response:
    """A page of the list: a search, the archive, or more of the active threads."""
    query = checked(ListThreads, request.query_params)
    page = await state_of(request).bus.request(THREADS_LIST, query)
    return HTMLResponse(markup.thread_entries(page, query.status, query.q))


async def older_messages(request: Request) -> Response:
    """A page of a thread's messages: before a position, `around` a message, or after a position."""
    state, thread_id = state_of(request), request.path_params["thread_id"]
    before = _number(request, "before")
    if around := request.query_params.get("around"):
        found = await read_around(state, thread_id, around, before)
        return HTMLResponse(markup.older(found.articles(), found.before, found.gap(before)))
    if "after" not in request.query_params:
        found = await read_older(state, thread_id, before)
        return HTMLResponse(markup.older(found.articles(), found.before))
    after = _number(request, "after")
    found = await read_older(state, thread_id, min(after + PAGE + 1, before))
    return HTMLResponse(markup.between(found.articles(after), found.gap(before)))


async def stream(request: Request) -> Response:
    """The patches of one page."""
    thread_id = request.query_params.get("thread") or None
    if thread_id:  # once the stream has begun, nothing can be refused
        checked(ThreadRef, {"id": thread_id})
    patched = frames(state_of(request), thread_id, _number(request, "known"))
    return EventStream(patched, ping=patches.PING, every=patches.PING_S)


def error_page(request: Request, error: ParleyError) -> Response:
    """Return a refusal as a page for people."""
    deleted = request.path_params.get("thread_id") if isinstance(error, Gone) else None
    return HTMLResponse(markup.page("error.html", error=error, deleted=deleted), error.status)


def _number(request: Request, name: str) -> int:
    value = request.query_params.get(name, "0")
    if not value.isdecimal() or len(value) > 18:
        raise Invalid(f"“{name}” must be a number.", field=name)
    return int(value)


class _Assets(StaticFiles):
    """Scripts and styles; browsers ask each time whether they changed, so an update is seen."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


routes: list[BaseRoute] = [
    Route("/", show_chat),
    Route("/t/{thread_id}", show_chat),
    Route("/signin", show_sign_in),
    Route("/page/threads", list_threads),
    Route("/page/threads/{thread_id}/messages", older_messages),
    Route("/page/stream", stream),
    Mount("/static", _Assets(directory=_STATIC)),
]

"""A thread as a file: JSON, which `import` takes back, or Markdown to read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from parley_bus import Bus
from parley_contracts.base import Contract, Empty, Id
from parley_contracts.operations import AGENTS_LIST, THREADS_GET
from parley_contracts.threads import ReadThread
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from parley_web.api.call import Json, asked, attachment
from parley_web.state import state_of

router = APIRouter(prefix="/api/threads", tags=["Export and import"])

FORMAT = "parley-thread"
MARKDOWN = "text/markdown"
WINDOW = 500
"""Messages that are read at a time."""
TIMEOUT_S = 30.0

_Json = dict[str, Any]


class ExportThread(Contract):
    """Which thread, and as what."""

    id: Id
    format: Literal["json", "markdown"] = "json"


class Exported(Contract):
    """A thread as JSON: its settings, then its messages in order, each with its agent's handle."""

    format: Literal["parley-thread"]
    version: int
    thread: _Json
    messages: tuple[_Json, ...]


@router.get("/{id}/export", response_model=Exported, responses={200: {"content": {MARKDOWN: {}}}})
async def export(
    request: Request, query: Annotated[ExportThread, asked(ExportThread, "id", source=Query())]
) -> Response:
    """Download a thread with its whole history."""
    bus = state_of(request).bus
    thread = (await _read(bus, ReadThread(id=query.id, limit=1)))["thread"]
    messages = _in_order(bus, thread)
    agents = (await bus.request(AGENTS_LIST, Empty())).agents
    if query.format == "json":
        handles = {agent.id: agent.handle for agent in agents}
        name, body = f"{thread['title']}.json", _as_json(thread, messages, handles)
        media_type = Json.media_type
    else:
        names = {agent.id: agent.name for agent in agents}
        name, body = f"{thread['title']}.md", _as_markdown(thread, messages, names)
        media_type = MARKDOWN
    return StreamingResponse(body, headers=attachment(name), media_type=media_type)


async def _read(bus: Bus, query: ReadThread) -> _Json:
    view: _Json = from_json(await bus.request_raw(THREADS_GET, query, timeout=TIMEOUT_S))
    return view


async def _in_order(bus: Bus, thread: _Json) -> AsyncIterator[_Json]:
    """Yield the thread's messages from its first to the head it had when the export began."""
    for low in range(0, thread["head"], WINDOW):
        for message in await _window(bus, thread["id"], low, min(low + WINDOW, thread["head"])):
            yield message


async def _window(bus: Bus, thread_id: str, low: int, high: int) -> list[_Json]:
    """Return the messages above position `low` up to `high`; large ones come in several pages."""
    messages: list[_Json] = []
    before: int | None = high + 1
    while before is not None and before > low + 1:
        query = ReadThread(id=thread_id, limit=before - low - 1, before=before)
        view = await _read(bus, query)
        messages = view["messages"] + messages
        before = view.get("before")
    return messages


async def _as_json(
    thread: _Json, messages: AsyncIterator[_Json], handles: dict[str, str]
) -> AsyncIterator[bytes]:
    """Yield the file; handles name the agents where their ids are not known."""
    thread["agent"] = handles.get(thread["agent_id"])
    head = {"format": FORMAT, "version": 1, "thread": thread}
    yield to_json(head)[:-1] + b',"messages":['
    separator = b"\n"
    async for message in messages:
        message["agent"] = handles.get(message["agent_id"])
        yield separator + to_json(message)
        separator = b",\n"
    yield b"\n]}\n"


async def _as_markdown(
    thread: _Json, messages: AsyncIterator[_Json], names: dict[str, str]
) -> AsyncIterator[bytes]:
    yield f"# {thread['title']}\n".encode()
    async for message in messages:
        author = "You" if message["role"] == "user" else names.get(message["agent_id"], "Agent")
        written = message["created_at"][:16].replace("T", " ")
        yield f"\n### {author}, {written} UTC\n\n{_with_remark(message)}\n".encode()


def _with_remark(message: _Json) -> str:
    """Return the text, and why it is not a whole answer, if so."""
    match message["status"]:
        case "stopped":
            remark = "*Stopped here.*"
        case "failed":
            remark = f"*Failed: {message.get('error', {}).get('detail', '')}*"
        case _:
            return str(message["text"])
    return f"{message['text']}\n\n{remark}".lstrip()

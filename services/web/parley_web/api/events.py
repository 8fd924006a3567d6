"""The event stream: what happened since, then what happens (rules 22 to 25)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query
from parley_bus import EventGap, EventRecord
from parley_contracts.base import Contract, Id
from parley_contracts.errors import Unavailable
from parley_contracts.operations import THREADS_GET
from parley_contracts.threads import ReadThread
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from parley_web.relay import Lagged
from parley_web.sse import EventStream, frame, opening
from parley_web.state import AppState, state_of

router = APIRouter(prefix="/api", tags=["Events"])

LOST = -1
"""A place that is nowhere in the stream."""
CHECK_TIMEOUT_S = 1.0
MAX_REPLAY = 100_000
"""Whoever is further behind reads a snapshot."""


class Resume(Contract):
    """Where to go on: the id of the last event that was seen."""

    after: Annotated[int, Field(ge=0)] | None = None


@router.get("/events", status_code=200, response_class=EventStream)
async def follow_all(request: Request, query: Annotated[Resume, Query()]) -> Response:
    """Follow the events of all threads."""
    state = state_of(request)
    return EventStream(following(state, None, _place(request, query)))


@router.get("/threads/{id}/events", status_code=200, response_class=EventStream)
async def follow_thread(request: Request, id: Id, query: Annotated[Resume, Query()]) -> Response:
    """Follow the events of one thread."""
    state = state_of(request)
    with suppress(Unavailable):  # events flow also while the gateway is away
        await state.bus.request_raw(
            THREADS_GET, ReadThread(id=id, limit=1), timeout=CHECK_TIMEOUT_S
        )
    return EventStream(following(state, id, _place(request, query)))


def _place(request: Request, query: Resume) -> int | None:
    """Return the last event seen; what the browser says at a reconnect is newer than the URL."""
    header = request.headers.get("last-event-id")
    if not header:
        return query.after
    return int(header) if header.isdecimal() and len(header) < 20 else LOST


async def following(
    state: AppState, thread_id: str | None, after: int | None
) -> AsyncGenerator[bytes]:
    """Yield the frames of one stream: what came after a place, then what comes."""
    with state.relay.subscribe((thread_id, None)) as subscription:
        # What comes after this place is in the subscription, what was before it in the stream.
        seen = state.relay.position
        yield opening(seen if after is None else None)
        if after is not None and after != seen:
            began, seen = seen, after
            try:
                async for page in _missed(state, thread_id, after):
                    yield _joined(page)
                    seen = page[-1].sequence
            except (EventGap, Unavailable):
                seen = began
                yield _resync(seen)
        while True:
            try:
                records = [await subscription.get(), *subscription.drain()]
                yield _joined(each for each in records if each.sequence > seen)
            except Lagged:
                yield _resync(state.relay.position)


async def _missed(
    state: AppState, thread_id: str | None, after: int
) -> AsyncGenerator[list[EventRecord]]:
    """Yield the events since a place, page by page, each when the reader has taken the last one.

    Raises EventGap when the stream cannot tell them, or cannot any more, and Unavailable.
    """
    await _check(state, after)
    async for page in state.events.pages(thread_id=thread_id, after=after):
        await _check(state, after)  # while the reader took its time, what follows may have gone
        yield page
        after = page[-1].sequence
    await _check(state, after)


async def _check(state: AppState, after: int) -> None:
    """Raise EventGap when the events after a place are gone or too many."""
    first, last = await state.events.bounds()
    if not first - 1 <= after <= last or last - after > MAX_REPLAY:
        raise EventGap


def _joined(records: Iterable[EventRecord]) -> bytes:
    return b"".join(frame(each.kind, each.payload, each.sequence) for each in records)


def _resync(place: int) -> bytes:
    """Tell the client to read a snapshot and to go on from this place."""
    return frame("resync", b'{"kind":"resync","last_event_id":%d}' % place, place)

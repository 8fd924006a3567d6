"""Threads: made, listed, opened, changed, forked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from parley_contracts.base import Contract
from parley_contracts.operations import (
    THREADS_CREATE,
    THREADS_DELETE,
    THREADS_FORK,
    THREADS_GET,
    THREADS_LIST,
    THREADS_RESTORE,
    THREADS_RESUME,
    THREADS_UPDATE,
)
from parley_contracts.threads import ReadThread, ThreadView
from parley_contracts.turns import Turn
from pydantic_core import from_json, to_json
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import Json, asked, forward
from parley_web.live import RunningTurn
from parley_web.state import state_of

router = APIRouter(prefix="/api/threads", tags=["Threads"])


class OpenedThread(ThreadView):
    """A thread as it is opened. Follow its events from `last_event_id`: nothing is missed."""

    turn: RunningTurn | None = None
    """The open turn, with what it has said and done so far."""
    last_event_id: int


class _OpenTurn(Contract):
    """The part of a thread's view that decides how it is answered; the rest is not decoded."""

    turn: Turn | None = None


forward(router, "GET", "", THREADS_LIST)
forward(router, "POST", "", THREADS_CREATE, status=201)


@router.get("/{id}", response_model=OpenedThread)
async def open_thread(
    request: Request, query: Annotated[ReadThread, asked(ReadThread, "id", source=Query())]
) -> Response:
    """Open a thread: its newest messages in order, what waits, and the running turn so far."""
    state = state_of(request)
    place = state.relay.position
    view = await state.bus.request_raw(THREADS_GET, query)
    turn = _OpenTurn.model_validate_json(view).turn
    if turn is None:
        return Json(b'%b,"last_event_id":%d}' % (view.rstrip()[:-1], place))
    began = state.relay.turn_began(turn.thread_id)
    running = await state.live.running(turn, after=began)
    added = {"turn": running.model_dump(mode="json", exclude_none=True), "last_event_id": place}
    return Json(to_json(from_json(view) | added))


forward(router, "PATCH", "/{id}", THREADS_UPDATE)
forward(router, "DELETE", "/{id}", THREADS_DELETE)
forward(router, "POST", "/{id}/restore", THREADS_RESTORE)
forward(router, "POST", "/{thread_id}/fork", THREADS_FORK, status=201)
forward(router, "POST", "/{id}/resume", THREADS_RESUME)

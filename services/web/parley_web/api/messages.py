"""Messages: sent, changed while they wait, asked and answered anew."""

from __future__ import annotations

from typing import Annotated, TypeVar

from fastapi import APIRouter
from parley_bus.failpoints import failpoint
from parley_contracts.base import Contract
from parley_contracts.messages import EditMessage, RegenerateMessage, SendMessage
from parley_contracts.operations import (
    MESSAGES_EDIT,
    MESSAGES_GET,
    MESSAGES_REGENERATE,
    MESSAGES_REMOVE,
    MESSAGES_SEND,
    MESSAGES_SEND_NOW,
    MESSAGES_UPDATE,
    Operation,
)
from parley_contracts.threads import Accepted
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import Json, asked, forward
from parley_web.signin import credential_of
from parley_web.state import state_of

router = APIRouter(prefix="/api", tags=["Messages"])

_OURS = ("channel", "origin")
"""Where a message came from is not the caller's to say."""

Q = TypeVar("Q", SendMessage, EditMessage, RegenerateMessage)


class _Repetition(Contract):
    repeated: bool = False


async def _ask(request: Request, operation: Operation[Q, Accepted], query: Q) -> bytes:
    """Forward a question under the channel that it came by: the page or a program."""
    channel = "api" if credential_of(request).token else "web"
    asked = query.model_copy(update={"channel": channel})
    failpoint("send.before")
    reply = await state_of(request).bus.request_raw(operation, asked)
    failpoint("send.after")
    return reply


@router.post("/threads/{thread_id}/messages", status_code=202, response_model=Accepted)
async def send(
    request: Request, query: Annotated[SendMessage, asked(SendMessage, "thread_id", hidden=_OURS)]
) -> Response:
    """Send a message, which an agent will answer; the same client_id again is answered 200."""
    reply = await _ask(request, MESSAGES_SEND, query)
    return Json(reply, 200 if _Repetition.model_validate_json(reply).repeated else 202)


forward(router, "GET", "/messages/{id}", MESSAGES_GET)
forward(router, "PATCH", "/messages/{id}", MESSAGES_UPDATE)
forward(router, "DELETE", "/messages/{id}", MESSAGES_REMOVE)
forward(router, "POST", "/messages/{id}/send-now", MESSAGES_SEND_NOW)


@router.post("/messages/{id}/edit", status_code=201, response_model=Accepted)
async def edit(
    request: Request, query: Annotated[EditMessage, asked(EditMessage, "id", hidden=_OURS)]
) -> Response:
    """Ask differently: a sibling fork with the new text and its turn."""
    return Json(await _ask(request, MESSAGES_EDIT, query), 201)


@router.post("/messages/{id}/regenerate", status_code=201, response_model=Accepted)
async def regenerate(
    request: Request,
    query: Annotated[RegenerateMessage, asked(RegenerateMessage, "id", hidden=_OURS)],
) -> Response:
    """Answer again: a sibling fork in which the question is asked anew."""
    return Json(await _ask(request, MESSAGES_REGENERATE, query), 201)

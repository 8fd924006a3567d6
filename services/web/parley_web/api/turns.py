"""Turns: looked at, stopped, tried again, decided."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from parley_contracts.operations import TURNS_CANCEL, TURNS_DECIDE, TURNS_GET, TURNS_RETRY
from parley_contracts.subjects import cancel_subject
from parley_contracts.turns import CancelTurn, Turn
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import Json, asked, forward
from parley_web.state import state_of

router = APIRouter(prefix="/api/turns", tags=["Turns"])

forward(router, "GET", "/{id}", TURNS_GET)


@router.post("/{id}/cancel", response_model=Turn)
async def cancel(
    request: Request, query: Annotated[CancelTurn, asked(CancelTurn, "id")]
) -> Response:
    """Stop a turn, keeping what it said."""
    bus = state_of(request).bus
    # Workers hear it directly, so that a running answer stops also while the gateway is away.
    await bus.publish(cancel_subject(query.id), b"")
    return Json(await bus.request_raw(TURNS_CANCEL, query))


forward(router, "POST", "/{id}/retry", TURNS_RETRY, status=202)
forward(router, "POST", "/{id}/decide", TURNS_DECIDE)

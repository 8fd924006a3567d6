"""Is it alive, is it ready, what does it count."""

from __future__ import annotations

from typing import Literal

from fastapi import APIRouter
from parley_contracts.base import Contract, Empty
from parley_contracts.errors import Unavailable
from parley_contracts.operations import SYSTEM_STATUS
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from parley_web.api.call import Json
from parley_web.metrics import exposition
from parley_web.state import state_of

router = APIRouter(tags=["Health"])

TIMEOUT_S = 2.0


class Health(Contract):
    """A good sign."""

    status: Literal["ok"] = "ok"


@router.head("/healthz", include_in_schema=False)
@router.get("/healthz", response_model=Health)
async def alive() -> Response:
    """Tell that this process answers."""
    return Json(Health().encode())


@router.head("/readyz", include_in_schema=False)
@router.get("/readyz", response_model=Health)
async def ready(request: Request) -> Response:
    """Tell that the bus, the gateway and its database answer, or which of them does not."""
    state = state_of(request)
    if not state.bus.connected:
        raise Unavailable("The message bus cannot be reached; is nats-server running?")
    status = await state.bus.request(SYSTEM_STATUS, Empty(), timeout=TIMEOUT_S)
    if not status.database.ok:
        raise Unavailable(f"The database is not well: {status.database.detail}")
    if not state.relay.following:
        raise Unavailable("The event stream is not followed yet; try again in a moment.")
    return Json(Health().encode())


@router.get("/metrics", response_class=PlainTextResponse)
async def metrics(request: Request) -> Response:
    """Show the counters of this process to Prometheus."""
    state = state_of(request)
    body, media_type = exposition(state.counts, state.relay, connected=state.bus.connected)
    return Response(body, headers={"Content-Type": media_type})

"""Agents: listed, made, changed, carried from one Parley to another."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter
from parley_contracts.agents import Agent, AgentConfig, AgentRef, CreateAgent
from parley_contracts.operations import AGENTS_CREATE, AGENTS_GET, AGENTS_LIST, AGENTS_UPDATE
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import Json, asked, attachment, forward
from parley_web.state import state_of

router = APIRouter(prefix="/api/agents", tags=["Agents"])

forward(router, "GET", "", AGENTS_LIST)
forward(router, "POST", "", AGENTS_CREATE, status=201)
forward(router, "GET", "/{id}", AGENTS_GET)
forward(router, "PATCH", "/{id}", AGENTS_UPDATE)


@router.get("/{id}/export", response_model=AgentConfig)
async def export_agent(
    request: Request, query: Annotated[AgentRef, asked(AgentRef, "id")]
) -> Response:
    """Download an agent's settings, as `import` takes them."""
    agent = await state_of(request).bus.request(AGENTS_GET, query)
    settings = AgentConfig.model_validate(agent.model_dump())
    return Json(settings.encode(), headers=attachment(f"{agent.handle}.json"))


@router.post("/import", status_code=201, response_model=Agent)
async def import_agent(request: Request, settings: AgentConfig) -> Response:
    """Make an agent from exported settings; its handle must be free."""
    create = CreateAgent.model_validate(settings.model_dump())
    return Json(await state_of(request).bus.request_raw(AGENTS_CREATE, create), 201)

"""What agents can be given: the tools, skills and models of the workers that are there."""

from __future__ import annotations

from fastapi import APIRouter
from parley_contracts.base import Contract, Id, Timestamp
from parley_contracts.catalog import CatalogEntry, ModelInfo, ProviderInfo, SkillInfo, ToolInfo
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import Json
from parley_web.state import state_of

router = APIRouter(prefix="/api/catalog", tags=["Catalog"])


class WorkerInfo(Contract):
    """A worker that shows itself, and what `auto` means to it."""

    worker_id: Id
    slots: int
    running: int
    started_at: Timestamp
    default_model: str


class CatalogView(Contract):
    """The workers, and what they can do together, each name once."""

    workers: tuple[WorkerInfo, ...]
    tools: tuple[ToolInfo, ...]
    skills: tuple[SkillInfo, ...]
    models: tuple[ModelInfo, ...]
    providers: tuple[ProviderInfo, ...]


@router.get("", response_model=CatalogView)
async def read_catalog(request: Request) -> Response:
    """List tools, skills, models, and the workers that offer them."""
    return Json(merge(await state_of(request).catalog.entries()).encode())


def merge(entries: list[CatalogEntry]) -> CatalogView:
    """Return what all workers offer; of equal names the first worker's."""
    return CatalogView(
        workers=tuple(WorkerInfo.model_validate(entry.model_dump()) for entry in entries),
        tools=tuple({tool.name: tool for e in entries for tool in e.tools}.values()),
        skills=tuple({skill.name: skill for e in entries for skill in e.skills}.values()),
        models=tuple({model.id: model for e in entries for model in e.models}.values()),
        providers=tuple({each.name: each for e in entries for each in e.providers}.values()),
    )

"""Tokens and turns, grouped."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from parley_contracts.base import Contract, Timestamp
from parley_contracts.operations import SYSTEM_USAGE
from parley_contracts.system import ReadUsage, UsageReport
from pydantic import BeforeValidator, Field
from starlette.requests import Request
from starlette.responses import Response

from parley_web.api.call import Json
from parley_web.state import state_of

router = APIRouter(prefix="/api/usage", tags=["Usage"])


def _day_or_moment(value: str) -> date | datetime:
    try:
        found = date.fromisoformat(value) if len(value) == _DAY else datetime.fromisoformat(value)
        aware = not isinstance(found, datetime) or found.tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        raise ValueError("write a day, as 2026-01-31, or a moment, as 2026-01-31T12:00:00Z")
    if found.year not in _YEARS:
        raise ValueError(f"choose a year from {_YEARS[0]} to {_YEARS[-1]}")
    return found


_DAY = len("2026-01-31")
_YEARS = range(1970, 9999)
Bound = Annotated[date | Timestamp, BeforeValidator(_day_or_moment)]


class UsageQuery(Contract):
    """From and to are moments, or days of UTC; a last day counts whole."""

    since: Bound | None = Field(default=None, alias="from")
    until: Bound | None = Field(default=None, alias="to")
    by: Literal["agent", "model", "thread", "day"] = "day"


@router.get("", response_model=UsageReport)
async def read_usage(request: Request, query: Annotated[UsageQuery, Query()]) -> Response:
    """Count turns and tokens by agent, model, thread or day."""
    read = ReadUsage(
        since=_moment(query.since), until=_moment(query.until, after=True), by=query.by
    )
    return Json(await state_of(request).bus.request_raw(SYSTEM_USAGE, read))


def _moment(value: date | datetime | None, *, after: bool = False) -> datetime | None:
    """Return the moment a day begins, or the one after it."""
    if value is None or isinstance(value, datetime):
        return value
    return datetime.combine(value + timedelta(days=after), time(), UTC)

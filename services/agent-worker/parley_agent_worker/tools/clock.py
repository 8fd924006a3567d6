"""The tool `current_time`."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field

from parley_agent_worker.tools.tool import Tool, ToolFailed, tool

Zone = Annotated[
    str,
    Field(
        description="an IANA time zone such as Europe/Berlin or America/New_York", max_length=100
    ),
]


async def current_time(zone: Zone = "UTC") -> str:
    """Return the current date, weekday and time in a time zone."""
    try:
        now = datetime.now(ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ToolFailed(
            f"“{zone}” is not a time zone; use an IANA name such as Europe/Berlin or UTC."
        ) from None
    return f"{now:%A}, {now.isoformat(timespec='seconds')} ({zone})"


def clock() -> Tool:
    """Return the tool."""
    return tool(current_time, repeatable=True)

"""A worker with tools for tests: what they do can be seen in the file that NOTES names."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from parley_agent_worker.__main__ import work
from parley_agent_worker.settings import WorkerSettings
from parley_agent_worker.tools.program import output_of
from parley_agent_worker.tools.tool import tool
from parley_bus.runtime import run

NOTES = Path(os.environ["NOTES"])


def _note(line: str) -> int:
    """Add a line; return how often it is there now."""
    with NOTES.open("a") as notes:
        notes.write(f"{line}\n")
    return NOTES.read_text().splitlines().count(line)


async def look(what: str) -> str:
    """Look at something; changes nothing."""
    return f"{what} was looked at {_note(f'look {what}')} times"


async def look_once_more(what: str) -> str:
    """Look at something; the first look takes for ever."""
    if _note(f"look_once_more {what}") == 1:
        await asyncio.Event().wait()
    return f"{what} is there"


async def write(what: str) -> str:
    """Write something down; must not happen twice."""
    return f"{what} was written {_note(f'write {what}')} times"


async def write_for_ever(what: str) -> str:
    """Begin to write something and never end; must not happen twice."""
    _note(f"write_for_ever {what}")
    return str(await asyncio.Event().wait())


async def run_for_ever(what: str) -> str:
    """Run a program that starts another one; both tell who they are and never end."""
    script = 'sleep 3600 & echo "$0 $$ $!" >> "$NOTES"; wait'
    return await output_of("sh", "-c", script, what)


TOOLS = [
    tool(look, repeatable=True),
    tool(look_once_more, repeatable=True),
    tool(write),
    tool(write_for_ever),
    tool(run_for_ever),
]


async def main(stop: asyncio.Event) -> None:
    """Run the worker."""
    await work(WorkerSettings(), stop, TOOLS)


if __name__ == "__main__":
    run("agent-worker", main)

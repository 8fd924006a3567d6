"""`./parley export PLACE`: threads and agents as files that can be read, kept and imported.

All of them fill a folder: `agents/<handle>.json`, and `threads/<number>-<id>.json`, from the thread
that rested longest to the newest. One thread (`--thread`) is one file, the HTTP API's JSON export.
"""

from __future__ import annotations

import os
from pathlib import Path

from parley_bus import Bus
from parley_contracts.agents import Agent, CreateAgent
from parley_contracts.base import Empty
from parley_contracts.operations import AGENTS_LIST, THREADS_LIST
from parley_contracts.threads import ListThreads, Thread, ThreadStatus

from parley_launcher.client import as_owner, ask, tell
from parley_launcher.environment import environment
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder
from parley_launcher.options import Parser
from parley_launcher.web import Web

SHOWN: tuple[ThreadStatus, ...] = ("active", "archived")


def main(arguments: list[str]) -> int:
    """Write the files. Raises Trouble."""
    summary = "Write threads and agents into files that can be read and imported."
    parser = Parser("export", summary, environment())
    parser.data_option()
    parser.add_argument("--thread", metavar="ID", default="all", help="only this thread, one file")
    parser.add_argument("place", metavar="PLACE", type=Path, help="a new folder (or file)")
    options = parser.parse_args(arguments)
    folder, place = DataFolder(options.data), options.place
    web = Web(folder)
    try:
        if options.thread != "all":
            _export_thread(web, options.thread, place)
            return 0
        _make(place)
        return as_owner(folder, lambda bus: _export_all(bus, web, place))
    except OSError as error:
        raise Trouble(f"{place} cannot be written: {error.strerror}") from error


def _make(place: Path) -> None:
    """Make the folders; one that holds something is left alone, so that nothing is mixed."""
    place.mkdir(mode=0o700, exist_ok=True)
    if any(place.iterdir()):
        raise Trouble(f"the folder {place} is not empty; name a new one")
    for each in ("agents", "threads"):
        (place / each).mkdir()


async def _export_all(bus: Bus, web: Web, place: Path) -> int:
    agents = (await ask(bus, AGENTS_LIST, Empty())).agents
    for agent in agents:
        (place / "agents" / f"{agent.handle}.json").write_bytes(_settings(agent) + b"\n")
    threads = [each for status in SHOWN for each in await _threads(bus, status)]
    threads.sort(key=lambda thread: (thread.active_at, thread.id))
    for number, thread in enumerate(threads, start=1):
        _export_thread(web, thread.id, place / "threads" / f"{number:06}-{thread.id}.json")
    tell(f"{len(agents)} agents and {len(threads)} threads are in {place}")
    return 0


def _settings(agent: Agent) -> bytes:
    """Return what the owner has set, and the id, by which threads find the agent."""
    return CreateAgent.model_validate(agent.model_dump()).encode()


async def _threads(bus: Bus, status: ThreadStatus) -> list[Thread]:
    found: list[Thread] = []
    cursor = None
    while True:
        page = await ask(bus, THREADS_LIST, ListThreads(status=status, limit=500, cursor=cursor))
        found += page.threads
        cursor = page.cursor
        if cursor is None:
            return found


def _export_thread(web: Web, id: str, file: Path) -> None:
    """Write one thread; the file takes its name when it is complete."""
    draft = file.parent / f".{file.name}.{os.getpid()}"
    try:
        with draft.open("xb") as into:
            web.download(f"/api/threads/{id}/export", into)
        draft.replace(file)
    finally:
        draft.unlink(missing_ok=True)

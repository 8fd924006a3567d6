"""`./parley import PLACE`: makes agents and threads from what `./parley export` wrote.

Threads are made anew each time, with ids of their own. An agent is known by its handle: it gets the
settings of the file, and its former revision is kept as every other one.
"""

from __future__ import annotations

from pathlib import Path

from parley_bus import Bus
from parley_contracts.agents import Agent, AgentConfig, CreateAgent, UpdateAgent
from parley_contracts.base import Empty
from parley_contracts.operations import AGENTS_CREATE, AGENTS_LIST, AGENTS_UPDATE
from pydantic import ValidationError

from parley_launcher.client import as_owner, ask, tell
from parley_launcher.environment import environment
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder
from parley_launcher.options import Parser
from parley_launcher.web import Web


def main(arguments: list[str]) -> int:
    """Import a folder, or a file with one thread. Raises Trouble that names the file."""
    parser = Parser("import", "Make threads and agents from exported files.", environment())
    parser.data_option()
    parser.add_argument("place", metavar="PLACE", type=Path, help="what './parley export' wrote")
    options = parser.parse_args(arguments)
    folder, place = DataFolder(options.data), options.place
    web = Web(folder)
    if not place.exists():
        raise Trouble(f"there is no {place}")
    if place.is_file():
        _import_thread(web, place)
        return 0
    agents, threads = (sorted((place / each).glob("*.json")) for each in ("agents", "threads"))
    if not agents and not threads:
        raise Trouble(f"{place} holds no export: no folder agents, no folder threads")

    async def work(bus: Bus) -> int:
        for file in agents:
            await _import_agent(bus, file)
        return 0

    code = as_owner(folder, work)
    for file in threads:
        _import_thread(web, file)
    tell(f"imported {len(agents)} agents and {len(threads)} threads")
    return code


async def _import_agent(bus: Bus, file: Path) -> None:
    wanted = _read(file)
    known = {agent.handle: agent for agent in (await ask(bus, AGENTS_LIST, Empty())).agents}
    if present := known.get(wanted.handle):
        await _adapt(bus, present, wanted)
        return
    taken = known.keys() | {agent.id for agent in known.values()}
    fresh = {"id"} if wanted.id in taken else set()
    await ask(bus, AGENTS_CREATE, CreateAgent.model_validate(wanted.model_dump(exclude=fresh)))


async def _adapt(bus: Bus, present: Agent, wanted: CreateAgent) -> None:
    """Give an agent the settings of the file, unless it has them."""
    settings = AgentConfig.model_validate(wanted.model_dump()).model_dump()
    if settings == AgentConfig.model_validate(present.model_dump()).model_dump():
        return
    change = {"id": present.id, "revision": present.revision, **settings}
    await ask(bus, AGENTS_UPDATE, UpdateAgent.model_validate(change))
    tell(f"the agent @{present.handle} has the settings of the file now")


def _read(file: Path) -> CreateAgent:
    try:
        return CreateAgent.model_validate_json(file.read_bytes())
    except OSError as error:
        raise Trouble(f"{file} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "it"
        raise Trouble(f"{file} is no exported agent: {place}: {first['msg']}") from error


def _import_thread(web: Web, file: Path) -> None:
    try:
        made = web.upload("/api/threads/import", file)
    except OSError as error:
        raise Trouble(f"{file} cannot be read: {error.strerror}") from error
    except Trouble as trouble:
        raise Trouble(f"{file}: {trouble}") from trouble
    tell(f"thread {made['id']}: {made['title']}")

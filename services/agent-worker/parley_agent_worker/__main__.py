"""Starts a worker: connects it, wires it, and stops it in the reverse order."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from parley_bus import Bus, SlotQueue
from parley_bus.runtime import run
from parley_contracts.subjects import TURNS, cancel_subject

from parley_agent_worker.catalog import Announcer
from parley_agent_worker.claims import Claims
from parley_agent_worker.handlers import Handlers
from parley_agent_worker.models.providers import Providers
from parley_agent_worker.settings import WorkerSettings
from parley_agent_worker.skills import SkillLibrary
from parley_agent_worker.tools.calculator import Calculator
from parley_agent_worker.tools.clock import clock
from parley_agent_worker.tools.own import own_tools
from parley_agent_worker.tools.tool import Tool


async def work(settings: WorkerSettings, stop: asyncio.Event, tools: Iterable[Tool] = ()) -> None:
    """Run turns until `stop`; `tools` are offered beside the built-in ones."""
    bus = await Bus.connect(settings.context(), name="agent-worker")
    providers = Providers(settings)
    library = SkillLibrary(settings.skill_roots())
    claims = Claims(bus, settings.worker_id)
    async with Calculator() as calculator:
        known = [calculator.tool(), clock(), *tools]
        handlers = Handlers(
            bus=bus,
            worker_id=settings.worker_id,
            claims=claims,
            providers=providers,
            library=library,
            tools={tool.name: tool for tool in known},
        )
        announcer = Announcer(
            bus,
            worker_id=settings.worker_id,
            slots=settings.turns_per_worker,
            running=lambda: len(claims),
            tools=known,
            library=library,
            providers=providers,
        )
        beating = bus.spawn(claims.keep())
        announcing = bus.spawn(announcer.keep())
        await bus.subscribe(cancel_subject("*"), handlers.cancel)
        turns = SlotQueue(bus, TURNS).consume(handlers.answer, room=settings.turns_per_worker)

        await stop.wait()

        await turns.stop(settings.grace_s)
        await handlers.close()
        announcing.cancel()
        await announcer.withdraw()
        beating.cancel()
    await providers.close()
    await bus.close()


async def main(stop: asyncio.Event) -> None:
    """Run a worker with the settings of the environment."""
    settings = WorkerSettings()
    await work(settings, stop, own_tools(settings.tool_files()))


if __name__ == "__main__":
    run("agent-worker", main)

"""What workers show of themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from agent_worker.stage import Client, Stage, worker_settings
from eventually import eventually
from parley_agent_worker import catalog
from parley_agent_worker.catalog import Announcer
from parley_agent_worker.models.providers import Providers
from parley_agent_worker.skills import SkillLibrary
from parley_agent_worker.tools.clock import clock
from parley_bus import Bus, Catalog
from parley_contracts.base import new_id
from parley_contracts.catalog import CatalogEntry
from parley_contracts.events import Event


@pytest.fixture
async def bus(running_stage: Stage, client: Client) -> AsyncIterator[Bus]:
    connected = await Bus.connect(running_stage.broker.context("agent-worker"), name="test")
    yield connected
    await connected.close()


async def entry(client: Client, worker_id: str) -> CatalogEntry | None:
    entries = await Catalog(client.bus).entries()
    return next((each for each in entries if each.worker_id == worker_id), None)


async def test_a_running_worker_shows_its_tools_models_and_providers(client: Client) -> None:
    async def listed() -> bool:
        shown = await entry(client, "worker")
        return shown is not None and shown.default_model == "local:fake"

    await eventually(listed)
    shown = await entry(client, "worker")
    assert shown
    assert [tool.name for tool in shown.tools][:2] == ["calculator", "current_time"]
    assert all(tool.repeatable and tool.description for tool in shown.tools[:2])
    assert [model.id for model in shown.models] == ["local:fake", "local:other", "echo:demo"]
    assert [(each.name, each.reachable) for each in shown.providers] == [("local", True)]
    assert shown.slots == 64


async def test_a_change_is_told_once_and_an_unreadable_skill_is_shown(
    client: Client, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalog, "RENEW_S", 0.01)
    worker_id = new_id()
    providers = Providers(worker_settings())
    announcer = Announcer(
        bus,
        worker_id=worker_id,
        slots=1,
        running=lambda: 0,
        tools=[clock()],
        library=SkillLibrary([tmp_path]),
        providers=providers,
    )
    announcing = asyncio.create_task(announcer.keep())

    def told(event: Event) -> bool:
        return event.kind == "catalog_changed" and getattr(event, "worker_id", "") == worker_id

    await client.until(told)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "SKILL.md").write_text("no front matter")

    async def shows_the_problem() -> bool:
        shown = await entry(client, worker_id)
        return bool(shown and shown.skills and shown.skills[0].problem)

    await eventually(shows_the_problem)
    announcing.cancel()
    await announcer.withdraw()
    assert await entry(client, worker_id) is None

    async def told_of_each() -> bool:
        return sum(told(event) for event in client.events) == 3

    await eventually(told_of_each)
    await providers.close()


async def test_a_fault_while_a_worker_shows_itself_is_not_the_end_of_its_showing(
    client: Client, bus: Bus, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FaultyLibrary(SkillLibrary):
        scans = 0

        def scan(self) -> None:
            self.scans += 1
            if self.scans == 1:
                raise RuntimeError("a fault")

    monkeypatch.setattr(catalog, "RENEW_S", 0.01)
    worker_id = new_id()
    providers = Providers(worker_settings())
    announcer = Announcer(
        bus,
        worker_id=worker_id,
        slots=1,
        running=lambda: 0,
        tools=[],
        library=FaultyLibrary([tmp_path]),
        providers=providers,
    )
    announcing = asyncio.create_task(announcer.keep())

    async def shown() -> bool:
        return await entry(client, worker_id) is not None

    await eventually(shown)
    announcing.cancel()
    await providers.close()

"""Shows what this worker can do, and says so when that changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from parley_bus import Bus, Catalog, Events
from parley_contracts.base import now
from parley_contracts.catalog import CatalogEntry, ToolInfo
from parley_contracts.errors import Unavailable
from parley_contracts.events import CatalogChanged

from parley_agent_worker.models.providers import Providers
from parley_agent_worker.skills import SkillLibrary
from parley_agent_worker.tools.tool import Tool

RENEW_S = Catalog.TTL_S / 3
LOOK_S = 30.0
"""How often the providers are asked what they offer, turns apart."""

log = logging.getLogger(__name__)


class Announcer:
    """Keeps the worker's entry in the catalogue."""

    def __init__(
        self,
        bus: Bus,
        *,
        worker_id: str,
        slots: int,
        running: Callable[[], int],
        tools: Iterable[Tool],
        library: SkillLibrary,
        providers: Providers,
    ) -> None:
        self._catalog = Catalog(bus)
        self._events = Events(bus)
        self._worker_id = worker_id
        self._slots = slots
        self._running = running
        self._tools = tuple(_info(tool) for tool in tools)
        self._library = library
        self._providers = providers
        self._started_at = now()
        self._shown: CatalogEntry | None = None
        self._looked_at = float("-inf")

    async def keep(self) -> None:
        """Show the worker until cancelled."""
        while True:
            try:
                await self._look_and_renew()
            except Exception:
                log.exception("the catalogue is renewed later")
            await asyncio.sleep(RENEW_S)

    async def withdraw(self) -> None:
        """Take the worker out of the catalogue."""
        try:
            await self._catalog.remove(self._worker_id)
            await self._events.publish(CatalogChanged(worker_id=self._worker_id))
        except Unavailable as error:
            log.info("the catalogue forgets this worker by itself: %s", error.detail)

    async def _look_and_renew(self) -> None:
        await self._renew()
        if time.monotonic() - self._looked_at >= LOOK_S:
            self._looked_at = time.monotonic()
            await asyncio.wait([self._providers.look()])
            await self._renew()

    async def _renew(self) -> None:
        self._library.scan()
        entry = self._entry()
        try:
            await self._catalog.put(entry)
            if self._shown is None or _abilities(entry) != _abilities(self._shown):
                await self._events.publish(CatalogChanged(worker_id=self._worker_id))
            self._shown = entry
        except Unavailable as error:
            log.info("the catalogue is renewed later: %s", error.detail)

    def _entry(self) -> CatalogEntry:
        return CatalogEntry(
            worker_id=self._worker_id,
            slots=self._slots,
            running=self._running(),
            started_at=self._started_at,
            default_model=self._providers.default_model,
            tools=self._tools,
            skills=self._library.infos,
            models=self._providers.models,
            providers=self._providers.infos,
        )


def _info(tool: Tool) -> ToolInfo:
    return ToolInfo(
        name=tool.name,
        description=tool.description,
        parameters=tool.parameters,
        repeatable=tool.repeatable,
    )


def _abilities(entry: CatalogEntry) -> CatalogEntry:
    return entry.model_copy(update={"running": 0})

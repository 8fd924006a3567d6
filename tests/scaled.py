"""A scaled house for tests that know a house by its address and token alone."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from itertools import cycle
from pathlib import Path
from threading import Thread

import httpx2
from eventually import eventually

from chaos.house import House as Scaled
from chaos.scaled import scaled_house

START_S = 240.0
"""Thirteen processes start at once."""


class ScaledParley:
    """Runs in a thread of its own until `stop`; whoever asks for its address gets both in turn."""

    def __init__(self, folder: Path) -> None:
        self._loop = asyncio.new_event_loop()
        self._over = asyncio.Event()
        self._started: Future[Scaled] = Future()
        self._thread = Thread(target=self._loop.run_until_complete, args=(self._run(folder),))
        self._thread.daemon = True  # what does not stop must not hold the tests' end up
        self._thread.start()
        house = self._started.result()
        self.token = house.token
        self._urls = cycle(house.urls)

    @property
    def url(self) -> str:
        """The address of one web, then of the other."""
        return next(self._urls)

    async def _run(self, folder: Path) -> None:
        try:
            async with scaled_house(folder) as house:
                await ready(house)
                self._started.set_result(house)
                await self._over.wait()
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    def stop(self) -> None:
        """End it."""
        self._loop.call_soon_threadsafe(self._over.set)
        self._thread.join()


async def ready(house: Scaled) -> None:
    """Return when both webs reach a gateway."""
    async with httpx2.AsyncClient() as client:

        async def is_ready() -> bool:
            try:
                answers = [await client.get(f"{url}/readyz") for url in house.urls]
            except httpx2.TransportError:
                return False
            return all(each.status_code == httpx2.codes.OK for each in answers)

        await eventually(is_ready, within=START_S)

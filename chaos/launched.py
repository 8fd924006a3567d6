"""A house on one machine: a `./parley up` of the run's own, and what it consists of."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from parley_gateway.store.database import database_url

from bench.processes import HOST, Program
from chaos.house import (
    POLL_S,
    WORKERS,
    House,
    Place,
    environment,
    free_ports,
    is_free,
    runs,
    signal_process,
    stands_still,
    stat,
)

LAUNCHER = (sys.executable, "-I", "-m", "parley_launcher")
SERVICES = ("gateway", "nats", "web", "agent-worker")
PLACES: tuple[Place, ...] = (
    *((each, 0) for each in SERVICES[:-1]),
    *(("agent-worker", number) for number in range(WORKERS)),
)
OPTIONS = ("--workers", str(WORKERS), "--grace", "1", "--no-admin", "--no-telegram")


class LaunchedHouse:
    """A Parley on the folder `data` inside `folder`, always on the same ports."""

    def __init__(self, folder: Path) -> None:
        self.data = folder / "data"
        self.points = folder / "failpoints"
        self.token = secrets.token_urlsafe(24)
        self.places = PLACES
        self.database = database_url(self.data, None)
        self._folder = folder
        self._ports = free_ports(2)
        self.urls: tuple[str, ...] = (f"http://{HOST}:{self._ports[0]}",)
        self._program: Program
        self._restarting = False

    async def start(self) -> None:
        """Start it; it is up a moment later."""
        web, nats = map(str, self._ports)
        ports = ("--web-port", web, "--nats-port", nats, "--admin-port", "0")
        self._program = await Program.start(
            *(*LAUNCHER, "up", "--data", str(self.data), *ports, *OPTIONS),
            environment=environment(self._folder, self.token),
            log=self._folder / "up.log",
        )

    async def restart(self, by: signal.Signals) -> None:
        """Signal the launcher, with which everything ends, and start anew."""
        self._restarting = True
        pids = [pid for _, pid in self.running()]
        await self._program.stop(by)
        while any(map(runs, pids)) or not all(map(is_free, self._ports)):
            await asyncio.sleep(POLL_S)
        await self.start()
        self._restarting = False

    async def fallen(self) -> None:
        """Return when the launcher has ended by itself."""
        while self._program.running or self._restarting:
            await asyncio.sleep(POLL_S)

    def pid(self, service: str, number: int = 0) -> int | None:
        """Return the pid of a service's process, None while it is away."""
        with suppress(OSError, ValueError, LookupError):
            entry = self._run()["services"][service]
            found = entry[number] if isinstance(entry, list) else entry
            return int(found["pid"]) if self._is_ours(found["pid"]) else None
        return None

    def _is_ours(self, pid: int | None) -> bool:
        """Whether the process is a living child of our launcher: no other is ever touched."""
        if pid is None:
            return False
        state, parent, *_ = stat(pid)
        return int(parent) == self._program.pid and state not in "ZX"

    def running(self) -> Iterator[tuple[Place, int]]:
        """Yield the processes, each with its service and number, and its pid."""
        for place in PLACES:
            if pid := self.pid(*place):
                yield place, pid

    def frozen(self) -> Iterator[tuple[Place, int]]:
        """Yield those that stand still."""
        for place, pid in self.running():
            if stands_still(pid):
                yield place, pid

    async def alive(self, service: str, number: int = 0) -> int:
        """Wait until the process runs; return its pid."""
        while True:
            if pid := self.pid(service, number):
                return pid
            await asyncio.sleep(POLL_S)

    async def send(self, place: Place, pid: int, what: signal.Signals) -> None:
        """Send a signal to a process, which may just have ended."""
        signal_process(pid, what)

    async def wipe(self) -> None:
        """Kill the broker and remove all that it has stored before the launcher starts it again."""
        pid = await self.alive("nats")
        os.kill(self._program.pid, signal.SIGSTOP)
        try:
            signal_process(pid, signal.SIGKILL)
            while self.pid("nats") == pid:
                await asyncio.sleep(POLL_S)
            shutil.rmtree(self.data / "nats" / "jetstream", ignore_errors=True)
        finally:
            os.kill(self._program.pid, signal.SIGCONT)

    async def stop(self) -> int:
        """Stop it in good order and return its exit code."""
        if self._program.running:
            for pid in (self._program.pid, *(pid for _, pid in self.running())):
                signal_process(pid, signal.SIGCONT)
        await self._program.stop()
        return await self._program.ended()

    def _run(self) -> dict[str, Any]:
        content: dict[str, Any] = json.loads((self.data / "run.json").read_text(encoding="utf-8"))
        return content


@asynccontextmanager
async def launched_house(folder: Path) -> AsyncIterator[House]:
    """Run a Parley with the tools of this package in three workers."""
    shutil.copy(Path(__file__).with_name("tools.py"), folder / "tools.py")
    house = LaunchedHouse(folder)
    house.points.mkdir()
    await house.start()
    try:
        yield house
    finally:
        await house.stop()

"""All processes of the house: started in order, watched, stopped in reverse."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

from parley_launcher.house import Program
from parley_launcher.process import Process


class Supervisor:
    """Runs the programs; `record` gets their pids and ports whenever one starts or ends."""

    def __init__(
        self, programs: list[Program], logs: Path, record: Callable[[dict[str, Any]], None]
    ) -> None:
        def changed() -> None:
            record(self._services())

        self._programs = programs
        self._processes = {
            each.service: [Process(each, label, logs, changed) for label in _labels(each)]
            for each in programs
        }
        self._running: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Start all; none waits for another, since each service waits for what it needs."""
        for each in self._programs:
            for process in self._processes[each.service]:
                self._running.append(asyncio.create_task(process.run()))

    async def failed(self) -> None:
        """Wait until a process gives up; raise its Trouble."""
        done, _ = await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
        for each in done:
            each.result()

    async def stop(self) -> None:
        """Stop service after service, in reverse order."""
        for each in reversed(self._programs):
            await asyncio.gather(*(process.stop() for process in self._processes[each.service]))
        await asyncio.gather(*self._running, return_exceptions=True)

    def kill(self) -> None:
        """End everything at once."""
        for processes in self._processes.values():
            for each in processes:
                each.kill()

    def _services(self) -> dict[str, Any]:
        """Return what `run.json` says of the services: an object each, a list of several."""
        found: dict[str, Any] = {}
        for each in self._programs:
            port = {"port": each.port} if each.port else {}
            entries = [{"pid": process.pid, **port} for process in self._processes[each.service]]
            found[each.service] = entries if each.copies > 1 else entries[0]
        return found


def _labels(program: Program) -> list[str]:
    if program.copies == 1:
        return [program.service]
    return [f"{program.service}-{number}" for number in range(1, program.copies + 1)]

"""What a house is made of that no launcher keeps: programs that are started again when they end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from signal import SIGCONT, SIGKILL, SIGSTOP, SIGTERM, Signals

from bench.processes import GRACE_S, Program
from chaos.house import signal_process

AGAIN_S = 0.5
STOP_S = 5


class Member:
    """A program that runs from `start` to `stop`, but for moments."""

    def __init__(self, *command: str | Path, environment: Mapping[str, str], log: Path) -> None:
        self._command = command
        self._environment = environment
        self._log = log
        self._wanted = asyncio.Event()
        self._program: Program | None = None
        self._keeping: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """The pid, None while it does not run."""
        return self._program.pid if self._program and self._program.running else None

    def start(self) -> None:
        """Let it run."""
        self._wanted.set()
        self._keeping = self._keeping or asyncio.create_task(self._keep())

    async def _keep(self) -> None:
        while True:
            await self._wanted.wait()
            self._program = await Program.start(
                *self._command, environment=self._environment, log=self._log
            )
            await self._program.ended()
            await asyncio.sleep(AGAIN_S)

    async def send(self, what: Signals) -> None:
        """Send a signal to it if it runs."""
        if self.pid:
            signal_process(self.pid, what)

    async def kill(self) -> None:
        """Kill it, and start it no more before the next `start`."""
        self._wanted.clear()
        await self.send(SIGKILL)
        if self._program:
            await self._program.ended()

    async def stop(self) -> int:
        """Stop it in good order and for good; past its grace it is killed. Return its exit code."""
        self._wanted.clear()
        if self._keeping:
            self._keeping.cancel()
            await asyncio.gather(self._keeping, return_exceptions=True)
        if not self._program or not self._program.running:
            return 0
        await self.send(SIGCONT)
        await self.send(SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(GRACE_S):
                return await self._program.ended()
        await self.send(SIGKILL)
        return await self._program.ended()


class Container(Member):
    """A container that was made before, as a member; its pid is that of the attached command."""

    _COMMANDS: Mapping[Signals, tuple[str, ...]] = {
        SIGKILL: ("kill",),
        SIGTERM: ("stop", "--time", str(STOP_S)),
        SIGSTOP: ("pause",),
        SIGCONT: ("unpause",),
    }

    def __init__(self, name: str, *, environment: Mapping[str, str], log: Path) -> None:
        command = ("docker", "start", "--attach", name)
        super().__init__(*command, environment=environment, log=log)
        self._name = name

    async def send(self, what: Signals) -> None:
        """Have the engine do what the signal would."""
        command = ("docker", *self._COMMANDS[what], self._name)
        await (await Program.start(*command, log=self._log)).ended()

    async def stop(self) -> int:
        """Stop it in good order and for good; how it ends says nothing."""
        await super().stop()
        return 0

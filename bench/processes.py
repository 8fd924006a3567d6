"""Programs that the benchmark runs, and what the kernel says of their processes."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
HOST = "127.0.0.1"
PROC = Path("/proc")
TICK_MS = 1000 / os.sysconf("SC_CLK_TCK")
GRACE_S = 30.0
MIB_KB = 1024


class Program:
    """A program and all processes that it starts."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(
        cls,
        *command: str | Path,
        environment: Mapping[str, str] | None = None,
        log: Path | None = None,
        folder: Path = ROOT,
    ) -> Program:
        """Start it in this folder; what it says goes into `log`, or can be read as a line."""
        output = log.open("ab") if log else asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=dict(environment or os.environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output if log else None,
        )
        return cls(process)

    @classmethod
    async def python(cls, module: str, *arguments: str) -> Program:
        """Start a module in this Python."""
        return await cls.start(sys.executable, "-m", module, *arguments)

    @property
    def pid(self) -> int:
        """The id of its first process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait for its end and return its exit code."""
        return await self._process.wait()

    async def line(self) -> str:
        """Return the next line that it prints."""
        assert self._process.stdout
        return (await self._process.stdout.readline()).decode().strip()

    async def stop(self, by: signal.Signals = signal.SIGTERM) -> None:
        """Ask it to stop and wait; past its grace it is killed."""
        if not self.running:
            return
        self._process.send_signal(by)
        try:
            await asyncio.wait_for(self._process.wait(), GRACE_S)
        except TimeoutError:
            self._process.kill()
            await self._process.wait()

    def processes(self) -> Iterator[int]:
        """Yield the pids of the program and its descendants."""
        children: dict[int, list[int]] = {}
        for entry in PROC.iterdir():
            if entry.name.isdecimal():
                with suppress(OSError):
                    parent = int(_stat(int(entry.name))[1])
                    children.setdefault(parent, []).append(int(entry.name))
        waiting = [self._process.pid]
        while waiting:
            yield (pid := waiting.pop())
            waiting += children.get(pid, [])

    def cpu_ms(self) -> float:
        """Return the user and system time so far of all its processes, dead children included."""
        ticks = 0
        for pid in self.processes():
            with suppress(OSError):
                ticks += sum(map(int, _stat(pid)[11:15]))
        return ticks * TICK_MS

    def memory(self) -> dict[str, Memory]:
        """Return what its processes hold, by their command lines' telling part and pid."""
        found = {}
        for pid in self.processes():
            with suppress(OSError):
                found[f"{_name(pid)} ({pid})"] = Memory.of(pid)
        return found


@dataclass(frozen=True)
class Memory:
    """A process's memory in MiB: PSS shares what is shared among the sharers, RSS counts it for
    each of them."""

    pss: float
    rss: float

    @classmethod
    def of(cls, pid: int) -> Memory:
        """Read it. Raises OSError when the process is gone."""
        kb = {"Pss:": 0, "Rss:": 0}
        for line in (PROC / str(pid) / "smaps_rollup").read_text().splitlines()[1:]:
            name, amount = line.split()[:2]
            if name in kb:
                kb[name] = int(amount)
        return cls(kb["Pss:"] / MIB_KB, kb["Rss:"] / MIB_KB)


def free_ports(count: int) -> list[int]:
    """Return ports of the loopback address that nobody listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.create_server((HOST, 0))) for _ in range(count)]
        return [probe.getsockname()[1] for probe in probes]


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/<pid>/stat from the state on. Raises OSError."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def _name(pid: int) -> str:
    words = (PROC / str(pid) / "cmdline").read_bytes().decode().split("\0")
    module = words[words.index("-m") + 1] if "-m" in words else words[0]
    return module.rpartition("/")[2]

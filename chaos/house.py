"""The house that is hurt, of whatever kind: its processes, and what can be done to them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from signal import Signals
from typing import Protocol

from sqlalchemy import URL

from bench.processes import HOST, PROC

POLL_S = 0.02
WORKERS = 3
Place = tuple[str, int]
"""A service, and which of its processes."""
OWN = (
    *("PARLEY_", "NATS_", "DATABASE_", "TELEGRAM_"),
    *("LOCAL_", "OPENAI_", "ANTHROPIC_", "OPENROUTER_"),
)
"""Variables of the developer's own Parley, which this one must not see."""


class House(Protocol):
    """A running Parley that starts again whatever ends."""

    places: tuple[Place, ...]
    """All its processes."""
    urls: tuple[str, ...]
    """Where its HTTP interface answers; each address is as good as any other."""
    token: str
    points: Path
    """The folder of failpoints."""
    database: URL

    def pid(self, service: str, number: int = 0) -> int | None:
        """Return the pid of a service's process, None while it is away."""

    def running(self) -> Iterator[tuple[Place, int]]:
        """Yield the processes, each with its service and number, and its pid."""

    def frozen(self) -> Iterator[tuple[Place, int]]:
        """Yield those that stand still."""

    async def alive(self, service: str, number: int = 0) -> int:
        """Wait until the process runs; return its pid."""

    async def send(self, place: Place, pid: int, what: Signals) -> None:
        """Send a signal to a process, which may just have ended."""

    async def restart(self, by: Signals) -> None:
        """End everything with this signal; it is started anew."""

    async def wipe(self) -> None:
        """Kill the broker and remove all that it has stored before it starts again."""

    async def fallen(self) -> None:
        """Return when it has ended by itself."""

    async def stop(self) -> int:
        """Stop it in good order and return its exit code."""


def environment(folder: Path, token: str) -> dict[str, str]:
    """Return what every service of a house in this folder is told."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    own = {
        "PARLEY_ENV_FILE": str(folder / "no.env"),
        "PARLEY_ACCESS_TOKEN": token,
        "PARLEY_DISCOVER": "off",
        "PARLEY_TOOLS": str(folder / "tools.py"),
        "PARLEY_FAILPOINTS": str(folder / "failpoints"),
    }
    return {**kept, **own}


def free_ports(number: int) -> list[int]:
    """Return free ports below those that outgoing connections get.

    Whoever tries again and again to connect to one of those may be connected to himself, and then
    nobody can listen there.
    """
    candidates = range(20_000 + os.getpid() % 10_000, 32_000)
    return list(islice(filter(is_free, candidates), number))


def is_free(port: int) -> bool:
    """Whether nobody listens on a port of the loopback address."""
    try:
        socket.create_server((HOST, port)).close()
    except OSError:
        return False
    return True


def runs(pid: int) -> bool:
    """Whether a process has not ended."""
    try:
        return stat(pid)[0] not in "ZX"
    except OSError:
        return False


def stands_still(pid: int) -> bool:
    """Whether a process is frozen."""
    with suppress(OSError):
        return stat(pid)[0] == "T"
    return False


def stat(pid: int) -> list[str]:
    """Return /proc/<pid>/stat from the state on. Raises OSError."""
    return (PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()


def signal_process(pid: int, what: Signals) -> None:
    """Send a signal to a process of ours, which may just have ended."""
    with suppress(ProcessLookupError):
        os.kill(pid, what)

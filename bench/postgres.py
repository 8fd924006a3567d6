"""A PostgreSQL server of the benchmark's own, from the machine's packages."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import Program, free_ports

DEBIAN = Path("/usr/lib/postgresql")
OWNER = "postgres"
"""PostgreSQL refuses to run as root; Debian's package brings this user."""


class NoPostgres(Exception):
    """Why there is no server to be had."""


@asynccontextmanager
async def running_postgres() -> AsyncIterator[tuple[Program, str]]:
    """Run a server on a new cluster; yield it and its URL. Raises NoPostgres."""
    binaries, prefix = _binaries(), _prefix()
    folder = Path(tempfile.mkdtemp(prefix="parley-bench-"))
    try:
        if prefix:
            shutil.chown(folder, OWNER)
        await _make_cluster(binaries, prefix, folder)
        port = free_ports(1)[0]
        options = ("-D", folder / "cluster", "-k", folder, "-h", "127.0.0.1", "-p", str(port))
        server = await Program.start(
            *prefix, binaries / "postgres", *options, log=folder / "log", folder=folder
        )
        try:
            await _answers(binaries, port)
            yield server, f"postgresql+psycopg://{OWNER}@127.0.0.1:{port}/{OWNER}"
        finally:
            await server.stop()
    finally:
        shutil.rmtree(folder)


def _binaries() -> Path:
    """Return the folder of the newest installed server's programs."""
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    folders = [each.parent for each in DEBIAN.glob("*/bin/initdb")]
    if not folders:
        raise NoPostgres("PostgreSQL is not installed (Debian, Ubuntu: 'apt install postgresql')")
    return max(folders, key=lambda folder: float(folder.parent.name))


def _prefix() -> tuple[str, ...]:
    """Return what has to stand before a command so that PostgreSQL accepts its user."""
    if os.geteuid():
        return ()
    try:
        pwd.getpwnam(OWNER)
    except KeyError:
        raise NoPostgres(f"PostgreSQL refuses root, and there is no user '{OWNER}'") from None
    return ("runuser", "-u", OWNER, "--")


async def _make_cluster(binaries: Path, prefix: tuple[str, ...], folder: Path) -> None:
    options = ("-D", folder / "cluster", "-U", OWNER, "--auth=trust", "--encoding=UTF8")
    making = await Program.start(
        *prefix, binaries / "initdb", *options, log=folder / "initdb", folder=folder
    )
    if await making.ended():
        raise NoPostgres(f"initdb failed: {(folder / 'initdb').read_text()}")


async def _answers(binaries: Path, port: int) -> None:
    """Return when the server answers."""
    async with asyncio.timeout(30):
        while True:
            asked = await Program.start(
                *(binaries / "pg_isready", "-q", "-h", "127.0.0.1", "-p", str(port))
            )
            if await asked.ended() == 0:
                return
            await asyncio.sleep(0.05)

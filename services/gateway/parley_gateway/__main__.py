"""Starts and stops the gateway, in order."""

from __future__ import annotations

import asyncio
import os

from parley_bus import Bus, serve
from parley_bus.runtime import run
from parley_contracts.subjects import SERVICE

from parley_gateway.access import access_token, show
from parley_gateway.defaults import ensure_agents
from parley_gateway.handlers import VERSION, Handlers
from parley_gateway.lock import FolderLock, make_folder
from parley_gateway.service import Gateway
from parley_gateway.settings import GatewaySettings
from parley_gateway.store.database import Database, database_url
from parley_gateway.store.migrate import migrate
from parley_gateway.store.sqlite import is_sqlite

STOP_S = 5.0
"""How long requests that run may take after the intake has stopped."""


async def main(stop: asyncio.Event) -> None:
    """Open the database, connect, serve until told to stop, then close in reverse order."""
    os.umask(0o077)
    settings = GatewaySettings()
    url = database_url(settings.data, settings.database_url)
    make_folder(settings.data)
    lock = FolderLock(settings.data) if is_sqlite(url) else None
    token = access_token(settings.data, settings.access_token)
    if settings.token_file:
        show(token, settings.token_file)
    migrate(url)
    database = Database(url)
    await ensure_agents(database.writer)
    bus = await Bus.connect(settings.context(), name="gateway")
    gateway = Gateway(database, bus, token, replicas=settings.replicas)
    gateway.start()
    service = await serve(bus, SERVICE, VERSION, Handlers(gateway).all())

    await stop.wait()

    try:
        async with asyncio.timeout(STOP_S):
            await service.stop()
    except TimeoutError:
        pass
    await gateway.stop()
    await database.close()
    await bus.close()
    if lock:
        lock.release()


if __name__ == "__main__":
    run("gateway", main)

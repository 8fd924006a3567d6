"""Starts and stops the web service."""

from __future__ import annotations

import asyncio

from parley_bus import Bus, Catalog, Events
from parley_bus.runtime import end, run

from parley_web.app import create_app
from parley_web.live import LiveTurns
from parley_web.relay import Relay
from parley_web.server import invite, listen, serve
from parley_web.settings import WebSettings
from parley_web.signin import SignIns
from parley_web.state import AppState


async def main(stop: asyncio.Event) -> None:
    """Wire the parts, serve until told to stop, then close in reverse order."""
    settings = WebSettings()
    listener = listen(settings)
    bus = await Bus.connect(settings.context(), name="web")
    events = Events(bus)
    state = AppState(
        settings=settings,
        bus=bus,
        events=events,
        catalog=Catalog(bus),
        relay=Relay(events),
        live=LiveTurns(events),
        sign_ins=SignIns(bus),
        stopping=stop,
    )
    async with asyncio.TaskGroup() as group:
        relaying = group.create_task(state.relay.run())
        forgetting = group.create_task(state.sign_ins.run(state.relay))
        invite(settings)
        await serve(create_app(state), listener, stop)
        await end(forgetting, relaying)
    await bus.close()


if __name__ == "__main__":
    run("web", main)

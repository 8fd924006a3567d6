"""`./parley events`: follows what happens, one JSON line each, until Ctrl-C."""

from __future__ import annotations

import sys
from contextlib import aclosing

from parley_bus import Bus, EventGap, Events
from parley_contracts.operations import THREADS_GET
from parley_contracts.threads import ReadThread

from parley_launcher.client import as_owner, ask, checked, tell
from parley_launcher.environment import environment
from parley_launcher.folder import DataFolder
from parley_launcher.options import Parser


def main(arguments: list[str]) -> int:
    """Follow all events, or those of one thread. Raises Trouble."""
    parser = Parser("events", "Follow what happens, one JSON line each.", environment())
    parser.data_option()
    parser.add_argument("thread", nargs="?", help="the id of the thread to follow; without it: all")
    options = parser.parse_args(arguments)

    async def work(bus: Bus) -> int:
        if options.thread:
            await ask(bus, THREADS_GET, checked(ReadThread, id=options.thread, limit=1))
        while True:
            try:
                await _follow(bus, options.thread)
            except EventGap:
                tell("some events were missed; following goes on with the next one")

    try:
        return as_owner(DataFolder(options.data), work)
    except KeyboardInterrupt:
        return 0


async def _follow(bus: Bus, thread_id: str | None) -> None:
    events = Events(bus)
    _, last = await events.bounds()
    tell("following; Ctrl-C ends it")
    async with aclosing(events.follow(after=last)) as records:
        async for record in records:
            if thread_id in {None, record.thread_id}:
                sys.stdout.buffer.write(record.payload + b"\n")
                sys.stdout.flush()

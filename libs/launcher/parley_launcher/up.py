"""`./parley up`: the house on one machine, in the foreground.

What could stand in the way is looked at first: options, data folder, ports. Then everything is
started at once, in the order of `house`, and stopped in reverse on Ctrl-C, SIGTERM or SIGHUP; a
second one ends everything at once.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from parley_launcher import broker, ports
from parley_launcher.environment import environment
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder, write_private
from parley_launcher.house import House
from parley_launcher.logs import forget_unsaid, say, show
from parley_launcher.options import UpOptions, up_options
from parley_launcher.supervisor import Supervisor
from parley_launcher.welcome import Welcome, urls_of

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Run the house until it is asked to stop. Raises Trouble."""
    variables = environment()
    options = up_options(arguments, variables)
    os.umask(0o077)
    folder = DataFolder(options.data)
    folder.make()
    with folder.locked():
        web_port, nats = _prepare(options, folder, variables)
        programs = House(options, folder, variables).programs(web_port, nats)
        urls = urls_of(options.host, web_port)
        record = partial(_record, folder, urls[0], datetime.now(UTC).isoformat())
        supervisor = Supervisor(programs, folder.logs, record)
        try:
            asyncio.run(_run(supervisor, Welcome(urls, folder)))
        finally:
            forget_unsaid()
    return 0


def _prepare(
    options: UpOptions, folder: DataFolder, variables: Mapping[str, str]
) -> tuple[int, tuple[Path, int] | None]:
    """Return the page's port, and the embedded broker's configuration and port if it is to run."""
    page = ports.Wanted(options.host, options.web_port, "--web-port")
    if "NATS_URL" in variables:
        broker.use_existing(folder, variables)
        return ports.choose(page)[0], None
    embedded = ports.Wanted(broker.HOST, options.nats_port, "--nats-port")
    web_port, nats_port = ports.choose(page, embedded)
    return web_port, (broker.configure_embedded(folder, nats_port), nats_port)


async def _run(supervisor: Supervisor, welcome: Welcome) -> None:
    stop = _on_signals(supervisor.kill)
    supervisor.start()
    asked = asyncio.create_task(stop.wait())
    failed = asyncio.create_task(supervisor.failed())
    greeting = asyncio.create_task(welcome.show())
    try:
        await asyncio.wait((asked, failed), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if asked.done():
            show("Stopping Parley.")
        for each in (greeting, asked, failed):
            each.cancel()
        await supervisor.stop()
    if not failed.cancelled():
        failed.result()


def _on_signals(kill: Callable[[], None]) -> asyncio.Event:
    """Return what the first signal sets; the second one calls `kill`."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            kill()
        stop.set()

    for each in SIGNALS:
        loop.add_signal_handler(each, on_signal)
    return stop


def _record(folder: DataFolder, url: str, started_at: str, services: dict[str, Any]) -> None:
    content = {"pid": os.getpid(), "url": url, "started_at": started_at, "services": services}
    try:
        write_private(folder.run, json.dumps(content, indent=2) + "\n")
    except Trouble as trouble:
        # What runs goes on: the file is written anew with the next change.
        say("parley", f"{trouble}.")

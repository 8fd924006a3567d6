"""What a person sees when the house stands: how to get in, and which model answers."""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import Iterable
from urllib.parse import quote

from parley_launcher.broker import OWNER, context_file
from parley_launcher.errors import Trouble
from parley_launcher.folder import DataFolder
from parley_launcher.logs import show
from parley_launcher.models import found
from parley_launcher.web import Web

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
ASK_AGAIN_S = 0.05
TIMEOUT_S = 5.0
TEXT = """\
Parley is running.

  page    {links}
  events  nats --context {context} sub 'parley.events.>'
  logs    {logs}

Ctrl-C stops it.
"""


def urls_of(host: str, port: int) -> list[str]:
    """Return the page's addresses: as this machine reaches it, then as others do, if they can."""
    shown = [WILDCARDS.get(host, host)]
    if host in WILDCARDS and (address := _network_address()):
        shown.append(address)
    return [f"http://{f'[{each}]' if ':' in each else each}:{port}" for each in shown]


def _network_address() -> str | None:
    """Return this machine's address in its network, if it is in one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            # Nothing is sent: this only asks by which address the machine would go out.
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return None
        return str(probe.getsockname()[0])


def _column(lines: Iterable[str]) -> str:
    """Return the lines as one entry of TEXT."""
    return "\n          ".join(lines)


class Welcome:
    """Waits until the page and what stands behind it answer, then prints the links."""

    def __init__(self, urls: list[str], folder: DataFolder) -> None:
        self._urls = urls
        self._folder = folder

    async def show(self) -> None:
        """Print the links as soon as they work."""
        show(f"Starting Parley on {self._folder.path}")
        web = await self._opened()
        links = _column(f"{each}/#token={quote(web.token, safe='')}" for each in self._urls)
        context = shlex.quote(str(context_file(self._folder, OWNER)))
        show(TEXT.format(links=links, context=context, logs=self._folder.logs))
        if models := await found(web):
            show(f"  models  {_column(models)}\n")

    async def _opened(self) -> Web:
        """Wait until the page says that it is ready; return the way to it."""
        while True:
            if web := await asyncio.to_thread(self._ready):
                return web
            await asyncio.sleep(ASK_AGAIN_S)

    def _ready(self) -> Web | None:
        """Return the way to the page if it says that it is ready."""
        try:
            web = Web(self._folder, timeout=TIMEOUT_S)
            web.read("/readyz")
        except (Trouble, OSError):  # the token is made at the first start
            return None
        return web

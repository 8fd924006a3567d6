"""What a person sees when the house stands: how to get in, and which model answers."""

from __future__ import annotations

import asyncio
import shlex
import socket
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

from parley_launcher.broker import OWNER, context_file
from parley_launcher.folder import DataFolder
from parley_launcher.models import found

WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104
ASK_AGAIN_S = 0.05
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

    def __init__(self, urls: list[str], folder: DataFolder, token: str | None) -> None:
        self._urls = urls
        self._folder = folder
        self._token = token

    async def show(self) -> None:
        """Print the links as soon as they work."""
        print(f"Starting Parley on {self._folder.path}", flush=True)
        while not (self._token and await self._answers()):
            await asyncio.sleep(ASK_AGAIN_S)
            self._token = self._token or self._made_token()
        links = _column(f"{each}/#token={quote(self._token, safe='')}" for each in self._urls)
        context = shlex.quote(str(context_file(self._folder, OWNER)))
        print(TEXT.format(links=links, context=context, logs=self._folder.logs), flush=True)
        if models := await found(self._urls[0], self._token):
            print(f"  models  {_column(models)}\n", flush=True)

    def _made_token(self) -> str | None:
        """Return the token that the gateway made, once it has."""
        try:
            return self._folder.token.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None

    async def _answers(self) -> bool:
        """Tell whether the page says that it is ready."""
        place = urlsplit(self._urls[0])
        request = f"GET /readyz HTTP/1.1\r\nHost: {place.netloc}\r\nConnection: close\r\n\r\n"
        try:
            incoming, outgoing = await asyncio.open_connection(place.hostname, place.port)
            outgoing.write(request.encode())
            status = await incoming.readline()
            outgoing.close()
        except OSError:
            return False
        return b" 200 " in status

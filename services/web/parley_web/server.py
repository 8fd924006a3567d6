"""The HTTP server: uvicorn on a socket of our own, under the signals of our own."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import quote

import uvicorn
from parley_contracts.errors import ParleyError
from starlette.types import ASGIApp

from parley_web.settings import WebSettings

GRACE_S = 5
"""How long requests that run may go on after the stop; streams end at once."""

log = logging.getLogger(__name__)


class CannotListen(ParleyError):
    status, title, kind = 500, "Cannot listen", "cannot-listen"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals to the service's runtime."""
        yield


def listen(settings: WebSettings) -> socket.socket:
    """Return a listening socket, its port written where it was asked for. Raises CannotListen."""
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        listener = socket.create_server(
            (settings.host, settings.port),
            family=family,
            dualstack_ipv6=settings.host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise CannotListen(
            f"Cannot listen on {settings.host}:{settings.port} ({error.strerror}); "
            "choose another with PARLEY_HOST and PARLEY_WEB_PORT."
        ) from None
    port = listener.getsockname()[1]
    if settings.port_file:
        settings.port_file.write_text(f"{port}\n")
    log.info("listening on http://%s:%d", settings.host, port)
    return listener


def invite(settings: WebSettings) -> None:
    """Log the link by which the owner signs in, where the page's address is known."""
    if settings.url and settings.token_file:
        token = settings.token_file.read_text(encoding="utf-8").strip()
        log.info("open %s/#token=%s", settings.url, quote(token, safe=""))


async def serve(app: ASGIApp, listener: socket.socket, stopping: asyncio.Event) -> None:
    """Serve until the event is set, then finish what runs."""
    config = uvicorn.Config(
        app,
        loop="none",
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # anybody can send them, and wrong tokens are counted by the address
        timeout_graceful_shutdown=GRACE_S,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    waiting = asyncio.create_task(stopping.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    server.should_exit = True
    await serving

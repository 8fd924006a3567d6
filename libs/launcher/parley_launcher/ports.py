"""Ports: whether they are free is found out before anything is started."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from dataclasses import dataclass

from parley_launcher.errors import Trouble


@dataclass(frozen=True)
class Wanted:
    """A port that will be listened on, and the option that chose it."""

    host: str
    port: int
    option: str


def choose(*wanted: Wanted) -> list[int]:
    """Return the ports to use, all free and different. Raises Trouble."""
    with ExitStack() as stack:
        held = [stack.enter_context(_bind(each)) for each in wanted]
        return [int(each.getsockname()[1]) for each in held]


def _bind(wanted: Wanted) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            wanted.host, wanted.port, type=socket.SOCK_STREAM
        )[0]
        held = socket.socket(family, kind, protocol)
    except OSError as error:
        raise Trouble(f"the address {wanted.host} is unknown here; change --host") from error
    try:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        held.bind(address)
        held.listen()
    except OSError as error:
        held.close()
        raise Trouble(_reason(wanted, error)) from error
    return held


def _reason(wanted: Wanted, error: OSError) -> str:
    if error.errno == errno.EADDRINUSE:
        problem = f"port {wanted.port} is taken by another program"
    elif error.errno == errno.EADDRNOTAVAIL:
        return f"{wanted.host} is not an address of this machine; change --host (PARLEY_HOST)"
    else:
        problem = f"port {wanted.port} cannot be used: {error.strerror}"
    twin = "PARLEY_" + wanted.option[2:].replace("-", "_").upper()
    return f"{problem}; choose another with {wanted.option} ({twin})"

"""Ports for the servers of tests: each is one test process's own for as long as that lives.

They lie below those that the kernel gives to whoever asks for any. Such a one may go to another
program before its server listens, or while the server is away; and a client that tries again and
again to reach one may be connected to itself.
"""

from __future__ import annotations

import fcntl
import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

_HOST = "127.0.0.1"
_LOCKS = (Path(tempfile.gettempdir()) / f"parley-test-ports-{os.getuid()}").open("wb")
"""A byte for each port is locked; the kernel lets go of it when the process ends."""
_left: Iterator[int] = iter(range(10_000, 20_000))


def own_port() -> int:
    """Return a port that nobody listens on and that no other test takes."""
    free: Iterator[int] = filter(_free, filter(_locked, _left))
    return next(free)


def _locked(port: int) -> bool:
    try:
        fcntl.lockf(_LOCKS, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, port)
    except BlockingIOError:
        return False
    return True


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_HOST, port))
        except OSError:
            return False
        return True

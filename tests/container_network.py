"""How containers of the tests are reached: at the same port of the loopback address as inside.

On Linux they use the machine's own network. A network interface that comes or goes with a container
would make browsers break off the connections that they are about to make (ERR_NETWORK_CHANGED).
"""

from __future__ import annotations

import sys

from testcontainers.core.container import DockerContainer

LOOPBACK = "127.0.0.1"
_SHARED = sys.platform == "linux"
LISTEN_ON = LOOPBACK if _SHARED else "0.0.0.0"
"""The address for a server in such a container."""


def reachable(container: DockerContainer, port: int) -> DockerContainer:
    """Let what listens on this port inside the container be reached."""
    if _SHARED:
        return container.with_kwargs(network_mode="host")
    container.ports[f"{port}/tcp"] = (LOOPBACK, port)  # type: ignore[assignment]
    return container

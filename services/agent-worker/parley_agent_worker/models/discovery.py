"""Looks for a model server on this machine: on the ports where the usual ones listen."""

from __future__ import annotations

import asyncio
from contextlib import suppress

USUAL_PORTS = (8080, 9292, 11434)
"""llama-server and llama-swap, llama-swap behind another, Ollama."""
_CONNECT_S = 1.0


async def open_ports(ports: tuple[int, ...] = USUAL_PORTS) -> list[int]:
    """Return those of the loopback ports on which something listens, in the given order."""
    found = await asyncio.gather(*(_is_open(port) for port in ports))
    return [port for port, is_open in zip(ports, found, strict=True) if is_open]


async def _is_open(port: int) -> bool:
    with suppress(OSError, TimeoutError):
        async with asyncio.timeout(_CONNECT_S):
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        return True
    return False


def server_kind(models: list[dict[str, object]]) -> str:
    """Return the name of the program that lists these models."""
    owner = str(models[0].get("owned_by", "")) if models else ""
    known = {"llamacpp": "llama-server", "llama-swap": "llama-swap", "library": "Ollama"}
    return known.get(owner, "a model server")

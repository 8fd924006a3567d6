"""Waiting in tests for what another process does in its own time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

PATIENCE_S = 120.0
"""So long that only a test that fails gets there."""


async def eventually(holds: Callable[[], Awaitable[bool]], *, within: float = PATIENCE_S) -> None:
    """Return as soon as the condition holds."""
    async with asyncio.timeout(within):
        while True:
            if await holds():
                return
            await asyncio.sleep(0.02)

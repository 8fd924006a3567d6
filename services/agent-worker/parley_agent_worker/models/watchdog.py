"""A deadline that is pushed back by every sign of life, cheap enough for every token.

`asyncio.timeout().reschedule()` sets a new timer each time; this one only notes the moment, and
its timer looks at the note when it fires.
"""

from __future__ import annotations

import asyncio
from types import TracebackType


class Watchdog:
    """`async with Watchdog(first, idle) as dog:` raises TimeoutError after too long a silence.

    The first `touch` may take `first` seconds, each later one `idle` seconds.
    """

    def __init__(self, first: float, idle: float) -> None:
        self._limit = first
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._last = self._loop.time()
        self._timeout = asyncio.timeout(None)
        self._timer = self._loop.call_later(first, self._look)

    def touch(self) -> None:
        """Note a sign of life."""
        self._last = self._loop.time()
        if self._limit != self._idle:
            self._limit = self._idle
            self._timer.cancel()
            self._look()

    def _look(self) -> None:
        silent = self._loop.time() - self._last
        if silent >= self._limit:
            self._timeout.reschedule(self._loop.time())
        else:
            self._timer = self._loop.call_later(self._limit - silent, self._look)

    async def __aenter__(self) -> Watchdog:
        await self._timeout.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._timer.cancel()
        await self._timeout.__aexit__(kind, error, traceback)

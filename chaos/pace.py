"""Keeps talk and faults in step: neither is over before the other."""

from __future__ import annotations

import asyncio


class Pace:
    """Hands out `total` turns, of which faults release a portion at a time."""

    def __init__(self, total: int) -> None:
        self.taken = 0
        self._total = total
        self._released = 0
        self._changed = asyncio.Condition()

    async def take(self, number: int) -> int:
        """Return how many turns may be begun now, up to `number`; 0 when all are used up."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._left() > 0 or self._released >= self._total)
            granted = min(number, self._left())
            self.taken += granted
            self._changed.notify_all()
            return granted

    async def release(self, number: int) -> None:
        """Release more turns, and return when those of before have been taken."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._left() <= 0)
            self._released = min(self._released + number, self._total)
            self._changed.notify_all()

    async def end(self) -> None:
        """Hand out no more."""
        async with self._changed:
            self._total = self._released = self.taken
            self._changed.notify_all()

    def _left(self) -> int:
        return self._released - self.taken

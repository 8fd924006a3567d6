"""Records a turn's finished steps at the gateway, in order, without holding up the turn.

Steps are sent one after the other in the background. Whoever needs them to be safe waits for
`settled`: before a tool starts, and before the turn is finished.
"""

from __future__ import annotations

import asyncio

from parley_bus import Bus
from parley_bus.failpoints import failpoint
from parley_contracts.operations import TURNS_RECORD_STEP
from parley_contracts.turns import Claim, RecordStep, Step

from parley_agent_worker.gateway import ask_under_claim


class Journal:
    """The journal of one attempt."""

    def __init__(self, bus: Bus, claim: Claim) -> None:
        self._bus = bus
        self._claim = claim
        self._newest: asyncio.Task[None] | None = None

    def record(self, step: Step) -> None:
        """Begin to record a step, after those before it."""
        self._newest = asyncio.create_task(self._send(step, self._newest))

    async def settled(self) -> None:
        """Return when all steps are recorded; raise ClaimLost when the claim no longer holds."""
        if self._newest:
            await asyncio.shield(self._newest)

    async def close(self) -> None:
        """Give up what is still on its way."""
        if self._newest:
            self._newest.cancel()
            await asyncio.gather(self._newest, return_exceptions=True)

    async def _send(self, step: Step, before: asyncio.Task[None] | None) -> None:
        if before:
            await before
        request = RecordStep(claim=self._claim, step=step)
        failpoint("record.before")
        await ask_under_claim(self._bus, TURNS_RECORD_STEP, request)
        failpoint("record.after")

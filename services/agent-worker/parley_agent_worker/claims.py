"""The claims of this worker: kept alive by beats, checked before tools, ended from outside.

A lease is measured by the clock that goes on while the machine sleeps: after a suspend the worker
must not believe that it still holds what others may have taken over.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from parley_bus import Bus
from parley_bus.runtime import sign_of_life
from parley_contracts.errors import ParleyError
from parley_contracts.operations import WORKERS_BEAT
from parley_contracts.turns import Beat, BeatReply, Claim, TurnGranted

from parley_agent_worker.gateway import ClaimLost, ask

BEAT_S = 3.0
_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)

log = logging.getLogger(__name__)


def boot_time() -> float:
    """Return seconds since the machine started, those that it slept included."""
    return time.clock_gettime(_CLOCK)


@dataclass(eq=False)
class Hold:
    """A claim in this worker's hands. `ended` says why its work was stopped from outside."""

    claim: Claim
    fresh_until: float
    work: asyncio.Task[None] | None = None
    ended: Literal["cancelled", "lost"] | None = None

    def end(self, why: Literal["cancelled", "lost"]) -> None:
        """Stop the work, if it still goes on."""
        self.ended = self.ended or why
        if self.work:
            self.work.cancel()


class Claims:
    """All claims of this worker."""

    def __init__(self, bus: Bus, worker_id: str) -> None:
        self._bus = bus
        self._worker_id = worker_id
        self._holds: dict[str, Hold] = {}

    def __len__(self) -> int:
        return len(self._holds)

    @contextmanager
    def holding(self, granted: TurnGranted, asked_at: float) -> Iterator[Hold]:
        """Keep a claim alive inside; `asked_at` is the boot time at which it was asked for."""
        hold = Hold(granted.claim, asked_at + granted.lease_s)
        self._holds[granted.turn.id] = hold
        try:
            yield hold
        finally:
            if self._holds.get(granted.turn.id) is hold:
                del self._holds[granted.turn.id]

    def cancel(self, turn_id: str) -> None:
        """Stop a turn's work because the owner wants it; nothing happens when it isn't ours."""
        if hold := self._holds.get(turn_id):
            hold.end("cancelled")

    async def confirm(self, hold: Hold) -> None:
        """Return when the lease is fresh; renew one that may have run out, or raise ClaimLost."""
        if boot_time() >= hold.fresh_until:
            await self._beat(patient=True)
        if boot_time() >= hold.fresh_until:
            raise ClaimLost("its lease ran out")

    async def keep(self) -> None:
        """Beat until cancelled."""
        while True:
            try:
                await self._beat()
                sign_of_life()
            except ParleyError as error:
                log.warning("no beat reached the gateway: %s", error.detail)
            except Exception:
                log.exception("a beat failed by a fault of ours")
            await asyncio.sleep(BEAT_S)

    async def _beat(self, *, patient: bool = False) -> None:
        holds = dict(self._holds)
        request = Beat(
            worker_id=self._worker_id, claims=tuple(hold.claim for hold in holds.values())
        )
        sent_at = boot_time()
        if patient:
            reply = await ask(self._bus, WORKERS_BEAT, request)
        else:
            reply = await self._bus.request(WORKERS_BEAT, request, timeout=BEAT_S)
        _apply(reply, holds, sent_at)


def _apply(reply: BeatReply, holds: dict[str, Hold], sent_at: float) -> None:
    for turn_id, hold in holds.items():
        if turn_id in reply.held or turn_id in reply.cancelling:
            hold.fresh_until = sent_at + reply.lease_s
        if turn_id in reply.cancelling:
            hold.end("cancelled")
        elif turn_id in reply.lost:
            hold.end("lost")

"""The gateway as a worker sees it: away for a while, or saying that a claim is lost."""

from __future__ import annotations

import asyncio
import logging
from typing import TypeVar

from parley_bus import Bus
from parley_contracts.base import Contract
from parley_contracts.errors import Conflict, Gone, NotFound, Unavailable
from parley_contracts.operations import Operation

FIRST_PAUSE_S = 0.1
LONGEST_PAUSE_S = 2.0

Q = TypeVar("Q", bound=Contract)
R = TypeVar("R")

log = logging.getLogger(__name__)


class ClaimLost(Exception):
    """The turn is no longer this worker's: whatever it does for it has no effect any more."""


async def ask(bus: Bus, operation: Operation[Q, R], request: Q) -> R:
    """Return the reply, however long the gateway is away; requests must bear repeating."""
    pause = FIRST_PAUSE_S
    while True:
        try:
            return await bus.request(operation, request)
        except Unavailable as error:
            log.log(_loudness(pause), "%s is tried again: %s", operation.name, error.detail)
        await asyncio.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE_S)


async def ask_under_claim(bus: Bus, operation: Operation[Q, R], request: Q) -> R:
    """Return the reply to a request that only the holder of a claim may make; ClaimLost."""
    try:
        return await ask(bus, operation, request)
    except (Conflict, Gone, NotFound) as refusal:
        raise ClaimLost(refusal.detail) from None


def _loudness(pause: float) -> int:
    return logging.WARNING if pause == FIRST_PAUSE_S else logging.DEBUG

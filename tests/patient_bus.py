"""A connection for tests that wait for an answer as long as any test does.

Services give up after seconds. A test that asks as they do would fail for a slow machine alone.
"""

from __future__ import annotations

from typing import TypeVar

from eventually import PATIENCE_S
from parley_bus import Bus
from parley_contracts.base import Contract
from parley_contracts.operations import Operation

Q = TypeVar("Q", bound=Contract)
R = TypeVar("R")


class PatientBus(Bus):
    """A bus whose requests have another usual limit."""

    async def request(
        self, operation: Operation[Q, R], request: Q, *, timeout: float = PATIENCE_S
    ) -> R:
        """Return the reply to the operation; errors as everywhere."""
        return await super().request(operation, request, timeout=timeout)

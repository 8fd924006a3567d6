"""How long expired leases are still respected (rules 6 and 8).

While the gateway, the broker or the database was away, living workers could not beat; for one
lease period afterwards nobody loses a turn.
"""

from __future__ import annotations

from parley_gateway.store.claims import LEASE_US
from parley_gateway.store.writer import Clock


class Respite:
    """`until` is the moment, in microseconds, before which no turn is taken over."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.renew()

    def renew(self) -> None:
        """Begin a lease period in which everybody can say that they live."""
        self.until = self._clock() + LEASE_US

"""Every subject, stream, durable and bucket name, in one place."""

from __future__ import annotations

from dataclasses import dataclass

RPC = "parley.rpc"
NO_THREAD = "_"
CATALOG_BUCKET = "PARLEY_CATALOG"
SERVICE = "parley-gateway"
"""The gateway's name as a NATS micro service."""


@dataclass(frozen=True)
class SlotStream:
    """A slot queue: a work-queue stream that holds at most one message a subject."""

    name: str
    subjects: str
    durable: str
    prefix: str

    def subject(self, key: str) -> str:
        """Return the subject of the slot `key` (its tokens joined by dots)."""
        return f"{self.prefix}.{key}"


@dataclass(frozen=True)
class EventStream:
    """The stream that remembers events for an hour."""

    name: str
    subjects: str
    max_age_s: float
    max_bytes: int

    def subject(self, thread_id: str | None, kind: str) -> str:
        """Return the subject of an event."""
        return f"parley.events.{thread_id or NO_THREAD}.{kind}"


TURNS = SlotStream("PARLEY_TURNS", "parley.turns.*", "agent-worker", "parley.turns")
DELIVERIES = SlotStream(
    "PARLEY_DELIVERIES", "parley.deliveries.*.*", "delivery", "parley.deliveries"
)
EVENTS = EventStream("PARLEY_EVENTS", "parley.events.*.*", 3600.0, 512 * 1024 * 1024)


def cancel_subject(turn_id: str) -> str:
    """Return the subject on which running workers hear at once that a turn is to stop."""
    return f"parley.control.cancel.{turn_id}"

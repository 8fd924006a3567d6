"""The state of the house: health, queues, usage."""

from __future__ import annotations

from typing import Literal

from parley_contracts.base import Contract, Id, Timestamp


class DatabaseStatus(Contract):
    """`detail` says what is wrong and what to do when it is not ok."""

    ok: bool
    kind: str
    detail: str = ""


class WorkerStatus(Contract):
    """A worker that beat lately, and how many turns it holds."""

    worker_id: Id
    turns: int
    seen_at: Timestamp


class QueueStatus(Contract):
    """Turns by state, and how long the oldest that is not running has waited, in seconds."""

    running: int
    dispatched: int
    queued: int
    waiting: int
    oldest_wait_s: float | None = None


class SystemStatus(Contract):
    """What `./parley status` and `/readyz` show of the gateway."""

    version: str
    database: DatabaseStatus
    threads: int
    turns: QueueStatus
    workers: tuple[WorkerStatus, ...] = ()
    outbox: int = 0
    """Events that are stored and not yet published."""
    letters: int = 0
    """Dead letters that the owner has not dealt with."""


class ReadUsage(Contract):
    """Tokens and turns between two moments, grouped."""

    since: Timestamp | None = None
    until: Timestamp | None = None
    by: Literal["agent", "model", "thread", "day"] = "day"


class UsageRow(Contract):
    """One group of the usage."""

    key: str
    turns: int
    failed: int
    input_tokens: int
    output_tokens: int


class UsageReport(Contract):
    """Usage by group, in the order of the key."""

    rows: tuple[UsageRow, ...]

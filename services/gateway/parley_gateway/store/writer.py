"""The writing half of the store: commands wait in a queue, threads of its own run them.

A caller awaits `run`; the reply comes after the commit, together with the transaction's effects.
How commands become transactions is the database's business: see `sqlite` and `postgres`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextvars import Context, copy_context
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Concatenate, ParamSpec, TypeVar

from parley_contracts.errors import Unavailable

from parley_gateway.store.transaction import Effects, Transaction

P = ParamSpec("P")
R = TypeVar("R")

Clock = Callable[[], int]
"""Returns microseconds since 1970."""

LARGEST_BATCH = 256
DAMAGED = "database-damaged"
"""The kind of the refusals by a file that does not get well by itself."""

log = logging.getLogger(__name__)


def wall_clock() -> int:
    """Return the time in microseconds since 1970."""
    return time.time_ns() // 1000


@dataclass(frozen=True)
class Job:
    """A command that waits for its transaction. Not durable: a power cut may take it back."""

    command: Callable[[Transaction], Any]
    durable: bool
    context: Context
    future: asyncio.Future[Any] | None


@dataclass(frozen=True)
class Outcome:
    """What became of a job."""

    job: Job
    result: Any = None
    effects: Effects | None = None
    error: BaseException | None = None


class Writer(ABC):
    """Runs commands; `on_commit` hears of each committed one's effects before its caller does."""

    def __init__(self, clock: Clock = wall_clock, *, threads: int = 1) -> None:
        self.clock = clock
        self.on_commit: Callable[[Effects], None] = _ignore
        self.trouble: str | None = None
        """What the database last refused, until it takes something again."""
        self._damaged = False
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._riders: SimpleQueue[Job] = SimpleQueue()
        self._loop = asyncio.get_running_loop()
        self._threads = [
            Thread(target=self._work, name=f"writer-{each}", daemon=True) for each in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(
        self, command: Callable[Concatenate[Transaction, P], R], *args: P.args, **more: P.kwargs
    ) -> R:
        """Run a command in a transaction of its own; return its result once it is safe on disk.

        Raises what the command raises, and Unavailable when the database cannot take it.
        """
        return await self._submit(lambda tx: command(tx, *args, **more), durable=True)

    async def run_relaxed(
        self, command: Callable[Concatenate[Transaction, P], R], *args: P.args, **more: P.kwargs
    ) -> R:
        """Run a command whose loss in a power cut costs nothing but its repetition (rule 20)."""
        return await self._submit(lambda tx: command(tx, *args, **more), durable=False)

    def ride(self, command: Callable[[Transaction], None]) -> None:
        """Run a command together with whatever comes next; nobody waits for it."""
        self._riders.put(Job(command, False, copy_context(), None))

    async def flush(self) -> None:
        """Run what rides along even though nothing else comes."""
        if not self._riders.empty():
            await self._submit(_nothing, durable=False)

    def note(self, refusal: Unavailable | None) -> None:
        """Remember what the database refused; None when it has just taken something.

        That heals every trouble but a damaged file, most of whose pages are as good as ever.
        """
        if not self._damaged:
            self.trouble = refusal.detail if refusal else None
            self._damaged = refusal is not None and refusal.kind == DAMAGED

    async def close(self) -> None:
        """Finish what waits, then end."""
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            await asyncio.to_thread(thread.join)

    async def _submit(self, command: Callable[[Transaction], R], *, durable: bool) -> R:
        future: asyncio.Future[R] = self._loop.create_future()
        self._jobs.put(Job(command, durable, copy_context(), future))
        return await future

    @abstractmethod
    def _work(self) -> None:
        """Run in a thread of its own: take jobs and settle them until there are no more."""

    def _take(self, most: int = LARGEST_BATCH) -> list[Job]:
        """Wait for jobs and return them with all riders; an empty list means the end."""
        job = self._jobs.get()
        if job is None:
            return []
        jobs = [job]
        while len(jobs) < most:
            try:
                job = self._jobs.get_nowait()
            except Empty:
                break
            if job is None:
                self._jobs.put(None)
                break
            jobs.append(job)
        return [*self._take_riders(), *jobs]

    def _take_riders(self) -> Iterator[Job]:
        """Yield what rides along, each to one thread only."""
        for _ in range(self._riders.qsize()):
            try:
                yield self._riders.get_nowait()
            except Empty:
                return

    def _settle(self, outcomes: Sequence[Outcome]) -> None:
        self._loop.call_soon_threadsafe(self._announce, outcomes)

    def _announce(self, outcomes: Sequence[Outcome]) -> None:
        refused = (each.error for each in outcomes if isinstance(each.error, Unavailable))
        self.note(next(refused, None))
        for outcome in outcomes:
            if outcome.effects is not None:
                self._tell(outcome.job.context, outcome.effects)
        for outcome in outcomes:
            _reply(outcome)

    def _tell(self, context: Context, effects: Effects) -> None:
        try:
            context.run(self.on_commit, effects)
        except Exception:
            log.exception("the effects of a command wait for the next sweep")


def _ignore(effects: Effects) -> None:
    """Nobody listens yet."""


def _nothing(tx: Transaction) -> None:
    """The command of a transaction that only carries riders."""


def _reply(outcome: Outcome) -> None:
    future = outcome.job.future
    if future is None:
        if outcome.error and not isinstance(outcome.error, Unavailable):
            log.error("a command without caller failed", exc_info=outcome.error)
    elif future.done():
        return
    elif outcome.error:
        future.set_exception(_tellable(outcome.error))
    else:
        future.set_result(outcome.result)


def _tellable(error: BaseException) -> Exception:
    """Return an error that ends nothing but the call of its caller."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):
        return error
    told = RuntimeError(f"a command ended by {error!r}")
    told.__cause__ = error
    return told

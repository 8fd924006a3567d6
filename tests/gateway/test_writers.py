"""Whatever a command does, its caller hears of it, and the commands after it are run."""

from __future__ import annotations

import asyncio
import sys
from threading import Barrier

import psycopg
import pytest
from container_postgres import ContainerPostgres
from gateway_store import Store
from parley_contracts.errors import Unavailable
from parley_gateway.store.postgres import THREADS
from parley_gateway.store.transaction import Effects, Transaction
from parley_gateway.store.writer import Outcome, Writer

ROUNDS, RIDERS = 5, 50_000


class Panic(BaseException):
    """What a library written in another language may raise."""


FAULTS: list[BaseException] = [
    KeyError("a fault of ours"),
    MemoryError(),
    Panic(),
    SystemExit(),
    StopIteration(),
    psycopg.InterfaceError("the cursor is closed"),
    psycopg.DataError("it cannot be stored"),
    psycopg.ProgrammingError("there is no such table"),
]


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
async def test_a_command_that_fails_in_any_way_hinders_no_later_one(
    store: Store, fault: BaseException
) -> None:
    def fail(tx: Transaction) -> None:
        raise fault

    failed = await asyncio.gather(
        *(store.run(fail) for _ in range(2 * THREADS)), return_exceptions=True
    )
    assert all(isinstance(each, Exception) for each in failed), failed
    await asyncio.gather(*(store.send(f"question {each}") for each in range(2 * THREADS)))
    assert await store.count("messages") == 2 * THREADS


async def test_effects_that_cannot_be_carried_out_keep_no_caller_waiting(store: Store) -> None:
    def fail(effects: Effects) -> None:
        raise RuntimeError("the bus is closed")

    store.database.writer.on_commit = fail
    await store.send()


class Counting(Writer):
    """Answers each caller with how many riders it carried, and runs none of them."""

    def _work(self) -> None:
        while jobs := self._take(most=1):
            self._settle([Outcome(job, result=len(jobs) - 1) for job in jobs])


async def test_threads_that_contend_for_what_rides_along_go_on() -> None:
    writer, patience = Counting(threads=THREADS), sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        for _ in range(ROUNDS):
            for _ in range(RIDERS):
                writer.ride(_nothing)
            carried = await asyncio.gather(*(writer.run(_nothing) for _ in range(THREADS)))
            assert sum(carried) == RIDERS  # type: ignore[arg-type]
    finally:
        sys.setswitchinterval(patience)
    await writer.close()


def _nothing(tx: Transaction) -> None:
    """Change nothing."""


async def test_connections_that_broke_are_made_anew(postgres: ContainerPostgres) -> None:
    store = Store(postgres.emptied())
    together = Barrier(THREADS)

    def break_off(tx: Transaction) -> None:
        together.wait()
        tx._cursor.connection.close()  # type: ignore[attr-defined]

    broken = await asyncio.gather(
        *(store.run(break_off) for _ in range(THREADS)), return_exceptions=True
    )
    assert all(isinstance(each, Unavailable) for each in broken), broken
    await asyncio.gather(*(store.run(_nothing) for _ in range(2 * THREADS)))
    await store.database.close()

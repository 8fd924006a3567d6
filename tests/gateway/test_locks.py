"""PostgreSQL: whoever touches a turn and its thread locks the thread first (rule 4).

Two gateways that lock in different order wait for each other until the database kills one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import psycopg
import pytest
from container_postgres import ContainerPostgres
from eventually import eventually
from gateway_store import Store
from parley_contracts.turns import CancelTurn, Claim, ReleaseTurn, RetryTurn
from parley_gateway.defaults import ensure_agents
from parley_gateway.store import claims, stopping, turns

Command = Callable[[Store, Claim], Awaitable[object]]


@pytest.fixture
async def shared(postgres: ContainerPostgres) -> AsyncIterator[Store]:
    """A store on PostgreSQL with an empty thread `t`."""
    opened = Store(postgres.emptied())
    await ensure_agents(opened.database.writer)
    await opened.thread()
    yield opened
    await opened.database.close()


async def release(store: Store, claim: Claim) -> None:
    await store.run(claims.release, ReleaseTurn(claim=claim))


async def finish(store: Store, claim: Claim) -> None:
    await store.finish(claim)


async def cancel(store: Store, claim: Claim) -> None:
    await store.run(stopping.cancel, CancelTurn(id=claim.turn_id))


async def retry(store: Store, claim: Claim) -> None:
    await store.run(turns.retry, RetryTurn(id=claim.turn_id, turn_id="again"))


@pytest.mark.parametrize("command", [release, finish, cancel, retry])
async def test_who_waits_for_a_thread_does_not_hold_its_turn(
    shared: Store, command: Command
) -> None:
    accepted = await shared.send()
    claim = (await shared.begin(accepted.turn.id)).claim
    if command is retry:
        await shared.finish(claim, outcome="failed")
    address = shared.database.url.set(drivername="postgresql").render_as_string(False)
    async with await psycopg.AsyncConnection.connect(address) as other:
        await other.execute("SELECT 1 FROM threads WHERE id = 't' FOR UPDATE")
        running = asyncio.ensure_future(command(shared, claim))
        await eventually(lambda: _waits(shared))
        await other.execute("SELECT 1 FROM turns WHERE thread_id = 't' FOR UPDATE NOWAIT")
    await running


async def _waits(store: Store) -> bool:
    """Whether somebody waits for a lock of this database."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    waiting: int = (await store.rows(sql))[0][0]
    return waiting > 0

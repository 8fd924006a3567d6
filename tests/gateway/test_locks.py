"""PostgreSQL: whoever touches a turn and its thread locks the thread first (rule 4).

Two gateways that lock in different order wait for each other until the database kills one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from itertools import count
from threading import Event

import psycopg
import pytest
from container_postgres import ContainerPostgres
from eventually import PATIENCE_S, eventually
from gateway_store import Store
from parley_contracts.messages import EditMessage
from parley_contracts.threads import ForkThread, UpdateThread
from parley_contracts.turns import CancelTurn, Claim, ReleaseTurn, RetryTurn
from parley_gateway.defaults import ensure_agents
from parley_gateway.store import claims, forks, stopping, threads, turns
from parley_gateway.store import postgres as postgres_writer
from parley_gateway.store.index import index_some
from parley_gateway.store.records import lock_thread
from parley_gateway.store.transaction import Transaction

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


async def test_versions_are_locked_in_one_order(shared: Store) -> None:
    accepted = await shared.exchange("asked")
    edit = EditMessage(id=accepted.message.id, text="again", thread_id="a")
    await shared.run(forks.edit, edit)
    address = shared.database.url.set(drivername="postgresql").render_as_string(False)
    async with await psycopg.AsyncConnection.connect(address) as other:
        await other.execute("SELECT 1 FROM threads WHERE id = 'a' FOR UPDATE")
        command = UpdateThread(id="t", title="new")
        running = asyncio.ensure_future(shared.run(threads.change, command))
        await eventually(lambda: _waits(shared))
        await other.execute("SELECT 1 FROM threads WHERE id = 't' FOR UPDATE NOWAIT")
    await running
    assert (await shared.view("a")).thread.title == "new"


async def test_a_fork_of_a_fork_waits_for_no_ancestor(shared: Store) -> None:
    await shared.exchange("asked")
    await shared.run(forks.fork, ForkThread(thread_id="t", id="fork"))
    async with held(shared, lambda tx: lock_thread(tx, "t")):
        await shared.run(forks.fork, ForkThread(thread_id="fork", id="grandchild"))


async def test_two_gateways_index_no_message_twice(shared: Store) -> None:
    await shared.exchange("one")
    async with held(shared, index_some):
        assert await shared.run(index_some) is False
    assert await shared.count("message_search") == 2
    assert await shared.count("unindexed") == 0


async def test_events_are_told_in_the_order_of_their_commits(
    shared: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    commits, go_on = count(), Event()
    committed = asyncio.Queue[int]()
    loop = asyncio.get_running_loop()

    def delay(name: str) -> None:
        if name == "commit.after":
            number = next(commits)
            loop.call_soon_threadsafe(committed.put_nowait, number)
            assert number > 0 or go_on.wait(PATIENCE_S)

    monkeypatch.setattr(postgres_writer, "failpoint", delay)
    shared.effects.clear()
    slow = asyncio.ensure_future(shared.send("first"))
    await committed.get()
    quick = asyncio.ensure_future(shared.send("second"))
    await committed.get()
    await shared.thread("of-no-concern")
    go_on.set()
    await asyncio.gather(slow, quick)
    posted = [each for effects in shared.effects for each in effects.events]
    ids = [each.id for each in posted if each.event.thread_id == "t"]
    assert ids == sorted(ids)
    assert posted[0].event.thread_id == "of-no-concern"


@asynccontextmanager
async def held(store: Store, command: Callable[[Transaction], object]) -> AsyncIterator[None]:
    """Let a command have run inside, but commit only at the end."""
    loop, begun, go_on = asyncio.get_running_loop(), asyncio.Event(), Event()

    def hold(tx: Transaction) -> None:
        command(tx)
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(PATIENCE_S)

    running = asyncio.ensure_future(store.run(hold))
    await begun.wait()
    try:
        async with asyncio.timeout(PATIENCE_S / 2):
            yield
    finally:
        go_on.set()
    await running


async def _waits(store: Store) -> bool:
    """Whether somebody waits for a lock of this database."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    waiting: int = (await store.rows(sql))[0][0]
    return waiting > 0

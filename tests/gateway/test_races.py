"""PostgreSQL: who repeats a command while the first one is about to commit gets its result."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from threading import Event
from typing import Any

import pytest
from container_postgres import ContainerPostgres
from eventually import PATIENCE_S, eventually
from gateway_store import Store
from parley_contracts.agents import CreateAgent
from parley_contracts.base import Contract
from parley_contracts.errors import Conflict
from parley_contracts.letters import KeepLetter
from parley_contracts.messages import EditMessage, SendMessage
from parley_contracts.threads import CreateThread, ForkThread, ImportMessage, ImportThread
from parley_contracts.turns import AnswerStep, Beat, Claim, RecordStep, RetryTurn
from parley_gateway.defaults import ensure_agents
from parley_gateway.store import agents, claims, forks, imports, letters, messages, threads, turns
from parley_gateway.store.transaction import Transaction

Command = Callable[[Transaction, Any], Contract]
FRESH = {"id": "fresh", "turn_id": "fresh-turn"}
EDIT = {"id": "asked", "thread_id": "fresh", "message_id": "fresh-m", "turn_id": "fresh-turn"}
PAGE = (ImportMessage(role="user", text="old"),)
CLAIM = Claim(turn_id="running", attempt=1, claim="k")
STEP = AnswerStep(number=0, text="so")
HANDLED = {"handle": "fresh", "name": "Fresh"}
CASES: list[tuple[Command, Contract, Contract | None]] = [
    (
        messages.send,
        SendMessage(thread_id="t", text="new", **FRESH),
        SendMessage(thread_id="t", text="another", **FRESH),
    ),
    (
        messages.send,
        SendMessage(thread_id="t", text="new", client_id="c"),
        SendMessage(thread_id="t", text="another", client_id="c"),
    ),
    (threads.create, CreateThread(id="fresh"), CreateThread(id="fresh", title="another")),
    (
        forks.fork,
        ForkThread(thread_id="t", id="fresh"),
        ForkThread(thread_id="t", id="fresh", message_id="asked"),
    ),
    (forks.edit, EditMessage(text="new", **EDIT), EditMessage(text="another", **EDIT)),
    (
        turns.retry,
        RetryTurn(id="failed", turn_id="fresh", message_id="fresh-m"),
        RetryTurn(id="running", turn_id="fresh", message_id="fresh-m"),
    ),
    (imports.take_page, ImportThread(id="fresh", messages=PAGE), None),
    (
        agents.create,
        CreateAgent(id="fresh", **HANDLED),
        CreateAgent(id="another", **HANDLED),
    ),
    (claims.record_step, RecordStep(claim=CLAIM, step=STEP), None),
    (claims.beat, Beat(worker_id="fresh"), None),
    (
        letters.keep,
        KeepLetter(id="fresh", subject="parley.turns.t", payload="", size=0),
        None,
    ),
]
IDS = [f"{command.__module__.rpartition('.')[2]}.{command.__name__}" for command, *_ in CASES]


@pytest.fixture
async def shared(postgres: ContainerPostgres) -> AsyncIterator[Store]:
    """A store on PostgreSQL with an answered, a failed and a running turn in three threads."""
    opened = Store(postgres.emptied())
    await ensure_agents(opened.database.writer)
    for thread in ("t", "f", "r"):
        await opened.thread(thread)
    await opened.answer((await opened.send(id="asked")).turn.id)
    await opened.send(thread="f", turn_id="failed")
    await opened.finish((await opened.begin("failed")).claim, outcome="failed")
    await opened.send(thread="r", turn_id="running")
    await opened.begin("running", CLAIM.claim)
    yield opened
    await opened.database.close()


@pytest.mark.parametrize(("command", "request_", "_"), CASES, ids=IDS)
async def test_rule_18_a_repeat_that_comes_before_the_commit_gets_the_first_result(
    shared: Store, command: Command, request_: Contract, _: Contract | None
) -> None:
    first, second = await raced(shared, command, request_, request_)
    assert not isinstance(second, BaseException), second
    assert second.model_dump(exclude={"repeated"}) == first.model_dump(exclude={"repeated"})


@pytest.mark.parametrize(("command", "request_", "other"), [case for case in CASES if case[2]])
async def test_rule_18_another_command_of_the_same_id_before_the_commit_is_a_conflict(
    shared: Store, command: Command, request_: Contract, other: Contract
) -> None:
    _, second = await raced(shared, command, request_, other)
    assert isinstance(second, Conflict), second


async def raced(store: Store, command: Command, one: Contract, other: Contract) -> list[Any]:
    """Return what came of two commands, of which the second ran into the first one's changes."""
    begun, go_on = asyncio.Event(), Event()
    loop = asyncio.get_running_loop()

    def delayed(tx: Transaction) -> Contract:
        result = command(tx, one)
        loop.call_soon_threadsafe(begun.set)
        assert go_on.wait(PATIENCE_S)
        return result

    async def second() -> Any:
        await begun.wait()
        running = asyncio.ensure_future(store.run(command, other))
        await eventually(lambda: waits(store, running))
        go_on.set()
        return await running

    return list(await asyncio.gather(store.run(delayed), second(), return_exceptions=True))


async def waits(store: Store, running: asyncio.Future[Any]) -> bool:
    """Whether somebody waits for a lock of this database, or nobody had to."""
    sql = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    return running.done() or (await store.rows(sql))[0][0] > 0

"""What is due, and the verdict on a slot that was looked at (rules 4, 8, 9, 10)."""

from __future__ import annotations

import asyncio
import sqlite3
from typing import cast

import psycopg
import pytest
from gateway_store import Store
from parley_bus import SlotQueue
from parley_contracts.errors import ParleyError
from parley_contracts.threads import ThreadRef
from parley_contracts.turns import BeginTurn, CancelTurn, TurnSlot
from parley_gateway.dispatch import Dispatcher
from parley_gateway.respite import Respite
from parley_gateway.store import claims, stopping, threads
from parley_gateway.store.claims import LEASE_S
from parley_gateway.store.dispatching import DUE, LEAVE, Verdict, judge
from parley_gateway.store.records import read_turn, save_turn
from parley_gateway.store.transaction import Transaction

NOTHING = TurnSlot(turn_id="none", dispatch_no=0)


async def due(store: Store) -> list[str]:
    async with store.database.reading() as connection:
        return list(await connection.scalars(DUE.clause, {"now": store.clock()}))


async def verdict(store: Store, found: TurnSlot | None, no_takeover_before: int = 0) -> Verdict:
    rows = await store.rows(
        "SELECT id, dispatch_no FROM turns WHERE id = (SELECT open_turn FROM threads)"
    )
    now_due = TurnSlot(turn_id=rows[0][0], dispatch_no=rows[0][1]) if rows else NOTHING
    return await store.run(judge, "t", now_due, found, no_takeover_before=no_takeover_before)


async def test_rule_4_a_thread_has_one_open_turn(store: Store) -> None:
    await asyncio.gather(*(store.send(f"q{number}") for number in range(20)))
    rows = await store.rows("SELECT count(*) FROM turns WHERE status = 'open'")
    assert rows == [(1,)]
    assert len(store.puts()) == 1


async def test_rule_4_sends_that_race_a_finish_neither_forget_nor_double(store: Store) -> None:
    turn = (await store.send("first")).turn
    for _ in range(10):
        claim = (await store.begin(turn.id)).claim
        _, accepted = await asyncio.gather(store.finish(claim), store.send("next"))
        turn = accepted.turn
        assert (await store.view()).thread.open_turn == turn.id
    puts = [put.turn_id for put in store.puts()]
    assert len(puts) == len(set(puts)) == 11


async def test_rule_4_the_next_turn_opens_with_the_end_of_the_one_before(store: Store) -> None:
    first, second = (await store.send("one")).turn, (await store.send("two")).turn
    assert (await store.view()).thread.open_turn == first.id
    await store.answer(first.id)
    assert (await store.view()).thread.open_turn == second.id
    assert store.puts()[-1].turn_id == second.id


async def test_rule_4_the_database_itself_refuses_a_second_open_turn(store: Store) -> None:
    await store.send("one")
    second = (await store.send("two")).turn

    def open_it(tx: Transaction) -> None:
        turn = read_turn(tx, second.id)
        turn.status = "open"
        save_turn(tx, turn)

    with pytest.raises((sqlite3.IntegrityError, psycopg.errors.UniqueViolation)):
        await store.run(open_it)


async def test_rule_10_an_empty_slot_is_filled_under_the_next_number(store: Store) -> None:
    turn = (await store.send()).turn
    assert await due(store) == ["t"]
    assert await verdict(store, None) == Verdict(put=TurnSlot(turn_id=turn.id, dispatch_no=2))
    assert (await store.slot(turn.id)).dispatch_no == 2


async def test_rule_10_a_slot_that_is_right_is_left_alone(store: Store) -> None:
    turn = (await store.send()).turn
    assert await verdict(store, await store.slot(turn.id)) == LEAVE


async def test_rule_10_an_older_slot_is_replaced(store: Store) -> None:
    old = (await store.exchange("one")).turn
    turn = (await store.send("two")).turn
    found = TurnSlot(turn_id=old.id, dispatch_no=1)
    new = TurnSlot(turn_id=turn.id, dispatch_no=2)
    assert await verdict(store, found) == Verdict(delete=True, put=new)
    found = TurnSlot(turn_id=turn.id, dispatch_no=1)
    new = TurnSlot(turn_id=turn.id, dispatch_no=3)
    assert await verdict(store, found) == Verdict(delete=True, put=new)


async def test_rule_10_what_others_have_moved_on_from_is_left_to_them(store: Store) -> None:
    before = await store.slot((await store.send("one")).turn.id)
    await store.send("two")
    await store.answer(before.turn_id, "one")
    assert await store.run(judge, "t", before, before, no_takeover_before=0) == LEAVE


class FilledSlots:
    """Slots that are empty and take everything; `filled` is what was put."""

    def __init__(self) -> None:
        self.filled: list[TurnSlot] = []

    async def peek(self, key: str) -> None:
        """Find nothing."""

    async def put(self, key: str, slot: TurnSlot) -> None:
        """Take it."""
        self.filled.append(slot)


async def test_rule_10_a_sweep_leaves_what_has_just_become_due_to_those_who_dispatch_it(
    store: Store,
) -> None:
    slots = FilledSlots()
    dispatcher = Dispatcher(store.database, cast(SlotQueue, slots), Respite(store.clock))
    await dispatcher.dispatch_due()
    turn = (await store.send()).turn
    await dispatcher.dispatch_due()
    assert slots.filled == []
    store.clock.advance(2)
    await dispatcher.dispatch_due()
    assert slots.filled == [TurnSlot(turn_id=turn.id, dispatch_no=2)]


async def test_rule_10_after_an_outage_a_sweep_looks_at_everything(store: Store) -> None:
    slots = FilledSlots()
    dispatcher = Dispatcher(store.database, cast(SlotQueue, slots), Respite(store.clock))
    await dispatcher.dispatch_due()
    turn = (await store.send()).turn
    dispatcher.look_at_once()
    await dispatcher.dispatch_due()
    assert slots.filled == [TurnSlot(turn_id=turn.id, dispatch_no=2)]


async def test_rule_10_a_leased_turn_is_not_due(store: Store) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id)
    assert await due(store) == []
    assert await verdict(store, None) == LEAVE


async def test_rule_10_the_slot_of_a_dead_worker_is_replaced(store: Store) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id)
    store.clock.advance(LEASE_S + 1)
    assert await due(store) == ["t"]
    number_1 = TurnSlot(turn_id=turn.id, dispatch_no=1)
    number_2 = TurnSlot(turn_id=turn.id, dispatch_no=2)
    assert await verdict(store, number_1) == Verdict(delete=True, put=number_2)
    granted = await store.begin(turn.id, "living")
    assert granted.claim.attempt == 2
    rows = await store.rows("SELECT takeovers FROM turns WHERE id = :id", id=turn.id)
    assert rows == [(1,)]


async def test_rule_8_an_outage_takes_no_turn_from_its_worker(store: Store) -> None:
    turn = (await store.send()).turn
    await store.begin(turn.id)
    store.clock.advance(LEASE_S + 1)
    back = store.clock() + int(LEASE_S * 1e6)
    assert await verdict(store, await store.slot(turn.id), back) == LEAVE


async def test_rule_10_what_waits_or_stops_is_not_due(store: Store) -> None:
    turn = (await store.send()).turn
    claim = (await store.begin(turn.id)).claim
    await store.run(stopping.cancel, CancelTurn(id=turn.id))
    store.clock.advance(LEASE_S + 1)
    assert await due(store) == []
    assert await verdict(store, None) == LEAVE
    await store.finish(claim)
    assert await verdict(store, None) == LEAVE


async def test_rule_17_nothing_is_due_in_a_deleted_thread(store: Store) -> None:
    await store.send()
    await store.send()
    await store.run(threads.delete, ThreadRef(id="t"))
    assert await due(store) == []


async def test_rule_5_of_two_claims_at_once_one_is_granted(store: Store) -> None:
    turn = (await store.send()).turn

    async def begin(claim: str) -> bytes:
        command = BeginTurn(turn_id=turn.id, dispatch_no=1, claim=claim, worker_id=claim)
        return await store.run(claims.begin, command, no_takeover_before=0)

    replies = await asyncio.gather(*(begin(f"c{number}") for number in range(8)))
    assert sorted(b'"granted"' in reply for reply in replies) == [False] * 7 + [True]


async def test_rule_16_of_finish_and_stop_at_once_one_is_first(store: Store) -> None:
    for number in range(10):
        turn = (await store.send(f"q{number}")).turn
        claim = (await store.begin(turn.id)).claim
        finished, stopped = await asyncio.gather(
            store.finish(claim),
            store.run(stopping.cancel, CancelTurn(id=turn.id)),
            return_exceptions=True,
        )
        status = (await store.view()).messages[-1].status
        if isinstance(stopped, ParleyError):
            assert (status, stopped.kind) == ("complete", "finished")
        else:
            assert status == "stopped"
        assert not isinstance(finished, BaseException)
